"""Node ids that the kernel holds: which node each stands for, and how often it was handed out. Single owner of both.

Files, blobs and fixed directories have numbers of their own and need no table (`tagfs.vfs.numbers`). Query directories,
folder items and links are remembered by path from their first lookup until the kernel forgets them. The number of a
folder item is never its node id: the kernel may have known it as a file, before its download turned out to be a folder.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator
from itertools import takewhile
from typing import TypeAlias

from engine.types import Blob
from query.errors import QueryError
from query.renaming import renamed_path
from tagfs.vfs import numbers
from tagfs.vfs.along import Along, Path
from tagfs.vfs.context import Context
from tagfs.vfs.nodes.folder import FolderDirectory
from tagfs.vfs.nodes.narrowing import NarrowingDirectory
from tagfs.vfs.nodes.queries import NamedDirectory, QueriesDirectory
from tagfs.vfs.nodes.query import QueryDirectory
from tagfs.vfs.nodes.tags import TagsRoot
from tagfs.vfs.nodes.unfinished import UnfinishedDirectory
from tagfs.vfs.tree import BlobNode, Directory, DropNode, FolderNode, ItemNode, LinkNode, Node, TextNode

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
        context.views.connect_places(self)

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

    def tag_renamed(self, directories: Collection[int], old: str, new: str, *, replace: bool) -> list[Along]:
        """See `tagfs.vfs.along.Places`."""
        goers: dict[int, Directory] = {}
        for number in directories:
            node = self._nodes[number]
            again = self._renamed(node, old, new) if isinstance(node, Directory) else None
            if again is not None and type(again) is type(node):
                goers[number] = again
        return self._go(goers, replace=replace)

    def query_renamed(self, old: str, new: str) -> list[Along]:
        """See `tagfs.vfs.along.Places`."""
        number = self._ids.get(("queries", old))
        try:
            again = self._queries.directory(new)
        except QueryError:  # written by another program
            again = None
        return self._go({} if number is None or again is None else {number: again}, replace=True)

    def _renamed(self, node: Directory, old: str, new: str) -> Directory | None:
        try:
            if isinstance(node, NamedDirectory):
                return self._queries.renamed(node, old, new)
            path = renamed_path(node.location[1:], old, new)
            return None if path is None or path == node.location[1:] else self._tags.directory(path)
        except QueryError:  # too long with the new name
            return None

    def _go(self, goers: dict[int, Directory], *, replace: bool) -> list[Along]:
        """Let each number stand for that directory from now on, and so with all that is below. A path leads to one
        directory; another one of that path is not led to any more, nor is anything in it, but shows the same."""
        if not goers:
            return []
        before = {number: self._nodes[number] for number in goers}
        goers |= self._below(goers)
        for number in goers:
            self._lose(number)
        targets = {again.location for again in goers.values()}
        taken = targets.intersection(self._ids) if replace else set()
        for number, node in list(self._directories()) if taken else ():
            if number not in goers and any(node.location[:length] in taken for length in range(len(node.location) + 1)):
                self._lose(number)
        for number, again in sorted(goers.items(), key=lambda goer: len(goer[1].location)):
            goer = self._nodes[number]
            assert isinstance(goer, Directory)
            goer.become(again)
            if self._is_led_to(number, goer):
                self._ids.setdefault(goer.location, number)
        return [
            Along(number, goer.location[-1], goer.named, goer.location in taken)
            for number, goer in before.items()
            if isinstance(goer, QueryDirectory | UnfinishedDirectory)
        ]

    def _below(self, goers: dict[int, Directory]) -> dict[int, Directory]:
        """Folder items and narrowing tags in them, and where they go."""
        leads = {node.location: goers[number].location for number, node in self._directories() if number in goers}
        found: dict[int, Directory] = {}
        for number, node in self._directories():
            above = _query_above(node)
            if above in leads:
                location = (*leads[above], *node.location[len(above) :])
                again = FolderDirectory(self._context, location, node.item) if node.item else self._narrowing(location)
                if again is not None:
                    found[number] = again
        return found

    def _narrowing(self, location: tuple[str, ...]) -> Directory | None:
        try:
            return self._tags.directory(location[1:])
        except QueryError:  # too long with the new name
            return None

    def _lose(self, number: int) -> None:
        node = self._nodes[number]
        if self._ids.get(_key(node)) == number:
            del self._ids[_key(node)]

    def _is_led_to(self, number: int, node: Directory) -> bool:
        """Whether the path of the directory that it is in leads there."""
        path, above = self._context.views.known.path(number), node.location[:-1]
        return path is None or path.parent in (self._fixed.get(above), self._ids.get(above))

    def leads_to(self, number: int) -> bool:
        """Whether the path of a directory leads to it, and not to another one that has got it since."""
        node = self._nodes.get(number)
        return node is None or self._ids.get(_key(node)) == number

    def moved(self, *moves: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
        """The folder item at the first location of each is at the second now, in the kernel as well. It keeps the node
        ids, the folders below move along. Two at once are an exchange."""
        moved = [
            (number, folder, (*new, *folder.location[len(old) :]))
            for old, new in moves
            if old != new
            for number, folder in self._nodes.items()
            if isinstance(folder, FolderDirectory) and folder.location[: len(old)] == old
        ]
        for number, folder, location in moved:
            self._lose(number)
            folder.become(FolderDirectory(self._context, location, folder.item))
        self._ids.update((location, number) for number, _, location in moved)

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
        elif isinstance(node, QueryDirectory | UnfinishedDirectory):
            path, known = self._path(node), self._context.views.known.path(number)
            if known is not None and known.parent != path.parent != 0:  # another one that its path leads to since
                self._context.views.known.relocate(number, path)
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
            self._context.views.known.attach(node, number, self._path(node))
        elif isinstance(node, UnfinishedDirectory):
            self._context.views.known.attach_unfinished(number, self._path(node))
        elif isinstance(node, FolderDirectory):
            self._context.views.known.attach_folder(node.item, number)

    def _path(self, node: QueryDirectory | UnfinishedDirectory) -> Path:
        """The kernel has known the directory that it is in for longer."""
        *parent, name = node.location
        return Path(self._fixed.get(tuple(parent)) or self._ids.get(tuple(parent), 0), name, node.named)

    def _detach(self, node: Remembered, number: int) -> None:
        if isinstance(node, QueryDirectory):
            self._context.views.detach(number)
        elif isinstance(node, UnfinishedDirectory):
            self._context.views.known.detach_unfinished(number)
        elif isinstance(node, FolderDirectory):
            self._context.views.known.detach_folder(node.item, number)


def _query_above(node: Directory) -> tuple[str, ...]:
    """Of a folder item or the narrowing tags: the location of the query that lists it. Nothing for others."""
    if isinstance(node, NarrowingDirectory):
        return node.location[:-1]
    if isinstance(node, FolderDirectory):
        return tuple(takewhile(lambda name: not name.startswith("/"), node.location))
    return ()


def _key(node: Remembered) -> Hashable:
    return node.key if isinstance(node, LinkNode) else node.location
