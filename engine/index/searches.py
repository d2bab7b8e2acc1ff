"""Comparisons that only a look at each item answers: `name:/has/x`, a range of names, a SHA-256. On the trio thread.

The scan runs once, on a reader thread; then the result follows the commits like every other bitmap, for as long as it
is among the last few that were used.

State: `_found`, least recently used first, and while a scan runs the commits since it began.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from typing import Final, TypeAlias

import trio
from pyroaring import BitMap

from engine.index.entry import put
from engine.ports import Feed
from engine.types import Facts
from query.ast import Compare, Range
from query.evaluate import satisfies, values_of

Search: TypeAlias = Compare | Range

# Each costs a bitmap (at most 125 KB for a million items) and about 2 µs a commit that changes a name.
KEPT: Final = 64


class Searches:
    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._loading = trio.Lock()
        self._found: OrderedDict[Search, BitMap] = OrderedDict()
        self._backlog: list[tuple[int, Facts | None, Facts | None]] | None = None

    def __contains__(self, leaf: Search) -> bool:
        """Whether `matching` can answer."""
        return leaf in self._found

    def matching(self, leaf: Search) -> BitMap:
        self._found.move_to_end(leaf)
        return self._found[leaf]

    async def load(self, leaves: Collection[Search]) -> None:
        """Afterwards all of `leaves` are here, however many."""
        async with self._loading:
            for leaf in leaves:
                if leaf in self._found:
                    self._found.move_to_end(leaf)
                else:
                    self._found[leaf] = await self._search(leaf)
            while len(self._found) > max(KEPT, len(leaves)):
                self._found.popitem(last=False)

    async def _search(self, leaf: Search) -> BitMap:
        self._backlog = []
        try:
            found = await self._feed.search(leaf)
            for item, before, after in self._backlog:
                _follow(leaf, found, item, before, after)
            return found
        finally:
            self._backlog = None

    def put(self, item: int, before: Facts | None, after: Facts | None) -> None:
        for leaf, found in self._found.items():
            _follow(leaf, found, item, before, after)
        if self._backlog is not None:
            self._backlog.append((item, before, after))


def _follow(leaf: Search, found: BitMap, item: int, before: Facts | None, after: Facts | None) -> None:
    old = () if before is None else values_of(before, leaf.key)
    new = () if after is None else values_of(after, leaf.key)
    if old != new:
        put(found, item, any(satisfies(leaf, value, now=0.0) for value in new))
