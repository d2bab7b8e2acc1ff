"""Item ids in the order of a number (bytes, seconds): some 20 bytes an item, microseconds a change. On the trio thread.

A sorted array of a million elements takes 0.5 ms to insert into, a balanced tree of Python objects 100 bytes an
element. So: sorted arrays of about a thousand, in a list. An insertion bisects the list of their last elements, then
the one array. The idea is that of Grant Jenks' sortedcontainers, with machine integers instead of objects.

To put ids in the order of another number into a bitmap costs 20 ns each, 10 ms for half a million. So bitmaps of all
that is before a mark are kept, some 128 marks in all, and a range is the difference of two of them, give or take what
lies between the marks and its ends.

    chunks   |----|----|----|----|----|----|----|----|
    marks              1              2
    range         [ .........................)            = (before 2, and what follows) - (before 1, less what follows)
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import Final, TypeAlias

from pyroaring import BitMap

from engine.index.cuts import Cut, position

CHUNK: Final = 1024  # a chunk is split when it has twice as many
STRIDE: Final = 8  # chunks from mark to mark, at least
MARKS: Final = 128  # about; some 70 KB each for a million ids


Place: TypeAlias = tuple[int, int]  # chunk, index in it
Pair: TypeAlias = tuple[int, int]  # value, id


class OrderedIds:
    """Pairs (value, id), sorted; each id has one value.

    State: `_values[n]` and `_ids[n]` are chunk n, of equal length and never empty; `_lasts[n]` is its last pair.
    `_everything` holds all ids. `_before[n]` holds the ids of all pairs up to and with the pair `_marks[n]`, be that
    there or not; marks are ascending.
    """

    def __init__(self, values: array[int], ids: array[int], chunk: int = CHUNK, stride: int = STRIDE) -> None:
        """`values` (type q) and `ids` (type I) as one sorted sequence of pairs."""
        self._chunk = chunk
        starts = range(0, len(values), chunk)
        self._values = [values[start : start + chunk] for start in starts]
        self._ids = [ids[start : start + chunk] for start in starts]
        self._lasts = [(part[-1], numbers[-1]) for part, numbers in zip(self._values, self._ids, strict=True)]
        self._stride = max(stride, len(self._lasts) // MARKS)
        self._marks: list[Pair] = []
        self._before: list[BitMap] = []
        self._everything = BitMap()
        for start in range(0, len(self._lasts), self._stride):
            end = min(start + self._stride, len(self._lasts))
            self._everything |= self._collect((start, 0), (end, 0))
            if end < len(self._lasts):
                self._marks.append(self._lasts[end - 1])
                self._before.append(self._everything.copy())

    def __len__(self) -> int:
        return sum(map(len, self._ids))

    def put(self, item: int, old: int | None, new: int | None) -> None:
        """The value of `item` was `old` and is `new`; None: it has none. Does no harm when it is known already."""
        if old is not None:
            self._discard(old, item)
            for before in self._before[bisect_left(self._marks, (old, item)) :]:
                before.discard(item)
        if new is None:
            self._everything.discard(item)
        else:
            self._add(new, item)
            for before in self._before[bisect_left(self._marks, (new, item)) :]:
                before.add(item)
            self._everything.add(item)

    def between(self, low: Cut | None, high: Cut | None) -> BitMap:
        """The ids of the pairs whose values lie between the cuts."""
        start = (0, 0) if low is None else self._locate(low)
        end = (len(self._ids), 0) if high is None else self._locate(high)
        if start >= end:
            return BitMap()
        if end[0] - start[0] <= self._stride:
            return self._collect(start, end)
        found = self._up_to(end)
        if start > (0, 0):
            found -= self._up_to(start)
        return found

    def _up_to(self, end: Place) -> BitMap:
        """The ids of all pairs before a place: from the nearest mark. A bitmap of its own."""
        number = bisect_left(self._marks, end, key=self._behind)
        marks: list[tuple[Place, BitMap]] = []
        if number > 0:
            marks.append((self._behind(self._marks[number - 1]), self._before[number - 1]))
        else:
            marks.append(((0, 0), BitMap()))
        if number < len(self._marks):
            marks.append((self._behind(self._marks[number]), self._before[number]))
        else:
            marks.append(((len(self._ids), 0), self._everything))
        (low, before), (high, with_more) = marks
        if end[0] - low[0] <= high[0] - end[0]:
            return before | self._collect(low, end)
        return with_more - self._collect(end, high)

    def _behind(self, mark: Pair) -> Place:
        """The place right behind a pair."""
        chunk = bisect_left(self._lasts, mark)
        if chunk == len(self._lasts):
            return chunk, 0
        place, there = self._find(chunk, *mark)
        return chunk, place + there

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
        if len(ids) >= 2 * self._chunk:
            self._mark(chunk)

    def _mark(self, chunk: int) -> None:
        """After chunk `chunk` has become one more: a further mark where the next ones are far from each other."""
        number = bisect_left(self._marks, self._lasts[chunk])
        low = self._behind(self._marks[number - 1])[0] if number > 0 else 0
        high = self._behind(self._marks[number])[0] if number < len(self._marks) else len(self._lasts)
        if high - low > 2 * self._stride:
            middle = (low + high) // 2
            before = self._up_to((middle + 1, 0))
            self._marks.insert(number, self._lasts[middle])
            self._before.insert(number, before)


def _value(pair: tuple[int, int]) -> int:
    return pair[0]
