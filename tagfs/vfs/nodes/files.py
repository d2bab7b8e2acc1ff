"""/files: every item once; what is in a folder item is in that."""

from __future__ import annotations

from collections.abc import Sequence

from engine.types import ItemId
from tagfs.vfs import attr, numbers
from tagfs.vfs.attr import Attr
from tagfs.vfs.context import Context
from tagfs.vfs.nodes.folder import node_of
from tagfs.vfs.nodes.items import find, read_lines
from tagfs.vfs.tree import Directory, Entry, Everything, Node, Place, Snapshot, no_entry


class Versioned(Snapshot):
    """A listing that any change of any item makes stale."""

    def __init__(self, context: Context, found: Sequence[Entry], version: int) -> None:
        self.entries = found
        self._context = context
        self._version = version

    def stale(self) -> bool:
        return self._version != self._context.views.version


class FilesDirectory(Directory):
    location = ("files",)
    number = numbers.FILES
    place: Place = Everything()

    def __init__(self, context: Context) -> None:
        self._context = context

    def attr(self) -> Attr:
        return attr.of_directory(self.number, self._context.views.listed_ns, writable=True)

    async def lookup(self, name: str) -> Node:
        item = find(self._context, name, self._context.catalogue.named(name), self._live)
        if item is None:
            raise no_entry(name)
        return node_of(self._context, self, item)

    async def snapshot(self) -> Snapshot:
        version = self._context.views.version
        index = self._context.index
        lines = await read_lines(self._context, index.live - index.inner)
        lines.name(None)
        return Versioned(self._context, lines, version)

    def _live(self, item: ItemId) -> bool:
        return item in self._context.index.live and item not in self._context.index.inner
