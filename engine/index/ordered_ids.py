"""Item ids in the order of a number (bytes, seconds): 12 bytes an item, microseconds a change. On the trio thread.

A sorted array of a million elements takes 0.5 ms to insert into, a balanced tree of Python objects 100 bytes an
element. So: sorted arrays of about a thousand, in a list. An insertion bisects the list of their last elements, then
the one array. The idea is that of Grant Jenks' sortedcontainers, with machine integers instead of objects.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import Final, TypeAlias

from pyroaring import BitMap

from engine.index.cuts import Cut, position

CHUNK: Final = 1024  # a chunk is split when it has twice as many


Place: TypeAlias = tuple[int, int]  # chunk, index in it


class OrderedIds:
    """Pairs (value, id), sorted; each id has one value.

    State: `_values[n]` and `_ids[n]` are chunk n, of equal length and never empty; `_lasts[n]` is its last pair.
    `_everything` holds all ids.
    """

    def __init__(self, values: array[int], ids: array[int], chunk: int = CHUNK) -> None:
        """`values` (type q) and `ids` (type I) as one sorted sequence of pairs."""
        self._chunk = chunk
        self._everything = BitMap(ids)
        starts = range(0, len(values), chunk)
        self._values = [values[start : start + chunk] for start in starts]
        self._ids = [ids[start : start + chunk] for start in starts]
        self._lasts = [(part[-1], numbers[-1]) for part, numbers in zip(self._values, self._ids, strict=True)]

    def __len__(self) -> int:
        return sum(map(len, self._ids))

    def put(self, item: int, old: int | None, new: int | None) -> None:
        """The value of `item` was `old` and is `new`; None: it has none. Does no harm when it is known already."""
        if old is not None:
            self._discard(old, item)
        if new is None:
            self._everything.discard(item)
        else:
            self._add(new, item)
            self._everything.add(item)

    def between(self, low: Cut | None, high: Cut | None) -> BitMap:
        """The ids of the pairs whose values lie between the cuts."""
        start = (0, 0) if low is None else self._locate(low)
        end = (len(self._ids), 0) if high is None else self._locate(high)
        if start >= end:
            return BitMap()
        if 2 * (end[0] - start[0]) <= len(self._ids):
            return self._collect(start, end)
        # Ids in the order of another number cost 20 ns each to put into a bitmap: collect the smaller side.
        outside = self._collect((0, 0), start) | self._collect(end, (len(self._ids), 0))
        return self._everything - outside

    def _collect(self, start: Place, end: Place) -> BitMap:
        if start >= end:
            return BitMap()
        if start[0] == end[0]:
            return BitMap(self._ids[start[0]][start[1] : end[1]])
        found = self._ids[start[0]][start[1] :]
        for chunk in self._ids[start[0] + 1 : end[0]]:
            found.extend(chunk)
        if end[1]:
            found.extend(self._ids[end[0]][: end[1]])
        return BitMap(found)

    def _add(self, value: int, item: int) -> None:
        if not self._lasts:
            self._values, self._ids = [array("q", [value])], [array("I", [item])]
            self._lasts = [(value, item)]
            return
        chunk = min(bisect_left(self._lasts, (value, item)), len(self._lasts) - 1)
        place, there = self._find(chunk, value, item)
        if not there:
            self._values[chunk].insert(place, value)
            self._ids[chunk].insert(place, item)
            self._settle(chunk)

    def _discard(self, value: int, item: int) -> None:
        chunk = bisect_left(self._lasts, (value, item))
        if chunk == len(self._lasts):
            return
        place, there = self._find(chunk, value, item)
        if there:
            del self._values[chunk][place], self._ids[chunk][place]
            self._settle(chunk)

    def _locate(self, cut: Cut) -> Place:
        """The chunk may be the one behind the last."""
        chunk = bisect_left(self._lasts, cut.key, key=_value) if not cut.after else bisect_right(
            self._lasts, cut.key, key=_value
        )  # fmt: skip
        return (chunk, 0) if chunk == len(self._lasts) else (chunk, position(self._values[chunk], cut))

    def _find(self, chunk: int, value: int, item: int) -> tuple[int, bool]:
        values, ids = self._values[chunk], self._ids[chunk]
        low = bisect_left(values, value)
        high = bisect_right(values, value, low)
        place = bisect_left(ids, item, low, high)
        return place, place < high and ids[place] == item

    def _settle(self, chunk: int) -> None:
        """After a change of one chunk: drop it, split it, or note its last pair."""
        values, ids = self._values[chunk], self._ids[chunk]
        if not ids:
            del self._values[chunk], self._ids[chunk], self._lasts[chunk]
            return
        if len(ids) >= 2 * self._chunk:
            half = self._chunk
            self._values[chunk : chunk + 1] = [values[:half], values[half:]]
            self._ids[chunk : chunk + 1] = [ids[:half], ids[half:]]
            self._lasts.insert(chunk, (values[half - 1], ids[half - 1]))
            chunk += 1
        self._lasts[chunk] = (self._values[chunk][-1], self._ids[chunk][-1])


def _value(pair: tuple[int, int]) -> int:
    return pair[0]
