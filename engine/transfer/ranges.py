"""Which bytes of a file are here: sorted, disjoint, never touching half-open intervals. Pure.

As text `0-1048576,2097152-3145728` (end exclusive), as the catalogue's download rows keep it.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

_TEXT = re.compile(r"\d{1,19}-\d{1,19}(,\d{1,19}-\d{1,19})*")


class RangeMap:
    """A set of byte positions. Queries are O(log n) in the number of intervals."""

    __slots__ = ("_ends", "_starts", "total")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self.total = 0  # bytes covered
        for start, end in ranges:
            self.add(start, end)

    @classmethod
    def parse(cls, text: str) -> RangeMap:
        """The inverse of `str`. ValueError for anything else."""
        if not text:
            return cls()
        if not _TEXT.fullmatch(text):
            raise ValueError(f"not a range map: {text[:80]!r}")
        pairs = [tuple(map(int, part.split("-"))) for part in text.split(",")]
        ranges = cls((start, end) for start, end in pairs)
        if str(ranges) != text:
            raise ValueError(f"not a range map in its normal form: {text[:80]!r}")
        return ranges

    def add(self, start: int, end: int) -> None:
        """Cover `[start, end)`; nothing happens when it is empty."""
        if start >= end:
            return
        first = bisect_left(self._ends, start)  # the first interval that touches or lies behind
        last = bisect_right(self._starts, end)  # behind the last one that touches or lies before
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
        self.total += end - start - sum(self._ends[n] - self._starts[n] for n in range(first, last))
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    def remove(self, start: int, end: int) -> None:
        """Uncover `[start, end)`."""
        kept = [
            part
            for low, high in self.overlap(start, end)
            for part in ((low, min(high, start)), (max(low, end), high))
            if part[0] < part[1]
        ]
        first = bisect_right(self._ends, start)
        last = bisect_left(self._starts, end)
        if start < end and first < last:
            self.total -= sum(self._ends[n] - self._starts[n] for n in range(first, last))
            self.total += sum(high - low for low, high in kept)
            self._starts[first:last] = [low for low, _ in kept]
            self._ends[first:last] = [high for _, high in kept]

    def overlap(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The intervals that have bytes of `[start, end)`, whole, ascending."""
        if start < end:
            first = bisect_right(self._ends, start)
            last = bisect_left(self._starts, end)
            yield from zip(self._starts[first:last], self._ends[first:last], strict=True)

    def covers(self, start: int, end: int) -> bool:
        """Whether all of `[start, end)` is here; true for an empty one."""
        return start >= end or self.run_end(start) >= end

    def run_end(self, position: int) -> int:
        """Where the stretch that is here from `position` on ends; `position` itself when that byte is missing."""
        index = bisect_right(self._starts, position) - 1
        return max(position, self._ends[index]) if index >= 0 else position

    def next_start(self, position: int) -> int | None:
        """The first position at or behind `position` that is here; None where nothing is."""
        if self.run_end(position) > position:
            return position
        index = bisect_left(self._starts, position)
        return self._starts[index] if index < len(self._starts) else None

    def missing(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The stretches of `[start, end)` that are not here, ascending."""
        position = self.run_end(start)
        while position < end:
            following = self.next_start(position)
            stop = end if following is None else min(following, end)
            yield position, stop
            position = self.run_end(stop)

    @property
    def prefix(self) -> int:
        """How many bytes are here from the very beginning."""
        return self.run_end(0)

    @property
    def end(self) -> int:
        """Behind the last byte that is here; 0 when there is none."""
        return self._ends[-1] if self._ends else 0

    def copy(self) -> RangeMap:
        other = RangeMap()
        other._starts, other._ends, other.total = self._starts.copy(), self._ends.copy(), self.total
        return other

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._ends, strict=True)

    def __len__(self) -> int:
        return len(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RangeMap) and (self._starts, self._ends) == (other._starts, other._ends)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __str__(self) -> str:
        return ",".join(f"{start}-{end}" for start, end in self)

    def __repr__(self) -> str:
        return f"RangeMap.parse({str(self)!r})"
