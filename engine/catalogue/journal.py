"""The journal's rows in the database: written at the end of each transaction, read by `tagfs log`, cut at its old end.

Imports history. `write` and `cut` on the writer thread within a transaction, the others also on a reader thread.

The rows of a transaction follow each other and name the first of them as their `call`, so the rows of a call are found
without an index. What one item went through is found by looking at all rows.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from itertools import islice
from typing import Any, Final, Protocol

from peewee import SqliteDatabase
from pyroaring import BitMap

from engine.catalogue.database import raw
from engine.history import Cause, Entry, Record

INSERT_FIRST: Final = (
    "INSERT INTO journal (call, at_ns, cause, undoes, item, items, what)"
    " VALUES ((SELECT ifnull(max(id), 0) + 1 FROM journal), ?, ?, ?, ?, ?, ?)"
)
INSERT: Final = "INSERT INTO journal (call, at_ns, cause, undoes, item, items, what) VALUES (?, ?, ?, ?, ?, ?, ?)"
COLUMNS: Final = "id, call, at_ns, cause, undoes, item, items, what"
OF_CALL: Final = "SELECT " + COLUMNS + " FROM journal WHERE id >= ? ORDER BY id"  # noqa: S608 -- constants, no values
NEWEST: Final = "SELECT " + COLUMNS + " FROM journal WHERE id < ? AND at_ns >= ? ORDER BY id DESC"  # noqa: S608 -- constants, no values
OF_ITEM: Final = (
    "SELECT " + COLUMNS + " FROM journal"  # noqa: S608 -- constants, no values
    " WHERE id < ? AND at_ns >= ? AND (item = ? OR items IS NOT NULL) ORDER BY id DESC"
)  # fmt: skip
CONTENT: Final = "SELECT " + COLUMNS + " FROM journal WHERE id > ? AND (item = ? OR items IS NOT NULL)"  # noqa: S608 -- constants, no values
UNDOING: Final = "SELECT DISTINCT call FROM journal WHERE undoes = ? AND undoes IS NOT NULL"
CALLS: Final = "SELECT id, cause, undoes, what FROM journal WHERE id = call ORDER BY id DESC"
CALL: Final = "SELECT cause, undoes FROM journal WHERE id = ? AND call = id"
OLDEST: Final = "SELECT id, at_ns FROM journal ORDER BY id LIMIT ?"
ENDS: Final = "SELECT min(id), max(id) FROM journal"
CUT: Final = "DELETE FROM journal WHERE id <= ?"

NEVER: Final = 2**62  # an id above all

_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


def write(
    connection: sqlite3.Connection, entries: Sequence[Entry], *, at_ns: int, cause: Cause, undoes: int | None
) -> None:
    first, *rest = entries
    call = connection.execute(INSERT_FIRST, (at_ns, cause.value, undoes, *_columns(first))).lastrowid
    if rest:
        connection.executemany(INSERT, [(call, at_ns, cause.value, undoes, *_columns(entry)) for entry in rest])


def _columns(entry: Entry) -> tuple[int | None, bytes | None, str]:
    items = None
    if entry.items is not None:
        entry.items.run_optimize()
        items = entry.items.serialize()
    return entry.item, items, _encode(entry.what)


# -- reading -------------------------------------------------------------------------------------------------------
def rows_of(connection: sqlite3.Connection, call: int) -> list[Record]:
    """The rows of a call in their order; empty where there is none of that number, or the first of it is gone."""
    found: list[Record] = []
    cursor = connection.execute(OF_CALL, (call,))
    for row in cursor:
        if row[1] != call or (not found and row[0] != call):
            break
        found.append(_record(row))
    cursor.close()
    return found


def log(database: SqliteDatabase, item: int | None, before: int | None, since_ns: int, limit: int) -> list[Record]:
    """The newest first: of all, or of one item; only ids below `before`, at most `limit`."""
    upto = NEVER if before is None else before
    if item is None:
        cursor = raw(database).execute(NEWEST, (upto, since_ns))
    else:
        cursor = raw(database).execute(OF_ITEM, (upto, since_ns, item))
    try:
        records = map(_record, cursor)
        return list(islice((record for record in records if item is None or item in record.items), limit))
    finally:
        cursor.close()


def later_content(connection: sqlite3.Connection, item: int, after: int) -> bool:
    """Whether the content of an item was changed again after the row `after`."""
    cursor = connection.execute(CONTENT, (after, item))
    try:
        return any(item in record.items for record in map(_record, cursor) if "content" in record.what)
    finally:
        cursor.close()


def undone_by(connection: sqlite3.Connection, call: int) -> int | None:
    """The call that took `call` back and was not taken back itself."""
    for (number,) in connection.execute(UNDOING, (call,)).fetchall():
        if undone_by(connection, number) is None:
            return int(number)
    return None


def undone(connection: sqlite3.Connection, calls: Collection[int]) -> dict[int, int]:
    return {call: by for call in calls if (by := undone_by(connection, call)) is not None}


def undoable(connection: sqlite3.Connection) -> int | None:
    """The last call of a person that was not taken back; what was dropped unused does not count."""
    cursor = connection.execute(CALLS)
    try:
        for number, cause, undoes, what in cursor:
            decided = undoes is None and Cause(cause).decided and not _only_drops(connection, number, what)
            if decided and undone_by(connection, number) is None:
                return int(number)
        return None
    finally:
        cursor.close()


def redoable(connection: sqlite3.Connection) -> int | None:
    """The last undo that holds, unless a person did something else since."""
    cursor = connection.execute(CALLS)
    try:
        for number, cause, undoes, what in cursor:
            if undoes is None:
                if Cause(cause).decided and not _only_drops(connection, number, what):
                    return None
            elif _depth(connection, undoes) % 2 == 0 and undone_by(connection, number) is None:
                return int(number)
        return None
    finally:
        cursor.close()


def _only_drops(connection: sqlite3.Connection, call: int, first: str) -> bool:
    """Whether `call`, whose first row says `first`, did nothing else. `mv D E` drops an empty E and renames D."""
    return "dropped" in json.loads(first) and all("dropped" in record.what for record in rows_of(connection, call))


def _depth(connection: sqlite3.Connection, call: int) -> int:
    """0: a change; 1: an undo; 2: the undo of an undo, ..."""
    depth = 0
    while rows := connection.execute(CALL, (call,)).fetchall():
        [(_, undoes)] = rows
        if undoes is None:
            break
        depth, call = depth + 1, undoes
    return depth


def _record(row: Sequence[Any]) -> Record:
    number, call, at_ns, cause, undoes, item, items, what = row
    alone = BitMap() if item is None else BitMap([item])
    members = alone if items is None else BitMap.deserialize(items)
    return Record(number, call, at_ns, Cause(cause), undoes, members, json.loads(what))


class Writing(Protocol):
    """A `transaction.Transaction`, which imports this module."""

    connection: sqlite3.Connection


# -- the old end ---------------------------------------------------------------------------------------------------
CUT_AT_ONCE: Final = 500


def cut(transaction: Writing, before_ns: int | None, keep_rows: int) -> bool:
    """Forget a few rows that are older than `before_ns` or more than `keep_rows`, the oldest first; whether there may
    be more. The newest stays in any case: ids go on from it."""
    connection = transaction.connection
    ((lowest, highest),) = connection.execute(ENDS).fetchall()
    if lowest is None:
        return False
    upto = 0
    rows = connection.execute(OLDEST, (CUT_AT_ONCE,)).fetchall()
    for number, at_ns in rows:
        if number == highest or not (number <= highest - keep_rows or (before_ns is not None and at_ns < before_ns)):
            break
        upto = number
    if upto:
        connection.execute(CUT, (upto,))
    return bool(rows) and upto == rows[-1][0]
