"""What is in which folder item, for queries: whoever carries a tag has it for all that is below it. On the trio thread.

    folder ──▶ all that is below it, at whatever depth: nearly one stretch of ids, so 100,000 files cost some bytes

A move takes the whole subtree out of the bitmaps of the folders above and puts it into those of its new place.

State: `_below` and the folders that are in a folder, by id; trashed or not, since the trash changes no structure. Where
there are no folders, each answer is the bitmap that was asked about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pyroaring import BitMap

from engine.types import Facts, Kind

NOTHING = BitMap()


class Folders:
    """`all` are the folders that hold something, or did; `inner` is what a folder holds: read them only."""

    def __init__(self, held: Mapping[int, BitMap]) -> None:
        self.all = BitMap(held)
        self.inner = BitMap.union(BitMap(), *held.values())
        self.version = 0  # grows whenever something comes into a folder or goes
        self._below = {folder: BitMap(ids) for folder, ids in held.items()}
        self._parent = {inside: folder for folder, ids in held.items() for inside in ids & self.all}
        for folder in reversed(self._from_the_top(held)):
            if folder in self._parent:
                self._below[self._parent[folder]] |= self._below[folder]
        for ids in self._below.values():
            ids.run_optimize()

    def _from_the_top(self, held: Mapping[int, BitMap]) -> list[int]:
        order = list(self.all - self.inner)
        for folder in order:
            order.extend(held[folder] & self.all)
        return order

    def below(self, folder: int) -> BitMap:
        """Not to be changed."""
        return self._below.get(folder, NOTHING)

    def under(self, folders: BitMap) -> BitMap:
        """What is below any of them. Not to be changed."""
        holders = folders & self.all
        if not holders:
            return NOTHING
        if len(holders) == 1:
            return self._below[holders[0]]
        found = BitMap.union(BitMap(), *(self._below[folder] for folder in holders - self.inner))
        further = (holders & self.inner) - found  # in a folder that is not asked about
        return BitMap.union(found, *(self._below[folder] for folder in further)) if further else found

    def topmost(self, found: BitMap) -> BitMap:
        """`found` without what is below another one of it."""
        if not self.all or not found.intersect(self.inner):
            return found
        return found - self.under(found)

    # -- commits -----------------------------------------------------------------------------------------------------
    def put(self, item: int, before: Facts | None, after: Facts | None) -> None:
        """A folder takes along what it holds, of which no change is told; what it held ends before it."""
        old = None if before is None else before.parent
        new = None if after is None else after.parent
        if old != new:
            self.version += 1
            if old is not None:
                self._go(item, old)
            if new is not None:
                self._come(item, new)
        if after is None:
            self._below.pop(item, None)
            self.all.discard(item)
        if new is not None and after is not None and after.kind is Kind.FOLDER:
            self._parent[item] = new
        else:
            self._parent.pop(item, None)

    def _come(self, item: int, folder: int) -> None:
        self.inner.add(item)
        self.all.add(folder)
        for above in self._upwards(folder):
            below = self._below.setdefault(above, BitMap())
            below.add(item)
            below |= self.below(item)

    def _go(self, item: int, folder: int) -> None:
        self.inner.discard(item)
        for above in self._upwards(folder):
            below = self._below.setdefault(above, BitMap())
            below.discard(item)
            below -= self.below(item)

    def _upwards(self, folder: int) -> Iterator[int]:
        above: int | None = folder
        while above is not None:
            yield above
            above = self._parent.get(above)
