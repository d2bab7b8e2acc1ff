""".tags in a query directory (unlisted): the tags that would narrow it, as symlinks `1080p -> ../1080p`.

Symlinks, so that nothing that walks the tree recurses.
"""

from __future__ import annotations

from engine.types import TagCount
from query.ast import Query
from tagfs.vfs import attr, numbers
from tagfs.vfs.attr import Attr
from tagfs.vfs.context import Context
from tagfs.vfs.tree import Closed, Directory, Entry, Fixed, LinkNode, Node, Place, Snapshot, no_entry


class NarrowingDirectory(Directory):
    keeps = False  # any change of any item may change them
    place: Place = Closed("the narrowing tags are computed")

    def __init__(self, context: Context, path: tuple[str, ...], query: Query) -> None:
        self.location = ("tags", *path, ".tags")
        self.number = numbers.of_query(f"narrowing {path!r}")
        self._path = path
        self._query = query
        self._context = context

    def attr(self) -> Attr:
        return attr.of_directory(self.number, self._context.views.changed_ns, writable=False, changing=True)

    async def lookup(self, name: str) -> Node:
        if name not in {tag.name for tag in await self._tags()}:
            raise no_entry(name)
        return self._link(name)

    async def snapshot(self) -> Snapshot:
        links = [self._link(tag.name) for tag in await self._tags()]
        changed = self._context.views.changed_ns
        return Fixed(
            [
                Entry(link.target[3:], link, attr.of_link(numbers.of_query(repr(link.key)), link.target, changed))
                for link in links
            ]
        )

    def _link(self, tag: str) -> LinkNode:
        return LinkNode(("narrowing", self._path, tag), f"../{tag}")

    async def _tags(self) -> list[TagCount]:
        index = self._context.index
        return await index.narrowing(index.relations.compiled(self._query), now=self._context.clock())
