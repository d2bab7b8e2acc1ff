"""Clocks of machines that have none of their own, or a wrong one, as far as something is lost by believing them.

Waits and timeouts go by trio's clock, which never jumps. What is written down goes by the date, and so does what ends
by its age: the trash, the history. Pure but for the two clocks that are given.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

BUILT: Final = 1_760_000_000  # seconds since 1970: no clock that is right says less (2025-10-09)
DAY: Final = 86_400.0
STEADY: Final = 3_600.0  # seconds that a clock may be set by without having jumped: summer time is none of them


class Stamps:
    """Nanoseconds since the epoch, to be written down. A clock that nobody has set says 1970 until the network is
    there: what is removed then would count as half a century old afterwards. So no stamp is older than `newest`, the
    last one that was written, while the clock cannot be right."""

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        self.newest = BUILT * 10**9

    def __call__(self) -> int:
        now = self._clock()
        return now if now >= BUILT * 10**9 else max(now, self.newest)


class Ages:
    """By which time things are old enough to go. A clock that has jumped ahead is believed at the next look, if it has
    gone on as clocks do until then; meanwhile it is at most a day later than the last change that was made."""

    def __init__(self, clock: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._steady = steady
        self._last: tuple[float, float] | None = None  # both clocks at the last look

    def now(self, newest: float | None) -> float:
        """Seconds since the epoch. `newest`: when the last change was made, None if there was none."""
        now, steady = self._clock(), self._steady()
        went_on = self._last is not None and abs((now - self._last[0]) - (steady - self._last[1])) < STEADY
        self._last = now, steady
        return now if went_on or newest is None else min(now, newest + DAY)
