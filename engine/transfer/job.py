"""What the service keeps in memory of one item that is not whole. Small: there may be ten thousand waiting. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import trio

from engine.sources.stream import Fault
from engine.transfer.attempt import Attempt
from engine.transfer.outcome import Again
from engine.transfer.reader import Arrival
from engine.transfer.record import Record
from engine.types import ItemId

ROTATE_AFTER = 3  # failures at one mirror, while there are bytes that belong to it


@dataclass(eq=False)
class Run:
    """An attempt under way, from the moment it may run until what follows from it is written down."""

    asking: tuple[Record, float] | None = None  # since when a first answer is waited for (trio clock)
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    attempt: Attempt | None = None
    has_place: bool = True  # in the queue's count of those that are active
    is_over: bool = False  # what follows is being written down: cancelling has no effect any more
    ended: trio.Event = field(default_factory=trio.Event)


@dataclass(eq=False, slots=True)
class Job:
    """`host` is whose limits count. Counters are of failures since the user last asked for this."""

    item: ItemId
    host: str
    arrival: Arrival
    run: Run | None = None
    retry_at_ns: int | None = None
    failed_at: float = 0.0  # trio clock
    stubborn: int = 0
    is_starved: bool = False  # paused for want of space
    on_demand: bool = False  # without a reader it waits outside of the queue
    mirror: int = 0
    lost_mirrors: tuple[int, ...] = ()  # those that will never give the file

    def begin_afresh(self) -> None:
        """The user wants it tried as if nothing had happened."""
        self.arrival.resting = self.retry_at_ns = None
        self.stubborn, self.lost_mirrors, self.is_starved = 0, (), False

    def rotated(self, urls: Sequence[str]) -> list[str]:
        """The mirrors, the one to begin with now first, without those that will never give the file."""
        order = [n % len(urls) for n in range(self.mirror, self.mirror + len(urls))]
        return [urls[n] for n in order if n not in self.lost_mirrors or n == order[0]]

    def blame_mirror(self, failure: Again, attempts: int, mirrors: int) -> bool:
        """Count a failure against the mirror in use, choose the next one, and say whether there is another one that
        may still work. Bytes that are here belong to one mirror: it is left only when it fails repeatedly."""
        here = self.mirror % mirrors
        if failure.fault is not Fault.PASSING and here not in self.lost_mirrors:
            self.lost_mirrors = (*self.lost_mirrors, here)
        left = [n % mirrors for n in range(here + 1, here + mirrors) if n % mirrors not in self.lost_mirrors]
        is_lost = here in self.lost_mirrors
        if left and (is_lost or self.arrival.present == 0 or attempts % ROTATE_AFTER == 0):
            self.mirror = left[0]
        return bool(left)
