"""What is kept in memory of one torrent that arrives, seeds or rests. Data, and decisions that need no waiting. Trio
thread.

State: everything that readers, the run and the manager share. Files are numbered as `meta.files` (their index); only
the catalogue and libtorrent know positions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import trio

from engine.sources.torrent.metadata import File, Metainfo
from engine.torrents.layout import Layout
from engine.torrents.swarm import Swarm
from engine.transfer.bell import Bell
from engine.types import ItemId

ON_DEMAND = "on-demand"


@dataclass(eq=False)
class Run:
    """From the moment a torrent is taken up until what follows from its end is written down."""

    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    ended: trio.Event = field(default_factory=trio.Event)


@dataclass(eq=False)
class Waiter:
    """A reader who waits for pieces; woken when all are here, or something else changed."""

    missing: set[int]
    event: trio.Event = field(default_factory=trio.Event)


@dataclass(eq=False)
class Files:
    """Of a torrent whose metadata is here. `items` by index; a file that was purged has none and is not wanted."""

    meta: Metainfo
    layout: Layout
    items: dict[int, ItemId]
    skipped: set[int]
    done: set[int]  # whole, and blobs
    ready: deque[int] = field(default_factory=deque)  # all pieces are here, but no blob yet

    def __post_init__(self) -> None:
        self.by_position = {file.position: index for index, file in enumerate(self.meta.files)}
        self.present = 0
        self.recount()

    def file(self, index: int) -> File:
        return self.meta.files[index]

    def wanted(self) -> Iterator[int]:
        return (index for index in range(len(self.meta.files)) if self.is_wanted(index))

    def is_wanted(self, index: int) -> bool:
        return index in self.items and index not in self.skipped

    @property
    def total(self) -> int:
        return sum(self.file(index).size for index in self.wanted())

    def is_over(self) -> bool:
        """Everything that is wanted is a blob."""
        return all(index in self.done for index in self.wanted())

    def unwanted_positions(self) -> list[int]:
        hidden = list(self.meta.hidden)
        return hidden + [file.position for index, file in enumerate(self.meta.files) if not self.is_wanted(index)]

    def begun(self) -> list[int]:
        """Positions of the files that are no blobs yet and that something of is here."""
        layout = self.layout
        return [
            file.position
            for index, file in enumerate(self.meta.files)
            if index not in self.done and file.size and layout.missing[index] < len(layout.pieces(file))
        ]

    def came(self, piece: int, whole: list[int]) -> None:
        size = self.meta.piece_size
        start, end = piece * size, piece * size + self.layout.piece_bytes(piece)
        for index in self.layout.files_of(piece):
            if self.is_wanted(index):
                file = self.file(index)
                self.present += min(end, file.offset + file.size) - max(start, file.offset)
        for index in whole:
            self.offer(index)

    def offer(self, index: int) -> None:
        """Its pieces are all here: it may become a blob."""
        if self.is_wanted(index) and index not in self.done and index not in self.ready:
            self.ready.append(index)

    def recount(self) -> None:
        """After the pieces were looked at anew, or others are wanted."""
        self.present = 0
        ready = set(self.ready)
        for index in self.wanted():
            self.present += self.layout.present(self.file(index))
            if not self.layout.missing[index] and index not in self.done and index not in ready:
                self.ready.append(index)


@dataclass(eq=False)
class Job:
    """`bell` rings when somebody begins to wait, or something should be looked at."""

    item: ItemId
    folder: str
    options: Mapping[str, str]
    run: Run | None = None
    resting: str | None = None  # why nothing comes: paused, failed; None while it is queued or runs
    files: Files | None = None
    swarm: Swarm | None = None
    waiters: list[Waiter] = field(default_factory=list)
    hurried: dict[int, int] = field(default_factory=dict)  # pieces that readers want: how many do
    bell: Bell = field(default_factory=Bell)
    is_seeding: bool = False
    is_starved: bool = False  # paused for want of space
    failures: int = 0

    @property
    def on_demand(self) -> bool:
        return self.options.get("mode") == ON_DEMAND

    def came(self, piece: int) -> None:
        for waiter in self.waiters:
            waiter.missing.discard(piece)
            if not waiter.missing:
                waiter.event.set()

    def wake_all(self) -> None:
        for waiter in self.waiters:
            waiter.event.set()
        self.bell.ring()

    def rest(self, why: str) -> None:
        self.resting = why
        self.wake_all()
