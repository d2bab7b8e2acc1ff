"""Membership by roaring bitmaps: ports.Index, kept true by being an observer. On the trio thread.

    leaf of a query          answered from                    loaded
    movie                    the tag's bitmap                 on first use                      (tags, entry)
    year:2000, year:2000..   the bitmaps of its pairs         on first use                      (pairs)
    state: type: ext: ...    a bitmap a value                 state at the start, else on use   (builtin_keys)
    size: added:             ids in order of the value        on first use                      (ordered_ids)
    name: sha256:            a look at each item, kept        each time it is new               (searches)

A trashed item leaves all bitmaps and comes back to them when it is restored. What a folder holds stays in them when the
folder is trashed: it is only not live meanwhile, and every answer is cut to what is live. So the trash costs the same
for a folder of 100,000 files as for an empty one.

State: `_own` and `_live` here, the rest in the parts named above. All change in `apply` alone, in the order of commits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import trio
from pyroaring import BitMap

from engine.index import algebra, checking
from engine.index.builtin_keys import BuiltinKeys
from engine.index.entry import Entry, put, union
from engine.index.folders import Folders
from engine.index.needs import own, parts, searched, settled_leaves
from engine.index.searches import Searches
from engine.index.tags import Tags
from engine.ports import Feed, Opening
from engine.types import Change, Facts, ItemId, TagChange, TagCount, TagEvent
from query.ages import resolve
from query.ast import Compare, Expr, Leaf, Range, Tag
from query.builtin import BUILTIN_KEYS
from query.evaluate import leaves, matches
from query.relations import Relation, Relations

# Tags that are intersected before other tasks get a turn: about 1 ms.
NARROWED_AT_ONCE = 256

# Bitmaps that `contains` looks into before the item's facts are the quicker way.
FEW = 64


class NotPrepared(RuntimeError):
    """`evaluate` was called without `prepare` just before it: a mistake of the caller."""


class BitmapIndex:
    """Made by `open`; follows the catalogue until `close`."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._leave: Callable[[], None] | None = None
        self._start(Opening({}, ()))

    @classmethod
    async def open(cls, feed: Feed) -> BitmapIndex:
        index = cls(feed)
        index._leave = await feed.follow(index, index._start)
        return index

    def close(self) -> None:
        """Follow no longer. Without it the index lives as long as the catalogue."""
        if self._leave is not None:
            self._leave()

    def _start(self, opening: Opening) -> None:
        self._folders = Folders(opening.held)
        self._own = BitMap.union(BitMap(), *opening.states.values())  # not in the trash by themselves
        self._live = self._own - self._folders.under(self._folders.all - self._own)
        self._tags = Tags(self._feed, opening.tags)
        self._keys = BuiltinKeys(self._feed, opening.states)
        self._searches = Searches(self._feed)
        self._relations = Relations(opening.relations)

    # -- what is there -----------------------------------------------------------------------------------------------
    @property
    def live(self) -> BitMap:
        """The index's own: read it, do not change it, and copy what must outlast an `await`."""
        return self._live

    @property
    def inner(self) -> BitMap:
        return self._folders.inner

    def below(self, folder: ItemId) -> BitMap:
        return self._folders.below(folder)

    def under(self, items: BitMap) -> BitMap:
        return self._folders.under(items)

    def has_tag(self, name: str) -> bool:
        return name in self._tags

    def tag_list(self) -> Sequence[TagCount]:
        return self._tags.counts()

    @property
    def relations(self) -> Relations:
        return self._relations

    def own_keys(self) -> Sequence[str]:
        return self._tags.keys()

    def values(self, key: str) -> Sequence[TagCount]:
        return self._keys.values(key, self._live) if key in BUILTIN_KEYS else self._tags.values(key)

    def unknown(self, expr: Expr) -> str | None:
        for leaf in leaves(expr):
            match leaf:
                case Tag(name) if name not in self._tags:
                    return name
                case Compare(key) | Range(key) if key not in BUILTIN_KEYS and not self._tags.has_key(key):
                    return key
        return None

    # -- membership --------------------------------------------------------------------------------------------------
    async def prepare(self, expr: Expr) -> None:
        wanted = settled_leaves(expr)
        # While one part loads, a rename may bring a tag that is not loaded into a range: look again until all is there.
        while not all(map(self._is_ready, wanted)):
            entries = [entry for leaf in wanted if own(leaf) for entry in self._entries(leaf)]
            await self._tags.load(entries)
            builtin = [leaf for leaf in wanted if not isinstance(leaf, Tag) and not own(leaf)]
            await self._keys.load([leaf.key for leaf in builtin if not searched(leaf)])
            await self._searches.load([leaf for leaf in builtin if searched(leaf)])

    def evaluate(self, expr: Expr, *, now: float) -> BitMap:
        return algebra.evaluate(resolve(expr, now=now), self._live, self._select)

    def topmost(self, found: BitMap) -> BitMap:
        return self._folders.topmost(found)

    def contains(self, expr: Expr, item: ItemId, *, now: float) -> bool:
        if item not in self._live:
            return False
        asked = Asked(self._feed, item, inner=item in self._folders.inner)
        return algebra.holds(expr, lambda leaf: self._test(leaf, asked, now))

    def shows(self, expr: Expr, item: ItemId, *, now: float) -> bool:
        if not self.contains(expr, item, now=now):
            return False
        above = self._feed.ancestors(item) if item in self._folders.inner else ()
        return not any(self.contains(expr, folder, now=now) for folder in above)

    async def carried(self, expr: Expr, *, now: float, literal: bool = False) -> list[TagCount]:
        return [count for count, _ in await self._tags_of_result(expr, now, literal)]

    async def narrowing(self, expr: Expr, *, now: float, literal: bool = False) -> list[TagCount]:
        return [count for count, narrows in await self._tags_of_result(expr, now, literal) if narrows]

    async def _tags_of_result(self, expr: Expr, now: float, literal: bool) -> list[tuple[TagCount, bool]]:
        """The tags that hold for items of the result, sorted by name, and whether each leaves out some of it."""
        relations = Relations() if literal else self._relations
        await self.prepare(expr)
        while missing := [entry for entry in self._to_count(relations) if entry.bitmap is None]:
            await self._tags.load(missing)
            await self.prepare(expr)
        found = self.evaluate(expr, now=now)
        counts: list[tuple[TagCount, bool]] = []
        united = 0
        for entry in self._tags.to_count(relations):
            reached, parts = self._reached(entry, relations)
            united += parts
            if united >= NARROWED_AT_ONCE:
                united = 0
                await trio.lowlevel.checkpoint()
            if reached is not None and (left := found.intersection_cardinality(reached)):
                shown = len(self.topmost(found & reached)) if self._folders.all else left
                counts.append((TagCount(entry.name, shown), left < len(found)))
        return sorted(counts, key=lambda count: count[0].name)

    def _to_count(self, relations: Relations) -> Iterator[Entry]:
        """With those whose items come by an implication."""
        for entry in self._tags.to_count(relations):
            yield entry
            for leaf in leaves(meant) if (meant := relations.meaning(entry.name)) else ():
                yield from self._entries(leaf)

    def _reached(self, entry: Entry, relations: Relations) -> tuple[BitMap | None, int]:
        """What a tag holds for, and of how many bitmaps that was made; None where something of it is not loaded: made
        or renamed in a turn of somebody else."""
        meant = relations.meaning(entry.name)
        if meant is None:
            return (entry.reached(self._folders) if entry.bitmap is not None else None), 1
        parts = list(leaves(meant))
        return (self.evaluate(meant, now=0.0) if all(map(self._is_ready, parts)) else None), len(parts)

    # -- soundness ---------------------------------------------------------------------------------------------------
    async def check(self) -> list[str]:
        faults: list[str] = []

        def compare(opening: Opening) -> None:
            true = BitmapIndex(self._feed)
            true._start(opening)
            faults.extend(checking.of_items("the index", self._live, true._live))
            faults.extend(checking.of_items("what the index has in folders", self.inner, true.inner))
            faults.extend(checking.of_tags(self._tags.counts(), true._tags.counts()))
            for folder in self._folders.all | true._folders.all:
                what = f"what the index has in the folder {folder}"
                faults.extend(checking.of_items(what, self.below(ItemId(folder)), true.below(ItemId(folder))))

        await self._feed.reread(compare)
        for entry in self._tags.loaded():
            assert entry.id is not None

            def compare_tag(true: BitMap, entry: Entry = entry) -> None:
                if entry.bitmap is not None and self._tags.holds(entry):
                    faults.extend(checking.of_items(f"the tag {entry.name!r} in the index", entry.bitmap, true))

            await self._feed.reread_tag(entry.id, compare_tag)
        return faults

    async def renew(self) -> None:
        await self._feed.reread(self._start)

    # -- commits -----------------------------------------------------------------------------------------------------
    def apply(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        for tag in tags:
            if tag.event is TagEvent.RETAGGED:
                self._tags.retag(tag, self._own, self._live)
                self._keys.retag(tag.bare & self._own, tag.clothed)
            else:
                self._tags.change(tag)
                self._relations = related(self._relations, tag)
        for change in changes:
            before, after = _if_untrashed(change.before), _if_untrashed(change.after)
            put(self._own, change.item, after is not None)
            self._tags.put(change.item, before.tags if before else (), after.tags if after else ())
            if _computed_from(before) != _computed_from(after):
                self._keys.put(change.item, before, after)
                self._searches.put(change.item, before, after)
            self._folders.put(change.item, change.before, change.after)
            self._put_live(change)

    def _put_live(self, change: Change) -> None:
        """With all that a folder holds."""
        before = change.before if change.before is not None and change.before.live else None
        after = change.after if change.after is not None and change.after.live else None
        put(self._live, change.item, after is not None)
        self._tags.count(before.tags if before else (), after.tags if after else ())
        if (before is None) != (after is None) and change.item in self._folders.all:
            below = self._folders.below(change.item)
            if after is not None:
                self._live |= (below & self._own) - self._folders.under(below - self._own)
            else:
                self._live -= below

    def settle(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        """Nothing outside depends on the index alone."""

    # -- leaves ------------------------------------------------------------------------------------------------------
    def _entries(self, leaf: Leaf) -> Sequence[Entry]:
        """The tags that a leaf about own tags stands for."""
        return self._tags.named(leaf.name) if isinstance(leaf, Tag) else self._tags.matching(leaf)

    def _part(self, leaf: Compare | Range) -> Searches | BuiltinKeys:
        return self._searches if searched(leaf) else self._keys

    def _is_ready(self, leaf: Leaf) -> bool:
        if isinstance(leaf, Tag) or own(leaf):
            return all(entry.bitmap is not None for entry in self._entries(leaf))
        return leaf in self._part(leaf)

    def _select(self, leaf: Leaf) -> BitMap:
        """`leaf` has no ages. What comes back may be a bitmap of the index itself."""
        first, *rest = parts(leaf)
        found = self._select_part(first)
        for part in rest:
            found = found & self._select_part(part)
        return found

    def _select_part(self, leaf: Leaf) -> BitMap:
        if not self._is_ready(leaf):
            raise NotPrepared(leaf)
        if isinstance(leaf, Tag) or own(leaf):
            return union(self._entries(leaf), self._folders)
        found = self._part(leaf).matching(leaf)
        if leaf.key == "is" and found.intersect(self._folders.inner):
            found = found - self._folders.under(self._folders.all - found)  # what a tagged folder holds is not untagged
        return found

    def _test(self, leaf: Leaf, asked: Asked, now: float) -> bool:
        """By bitmaps where a few are at hand, else by the item's facts."""
        if own(leaf):
            entries = self._entries(leaf)
            if len(entries) <= FEW:
                bitmaps = [entry.bitmap for entry in entries if entry.bitmap is not None]
                if len(bitmaps) == len(entries):
                    return any(item in bitmap for bitmap in bitmaps for item in asked.line)
        return asked.facts is not None and matches(leaf, asked.facts, now=now)


class Asked:
    """One item, whose facts are read when a leaf first needs them (25 µs). `inner`: whether a folder holds it."""

    def __init__(self, feed: Feed, item: ItemId, *, inner: bool) -> None:
        self._item = item
        self._feed = feed
        self._inner = inner

    @cached_property
    def line(self) -> Sequence[ItemId]:
        """Whose tags hold for the item: it and the folders that hold it."""
        return (self._item, *self._feed.ancestors(self._item)) if self._inner else (self._item,)

    @cached_property
    def facts(self) -> Facts | None:
        """With the tags that it inherits."""
        own, *above = map(self._feed.facts, self.line)
        if own is None or not above:
            return own
        return replace(own, tags=own.tags.union(*(folder.tags for folder in above if folder is not None)))


def related(relations: Relations, change: TagChange) -> Relations:
    """The relations after a change of a tag."""
    match change:
        case TagChange(TagEvent.RELATED, relation=Relation() as relation):
            return relations.added(relation)
        case TagChange(TagEvent.UNRELATED, relation=Relation() as relation):
            return relations.without(relation)
        case TagChange(TagEvent.REMOVED, name):
            return relations.removed(name)
        case TagChange(TagEvent.RENAMED, old, str(new)):
            return relations.renamed(old, new)
        case _:
            return relations


def _computed_from(facts: Facts | None) -> object:
    """What the values of the built-in keys depend on. Most commits change tags alone, some of thousands of items."""
    if facts is None:
        return None
    return (
        facts.name, facts.kind, facts.state, facts.size, facts.sha256, facts.added_ns, facts.sources, facts.hosts,
        facts.mime, not facts.tags,
    )  # fmt: skip


def _if_untrashed(facts: Facts | None) -> Facts | None:
    return None if facts is None or facts.trashed else facts
