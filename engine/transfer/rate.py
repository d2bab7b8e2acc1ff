"""Limits of speed: how long who received so many bytes has to wait. A pure bucket, and what waits by it. Trio thread.

A bucket fills at its rate, up to what comes in `BURST` seconds. Who received takes from it, below zero if need be, and
waits until it would be at zero again. So every connection gets a piece in turn, whoever has many gets as many turns,
and over any stretch of time no more comes than the rate allows and one burst.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import trio

from engine.sources.stream import MOST_PIECE
from engine.transfer.options import Options

BURST: Final = 0.25  # seconds
PIECES: Final = 8  # a second and limit, at least: a reader sees steps of that size
LEAST_PIECE: Final = 4096


class Bucket:
    """`rate` is bytes a second. Times are seconds of any clock that only goes forward. Pure."""

    def __init__(self, rate: int, now: float) -> None:
        self.rate = rate
        self._level = rate * BURST
        self._when = now

    def take(self, count: int, now: float) -> float:
        """Seconds to wait after `count` bytes were received."""
        self._level = min(self._level + (now - self._when) * self.rate, self.rate * BURST) - count
        self._when = now
        return max(0.0, -self._level / self.rate)


class Limit:
    """One rate for all that share it."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._bucket: Bucket | None = None  # from the first byte on

    async def spend(self, count: int) -> None:
        """After `count` bytes were received: until the next may be."""
        now = trio.current_time()
        if self._bucket is None:
            self._bucket = Bucket(self.rate, now)
        await trio.sleep(self._bucket.take(count, now))


def own_limits(options: Options) -> tuple[Limit, ...]:
    """Of one download."""
    return () if options.max_download is None else (Limit(options.max_download),)


def piece(limits: Sequence[Limit]) -> int:
    """How many bytes had better be received at once."""
    return min(max(LEAST_PIECE, min((limit.rate // PIECES for limit in limits), default=MOST_PIECE)), MOST_PIECE)
