"""Node ids that the kernel holds: which node each stands for, and how often it was handed out. Single owner of both.

Files, blobs and fixed directories have numbers of their own and need no table (`tagfs.vfs.numbers`). Query directories,
folder items and links are remembered by path from their first lookup until the kernel forgets them. The number of a
folder item is never its node id: the kernel may have known it as a file, before its download turned out to be a folder.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TypeAlias

from engine.types import Blob
from query.errors import QueryError
from tagfs.vfs import numbers
from tagfs.vfs.context import Context
from tagfs.vfs.nodes.folder import FolderDirectory
from tagfs.vfs.nodes.queries import QueriesDirectory
from tagfs.vfs.nodes.query import QueryDirectory
from tagfs.vfs.nodes.tags import TagsRoot
from tagfs.vfs.nodes.unfinished import UnfinishedDirectory
from tagfs.vfs.tree import BlobNode, Directory, DropNode, FolderNode, ItemNode, LinkNode, Node, TextNode
from tagfs.vfs.views import Path

Remembered: TypeAlias = Directory | LinkNode


class Inodes:
    def __init__(self, context: Context, tags: TagsRoot) -> None:
        self._context = context
        self._tags = tags
        queries = context.nodes[numbers.QUERIES]
        assert isinstance(queries, QueriesDirectory)
        self._queries = queries
        self._nodes: dict[int, Remembered] = {}
        self._ids: dict[Hashable, int] = {}
        self._counts: dict[int, int] = {}
        self._blobs: dict[int, tuple[Blob, int]] = {}
        self._fixed = {node.location: number for number, node in context.nodes.items() if isinstance(node, Directory)}
        self._next_alias = numbers.ALIAS_BASE

    def __len__(self) -> int:
        return len(self._nodes)

    def node(self, number: int) -> Node | None:
        """What the kernel means by a node id; None for one that it should not know."""
        item = numbers.item_of(number)
        if item is not None:
            return ItemNode(self._context.drafts.aliases.item(number) or item)
        if numbers.is_drop(number):
            return DropNode(number) if self._context.inbox.numbered(number) is not None else None
        fixed = self._context.nodes.get(number)
        if fixed is not None:
            return fixed
        blob = self._blobs.get(number)
        return BlobNode(blob[0]) if blob is not None else self._nodes.get(number)

    def hand_out(self, node: Node) -> int:
        """The node id for an answer to lookup or readdir, which the kernel will forget once for each time."""
        match node:
            case ItemNode(item):
                return item
            case TextNode() | DropNode():
                return node.number
            case BlobNode(blob):
                number = numbers.of_blob(blob.id)
                self._blobs[number] = (blob, self._blobs.get(number, (blob, 0))[1] + 1)
                return number
            case Directory() if node.number in self._context.nodes:
                return node.number
            case Directory() | LinkNode():
                return self._remember(node)
            case FolderNode():
                raise AssertionError("a folder in a listing is no directory yet")

    def number_at(self, location: tuple[str, ...]) -> int | None:
        """The node id that the kernel has for a query directory; None where it has none."""
        return self._ids.get(location)

    def number_of(self, link: LinkNode) -> int:
        """The node id that a link was handed out with."""
        return self._ids[link.key]

    def forget(self, number: int, count: int) -> None:
        self._context.drafts.aliases.forget(number)
        if number in self._blobs:
            blob, known = self._blobs[number]
            if known <= count:
                del self._blobs[number]
            else:
                self._blobs[number] = (blob, known - count)
        if number not in self._counts:
            return
        self._counts[number] -= count
        if self._counts[number] <= 0:
            node = self._nodes.pop(number)
            del self._counts[number]
            self._unname(node, number)

    def moved(self, *moves: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
        """The directory at the first location of each is at the second now: a tag or a saved query that was renamed, or
        a folder item. The kernel keeps the node ids, the directories below move along. Two at once are an exchange."""
        moved = [
            (number, directory, (*new, *directory.location[len(old) :]))
            for old, new in moves
            if old != new
            for number, directory in self._directories()
            if directory.location[: len(old)] == old
        ]
        for number, directory, _ in moved:
            self._unname(directory, number)
        for number, directory, location in moved:
            again = self._again(directory, location)
            self._nodes[number] = again if again is not None else directory
            self._ids[_key(self._nodes[number])] = number
            self._attach(self._nodes[number], number)

    def _again(self, directory: Directory, location: tuple[str, ...]) -> Directory | None:
        if isinstance(directory, FolderDirectory):
            return FolderDirectory(self._context, location, directory.item)
        try:
            if location[0] == "queries":
                return self._queries.directory(location[1])
            return self._tags.directory(location[1:])
        except QueryError:  # too long with the new name
            return None

    def _directories(self) -> Iterator[tuple[int, Directory]]:
        for number, node in self._nodes.items():
            if isinstance(node, Directory):
                yield number, node

    def _remember(self, node: Remembered) -> int:
        key = _key(node)
        number = self._ids.get(key)
        if number is None:
            number = self._free_number(node)
            self._ids[key] = number
            self._counts[number] = 0
            self._nodes[number] = node
            self._attach(node, number)
        self._counts[number] += 1
        return number

    def _free_number(self, node: Remembered) -> int:
        """The number of the query itself where no other path holds it: then listings show what stat shows."""
        if isinstance(node, Directory) and node.item is None and node.number not in self._nodes:
            return node.number
        self._next_alias += 1
        return self._next_alias

    def _unname(self, node: Remembered, number: int) -> None:
        """Its path leads here no more; it may lead to another node id already (a tag that replaced this one)."""
        if self._ids.get(_key(node)) == number:
            del self._ids[_key(node)]
        self._detach(node, number)

    def _attach(self, node: Remembered, number: int) -> None:
        if isinstance(node, QueryDirectory):
            self._context.views.attach(node, number, self._path(node))
        elif isinstance(node, UnfinishedDirectory):
            self._context.views.attach_unfinished(number, self._path(node))
        elif isinstance(node, FolderDirectory):
            self._context.views.attach_folder(node.item, number)

    def _path(self, node: QueryDirectory | UnfinishedDirectory) -> Path:
        """The kernel has known the directory that it is in for longer."""
        *parent, name = node.location
        return Path(self._fixed.get(tuple(parent)) or self._ids.get(tuple(parent), 0), name, node.named)

    def _detach(self, node: Remembered, number: int) -> None:
        if isinstance(node, QueryDirectory):
            self._context.views.detach(number)
        elif isinstance(node, UnfinishedDirectory):
            self._context.views.detach_unfinished(number)
        elif isinstance(node, FolderDirectory):
            self._context.views.detach_folder(node.item, number)


def _key(node: Remembered) -> Hashable:
    return node.key if isinstance(node, LinkNode) else node.location
