"""One transaction, as the functions that write see it. Imports points, journal; on the writer thread.

A job is a function of a `Transaction`. It reads and writes through the connection and notes what it did to items and
tags. The facts before and after come from the database itself, within the transaction, so they are exact. From them
`seal` keeps `tag.items`, the one number that is stored twice, and the journal, which no function can forget therefore.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from engine import history
from engine.catalogue import journal, points
from engine.errors import NoSuchItem
from engine.history import Cause, Entry, What
from engine.types import Change, Facts, Item, ItemId, TagChange

ADJUST_COUNT = "UPDATE tag SET items = items + ? WHERE name = ?"


@dataclass(slots=True)
class Transaction:
    """`clock` gives nanoseconds since the epoch. `entries` are rows of the journal that do not follow from `changes`
    and `tags`: a change to very many items is one `Entry` with their bitmap, and not in `changes`. `removed`: what undo
    needs of empty folders that are gone without a trace, beside what `changes` say."""

    connection: sqlite3.Connection
    clock: Callable[[], int]
    cause: Cause = Cause.MOUNT
    undoes: int | None = None  # the call that this transaction takes back
    changes: list[Change] = field(default_factory=list)
    tags: list[TagChange] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    removed: dict[ItemId, What] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)  # by tag: more or fewer live items, beside `changes`

    def item(self, number: int) -> Item:
        """NoSuchItem if there is none, live or trashed."""
        item = points.item(self.connection, number)
        if item is None:
            raise NoSuchItem(f"there is no item {number}")
        return item

    def facts(self, number: int) -> Facts:
        return self.both(number)[1]

    def both(self, number: int) -> tuple[Item, Facts]:
        found = points.both(self.connection, number)
        if found is None:
            raise NoSuchItem(f"there is no item {number}")
        return found

    @contextmanager
    def changing(self, number: int) -> Iterator[Facts]:
        """Notes what the body does to item `number`, which exists before and after; gives the facts before."""
        before = self.facts(number)
        yield before
        self.changes.append(Change(ItemId(number), before, self.facts(number)))

    def made(self, number: int) -> Item:
        row, after = self.both(number)
        self.changes.append(Change(ItemId(number), None, after))
        return row

    def forgotten(self, number: int, before: Facts) -> None:
        self.changes.append(Change(ItemId(number), before, None))

    def seal(self) -> None:
        """The last statements of each job: bring the counts of the tags up to date, and write the journal."""
        if entries := history.entries(self.changes, self.tags, self.removed) + self.entries:
            journal.write(
                self.connection, entries, at_ns=self.clock(), cause=self.cause, undoes=self.undoes
            )  # fmt: skip
        counts = self.counts
        for change in self.changes:
            for facts, step in ((change.before, -1), (change.after, 1)):
                if facts is not None and facts.live:
                    for name in facts.tags:
                        counts[name] += step
        steps = [(step, name) for name, step in counts.items() if step]
        if steps:
            self.connection.executemany(ADJUST_COUNT, steps)
