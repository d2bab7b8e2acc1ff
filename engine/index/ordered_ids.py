"""Item ids in the order of a number (bytes, seconds): some 20 bytes an item, microseconds a change. On the trio thread.

A sorted array of a million elements takes 0.5 ms to insert into, a balanced tree of Python objects 100 bytes an
element. So: sorted arrays of about a thousand, in a list. An insertion bisects the list of their last elements, then
the one array. The idea is that of Grant Jenks' sortedcontainers, with machine integers instead of objects.

To put ids in the order of another number into a bitmap costs 60 ns each, 30 ms for half a million. So bitmaps of some
chunks each are kept, the parts, and bitmaps of all that is before a mark, at some 128 marks. A range is the difference
of two marks, give or take the parts and the few ids that lie between the marks and its ends.

    chunks   |----|----|----|----|----|----|----|----|
    parts    |---------|---------|---------|---------|
    marks                        1                   2
    range         [ .........................)          = (before 2, less what follows) - (before 1, less what follows)
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import Final, TypeAlias

from pyroaring import BitMap

from engine.index.cuts import Cut, position

CHUNK: Final = 1024  # a chunk is split when it has twice as many
PART: Final = 4  # chunks; some 2 bytes an id
STRIDE: Final = 8  # chunks from mark to mark, at least
MARKS: Final = 128  # about; some 70 KB each for a million ids


Place: TypeAlias = tuple[int, int]  # chunk, index in it
Pair: TypeAlias = tuple[int, int]  # value, id


class OrderedIds:
    """Pairs (value, id), sorted; each id has one value.

    State: `_values[n]` and `_ids[n]` are chunk n, of equal length and never empty; `_lasts[n]` is its last pair.
    `_everything` holds all ids, `_before[n]` those of all pairs up to and with the pair `_marks[n]`, and `_parts[n]`
    those behind `_bounds[n - 1]` up to and with `_bounds[n]`, be that pair there or not; the last part has no bound.
    Marks and bounds are ascending.
    """

    def __init__(
        self, values: array[int], ids: array[int], chunk: int = CHUNK, part: int = PART, stride: int = STRIDE
    ) -> None:
        """`values` (type q) and `ids` (type I) as one sorted sequence of pairs."""
        self._chunk, self._part = chunk, part
        starts = range(0, len(values), chunk)
        self._values = [values[start : start + chunk] for start in starts]
        self._ids = [ids[start : start + chunk] for start in starts]
        self._lasts = [(part[-1], numbers[-1]) for part, numbers in zip(self._values, self._ids, strict=True)]
        self._stride = max(stride, len(self._lasts) // MARKS)
        self._bounds = self._lasts[part - 1 : -1 : part]
        self._parts = [
            self._collect((start, 0), (min(start + part, len(self._lasts)), 0))
            for start in range(0, len(self._lasts), part)
        ] or [BitMap()]
        self._marks: list[Pair] = []
        self._before: list[BitMap] = []
        self._everything = BitMap()
        for number, ids_of_part in enumerate(self._parts, 1):
            self._everything |= ids_of_part
            if number < len(self._parts) and number % max(self._stride // part, 1) == 0:
                self._marks.append(self._bounds[number - 1])
                self._before.append(self._everything.copy())

    def __len__(self) -> int:
        return sum(map(len, self._ids))

    def put(self, item: int, old: int | None, new: int | None) -> None:
        """The value of `item` was `old` and is `new`; None: it has none. Does no harm when it is known already."""
        if old is not None:
            self._discard(old, item)
            self._parts[bisect_left(self._bounds, (old, item))].discard(item)
            for before in self._before[bisect_left(self._marks, (old, item)) :]:
                before.discard(item)
        if new is None:
            self._everything.discard(item)
        else:
            self._parts[bisect_left(self._bounds, (new, item))].add(item)
            for before in self._before[bisect_left(self._marks, (new, item)) :]:
                before.add(item)
            self._everything.add(item)
            self._add(new, item)

    def between(self, low: Cut | None, high: Cut | None) -> BitMap:
        """The ids of the pairs whose values lie between the cuts."""
        start = (0, 0) if low is None else self._locate(low)
        end = (len(self._ids), 0) if high is None else self._locate(high)
        if start >= end:
            return BitMap()
        if end[0] - start[0] <= self._stride // 4:
            return BitMap.union(*self._pieces(start, end))
        found = self._up_to(end)
        if start > (0, 0):
            found -= self._up_to(start)
        return found

    def _up_to(self, place: Place) -> BitMap:
        """The ids of all pairs before a place: those of the nearest mark, and more or less. A bitmap of its own."""
        number = bisect_left(self._marks, place, key=self._behind)
        low, before = (0, 0), BitMap()
        if number > 0:
            low, before = self._behind(self._marks[number - 1]), self._before[number - 1]
        high, with_more = (len(self._ids), 0), self._everything
        if number < len(self._marks):
            high, with_more = self._behind(self._marks[number]), self._before[number]
        if place[0] - low[0] <= high[0] - place[0]:
            return BitMap.union(before, *self._pieces(low, place))
        first, *others = self._pieces(place, high)
        found = with_more - first
        for piece in others:
            found -= piece
        return found

    def _pieces(self, start: Place, end: Place) -> list[BitMap]:
        """The ids of the pairs between two places: parts as far as there are whole ones. They are not to be changed."""
        low = bisect_left(self._bounds, self._previous(start)) if start > (0, 0) else 0
        high = bisect_right(self._bounds, self._previous(end)) - 1 if end > (0, 0) else -1
        if high <= low:
            return [self._collect(start, end)]
        first, last = self._behind(self._bounds[low]), self._behind(self._bounds[high])
        return [self._collect(start, first), *self._parts[low + 1 : high + 1], self._collect(last, end)]

    def _previous(self, place: Place) -> Pair:
        """The last pair before a place that is not the first."""
        chunk, index = place
        return (self._values[chunk][index - 1], self._ids[chunk][index - 1]) if index else self._lasts[chunk - 1]

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
            self._bound(chunk)
            self._mark(chunk)

    def _bound(self, chunk: int) -> None:
        """After chunk `chunk` has become one more: two parts where there was one of many chunks."""
        number, low, high = self._around(self._bounds, chunk)
        if high - low > 2 * self._part:
            middle = (low + high) // 2
            behind = self._collect((middle + 1, 0), self._behind_last(self._bounds, number))
            self._parts[number : number + 1] = [self._parts[number] - behind, behind]
            self._bounds.insert(number, self._lasts[middle])

    def _mark(self, chunk: int) -> None:
        """Likewise: a further mark where the next ones are far from each other."""
        number, low, high = self._around(self._marks, chunk)
        if high - low > 2 * self._stride:
            middle = (low + high) // 2
            before = self._up_to((middle + 1, 0))
            self._marks.insert(number, self._lasts[middle])
            self._before.insert(number, before)

    def _around(self, pairs: list[Pair], chunk: int) -> tuple[int, int, int]:
        """Where the last pair of a chunk falls among `pairs`, and the chunks behind the one before and the next."""
        number = bisect_left(pairs, self._lasts[chunk])
        low = self._behind(pairs[number - 1])[0] if number > 0 else 0
        return number, low, self._behind_last(pairs, number)[0]

    def _behind_last(self, pairs: list[Pair], number: int) -> Place:
        return self._behind(pairs[number]) if number < len(pairs) else (len(self._lasts), 0)


def _value(pair: tuple[int, int]) -> int:
    return pair[0]
