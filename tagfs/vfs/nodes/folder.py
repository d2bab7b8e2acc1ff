"""A folder item as a directory, wherever it is listed: /files/D, /tags/a/D, /trash/D, and below other folders.

The kernel allows a directory one parent, so each way to a folder has a node id of its own, while stat shows the number
of the item on all of them (docs/decisions/0002). A way is spelled with these numbers, `/files` then `/4711`: names
change, and no name has a slash in it.
"""

from __future__ import annotations

from typing import Final

from engine.types import ItemId, Kind, SourceKind
from tagfs.vfs import attr
from tagfs.vfs.attr import Attr
from tagfs.vfs.context import Context
from tagfs.vfs.nodes.items import entries, find, item_attr
from tagfs.vfs.tree import Closed, Directory, Entry, Inside, ItemNode, Node, Place, Snapshot, no_entry


def way_to(directory: Directory, item: ItemId) -> tuple[str, ...]:
    """The location of a folder item that `directory` lists."""
    return (*directory.location, f"/{item}")


def node_of(context: Context, directory: Directory, item: ItemId) -> Node:
    """What an item is in the directory that lists it."""
    row = context.catalogue.item(item)
    if row is not None and row.kind is Kind.FOLDER:
        return FolderDirectory(context, way_to(directory, item), item)
    return ItemNode(item)


# `rm -r /tags/a/D` begins with what is in D: it must not cost anybody what a download has brought.
ELSEWHERE: Final = Closed(
    "what is in the folder of a download is changed below /files; here rmdir takes the tag off the folder"
)


def place_of(context: Context, directory: Directory) -> Place:
    """What putting and taking away means in a directory at this moment: a folder can be moved into another one."""
    place = directory.place
    if isinstance(place, Inside) and directory.location[0] not in ("files", "trash"):
        return place if is_working_folder(context, place.folder) else ELSEWHERE
    return place


def is_working_folder(context: Context, folder: ItemId) -> bool:
    """Whether it was made by mkdir, or is in a folder that was: then it is worked in on every path (decision 19)."""
    above = context.catalogue.ancestors(folder)
    sources = context.catalogue.sources(above[-1] if above else folder)
    return any(source.kind is SourceKind.MOUNT for source in sources)


class FolderListing(Snapshot):
    """What is in a folder; any change of it makes the listing stale."""

    def __init__(self, context: Context, folder: ItemId) -> None:
        self.entries: list[Entry] = []
        self._views = context.views
        self._folder = folder
        self._version = context.views.version_of(folder)

    def stale(self) -> bool:
        return self._version != self._views.version_of(self._folder)


class FolderDirectory(Directory):
    item: ItemId

    def __init__(self, context: Context, location: tuple[str, ...], item: ItemId) -> None:
        self.location = location
        self.number = item
        self.item = item
        self.place: Place = Inside(item)
        self._context = context

    def attr(self) -> Attr:
        row = self._context.catalogue.item(self.item)
        if row is None:  # for those who have it open, or stand in it
            return attr.of_directory(self.item, self._context.started_ns, writable=True)._replace(nlink=0)
        return item_attr(self._context, row)

    async def lookup(self, name: str) -> Node:
        child = self._context.catalogue.child(self.item, name)
        item = find(self._context, name, [] if child is None else [child], self._holds)
        if item is None:
            raise no_entry(name)
        return node_of(self._context, self, item)

    async def snapshot(self) -> Snapshot:
        kept = self._context.folder_listings.get(self.item)
        if kept is not None:
            return kept
        listing = FolderListing(self._context, self.item)
        rows = await self._context.catalogue.children(self.item)
        listing.entries = entries(self._context, rows, hidden=lambda _name: False)
        self._context.folder_listings.keep(self.item, listing)
        return listing

    def _holds(self, item: ItemId) -> bool:
        row = self._context.catalogue.item(item)
        return row is not None and row.parent == self.item and row.trashed_ns is None
