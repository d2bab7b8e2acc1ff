"""The built-in keys: what each keeps in memory. Imports cuts, ordered_ids; on the trio thread.

    state                   a bitmap a value, from the start
    type ext source host is a bitmap a value, loaded on first use
    size added              ids in order of the value, loaded on first use
    name sha256             nothing; see searches

Each is a small class with the same two verbs: `put` takes an item's facts before and after a commit (None: not live),
and `matching` answers a comparison.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Final, Protocol

from pyroaring import BitMap

from engine.index.cuts import Stretch, stretches
from engine.index.ordered_ids import OrderedIds
from engine.types import Facts, TagCount
from query.ast import Compare, Range
from query.evaluate import satisfies, values_of
from query.values import Kind, Span, classify, span

ENUMERATED: Final = frozenset({"type", "ext", "source", "host", "is"})
ORDERED: Final = frozenset({"size", "added"})


class KeyIndex(Protocol):
    def put(self, item: int, before: Facts | None, after: Facts | None) -> None: ...
    def retag(self, bare: BitMap, clothed: BitMap) -> None:
        """These have lost their last tag, or got their first one."""

    def matching(self, leaf: Compare | Range) -> BitMap: ...


class Enumerated:
    """A key with few values.

    State: a bitmap for each value that an item has or had.
    """

    def __init__(self, key: str, groups: Mapping[str, BitMap]) -> None:
        self._key = key
        self._groups = dict(groups)

    def put(self, item: int, before: Facts | None, after: Facts | None) -> None:
        old = () if before is None else values_of(before, self._key)
        new = () if after is None else values_of(after, self._key)
        if old == new:
            return
        for value in old:
            self._groups.setdefault(value, BitMap()).discard(item)
        for value in new:
            self._groups.setdefault(value, BitMap()).add(item)

    def retag(self, bare: BitMap, clothed: BitMap) -> None:
        if self._key == "is":
            self._groups["untagged"] = (self._groups.get("untagged", BitMap()) - clothed) | bare

    def matching(self, leaf: Compare | Range) -> BitMap:
        found = [group for value, group in self._groups.items() if satisfies(leaf, value, now=0.0)]
        return BitMap.union(*found) if found else BitMap()

    def counts(self, live: BitMap) -> list[TagCount]:
        """Values in use, in order of their text."""
        counted = ((value, self._groups[value].intersection_cardinality(live)) for value in sorted(self._groups))
        return [TagCount(value, items) for value, items in counted if items]


class Ordered:
    """`size` or `added`."""

    def __init__(self, key: str, values: array[int], ids: array[int]) -> None:
        self._key = key
        self._ids = OrderedIds(values, ids)

    def put(self, item: int, before: Facts | None, after: Facts | None) -> None:
        old, new = _number(self._key, before), _number(self._key, after)
        if old != new:
            self._ids.put(item, old, new)

    def retag(self, bare: BitMap, clothed: BitMap) -> None:
        """Tags change no size."""

    def matching(self, leaf: Compare | Range) -> BitMap:
        found = ordered_stretches(leaf)
        assert found is not None
        first, *rest = [self._ids.between(low, high) for low, high in found]
        return first.union(*rest) if rest else first


def ordered_stretches(leaf: Compare | Range) -> list[Stretch] | None:
    """What a comparison of `size` or `added`, without ages, selects; None if their order says nothing about it."""
    return stretches(leaf, _size_span if leaf.key == "size" else _added_span)


def _size_span(bound: str) -> Span | None:
    return span(classify(bound), Kind.QUANTITY)


def _added_span(bound: str) -> Span | None:
    return span(classify(bound), Kind.DATE)


def _number(key: str, facts: Facts | None) -> int | None:
    """The value that is sorted: bytes, or whole seconds since 1970, which is as fine as `added` compares."""
    if facts is None:
        return None
    return facts.size if key == "size" else facts.added_ns // 1_000_000_000
