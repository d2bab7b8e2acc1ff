"""Directories whose children never change: the root and /.tagfs."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from tagfs.vfs import attr
from tagfs.vfs.attr import Attr
from tagfs.vfs.tree import Closed, Directory, Entry, Fixed, Node, Place, Snapshot, TextNode, no_entry


class FixedDirectory(Directory):
    """`unlisted` children resolve when named but are not listed (as ZFS does with .zfs)."""

    place: Place = Closed("this directory is fixed: use /files, or a tag below /tags")

    def __init__(
        self,
        number: int,
        location: tuple[str, ...],
        changed_ns: int,
        children: Mapping[str, Directory | TextNode],
        unlisted: Mapping[str, Directory | TextNode] | None = None,
    ) -> None:
        self.location = location
        self.number = number
        self._changed_ns = changed_ns
        self._children = children
        self._unlisted = unlisted or {}

    def attr(self) -> Attr:
        return attr.of_directory(self.number, self._changed_ns, writable=False)

    async def lookup(self, name: str) -> Node:
        child = self._children.get(name) or self._unlisted.get(name)
        if child is None:
            raise no_entry(name)
        return child

    async def mkdir(self, name: str) -> Directory:
        """File managers that cannot make a trash directory here offer to delete instead."""
        if name.startswith(".Trash"):
            raise OSError(errno.EPERM, "tagfs has a trash of its own: delete the file in /files, and it is in /trash")
        return await super().mkdir(name)

    async def snapshot(self) -> Snapshot:
        return Fixed([Entry(name, child, self._attr_of(child)) for name, child in self._children.items()])

    def _attr_of(self, child: Directory | TextNode) -> Attr:
        return child.attr() if isinstance(child, Directory) else attr.of_text(child.number, self._changed_ns)
