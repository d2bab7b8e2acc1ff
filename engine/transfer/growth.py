"""How many main connections of one download are worth their cost. Pure; the caller brings the looks.

Where one connection brings what this machine can take, or what the server or the line gives, more only cost: on
loopback five of them take half as much CPU again and bring nothing. Where each is held back on its own (a limit for
each connection, a long way) n of them bring n times as much. Which it is cannot be known but by trying:

    one ──(held back, and much is left)──▶ all that could be of use ──(long to go)──▶ half of them ─▶ half of those …
     ▲                                               ▲                                  │
     └─ looked at again and again                    └──(that cost a good part)─────────┘ and settled

Up in one step, for the first moments of a connection say little of what it will bring (slow start, and limits that let
the first second through); down by trying, and only where the trial costs little beside what is left.
"""

from __future__ import annotations

from typing import Final

FAST: Final = 512 << 20  # bytes a second that this machine keeps up with, SHA-256 and the disk included
BUSY: Final = 0.15  # of the time, which brings 100 MB/s: more, and this machine holds back, however slow it may be now
WORTH: Final = 1.5  # seconds that a download must have left for another connection to be worth opening
LONG: Final = 20.0  # seconds that it must have left for a trial with fewer
KEPT: Final = 0.85  # of the rate that fewer must bring to be enough
STEADY: Final = 4  # looks before a rate is believed: what was opened has to come up first
FIRST_LOOK: Final = 0.05  # seconds of the first look: on a long way nothing is as dear as the time before all flow
LOOK: Final = 0.5  # seconds of each later one


class Growth:
    """`wish` is how many main connections to have now, from 1 to `limit`."""

    def __init__(self, limit: int) -> None:
        self.limit = max(limit, 1)
        self.wish = 1
        self._rates: list[float] = []  # of the looks since `wish` last changed
        self._more: tuple[int, float] | None = None  # connections and rate before fewer were tried
        self._is_settled = False

    def look(self, connections: int, rate: float, left: int, busy: float = 0.0) -> None:
        """For a while so many connections have brought `rate` bytes a second together; `left` bytes are to come.
        `busy` is the part of that time in which this thread ran."""
        if connections != self.wish or rate <= 0:
            self._rates.clear()
            return
        self._rates.append(rate)
        if self._is_settled:
            return
        if self.wish == 1 and self._more is None:
            if busy < BUSY:
                self._ask_for(_useful(rate, left / rate, self.limit))
        elif len(self._rates) >= STEADY:
            self._judge(sum(self._rates[-2:]) / 2, left)

    def _judge(self, rate: float, left: int) -> None:
        if self._more is not None and rate < KEPT * self._more[1]:
            self._ask_for(self._more[0])
            self._is_settled = True
        elif self.wish == 1:
            self._is_settled = True
        elif left / rate >= LONG:
            self._more = (self.wish, rate)
            self._ask_for(self.wish // 2)

    def _ask_for(self, connections: int) -> None:
        if connections != self.wish:
            self.wish = connections
            self._rates.clear()


def _useful(rate: float, seconds: float, limit: int) -> int:
    """How many like this one there may be before they are held up here."""
    return max(1, int(min(limit, FAST / rate))) if seconds >= WORTH else 1
