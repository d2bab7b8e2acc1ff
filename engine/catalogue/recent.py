"""What was read since the last commit, so that it is not read again. On the trio thread.

Between two commits the kernel has the same few rows read three times over (stat, lstat and open of one name), each time
7 µs of SQLite, and 50 where the writer thread has the interpreter's lock.

State: the answers, and the number of commits that they are of. A commit is counted before anybody is told of it, so who
has been told finds nothing of before. Commits of nothing but `edits.is_about_tags` are not counted: they are frequent,
and each says which item it changed and what its row is then, when those who asked for it are told.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

from engine.catalogue import points
from engine.types import Item

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MOST: Final = 1000  # answers
_OF_ITEM: Final = (points.item, points.tags, points.facts)
_NONE: Final = object()


class Recent:
    """`commits` says how many there have been; reads go to `connection`. What they return is not to be changed."""

    def __init__(self, connection: sqlite3.Connection, commits: Callable[[], int]) -> None:
        self._connection = connection
        self._commits = commits
        self._counted = commits()
        self._found: dict[tuple[Callable[..., Any], Hashable], Any] = {}

    def read(self, read: Callable[[sqlite3.Connection, K], V], key: K) -> V:
        """What `read(connection, key)` returns, one of `points`."""
        counted = self._commits()
        if counted != self._counted or len(self._found) >= MOST:
            self._counted = counted
            self._found.clear()
        found = self._found.get((read, key), _NONE)
        if found is _NONE:
            found = self._found[read, key] = read(self._connection, key)
        answer: V = found
        return answer

    def changed(self, row: Item, commit: int) -> None:
        """An item has this row since a commit that was not counted, when `commit` others had been. Of two groups the
        one that was committed first is told of first. A row of a counted commit (`writer.MIXED`) is not kept: a later
        job of the same group may have changed it, be it the sealing of what was just written."""
        for read in _OF_ITEM:
            self._found.pop((read, row.id), None)
        if commit == self._counted == self._commits():
            self._found[points.item, row.id] = row
