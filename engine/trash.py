"""What the trash holds, and what of it may go: by age, by size, and what that frees. Pure; any thread.

Content is counted once, however many items hold it. What an item outside of the trash holds as well costs nothing here,
and to end what holds it frees nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from engine.types import ItemId

# What was trashed just now may be a mistake that is about to be noticed: nothing goes by itself within this time.
HELD_NS: Final = 3600 * 10**9


@dataclass(frozen=True, slots=True)
class Thing:
    """What is in the trash by itself, with all that it holds: `blobs` are the numbers of its contents."""

    item: ItemId
    trashed_ns: int
    blobs: frozenset[int]


@dataclass(frozen=True, slots=True)
class Heap:
    """All of the trash, the oldest first. `sizes`: bytes by blob; `used`: blobs that others hold, too."""

    things: Sequence[Thing] = ()
    sizes: Mapping[int, int] = field(default_factory=dict)
    used: frozenset[int] = frozenset()

    def size(self, things: Iterable[Thing]) -> int:
        """Bytes of their contents."""
        return self._sum({blob for thing in things for blob in thing.blobs})

    def freed(self, items: Collection[int]) -> int:
        """Bytes that nothing needs any more when these end together."""
        kept = {blob for thing in self.things if thing.item not in items for blob in thing.blobs}
        gone = {blob for thing in self.things if thing.item in items for blob in thing.blobs}
        return self._sum(gone - kept - self.used)

    def freed_alone(self, things: Iterable[Thing]) -> list[int]:
        """The same of each, if it alone ends."""
        holders = self._holders(self.things)
        return [self._sum(blob for blob in thing.blobs if holders[blob] == 1) for thing in things]

    def old(self, before_ns: int) -> list[ItemId]:
        """What was trashed before then."""
        return [thing.item for thing in self.things if thing.trashed_ns < before_ns]

    def excess(self, keep: int, *, without: Collection[int] = (), before_ns: int | None = None) -> list[ItemId]:
        """What has to go, the oldest first, for the rest to need no more than `keep` bytes: besides `without`, which
        goes anyway, and of what was trashed before `before_ns` only. What could free nothing stays."""
        left = [thing for thing in self.things if thing.item not in without]
        holders = self._holders(left)
        needed, gone = self._sum(holders), list[ItemId]()
        for thing in left:
            if needed <= keep or (before_ns is not None and thing.trashed_ns >= before_ns):
                break
            own = [blob for blob in thing.blobs if blob in holders and self.sizes[blob]]
            if own:
                gone.append(thing.item)
            for blob in own:
                holders[blob] -= 1
                needed -= 0 if holders[blob] else self.sizes[blob]
        return gone

    def _holders(self, things: Iterable[Thing]) -> Counter[int]:
        """How many of these hold each blob that nothing outside of the trash holds."""
        return Counter(blob for thing in things for blob in thing.blobs if blob not in self.used)

    def _sum(self, blobs: Iterable[int]) -> int:
        return sum(self.sizes[blob] for blob in blobs)


def expired(heap: Heap, *, now_ns: int, max_age: float | None, max_size: int | None) -> list[ItemId]:
    """What goes by itself: what has been in the trash for longer than `max_age` seconds, then what is too much."""
    held_ns = now_ns - HELD_NS
    gone = [] if max_age is None else heap.old(min(now_ns - int(max_age * 10**9), held_ns))
    if max_size is not None:
        gone += heap.excess(max_size, without=frozenset(gone), before_ns=held_ns)
    return gone
