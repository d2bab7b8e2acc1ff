"""The values that cross the engine. Plain, frozen, no I/O; imports only `media_types`. Used on every thread.

Names from outside (file names) are `str` with surrogateescape, exactly what `os.fsdecode` gives; the catalogue stores
`os.fsencode` of them, so bytes that are not UTF-8 survive a round trip. Tag names are always NFC and valid UTF-8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple, NewType

from pyroaring import BitMap

from engine.media_types import media_types
from query.relations import Relation

ItemId = NewType("ItemId", int)  # also the inode number of the item on every path; never reused
BlobId = NewType("BlobId", int)

FIRST_ITEM_ID = 4096  # below are the inode numbers of the fixed directories
LAST_ITEM_ID = 2**32 - 1  # roaring bitmaps hold 32-bit numbers


class Kind(StrEnum):
    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"


class State(StrEnum):
    """Where an item is in its life.

    queued ──▶ downloading ──▶ complete ──▶ seeding
     ▲ ▲ ▲         │  │           ▲            │
     │ │ └─ retry ─┘  ▼           │            ▼
     │ paused ◀──── failed     writing      missing   (complete, but its blob is gone)
    skipped
    """

    QUEUED = "queued"
    DOWNLOADING = "downloading"
    PAUSED = "paused"
    COMPLETE = "complete"
    SEEDING = "seeding"
    FAILED = "failed"
    WRITING = "writing"  # created through the mount and not closed yet
    SKIPPED = "skipped"  # a file of a folder item that is not wanted
    MISSING = "missing"

    @property
    def whole(self) -> bool:
        """Whether the content is here as a blob (symlinks and folders count as whole)."""
        return self is State.COMPLETE or self is State.SEEDING


class Item(NamedTuple):  # a listing makes 10,000 of them: three times as quick to make as a frozen dataclass
    """One row of the catalogue. `size` is bytes, None while unknown; times are nanoseconds since the epoch."""

    id: ItemId
    name: str
    kind: Kind
    state: State
    size: int | None
    sha256: str | None  # 64 hex digits of the blob, None until whole
    blob: BlobId | None
    mtime_ns: int
    added_ns: int
    mode: int  # permission bits only
    target: str | None  # of a symlink
    error: str | None  # one sentence, when failed, missing or damaged
    trashed_ns: int | None
    tag_count: int  # own tags
    parent: ItemId | None = None  # the folder item that holds it; None at the top


@dataclass(frozen=True, slots=True)
class Blob:
    id: BlobId
    sha256: str
    size: int


class SourceKind(StrEnum):
    HTTP = "http"
    FTP = "ftp"
    TORRENT = "torrent"
    IMPORT = "import"  # copied in by `tagfs import`
    MOUNT = "mount"  # written through the mount


@dataclass(frozen=True, slots=True)
class Source:
    """Where an item's bytes come from. `url` may hold credentials: show `public_url`, never `url`."""

    kind: SourceKind
    url: str  # http(s) or ftp URL, magnet URI, or empty
    public_url: str  # without userinfo, query secrets and fragment
    host: str  # lower case, without port; empty where there is none


@dataclass(frozen=True, slots=True)
class Pieces:
    """Digests of consecutive stretches of `length` bytes, lower-case hex; the last stretch may be shorter."""

    algorithm: str
    length: int
    hashes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Download:
    """What a restart needs to go on with an item that is not whole. One row an arriving item."""

    item: ItemId
    staging: str  # file name below the staging folder, unique, never derived from outside names
    size: int | None
    etag: str | None  # strong validators only
    last_modified: str | None  # as the server sent it
    ranges: str  # durable range map, `0-1048576,2097152-3145728` (end exclusive); bytes here were fsynced
    digests: Mapping[str, str]  # algorithm -> lower-case hex that the content must have
    name_fixed: bool  # the user chose the name: a Content-Disposition does not change it
    attempts: int  # consecutive failures
    retry_at_ns: int | None
    options: Mapping[str, str] = field(default_factory=dict)  # per-download settings, JSON in the row


@dataclass(frozen=True, slots=True)
class Torrent:
    """What a restart needs to go on with a torrent, to seed it, and to know it again. One row a torrent.

    `item` is the file or, for several files, the folder that the torrent became.
    """

    item: ItemId
    v1: str | None  # SHA-1 infohash, 40 hex digits; one of the two is there
    v2: str | None  # SHA-256 infohash, 64 hex digits
    metadata: bytes | None  # the .torrent: info dictionary and piece layers; None until a magnet link has found it
    magnet: str  # trackers, web seeds, peers and selection; may hold secrets
    folder: str  # name below the folder of torrents, never derived from outside names
    resume: bytes | None  # what libtorrent knows of pieces and peers, with our own checksum around it
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TagCount:
    """A tag (`movie`, `year:2000`) and how many live items carry it."""

    name: str
    items: int


