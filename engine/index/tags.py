"""The tags and who carries them: one bitmap a tag, loaded on first use. Imports entry and pairs; on the trio thread.

All tags and their counts are in memory from the start. A bitmap is loaded when a query first needs it and stays: all
taggings of a million items with eight tags each are 12 MB. A tag made after the start is loaded from its birth.

State: `_entries` by name, and the pairs among them by key and value once more. An entry moves to another name when its
tag is renamed; whoever loads holds on to the entry, not to the name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import trio
from pyroaring import BitMap

from engine.index.entry import Entry
from engine.index.pairs import Values
from engine.ports import Feed
from engine.types import ItemId, TagChange, TagCount, TagEvent
from query.ast import Compare, Range
from query.names import split_pair
from query.relations import Relations


class Tags:
    def __init__(self, feed: Feed, tags: Iterable[tuple[int, str, int]]) -> None:
        self._feed = feed
        self._loading = trio.Lock()
        self._entries: dict[str, Entry] = {}
        self._keys: dict[str, Values] = {}
        self._sorted: list[Entry] | None = None  # by name, until one comes or goes
        for number, name, items in tags:
            self._enter(Entry(name, number, items))

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    # -- what is there ---------------------------------------------------------------------------------------------
    def counts(self) -> list[TagCount]:
        if self._sorted is None:
            self._sorted = [self._entries[name] for name in sorted(self._entries)]
        return [TagCount(entry.name, entry.items) for entry in self._sorted]

    def has_key(self, key: str) -> bool:
        return key in self._keys

    def keys(self) -> list[str]:
        return sorted(self._keys)

    def values(self, key: str) -> list[TagCount]:
        """Numbers first, then dates, then text; also values that no live item has now."""
        skip = len(key) + 1
        entries = self._keys.get(key, ())
        return [TagCount(entry.name[skip:], entry.items) for entry in entries]

    def named(self, name: str) -> Sequence[Entry]:
        """The entry of this tag, if there is one."""
        entry = self._entries.get(name)
        return () if entry is None else (entry,)

    def matching(self, leaf: Compare | Range) -> Sequence[Entry]:
        """The pairs of an own key that `leaf` selects."""
        values = self._keys.get(leaf.key)
        return () if values is None else values.matching(leaf)

    def loaded(self) -> list[Entry]:
        """Those in memory that can be loaded again."""
        return [entry for entry in self._entries.values() if entry.bitmap is not None and entry.id is not None]

    def holds(self, entry: Entry) -> bool:
        """Whether it is (still) the one of its tag."""
        return self._entries.get(entry.name) is entry

    def in_use(self) -> list[Entry]:
        return [entry for entry in self._entries.values() if entry.items]

    def to_count(self, relations: Relations) -> list[Entry]:
        """Those that may hold for a live item: in use, or of which the relations say more."""
        return [entry for entry in self._entries.values() if entry.items or relations.meaning(entry.name) is not None]

    # -- loading ---------------------------------------------------------------------------------------------------
    async def load(self, entries: Collection[Entry]) -> None:
        """Give each of them its bitmap."""
        async with self._loading:
            missing = {entry.id: entry for entry in entries if entry.bitmap is None and entry.id is not None}
            if not missing:
                return
            for entry in missing.values():
                entry.expect()
            try:
                loaded = await self._feed.tagged(list(missing))
                for number, entry in missing.items():
                    entry.install(loaded[number])
            finally:
                for entry in missing.values():
                    entry.pending = None

    # -- commits ---------------------------------------------------------------------------------------------------
    def put(self, item: ItemId, before: Collection[str], after: Collection[str]) -> None:
        """The tags of an item that is not in the trash by itself; none before it came and after it went."""
        for name in set(before).difference(after):
            if name in self._entries:  # not removed by the same transaction, once no item carried it
                self._entries[name].put(item, carried=False)
        for name in set(after).difference(before):
            self._entries[name].put(item, carried=True)

    def count(self, before: Collection[str], after: Collection[str]) -> None:
        """The tags of a live item."""
        for name in set(before).difference(after):
            if name in self._entries:
                self._entries[name].items -= 1
        for name in set(after).difference(before):
            self._entries[name].items += 1

    def retag(self, change: TagChange, untrashed: BitMap, live: BitMap) -> None:
        """RETAGGED, where `untrashed` and `live` are the items that are so."""
        entry = self._entries[change.name]
        if change.number is not None and change.number != entry.id:  # another row carries the name: load from there
            left = self._leave(change.name)
            entry = Entry(change.name, change.number, left.items, left.bitmap)
            self._enter(entry)
        entry.put_many(change.lost, carried=False)
        entry.put_many(change.gained & untrashed, carried=True)
        entry.items += change.gained.intersection_cardinality(live) - change.lost.intersection_cardinality(live)

    def change(self, change: TagChange) -> None:
        match change.event:
            case TagEvent.CREATED:
                self._enter(Entry(change.name, None, 0, BitMap()))
            case TagEvent.REMOVED:
                self._leave(change.name)
            case TagEvent.RENAMED:
                assert change.new_name is not None
                entry = self._leave(change.name)
                entry.name = change.new_name
                self._enter(entry)
            case _:
                pass

    def _enter(self, entry: Entry) -> None:
        self._entries[entry.name] = entry
        self._sorted = None
        pair = split_pair(entry.name)
        if pair is not None:
            self._keys.setdefault(pair[0], Values()).insert(pair[1], entry)

    def _leave(self, name: str) -> Entry:
        entry = self._entries.pop(name)
        self._sorted = None
        pair = split_pair(name)
        if pair is not None:
            key, value = pair
            self._keys[key].remove(value, entry)
            if not self._keys[key]:
                del self._keys[key]
        return entry
