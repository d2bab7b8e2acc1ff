"""What a write is told: plain values, each with what its defaults mean. Imports types and the query's errors alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from pyroaring import BitMap

from engine.types import (
    Item,
    ItemId,
    Kind,
    Source,
    State,
)


@dataclass(frozen=True, slots=True)
class NewDownload:
    staging: str
    digests: Mapping[str, str] = field(default_factory=dict)
    name_fixed: bool = False
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item to be. A whole FILE names its blob (`sha256` and `size`), which must be in the store already."""

    name: str
    kind: Kind = Kind.FILE
    state: State = State.COMPLETE
    tags: Collection[str] = ()  # created where they do not exist
    size: int | None = None
    sha256: str | None = None
    mime: str | None = None  # of the blob, see `Ingested`
    mtime_ns: int | None = None  # None: now
    mode: int = 0o644
    target: str | None = None
    sources: Sequence[Source] = ()
    download: NewDownload | None = None
    xattrs: Mapping[str, bytes] = field(default_factory=dict)
    parent: ItemId | None = None  # the folder item that it is made in


@dataclass(frozen=True, slots=True)
class Edit:
    """Changes to one item, made in one transaction. Defaults change nothing."""

    name: str | None = None
    add: Collection[str] = ()
    remove: Collection[str] = ()
    tags: Collection[str] | None = None  # replaces all own tags (before add and remove)
    mtime_ns: int | None = None
    mode: int | None = None
    state: State | None = None
    error: str | None = None  # with state: replaces the sentence (None clears it)
    size: int | None = None  # once known
    set_xattrs: Mapping[str, bytes] = field(default_factory=dict)
    remove_xattrs: Collection[str] = ()
    must_create: bool = False  # XATTR_CREATE for set_xattrs
    must_replace: bool = False  # XATTR_REPLACE for set_xattrs
    mtime_if_unset: int | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """An item goes to the folder `parent`, or to the top for None, and is edited on the way."""

    item: ItemId
    parent: ItemId | None
    edit: Edit = field(default_factory=Edit)


@dataclass(frozen=True, slots=True)
class Retagging:
    """Tags to be put on and taken off many items. Where both name an item for one tag, it is taken off."""

    add: Mapping[str, BitMap] = field(default_factory=dict)  # tags are made where they do not exist
    remove: Mapping[str, BitMap] = field(default_factory=dict)  # tags that do not exist are left out


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A file of a folder item to be. `path` are its components below the folder: names that files can have, unique as
    a whole, and none of them a prefix of another."""

    path: tuple[str, ...]
    size: int
    state: State = State.QUEUED
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class NewTorrent:
    """A torrent to be, see `types.Torrent`."""

    v1: str | None
    v2: str | None
    magnet: str
    folder: str
    metadata: bytes | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TorrentFiles:
    """What the metadata of a torrent says. `positions` are those of `files` in the torrent's own list."""

    v1: str | None
    v2: str | None
    metadata: bytes
    name: str | None  # a better one for the item; None leaves what it has
    is_single: bool  # the item becomes the one file; else a folder
    files: Sequence[FolderFile]
    positions: Sequence[int]


@dataclass(frozen=True, slots=True)
class Arrived:
    """Content for an item, which is in the store already; `state` is complete or seeding."""

    item: ItemId
    sha256: str
    size: int
    digests: Mapping[str, str] = field(default_factory=dict)
    state: State = State.COMPLETE
    mime: str | None = None  # see `Ingested`
    edit: Edit = field(default_factory=Edit)  # of name, mode and times, on the way


@dataclass(frozen=True, slots=True)
class Replaced:
    """`item` has the new content; `kept` is the item in the trash that has the old one, None where none was lost."""

    item: Item
    kept: ItemId | None


@dataclass(frozen=True, slots=True)
class Look:
    """What was found out about an item. `stage` is 1 for one that was added and 2 for one that is whole; `proposed` are
    (tag, what proposes it); `accept` are keys (see engine.suggested) whose proposals a rule takes at once."""

    item: ItemId
    stage: int
    tags: Sequence[str] = ()
    proposed: Sequence[tuple[str, str]] = ()
    accept: Collection[str] = frozenset()
