"""Who carries a tag, by pages of 65,536 items that are kept as bitmaps. Imports transaction; see each function.

    load (reader) ── tag_page has it ─────────▶ bytes          3 µs a thousand ids
                  └─ it has not ──────────────▶ tagging        0.15 µs an id ──▶ wanted, if they are many
    keep (writer) ── some pages a transaction, a while afterwards, from `tagging`

A page is dropped by triggers in the transaction that changes what it shows (`models.TRIGGERS`), so one that is there is
true. It is made anew only when somebody has had to read its taggings, which is once in a daemon's life, since bitmaps
stay in memory.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import trio
from pyroaring import BitMap

from engine.catalogue.transaction import Transaction
from engine.errors import EngineError
from engine.types import LAST_ITEM_ID

log = logging.getLogger(__name__)

Page = tuple[int, int]  # tag, number of the page

ITEMS: Final = 1 << 16  # of a page: what a roaring bitmap holds as one piece, 8 KB at most
WORTH: Final = 1_000  # ids; fewer are read from `tagging` in no time
PAUSE: Final = 1.0  # seconds before the first is kept: whoever asked for it has more to do meanwhile
CHUNK: Final = 50_000  # rows in one JSON array: about 7 ms

PAGES: Final = "SELECT page, items FROM tag_page WHERE tag = ? ORDER BY page"
TAG_IDS: Final = (
    "SELECT json_group_array(item)"
    " FROM (SELECT item FROM tagging WHERE tag = ? AND item > ? AND item < ? ORDER BY item LIMIT ?)"
)
KEEP: Final = "INSERT OR IGNORE INTO tag_page (tag, page, items) VALUES (?, ?, ?)"
DROP: Final = "DELETE FROM tag_page WHERE tag = ? AND page = ?"
ALL: Final = "SELECT tag, page, items FROM tag_page"


def load(connection: sqlite3.Connection, tag: int) -> tuple[BitMap, dict[Page, int]]:
    """The ids of all that carry the tag, and the pages that are worth keeping, with how many ids each has; within one
    snapshot."""
    ids, read, start = BitMap(), BitMap(), 0
    for page, items in connection.execute(PAGES, (tag,)).fetchall():
        try:
            kept = BitMap.deserialize(items)
        except (ValueError, IndexError):  # damaged: `wrong` tells of it, and its taggings are there
            continue
        read |= scan(connection, tag, start, page * ITEMS)
        ids |= kept
        start = (page + 1) * ITEMS
    read |= scan(connection, tag, start, LAST_ITEM_ID + 1)
    return ids | read, {(tag, page): count for page, count in _large(read)}


def scan(connection: sqlite3.Connection, tag: int, start: int, stop: int) -> BitMap:
    """The ids from `start` to before `stop` that carry the tag, by its taggings."""
    ids, last = BitMap(), start - 1
    while True:
        ((text,),) = connection.execute(TAG_IDS, (tag, last, stop, CHUNK)).fetchall()
        chunk = json.loads(text)
        ids.update(chunk)
        if len(chunk) < CHUNK:
            return ids
        last = chunk[-1]


def _large(ids: BitMap) -> Iterator[tuple[int, int]]:
    """The numbers of the pages in which there are many, and how many."""
    start = 0
    while start <= LAST_ITEM_ID and ids.range_cardinality(start, LAST_ITEM_ID + 1):
        page = ids.next_set_bit(start) // ITEMS
        start = (page + 1) * ITEMS
        count = ids.range_cardinality(page * ITEMS, start)
        if count >= WORTH:
            yield page, count


def keep(transaction: Transaction, pages: Iterable[Page]) -> None:
    """Make them of what `tagging` says now."""
    for tag, page in pages:
        ids = scan(transaction.connection, tag, page * ITEMS, (page + 1) * ITEMS)
        if len(ids) >= WORTH:
            transaction.connection.execute(KEEP, (tag, page, _bytes(ids)))


def wrong(connection: sqlite3.Connection) -> Iterator[Page]:
    """Those that do not say what `tagging` says."""
    for tag, page, items in connection.execute(ALL):
        if items != _bytes(scan(connection, tag, page * ITEMS, (page + 1) * ITEMS)):
            yield tag, page


def drop_wrong(connection: sqlite3.Connection) -> None:
    for page in list(wrong(connection)):
        connection.execute(DROP, page)


def _bytes(ids: BitMap) -> bytes:
    """The same ids have the same bytes."""
    ids.run_optimize()
    return bytes(ids.serialize())


class Keeper:
    """State: the pages that are worth keeping, with how many ids each has, in the order in which they were asked for.
    On the trio thread."""

    def __init__(self) -> None:
        self._wanted: dict[Page, int] = {}
        self._asked = trio.Event()

    def want(self, pages: Mapping[Page, int]) -> None:
        self._wanted.update(pages)
        if self._wanted:
            self._asked.set()

    async def run(self, write: Callable[[Sequence[Page]], Awaitable[None]]) -> None:
        """For ever: `write` some, one batch after the other."""
        while True:
            await self._asked.wait()
            await trio.sleep(PAUSE)
            while batch := self._batch():
                try:
                    await write(batch)
                except EngineError as error:  # a full disk: they are read from `tagging` as before
                    log.info("pages of tags are not kept: %s", error)
                    self._wanted.clear()
            self._asked = trio.Event()

    def _batch(self) -> list[Page]:
        """For one transaction, so short that whoever else writes need not wait for long: 10 ms."""
        batch: list[Page] = []
        ids = 0
        while self._wanted and ids < ITEMS:
            page = next(iter(self._wanted))
            ids += self._wanted.pop(page)
            batch.append(page)
        return batch
