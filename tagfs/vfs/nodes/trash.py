"""/trash: what was removed, until it is removed from here."""

from __future__ import annotations

from engine.types import ItemId
from tagfs.vfs import attr, numbers
from tagfs.vfs.attr import Attr
from tagfs.vfs.context import Context
from tagfs.vfs.nodes.files import Versioned
from tagfs.vfs.nodes.folder import node_of
from tagfs.vfs.nodes.items import entries, find
from tagfs.vfs.tree import Directory, Node, Place, Snapshot, Trash, no_entry


class TrashDirectory(Directory):
    location = ("trash",)
    number = numbers.TRASH
    place: Place = Trash()

    def __init__(self, context: Context) -> None:
        self._context = context

    def attr(self) -> Attr:
        return attr.of_directory(self.number, self._context.views.listed_ns, writable=True)

    async def lookup(self, name: str) -> Node:
        item = find(self._context, name, self._context.catalogue.trashed(name), self._is_trashed)
        if item is None:
            raise no_entry(name)
        return node_of(self._context, self, item)

    async def snapshot(self) -> Snapshot:
        version = self._context.views.version
        rows = sorted(await self._context.catalogue.trash_list(), key=lambda item: item.id)  # as `lookup` prefers them
        return Versioned(self._context, entries(self._context, rows, hidden=lambda _name: False), version)

    def _is_trashed(self, item: ItemId) -> bool:
        row = self._context.catalogue.item(item)
        return row is not None and row.trashed_ns is not None
