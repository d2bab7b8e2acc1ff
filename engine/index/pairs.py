"""The values of one own key, in order: which tags does a comparison select? Imports cuts and entry; on the trio thread.

Values of a kind (number, date, text) stand in one sorted list, so that a range is two bisections and a slice. Where a
comparison goes across kinds in a way that this order does not know, each value of that list is looked at.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from engine.index.cuts import position, stretches
from engine.index.entry import Entry
from query.ast import Compare, Range
from query.evaluate import satisfies
from query.values import Kind, Span, classify, span


@dataclass(slots=True)
class Column:
    """The values of one kind: three lists of equal length, sorted by sort key, then by text."""

    kind: Kind
    keys: list[Any] = field(default_factory=list)  # sort keys of one kind, which compare with each other
    texts: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def place(self, key: Any, text: str) -> int:
        low = bisect_left(self.keys, key)
        return bisect_left(self.texts, text, low, bisect_right(self.keys, key, low))

    def matching(self, leaf: Compare | Range) -> list[Entry]:
        found = stretches(leaf, self._span)
        if found is None:
            pairs = zip(self.texts, self.entries, strict=True)
            return [entry for text, entry in pairs if satisfies(leaf, text, now=0.0)]
        entries: list[Entry] = []
        for low, high in found:
            start = 0 if low is None else position(self.keys, low)
            end = len(self.keys) if high is None else position(self.keys, high)
            entries += self.entries[start:end]
        return entries

    def _span(self, bound: str) -> Span | None:
        return span(classify(bound), self.kind)


class Values:
    """State: a column for each kind."""

    def __init__(self) -> None:
        self._columns = {kind: Column(kind) for kind in Kind}

    def __bool__(self) -> bool:
        return any(column.entries for column in self._columns.values())

    def __iter__(self) -> Iterator[Entry]:
        """Numbers and years by size, then dates, then text."""
        numbers: list[tuple[Any, str, Entry]] = []
        for kind in (Kind.QUANTITY, Kind.YEAR):
            column = self._columns[kind]
            numbers += zip(column.keys, column.texts, column.entries, strict=True)
        numbers.sort(key=lambda row: row[:2])
        yield from (entry for _, _, entry in numbers)
        yield from self._columns[Kind.DATE].entries
        yield from self._columns[Kind.TEXT].entries

    def insert(self, text: str, entry: Entry) -> None:
        value = classify(text)
        column = self._columns[value.kind]
        place = column.place(value.key, text)
        column.keys.insert(place, value.key)
        column.texts.insert(place, text)
        column.entries.insert(place, entry)

    def remove(self, text: str, entry: Entry) -> None:
        value = classify(text)
        column = self._columns[value.kind]
        place = column.place(value.key, text)
        assert column.entries[place] is entry
        del column.keys[place], column.texts[place], column.entries[place]

    def matching(self, leaf: Compare | Range) -> list[Entry]:
        return [entry for column in self._columns.values() for entry in column.matching(leaf)]
