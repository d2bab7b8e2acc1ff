"""How many connections each host has, over all downloads. On the trio thread, all instant."""

from __future__ import annotations

from collections import Counter


class Hosts:
    """`most` is how many a host may have before downloads open further ones to go faster. What a download cannot do
    without (its first connection, one for a reader who waits) is counted, and not refused."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    def room(self, host: str) -> int:
        """How many more it may get."""
        return max(0, self._most - self._open[host])

    def opened(self, host: str) -> None:
        self._open[host] += 1

    def closed(self, host: str) -> None:
        """Once for each `opened`."""
        self._open[host] -= 1
        if not self._open[host]:
            del self._open[host]
