"""One tag and the items that carry it. Imports folders; on the trio thread.

    not loaded ──expect──▶ loading ──install──▶ loaded
        ▲                     │
        └──── load failed ────┘

What commits say while it is loading is kept in `pending` and said again on top of what was loaded. The scan may have
seen some of it already, and some that is yet to be told: setting a bit twice does no harm, and each commit that takes
an item out of the tag names the tag.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pyroaring import BitMap

from engine.index.folders import Folders


@dataclass(slots=True, eq=False)
class Entry:
    """`id` is the catalogue's; None for a tag that was made after the start, which is loaded from birth."""

    name: str
    id: int | None
    items: int  # live items that carry it
    bitmap: BitMap | None = None  # items that carry it and were not trashed by themselves, once loaded
    # (item or items, carried) in order of commits; None unless loading
    pending: list[tuple[int | BitMap, bool]] | None = None
    reach: tuple[int, BitMap] | None = None  # with what is below its folders, as of a version of `Folders`

    def put(self, item: int, *, carried: bool) -> None:
        """From a commit: the item carries the tag from now on, or carries it no more."""
        self.reach = None
        if self.bitmap is not None:
            put(self.bitmap, item, carried)
        elif self.pending is not None:
            self.pending.append((item, carried))

    def put_many(self, items: BitMap, *, carried: bool) -> None:
        self.reach = None
        if self.bitmap is not None:
            put(self.bitmap, items, carried)
        elif self.pending is not None:
            self.pending.append((items, carried))

    def expect(self) -> None:
        self.pending = []

    def install(self, bitmap: BitMap) -> None:
        for item, carried in self.pending or ():
            put(bitmap, item, carried)
        self.bitmap, self.pending = bitmap, None

    def reached(self, folders: Folders) -> BitMap:
        """The items that carry it and all that is below them. Loaded; not to be changed."""
        assert self.bitmap is not None
        if not folders.all.intersect(self.bitmap):
            return self.bitmap
        if self.reach is None or self.reach[0] != folders.version:
            self.reach = folders.version, self.bitmap | folders.under(self.bitmap)
        return self.reach[1]


def put(bitmap: BitMap, item: int | BitMap, present: bool) -> None:
    """One item, or many."""
    if isinstance(item, BitMap):
        if present:
            bitmap |= item
        else:
            bitmap -= item
    elif present:
        bitmap.add(item)
    else:
        bitmap.discard(item)


def union(entries: Iterable[Entry], folders: Folders) -> BitMap:
    """What loaded entries reach. For one entry its own bitmap, which is not to be changed."""
    bitmaps = [entry.reached(folders) for entry in entries]
    return bitmaps[0] if len(bitmaps) == 1 else BitMap.union(BitMap(), *bitmaps)
