"""What verbs answer with: plain frozen values, the same on both sides of the socket. Pure; any thread.

The field names are the keys of every --json output (docs/cli.md) and stay as they are: fields may be added, never
renamed or removed. Names are `str` with surrogateescape, as `os.fsdecode` gives them. Instants are RFC 3339 texts in
UTC (`2026-11-23T10:00:00Z`), sizes are bytes, speeds bytes a second, durations seconds. URLs come without userinfo,
secrets and fragment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ItemView:
    id: int
    name: str
    kind: str  # file, folder, symlink
    state: str  # queued, downloading, paused, complete, seeding, failed, writing, missing
    size: int | None
    done: int  # bytes that are here; equals size when whole
    tags: tuple[str, ...]  # own tags, sorted
    sha256: str | None
    added: str
    mtime: str
    url: str | None
    error: str | None
    trashed: str | None = None


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Items in ascending id order. `next` is what `after` must be for the page that follows, None on the last."""

    items: tuple[ItemView, ...]
    next: int | None


@dataclass(frozen=True, slots=True)
class TagView:
    name: str  # `movie`, `year:2000`
    items: int


@dataclass(frozen=True, slots=True)
class TagPage:
    """Tags sorted by name; `next` as in `ItemPage`."""

    tags: tuple[TagView, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class DownloadView:
    """An item that is not whole, or was not when the follower began. `total` and `eta` are None while unknown."""

    id: int
    name: str
    state: str
    done: int
    total: int | None
    speed: float
    eta: float | None
    connections: int
    retry_at: str | None
    url: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class StatusView:
    """The daemon and its downloads. Those that run come first, then queued, paused and failed ones, oldest first."""

    version: str
    pid: int
    mountpoint: str
    state_dir: str
    uptime: float
    items: int  # live ones
    trashed: int
    by_state: Mapping[str, int]  # live items; states without items may be left out
    downloads: tuple[DownloadView, ...]
    more: int  # downloads beyond the limit of the call
    done: int  # bytes here, of all downloads that were counted
    total: int | None  # None while the size of one of them is unknown
    speed: float


@dataclass(frozen=True, slots=True)
class WorkView:
    """Progress of a long call. Totals grow while the work is still being found."""

    step: str  # one word: scanning, copying, hashing, waiting
    name: str  # what is being worked on
    items_done: int
    items_total: int
    bytes_done: int
    bytes_total: int


@dataclass(frozen=True, slots=True)
class SkippedView:
    path: str
    reason: str  # one sentence


@dataclass(frozen=True, slots=True)
class ImportView:
    items: int  # made
    bytes: int  # of their contents
    shared: int  # of the items: content that was in the store already
    skipped: tuple[SkippedView, ...]  # at most 1,000
    skipped_total: int


@dataclass(frozen=True, slots=True)
class ContentView:
    """Where the bytes of a whole item are: a file of the store, to be read and never written."""

    id: int
    name: str
    path: str
    size: int
    mtime_ns: int
    mode: int  # permission bits


@dataclass(frozen=True, slots=True)
class FaultView:
    """Something that `verify` found. `sentence` says what is wrong and what it costs."""

    kind: str  # catalogue, missing, size, damaged, orphan
    item: int | None
    name: str | None
    sha256: str | None
    sentence: str


@dataclass(frozen=True, slots=True)
class VerifyView:
    items: int  # checked
    blobs: int
    bytes: int  # read; 0 without `data`
    faults: tuple[FaultView, ...]  # at most 1,000
    faults_total: int


@dataclass(frozen=True, slots=True)
class VersionView:
    version: str
    pid: int
    mountpoint: str
    state_dir: str
