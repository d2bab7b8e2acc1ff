"""Files that a program has just written: it may still bring along the attributes of what it copied. Trio thread.

GIO, rsync, tar and Python's copy2 set attributes after the last close, `user.xdg.tags` of the original among them. That
must not take off the tags of the path that they copied to, be the file sealed by then or not.
State: `_made`, the newest files by item, with the program (its thread, as the kernel tells) that made each.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

import trio

from engine.types import ItemId

PATIENCE: Final = 5.0  # seconds after the last close; attributes follow within milliseconds
MOST: Final = 1024


@dataclass(slots=True)
class Newcomer:
    tags: frozenset[str]  # stated by the path that it was made at
    program: int
    until: float | None = None  # None: not closed yet


class Newcomers:
    def __init__(self, clock: Callable[[], float] = trio.current_time) -> None:
        self._clock = clock
        self._made: dict[ItemId, Newcomer] = {}

    def made(self, item: ItemId, tags: Collection[str], program: int) -> None:
        while self._made and (len(self._made) >= MOST or self._is_over(next(iter(self._made)))):
            del self._made[next(iter(self._made))]
        self._made[item] = Newcomer(frozenset(tags), program)

    def closed(self, item: ItemId) -> None:
        """By one of its writers; the last one counts."""
        newcomer = self._made.get(item)
        if newcomer is not None:
            newcomer.until = self._clock() + PATIENCE

    def stated(self, item: ItemId, program: int) -> frozenset[str]:
        """The tags of the path that `program` has just written this item to; empty for what others set, or later."""
        newcomer = self._made.get(item)
        if newcomer is None or newcomer.program != program or self._is_over(item):
            return frozenset()
        return newcomer.tags

    def _is_over(self, item: ItemId) -> bool:
        until = self._made[item].until
        return until is not None and until < self._clock()
