"""The reading side of an arriving file: what is here is served, what is not is waited for. On the trio thread.

`Arrival` is what a reader and the one who fetches have in common: the staged file, who waits for what, and whether
anything is coming at all. Imports errors and ports.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import trio

from engine.errors import NotReady, SourceFailed
from engine.transfer.bell import Bell
from engine.transfer.plan import Stretch
from engine.transfer.staged import StagedFile

FRESH: Final = 10.0  # seconds that a hint, or a reader's place, counts for
MAX_SOON: Final = 8  # hints remembered of one file


class WaitingRoom:
    """How many reads may wait at once, over all files: each holds a request of the kernel's."""

    def __init__(self, places: int) -> None:
        self.free = places


class Waiter:
    """One read that waits for `[start, end)`."""

    __slots__ = ("end", "event", "start")

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.event = trio.Event()


class Arrival:
    """One arriving file. `resting` is why nothing comes (one sentence), None while it is queued or being fetched."""

    __slots__ = (
        "_kept", "_load", "_room", "_soon", "_whole",
        "bell", "file", "is_done", "present", "resting", "size", "waiters",
    )  # fmt: skip

    def __init__(self, room: WaitingRoom, load: Callable[[], StagedFile], *, present: int, size: int | None) -> None:
        self.file: StagedFile | None = None  # None until somebody needs it
        self.resting: str | None = None
        self.is_done = False  # all bytes are here, for ever
        self.present = present  # bytes, as of the last checkpoint; the file knows better once it is open
        self.size = size
        self.waiters: list[Waiter] = []
        self.bell = Bell()  # rings when somebody begins or ends to wait, or hints
        self._room = room
        self._load = load
        self._soon: list[tuple[float, Stretch]] = []
        self._whole: Callable[[], StagedFile] | None = None  # once done
        self._kept: weakref.ref[StagedFile] | None = None  # the file of readers, while none fetches

    @property
    def is_untouched(self) -> bool:
        """Whether nothing is here, nobody has a file open, and nobody waits."""
        return not (self.file or self.present or self._kept_open() or self.waiters)

    def open(self) -> StagedFile:
        """The staged file of the version that is arriving, for the one who fetches: it stays open until `close`."""
        if self.file is None:
            self.file = self._kept_open() or self._load()
        return self.file

    def look(self) -> StagedFile | None:
        """The same for those who only read: open for as long as they refer to it, and None where nothing is here.
        Ten thousand waiting downloads that somebody looks at must not make as many descriptors."""
        file = self.file or self._kept_open()
        load = self._whole or (self._load if self.present else None)
        if file is None and load is not None:
            file = load()
            self._kept = weakref.ref(file)
        return file

    def _kept_open(self) -> StagedFile | None:
        return self._kept() if self._kept is not None else None

    def close(self) -> None:
        """Let go of the file and remember how much is here. Readers who keep it open see it grow if it goes on."""
        if self.file is not None:
            self.present, self.size = self.file.ranges.total, self.file.size
            self._kept = weakref.ref(self.file)
            self.file = None

    def replace(self, why: str) -> None:
        """The version that was arriving is none any more; the next `open` makes the file of another one."""
        self.open().replaced = why
        self.file = self._kept = None
        self.wake_all()

    def done(self, whole: Callable[[], StagedFile]) -> None:
        """All bytes are here, for ever. Readers who have the file open go on with it; others find it with `whole`."""
        self.is_done = True
        self._whole = whole
        self.wake_all()

    def rest(self, why: str) -> None:
        """Nothing will come: whoever waits learns why."""
        self.resting = why
        self.wake_all()

    def wake(self, start: int, end: int) -> None:
        """Bytes in `[start, end)` came: those who have all they wait for may look again."""
        if self.file is not None:
            for waiter in self.waiters:
                if waiter.start < end and start < waiter.end and self.file.served.covers(waiter.start, waiter.end):
                    waiter.event.set()

    def wake_all(self) -> None:
        """Something changed for everybody: the size, the version, the state."""
        for waiter in self.waiters:
            waiter.event.set()

    @property
    def wanted(self) -> tuple[Stretch, ...]:
        return tuple((waiter.start, waiter.end) for waiter in self.waiters if not waiter.event.is_set())

    def soon(self, now: float) -> tuple[Stretch, ...]:
        """Stretches that were hinted at lately, the newest first."""
        self._soon = [(when, stretch) for when, stretch in self._soon if now - when < FRESH]
        return tuple(stretch for _, stretch in reversed(self._soon))

    def hint(self, start: int, end: int, now: float) -> None:
        self._soon = [*self._soon, (now, (start, end))][-MAX_SOON:]
        self.bell.ring()

    async def wait(self, start: int, end: int, deadline: float) -> None:
        """Until all of `[start, end)` is here or something else changed. NotReady where too many wait already,
        SourceFailed at the deadline."""
        if self._room.free <= 0:
            raise NotReady("Too many reads wait for downloads already.")
        waiter = Waiter(start, end)
        self._room.free -= 1
        self.waiters.append(waiter)
        self.bell.ring()
        try:
            with trio.fail_at(deadline):
                await waiter.event.wait()
        except trio.TooSlowError as error:
            raise SourceFailed("The bytes did not arrive in time.") from error
        finally:
            self.waiters.remove(waiter)
            self._room.free += 1
            self.bell.ring()


