"""One draft: new content of an item while it is written or hashed, and what follows from the drafts of an item. Values
and pure decisions; `drafts.py` owns them.

    of a new item        open ──last close──▶ closed ──▶ sealed
    of one with content  untouched ──first change──▶ started ──last close──▶ closed ──▶ sealed
                             └──last close──▶ nothing was changed, nothing remains

An untouched draft has no file of its own: it reads from what it builds on. The drafts of an item are a chain, oldest
first; each builds on the one before, all but the last are closed.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import trio

from engine.types import ItemId


@dataclass(slots=True, eq=False)
class Version:
    """Which bytes: a SHA-256, or something unique while there is none. Becomes another key when a draft is sealed.

    `settles`: of an arriving file, whose bytes are those of the item's first blob, whichever that will be."""

    key: Hashable
    settles: bool = False


@dataclass(slots=True, eq=False)
class Draft:
    """`fd` serves all handles; it is closed while a closed draft has none, so that a thousand files that wait for being
    sealed hold none open."""

    staging: str  # empty while it is untouched
    fd: int
    version: Version
    tags: frozenset[str] = frozenset()  # stated by the path that it was made at
    item: ItemId | None = None  # None until the row is there
    over: bool = False  # the item has content that readers get until this one is closed
    base: Version | None = None  # whose bytes it has while it is untouched
    base_fd: int | None = None  # what it was read from while it was untouched; somebody may still be reading
    base_size: int = 0
    base_sha256: str | None = None  # of the blob that is held for it
    loses: bool = False  # bytes of the item's content, by overwriting or cutting
    handles: int = 1  # its creator's
    writers: int = 1
    flushed: int = 0  # of the writers: those whose program has closed the file, which the kernel tells again later
    node: int | None = None  # the node whose pages may hold it while it changes: the kernel caches for each node
    displaced: bool = False  # it belongs to another item than its handles were opened by
    mtime_ns: int | None = None  # as last set by a writer; None: that of the staging file
    closed: bool = False  # by all writers: its bytes do not change any more
    size: int = 0  # when closed
    synced: bool = False  # its bytes are to survive a power cut, by the wish of a writer
    interrupted: bool = False  # not by its writers, but by the end of the daemon
    broken: str | None = None  # why what was written cannot be trusted
    failed: bool = False  # could not be stored; its bytes stay in staging
    superseded: bool = False  # a later one was stored
    starting: trio.Lock = field(default_factory=trio.Lock)
    sealed: trio.Event = field(default_factory=trio.Event)

    @property
    def started(self) -> bool:
        return bool(self.staging)

    def length(self) -> int:
        return self.size if self.closed else os.fstat(self.fd).st_size

    def changed_ns(self) -> int:
        """When it was last written, or as a writer has set it."""
        return os.fstat(self.fd).st_mtime_ns if self.mtime_ns is None else self.mtime_ns


def open_one(chain: Sequence[Draft]) -> Draft | None:
    """The one that takes writers."""
    return chain[-1] if chain and not chain[-1].closed else None


def shown(chain: Sequence[Draft]) -> Draft | None:
    """Whose size and date stat shows: what is written now, else what was written last."""
    return next((draft for draft in reversed(chain) if draft.started), None)


def readable(chain: Sequence[Draft]) -> Draft | None:
    """What a reader gets who opens the item now: what its writers have closed last; of a new item what there is so far;
    None: the content that the row names."""
    closed = next((draft for draft in reversed(chain) if draft.closed), None)
    if closed is not None:
        return closed
    return chain[-1] if chain and not chain[-1].over else None


def is_superseded(draft: Draft, chain: Sequence[Draft]) -> bool:
    """Whether writers have closed a later one, so that this one need not be stored."""
    later = chain[chain.index(draft) + 1 :] if draft in chain else ()
    return any(other.closed and not other.broken for other in later)
