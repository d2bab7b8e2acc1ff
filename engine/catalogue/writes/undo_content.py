"""Gives items the content back that a change took from them. On the writer thread, within the transaction of an undo.

The old content is in the trash, as an item that the change made there: then the two exchange all that comes with the
content, its date and mode and origin and torrent, and what was the content until now is in the trash instead. Where
that item has ended, the content may still be there for another one; what the change had brought is kept in the trash
then, unless some item has it anyway.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pyroaring import BitMap

from engine.catalogue import journal, points
from engine.catalogue.transaction import Transaction
from engine.catalogue.writes import superseded
from engine.catalogue.writes.superseded import LATER_KEYS, MOVE_FILE, MOVE_FILES, MOVE_TORRENT
from engine.errors import Changed
from engine.history import Record
from engine.types import BlobId, Item, Kind, State
from query.errors import show

PUT: Final = "UPDATE item SET state = 'complete', blob = ?, size = ?, error = NULL WHERE id = ?"
USED: Final = "SELECT 1 FROM item WHERE blob = ? LIMIT 1"
CARRIED: Final = "SELECT state, size, blob, mtime_ns, mtime_given, mode, error FROM item WHERE id = ?"
CARRY: Final = (
    "UPDATE item SET state = ?, size = ?, blob = ?, mtime_ns = ?, mtime_given = ?, mode = ?, error = ? WHERE id = ?"
)
# Three steps by way of a number that no item has; the keys are checked when all of it is done.
EXCHANGES: Final = (
    "UPDATE source SET item = ? WHERE item = ?",
    MOVE_FILE,
    MOVE_TORRENT,
    MOVE_FILES,
)
NOBODY: Final = 0


def put_back(transaction: Transaction, records: Iterable[Record], there: dict[int, BitMap]) -> None:
    records = list(records)
    holders = {
        row.sha256: row.id
        for record in records
        if "content" in record.what or (record.what.get("made") and record.what.get("trashed"))
        for row in map(transaction.item, there[record.id])
        if row.kind is Kind.FILE and ("content" in record.what or row.trashed_ns is not None)
    }
    replaced: list[tuple[int, BlobId]] = []
    for record in records:
        if "content" in record.what:
            old, new = record.what["content"]
            for item in there[record.id]:
                row = transaction.item(item)
                _check(transaction, row, record, old, new)
                if row.sha256 != old:
                    replaced += _put(transaction, row, old, holders.get(old))
    for item, blob in replaced:
        if not transaction.connection.execute(USED, (blob,)).fetchall():
            transaction.made(superseded.copy(transaction, transaction.item(item), State.COMPLETE, blob, None))


def _check(transaction: Transaction, row: Item, record: Record, old: str, new: str | None) -> None:
    if not row.state.whole or points.staged(transaction.connection, row.id):
        raise Changed(f"{show(row.name)} is being written or fetched")
    if new is None:  # it was still being written then: what came of it is what it has, unless it changed once more
        later = journal.later_content(transaction.connection, row.id, record.id)
    else:
        later = row.sha256 not in (old, new)
    if later:
        raise Changed(f"the content of {show(row.name)} was changed since")


def _put(transaction: Transaction, row: Item, old: str, holder: int | None) -> list[tuple[int, BlobId]]:
    """The content of `row` is `old` again. What it was until now, where it may be that nobody has that afterwards."""
    if holder is not None and holder != row.id and transaction.item(holder).sha256 == old:
        _exchange(transaction, row.id, holder)
        return []
    found = points.blob(transaction.connection, old)
    if found is None:
        raise Changed(f"the old content of {show(row.name)} is gone: it is not in the trash (any more)")
    superseded.leave_torrent(transaction, row.id)
    with transaction.changing(row.id):
        transaction.connection.execute(PUT, (found.id, found.size, row.id))
    return [(row.id, row.blob)] if row.blob is not None and row.size else []


def _exchange(transaction: Transaction, one: int, other: int) -> None:
    connection = transaction.connection
    if points.staged(connection, other):
        raise Changed(f"{show(transaction.item(other).name)} is being written or fetched")
    [of_one], [of_other] = (connection.execute(CARRIED, (item,)).fetchall() for item in (one, other))
    connection.execute(LATER_KEYS)
    with transaction.changing(one), transaction.changing(other):
        connection.execute(CARRY, (*of_other, one))
        connection.execute(CARRY, (*of_one, other))
        for move in EXCHANGES:
            for new, old in ((NOBODY, one), (one, other), (other, NOBODY)):
                connection.execute(move, (new, old))
