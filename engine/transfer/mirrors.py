"""The places that one file may be fetched from, and which of them gets the next connection. Pure.

Bytes of two places are put together only where something says that they are of one file. The **home** is the place
whose validators the staged file has; another one must give the same size, and is believed after a stretch of what is
here was asked of it and was the same (or at once where piece hashes will tell, see docs/decisions).

    unproven ──(same size, same bytes)──▶ proven ──(slow, wrong, gone)──▶ left
        └────────────(another file, no ranges, refuses)────────────────────▲
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from engine.sources.stream import Head
from engine.sources.urls import host_of, without_login
from engine.transfer.options import Location
from engine.transfer.ranges import RangeMap
from engine.transfer.version import Version

SAMPLE: Final = 64 << 10  # bytes, at most, that are compared before a place is believed
SLOW: Final = 0.2  # of what a connection to the best place brings: less, and a place is left
SLOW_LOOKS: Final = 4  # one after the other


@dataclass(eq=False)
class Mirror:
    """One place. `version` is what it says of the file itself: another place has another ETag."""

    url: str  # may hold a login
    is_stranger: bool = False  # a server named it, and nobody asked for it: used only where a digest will be checked
    public_only: bool = False  # it may not be a private address
    is_proven: bool = False
    version: Version | None = None
    location: Location | None = None  # where redirects led from it
    left: str | None = None  # why it is not used any more, a sentence
    limit: int | None = None  # connections that it takes; None: it has refused none so far
    connections: int = 0  # there are now
    cuts: int = 0  # connections that ended before their time
    received: int = 0  # bytes
    brought: RangeMap = field(default_factory=RangeMap)  # where piece hashes will tell what of it is wrong
    wrong: int = 0  # pieces
    rate: float = 0.0  # bytes a second of a connection, as last seen
    slow_looks: int = 0

    def believe(self, version: Version) -> None:
        """It has the same file, and says this of it."""
        self.is_proven, self.version = True, version

    def led_to(self, head: Head) -> None:
        """Where redirects led from this place is asked directly from now on."""
        if head.url != without_login(self.url)[0]:
            self.location = Location(head.url, head.public_only)

    def forget(self) -> None:
        """Nothing is here any more that it had to do with."""
        self.is_proven, self.version, self.received, self.brought = False, None, 0, RangeMap()

    @property
    def host(self) -> str:
        return host_of(self.url)

    @property
    def is_usable(self) -> bool:
        return self.left is None and (self.limit is None or self.connections < self.limit)


def choose(
    mirrors: Sequence[Mirror], room: Callable[[Mirror], int], *, is_first: bool, can_prove: bool = False
) -> Mirror | None:
    """Whom to ask for the next stretch; None where nobody may be asked. `room` says how many more connections a place
    may get. The first connection of a download is not subject to it, and unproven places only where something is here
    that `can_prove` them."""
    able = [one for one in mirrors if one.is_usable and (one.is_proven or can_prove) and (is_first or room(one) > 0)]
    return min(able, key=lambda one: one.connections, default=None)


def sample_of(have: RangeMap) -> tuple[int, int] | None:
    """The bytes to compare: the end of the longest stretch that is here. None where next to nothing is."""
    longest = max(have, key=lambda stretch: stretch[1] - stretch[0], default=(0, 0))
    length = min(longest[1] - longest[0], SAMPLE)
    return (longest[1] - length, longest[1]) if length >= SAMPLE // 16 else None


def leave_slow(mirrors: Iterable[Mirror], rates: Mapping[Mirror, float]) -> list[Mirror]:
    """`rates` are bytes a second of a connection to each place that has some now; of the others counts what they
    brought last. Those that have been far behind the best one for some looks, and are left now."""
    usable = [mirror for mirror in mirrors if mirror.left is None]
    for mirror, rate in rates.items():
        mirror.rate = rate
    best = max((mirror.rate for mirror in usable), default=0.0)
    left = []
    for mirror in rates:
        mirror.slow_looks = mirror.slow_looks + 1 if mirror.rate < SLOW * best else 0
        if mirror.slow_looks >= SLOW_LOOKS and mirror.left is None:
            mirror.left = f"{mirror.host} is far slower than the others."
            left.append(mirror)
    return left
