"""How fast bytes come: for people who watch, and for giving up on servers that drip. Pure; the caller brings the clock.

Times are seconds of any clock that only goes forward.
"""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW: Final = 5.0  # seconds that a shown speed looks back
STEP: Final = 0.25  # seconds that are counted together


class Speedometer:
    """Bytes a second over the last `WINDOW`. Memory does not grow with the number of pieces."""

    __slots__ = ("_steps", "_total")

    def __init__(self) -> None:
        self._steps: deque[tuple[float, int]] = deque()  # (when the step began, bytes in it)
        self._total = 0

    def count(self, size: int, now: float) -> None:
        if self._steps and now - self._steps[-1][0] < STEP:
            began, before = self._steps[-1]
            self._steps[-1] = (began, before + size)
        else:
            self._steps.append((now, size))
        self._total += size
        self._forget(now)

    def speed(self, now: float) -> float:
        self._forget(now)
        if not self._steps:
            return 0.0
        return self._total / max(now - self._steps[0][0], STEP)

    def _forget(self, now: float) -> None:
        while self._steps and now - self._steps[0][0] > WINDOW:
            self._total -= self._steps.popleft()[1]


class Patience:
    """Whether a connection has brought fewer than `min_rate` bytes a second for a whole `window`."""

    __slots__ = ("_least", "_received", "_since", "_window")

    def __init__(self, min_rate: int, window: float, now: float) -> None:
        self._least = min_rate * window
        self._window = window
        self.restart(now)

    def restart(self, now: float) -> None:
        """Begin a new window: nothing was asked of the connection until now."""
        self._since = now
        self._received = 0

    def is_lost(self, size: int, now: float) -> bool:
        """Count `size` bytes; true when the window that ends now was too poor."""
        self._received += size
        if now - self._since < self._window:
            return False
        lost = self._received < self._least
        self.restart(now)
        return lost
