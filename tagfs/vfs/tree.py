"""What a path can lead to, and what a directory promises. No pyfuse3, no engine calls.

    Node ─┬─ ItemNode    an item: its id is its inode number
          ├─ FolderNode  a folder item in a listing; looked up, it is a Directory
          ├─ BlobNode    /blobs/<sha-256>
          ├─ TextNode    /.tagfs/status ...
          ├─ LinkNode    a symlink of ours, as below .tags/
          ├─ DropNode    a file in /inbox
          └─ Directory   everything with children

A directory says by its `place` what it means to put an item there or to take one away; `edits.py` does it.
"""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from engine.types import Blob, ItemId
from query.errors import QueryError, QueryTooLong
from tagfs.vfs.attr import Attr


@dataclass(frozen=True, slots=True)
class ItemNode:
    item: ItemId


@dataclass(frozen=True, slots=True)
class FolderNode:
    """Listings are shared by paths, on each of which the folder is another directory (`nodes.folder.node_of`)."""

    item: ItemId


@dataclass(frozen=True, slots=True)
class BlobNode:
    blob: Blob


@dataclass(frozen=True, slots=True)
class TextNode:
    number: int
    render: Callable[[], str]


@dataclass(frozen=True, slots=True)
class LinkNode:
    key: Hashable
    target: str


@dataclass(frozen=True, slots=True)
class DropNode:
    """By its number, which is its inode number."""

    number: int


@dataclass(frozen=True, slots=True)
class Stated:
    """A path that states tags: putting an item here adds them, taking it away removes them, and unless it is `literal`
    also those of the item's own tags that imply them."""

    tags: tuple[str, ...]
    literal: bool = False


@dataclass(frozen=True, slots=True)
class Everything:
    """/files: putting an item here changes no tag, taking it away moves it to the trash."""


@dataclass(frozen=True, slots=True)
class Trash:
    """/trash: putting an item here trashes it, taking it away forgets it for good."""


@dataclass(frozen=True, slots=True)
class Inbox:
    """Below /inbox: what is put here is read, and what it names is fetched and gets these tags."""

    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inside:
    """In a folder item: what is put here is in it. Taking it away moves it to the trash, or, on a path through /trash,
    forgets it for good."""

    folder: ItemId


@dataclass(frozen=True, slots=True)
class Closed:
    """Nothing can be put here or taken away; `why` is the sentence."""

    why: str
    errno: int = errno.EPERM


Place: TypeAlias = Stated | Everything | Trash | Inbox | Inside | Closed


class Entry(NamedTuple):
    """One line of a listing."""

    name: str
    node: Node
    attr: Attr


class Snapshot(ABC):
    """A listing as of one moment. `stale()` tells that something in it has changed since: then names and attributes may
    still be shown, but nobody may cache them."""

    entries: Sequence[Entry]

    @abstractmethod
    def stale(self) -> bool: ...


class Fixed(Snapshot):
    """A snapshot whose entries nobody caches at all (listings of tags, texts)."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries

    def stale(self) -> bool:
        return True


class Directory(ABC):
    """`location` are the components of its path below the mount; `number` is what stat shows. `keeps`: whether names in
    it lead to the same node until a change says otherwise; not so where the clock or something unseen decides. `kept`:
    the same of the name that leads to it, wherever it is. `item`: of a folder item."""

    location: tuple[str, ...]
    number: int
    place: Place
    keeps: bool = True
    kept: bool = True
    item: ItemId | None = None

    def become(self, other: Directory) -> None:
        """Be what `other` is, of the same kind: what led here has another name, and whoever holds this goes along."""
        vars(self).update(vars(other))

    @abstractmethod
    def attr(self) -> Attr: ...

    @abstractmethod
    async def lookup(self, name: str) -> Node:
        """The child of that name, else OSError(ENOENT). What it answers is computed after its last await."""

    @abstractmethod
    async def snapshot(self) -> Snapshot: ...

    async def mkdir(self, name: str) -> Directory:
        raise OSError(errno.EPERM, f"a directory cannot be made here: {name}")

    async def rmdir(self, name: str) -> None:
        raise OSError(errno.EPERM, f"this directory cannot be removed: {name}")


Node: TypeAlias = ItemNode | FolderNode | BlobNode | TextNode | LinkNode | DropNode | Directory


def item_of(node: Node) -> ItemId | None:
    """The item that a node is, file or folder."""
    return node.item if isinstance(node, ItemNode | FolderNode | Directory) else None


def malformed(error: QueryError) -> OSError:
    """EINVAL or, past the limits of a query, ENAMETOOLONG, with the parser's sentence."""
    return OSError(errno.ENAMETOOLONG if isinstance(error, QueryTooLong) else errno.EINVAL, error.message)


def no_entry(name: str) -> OSError:
    return OSError(errno.ENOENT, f"there is no {name!r} here")
