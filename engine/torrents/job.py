"""What is kept in memory of one torrent that arrives, seeds or rests. Data, and decisions that need no waiting. Trio
thread.

State: everything that readers, the run and the manager share. Files are numbered as `meta.files` (their index); only
the catalogue and libtorrent know positions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

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
    damaged: set[int] = field(default_factory=set)  # were blobs, and are not what they were
    ready: dict[int, None] = field(default_factory=dict)  # all pieces are here, but no blob yet; in order

    def __post_init__(self) -> None:
        self.by_position = {file.position: index for index, file in enumerate(self.meta.files)}
        self.total = 0  # bytes of what is wanted
        self.present = 0  # of those, what is here
        self._left = 0  # wanted files that are no blobs yet
        self.recount()

    def file(self, index: int) -> File:
        return self.meta.files[index]

    def wanted(self) -> Iterator[int]:
        return (index for index in range(len(self.meta.files)) if self.is_wanted(index))

    def is_wanted(self, index: int) -> bool:
        return index in self.items and index not in self.skipped

    def is_over(self) -> bool:
        """Everything that is wanted is a blob."""
        return self._left == 0

    def choose(self, index: int, *, wanted: bool) -> None:
        """Whether somebody wants it. Counts that file only: ten thousand may be chosen at once."""
        was = self.is_wanted(index)
        (self.skipped.discard if wanted else self.skipped.add)(index)
        if self.is_wanted(index) is not was:
            self._count(index, -1 if was else 1)

    def choose_all(self, choices: Mapping[int, bool]) -> None:
        """By position: whether somebody wants it."""
        for position, wanted in choices.items():
            if (index := self.by_position.get(position)) is not None:
                self.choose(index, wanted=wanted)

    def became_blobs(self, indexes: Iterable[int]) -> None:
        for index in indexes:
            self._left -= index not in self.done and self.is_wanted(index)
            self.done.add(index)

    def take_ready(self, count: int) -> list[int]:
        """The next ones that may become blobs."""
        taken = [index for index in list(islice(self.ready, count)) if self.ready.pop(index, True) is None]
        return [index for index in taken if self.is_wanted(index) and index not in self.done]

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
        if self.is_wanted(index) and index not in self.done:
            self.ready[index] = None

    def recount(self) -> None:
        """After the pieces were looked at anew."""
        self.present = self.total = self._left = 0
        for index in self.wanted():
            self._count(index, 1)

    def _count(self, index: int, sign: int) -> None:
        """A file more, or less, that is wanted."""
        file = self.file(index)
        self.total += sign * file.size
        self.present += sign * self.layout.present(file)
        self._left += sign * (index not in self.done)
        if sign > 0 and not self.layout.missing[index]:
            self.offer(index)


@dataclass(eq=False)
class Job:
    """`bell` rings when somebody begins to wait, or something should be looked at."""

    item: ItemId
    folder: str
    options: Mapping[str, str]
    run: Run | None = None
    resting: str | None = None  # why nothing comes: paused, failed; None while it is queued or runs
    files: Files | None = None
    choices: dict[int, bool] = field(default_factory=dict)  # by position: what was chosen since `files` came here
    recorded: tuple[int, int] | None = None  # before it runs: bytes that are here, bytes that are wanted
    swarm: Swarm | None = None
    waiters: list[Waiter] = field(default_factory=list)
    hurried: dict[int, int] = field(default_factory=dict)  # pieces that readers want: how many do
    bell: Bell = field(default_factory=Bell)
    is_seeding: bool = False
    is_starved: bool = False  # paused for want of space

    @property
    def mode(self) -> str:
        return self.options.get("mode", "full")

    @property
    def on_demand(self) -> bool:
        return self.mode == ON_DEMAND

    @property
    def is_arriving(self) -> bool:
        """Whether it takes up one of the places: it is fetched, and from somebody."""
        fetches = self.run is not None and self.files is not None and not self.is_seeding
        return fetches and self.swarm is not None and self.swarm.status.peers > 0

    @property
    def missing(self) -> int:
        """Bytes that are wanted and not here, as far as is known."""
        here, wanted = (self.files.present, self.files.total) if self.files is not None else self.recorded or (0, 1)
        return max(wanted - here, 1)

    def open(self, files: Files) -> None:
        """They were read some awaits ago: what was chosen meanwhile is chosen of them, too."""
        files.choose_all(self.choices)
        self.choices.clear()
        self.files = files

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
