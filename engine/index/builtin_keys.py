"""Which built-in keys are in memory, and their loading. Imports builtin; on the trio thread.

State: the keys that are loaded, and, while one loads, the commits since its scan began.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import trio
from pyroaring import BitMap

from engine.index.builtin import ORDERED, Enumerated, KeyIndex, Ordered
from engine.ports import Feed
from engine.types import Facts, TagCount
from query.ast import Compare, Range


class BuiltinKeys:
    def __init__(self, feed: Feed, states: Mapping[str, BitMap]) -> None:
        self._feed = feed
        self._loading = trio.Lock()
        self._loaded: dict[str, KeyIndex] = {"state": Enumerated("state", states)}
        self._backlog: list[Callable[[KeyIndex], None]] | None = None

    def __contains__(self, leaf: Compare | Range) -> bool:
        """Whether `matching` can answer."""
        return leaf.key in self._loaded

    def matching(self, leaf: Compare | Range) -> BitMap:
        """The key must be loaded. The bitmap may hold items that are not live any more."""
        return self._loaded[leaf.key].matching(leaf)

    def values(self, key: str, live: BitMap) -> list[TagCount]:
        index = self._loaded.get(key)
        return index.counts(live) if isinstance(index, Enumerated) else []

    async def load(self, keys: Collection[str]) -> None:
        async with self._loading:
            for key in sorted(set(keys).difference(self._loaded)):
                self._backlog = []
                try:
                    index = await self._load(key)
                    for told in self._backlog:
                        told(index)
                    self._loaded[key] = index
                finally:
                    self._backlog = None

    async def _load(self, key: str) -> KeyIndex:
        if key in ORDERED:
            return Ordered(key, *await self._feed.ordered(key))
        return Enumerated(key, await self._feed.valued(key))

    def put(self, item: int, before: Facts | None, after: Facts | None) -> None:
        for index in self._loaded.values():
            index.put(item, before, after)
        if self._backlog is not None:
            self._backlog.append(lambda index: index.put(item, before, after))

    def retag(self, bare: BitMap, clothed: BitMap) -> None:
        """These have lost their last tag, or got their first one."""
        for index in self._loaded.values():
            index.retag(bare, clothed)
        if self._backlog is not None:
            self._backlog.append(lambda index: index.retag(bare, clothed))
