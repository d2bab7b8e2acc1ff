"""Scans: read-only connections, each used on one worker thread at a time. Imports database; called on the trio thread.

Two at once: one may be busy with a listing of 100,000 rows while the other answers, and on the disk's side more readers
would only take bandwidth from each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeVar

import trio
from peewee import SqliteDatabase

from engine.catalogue.database import open_reader
from engine.errors import first_of

A = TypeVar("A")
T = TypeVar("T")

READERS: Final = 2


class Readers:
    """State: the connections that nobody uses now; they are opened when first needed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._idle: list[SqliteDatabase] = []
        self._limit = trio.CapacityLimiter(READERS)

    async def run(self, scan: Callable[[SqliteDatabase], T]) -> T:
        """`scan(database)` on a worker thread. It sees one snapshot for each statement, or one for a transaction."""
        async with self._limit:
            database = self._idle.pop() if self._idle else open_reader(self._path)
            try:
                # Not cancellable: the connection comes back only when the thread has let go of it.
                return await trio.to_thread.run_sync(scan, database)
            finally:
                self._idle.append(database)

    async def map(self, scan: Callable[[A, SqliteDatabase], T], parts: Sequence[A]) -> list[T]:
        """`scan(part, database)` of each, on all threads at once."""
        found: dict[int, T] = {}
        left = iter(enumerate(parts))

        async def work() -> None:
            for number, part in left:
                found[number] = await self.run(partial(scan, part))

        try:
            async with trio.open_nursery() as nursery:
                for _ in range(READERS):
                    nursery.start_soon(work)
        except BaseExceptionGroup as group:
            raise first_of(group) from None
        return [found[number] for number in range(len(parts))]

    def close(self) -> None:
        """Once nothing runs any more."""
        for database in self._idle:
            database.close()
        self._idle.clear()