def extension(name: str) -> str:
    """The value of `ext:`: what follows the last dot, lower case; empty for none and for dot files."""
    stem, dot, ext = name.rpartition(".")
    return ext.lower() if dot and stem.strip(".") else ""


def timestamp(ns: int) -> str:
    """The text of an instant as `added:` compares it: `2026-11-23T10:00:00Z`."""
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a query can ask of one item; implements `query.evaluate.Facts`."""

    name: str
    kind: Kind
    state: State
    size: int | None
    sha256: str | None
    added_ns: int
    trashed: bool
    tags: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()  # SourceKind values
    hosts: frozenset[str] = frozenset()
    parent: ItemId | None = None
    buried: bool = False  # a folder that holds it, at whatever depth, is in the trash
    mime: str | None = None  # of the content, by its bytes; None where there is none, or nobody has looked

    @property
    def live(self) -> bool:
        """In the trash neither by itself nor with a folder."""
        return not self.trashed and not self.buried

    def values(self, key: str) -> tuple[str, ...]:
        """The values of built-in `key` as text; empty for a key that is not built in."""
        match key:
            case "state":
                return (self.state.value,)
            case "type":
                return media_types(self.name, self.mime) if self.kind is Kind.FILE else ()
            case "ext":
                ext = extension(self.name) if self.kind is Kind.FILE else ""
                return (ext,) if ext else ()
            case "size":
                return () if self.size is None else (str(self.size),)
            case "added":
                return (timestamp(self.added_ns),)
            case "source":
                return tuple(sorted(self.sources))
            case "host":
                return tuple(sorted(self.hosts))
            case "name":
                return (self.name,)
            case "sha256":
                return (self.sha256,) if self.sha256 else ()
            case "is":
                return () if self.tags else ("untagged",)
        return ()


@dataclass(frozen=True, slots=True)
class Change:
    """What a committed transaction did to one item. None: the item did not exist, or exists no more.

    Delivered in commit order, each exactly once, on the trio thread, before the call that made it returns.
    """

    item: ItemId
    before: Facts | None
    after: Facts | None


@dataclass(frozen=True, slots=True)
class SavedQuery:
    """A query with a name: `text` is an expression. `name` is a file name, see above; `added_ns` since the epoch."""

    id: int
    name: str
    text: str
    added_ns: int


class TagEvent(StrEnum):
    CREATED = "created"
    REMOVED = "removed"
    RENAMED = "renamed"
    RELATED = "related"
    UNRELATED = "unrelated"
    SAVED = "saved"
    FORGOTTEN = "forgotten"
    RETAGGED = "retagged"


# A tag comes, goes or changes its name. The others say how tags relate, and which queries have a name.
COMING_OR_GOING: Final = frozenset({TagEvent.CREATED, TagEvent.REMOVED, TagEvent.RENAMED})
SAVING: Final = frozenset({TagEvent.SAVED, TagEvent.FORGOTTEN})


@dataclass(frozen=True, slots=True)
class TagChange:
    """A tag came, went or was renamed, or was related to another one. A rename changes no `Change`: the items' tags
    follow the tag, and so do relations; before a tag is REMOVED its relations are UNRELATED.

    SAVED, FORGOTTEN: `name` is not a tag's, but that of a saved query, which is there with another text from now on, or
    is there no more; `new_name` of one that was renamed, which is SAVED by that.

    RETAGGED stands for as many `Change`s as there are items in `gained` and `lost`, which a million would be too many
    of. It names items whatever folder holds them and whether they are in the trash or not, each of them exactly when
    its own tags have changed. `bare` and `clothed` are the items that have lost their last tag or got their first one
    by the transaction; they stand in its last RETAGGED alone. `number` is the id of the row that carries the tag from
    now on, where that may be another one (after a merge the larger tag keeps its taggings).

    `heir` of a REMOVED: the tag that it was merged into.
    """

    event: TagEvent
    name: str
    new_name: str | None = None
    relation: Relation | None = None  # RELATED, UNRELATED; `name` is its tag
    gained: BitMap = field(default_factory=BitMap)
    lost: BitMap = field(default_factory=BitMap)
    bare: BitMap = field(default_factory=BitMap)
    clothed: BitMap = field(default_factory=BitMap)
    number: int | None = None
    heir: str | None = None