class ArrivingReader:
    """Implements `ports.RangeReader`. Sees one version: once it has served bytes of one, another is an error (I4)."""

    __slots__ = ("_ahead", "_arrival", "_first", "_hinted", "_next", "_served")

    def __init__(self, arrival: Arrival, first: Callable[[], None], ahead: int) -> None:
        self._arrival = arrival
        self._first = first  # puts the file first in the queue
        self._ahead = ahead  # bytes that somebody who reads on is expected to want
        self._served: StagedFile | None = None
        self._next = -1  # where a reader who reads on goes on
        self._hinted = 0  # up to where that was said

    @property
    def size(self) -> int | None:
        file = self._served or self._arrival.file
        return self._arrival.size if file is None else file.size

    @property
    def present(self) -> int:
        file = self._served or self._arrival.file
        return self._arrival.present if file is None else file.ranges.total

    def have(self, offset: int, length: int) -> bool:
        file = self._served or self._arrival.look()
        if file is None:
            return False
        return file.served.covers(offset, self._wanted_end(file, offset, length))

    def hint(self, offset: int, length: int) -> None:
        if self._arrival.resting is None and not self._arrival.is_done:
            self._first()
            self._arrival.hint(offset, offset + length, trio.current_time())

    async def wait_size(self, deadline: float) -> None:
        arrival = self._arrival
        with suppress(NotReady, SourceFailed):
            while self.size is None and not self.present and arrival.resting is None and not arrival.is_done:
                self._first()
                await arrival.wait(0, 1, deadline)

    async def pread(self, offset: int, length: int, deadline: float) -> bytes:
        if offset < 0 or length < 0:
            raise ValueError("a read begins at 0 or later and is not negative")
        while True:
            file = self._current()
            end = self._wanted_end(file, offset, length)
            if end <= offset:
                return b""
            if file is not None and file.served.covers(offset, end):
                if file.size is None:
                    end = min(offset + length, file.served.run_end(offset))
                self._served = file
                self._read_on(file, offset, end)
                return await file.read(offset, end - offset)
            if self._arrival.resting is not None:
                raise NotReady(self._arrival.resting)
            self._first()
            await self._arrival.wait(offset, end, deadline)

    def _wanted_end(self, file: StagedFile | None, offset: int, length: int) -> int:
        """Up to where it must be here before a read can be answered. Where the end is not known one byte is enough:
        who follows a stream gets what has come."""
        size = self._arrival.size if file is None else file.size
        return offset + min(length, 1) if size is None else min(offset + length, size)

    def _current(self) -> StagedFile | None:
        if self._served is not None and self._served.replaced is not None:
            raise SourceFailed(self._served.replaced)
        return self._served or self._arrival.look()

    def _read_on(self, file: StagedFile, offset: int, end: int) -> None:
        """Whoever reads where the last read ended will want more: have it fetched before they wait."""
        reads_on, self._next = offset == self._next, end
        if not reads_on or file.is_complete or self._arrival.resting is not None:
            return
        if not self._hinted - self._ahead <= end < self._hinted - self._ahead // 2:
            self._hinted = end + self._ahead
            self._arrival.hint(end, self._hinted, trio.current_time())
