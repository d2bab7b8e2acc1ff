"""What `check` looks at: SQLite's own checks, then the rules that no constraint can say. On a reader thread.

Each rule is a query that finds the offenders, and the sentence about one of them. All run in one read transaction, so
that a commit in between cannot make them disagree.
"""

from __future__ import annotations

import sqlite3
from itertools import islice
from typing import Final

from peewee import SqliteDatabase

from engine.catalogue import pages
from engine.catalogue.database import raw
from engine.types import FIRST_ITEM_ID, LAST_ITEM_ID

# A broken database has one fault or a million; a person reads the first few of each kind.
SHOWN: Final = 20

WRONG_NUMBER: Final = "SELECT id FROM item WHERE id NOT BETWEEN ? AND ?"
WRONG_SIZE: Final = (
    "SELECT i.id, i.size, b.size FROM item i JOIN blob b ON b.id = i.blob"
    " WHERE i.state IN ('complete', 'seeding') AND i.size IS NOT b.size"
)
NEEDLESS_DOWNLOAD: Final = (
    "SELECT i.id, i.state FROM item i JOIN download d ON d.item = i.id WHERE i.state IN ('complete', 'seeding')"
)
WRONG_NAME: Final = (
    "SELECT id FROM item WHERE name IN (x'2e', x'2e2e') OR instr(name, x'2f') > 0 OR instr(name, x'00') > 0"
)
# In the trash, by themselves or with a folder.
GONE: Final = (
    "WITH RECURSIVE gone(id) AS (SELECT id FROM item WHERE trashed_ns IS NOT NULL"
    " UNION SELECT i.id FROM gone JOIN item i ON i.parent = gone.id)"
)
TRASHED_TWICE: Final = (
    f"{GONE} SELECT i.id, i.parent FROM gone JOIN item i ON i.parent = gone.id WHERE i.trashed_ns > 0"  # noqa: S608 -- constants, no values
)
NO_FOLDER: Final = (
    "SELECT i.id, i.parent FROM item i JOIN item p ON p.id = i.parent WHERE p.kind <> 'folder' OR i.parent = i.id"
)
# Most items are live: counting all taggings and taking off those of the trash is a tenth of joining all of them.
WRONG_COUNT: Final = (
    GONE + ", carried AS (SELECT tag, count(*) AS n FROM tagging GROUP BY tag),"  # noqa: S608 -- constants, no values
    " trashed AS (SELECT t.tag, count(*) AS n"
    " FROM gone JOIN tagging t ON t.item = gone.id GROUP BY t.tag)"
    " SELECT g.name, g.items, ifnull(carried.n, 0) - ifnull(trashed.n, 0) AS live FROM tag g"
    " LEFT JOIN carried ON carried.tag = g.id LEFT JOIN trashed ON trashed.tag = g.id WHERE g.items <> live"
)
WRONG_PAIR: Final = (
    "SELECT name FROM tag WHERE (key IS NULL AND instr(name, ':') > 0)"
    " OR (key IS NOT NULL AND (value IS NULL OR instr(key, ':') > 0 OR name <> key || ':' || value))"
)
WRONG_HASH: Final = "SELECT sha256 FROM blob WHERE length(sha256) <> 64 OR sha256 GLOB '*[^0-9a-f]*'"
WRONG_CAUSES: Final = (
    "SELECT id FROM journal WHERE cause NOT IN ('mount', 'command', 'download', 'rule', 'upkeep', 'undo')"
)
WRONG_CALL: Final = (
    "SELECT id, call FROM journal WHERE call > id OR undoes >= call"
    " OR (item IS NOT NULL AND items IS NOT NULL) OR NOT json_valid(what)"
)

# (query, its parameters, the sentence with a place for each column)
RULES: Final[tuple[tuple[str, tuple[int, ...], str], ...]] = (
    (WRONG_NUMBER, (FIRST_ITEM_ID, LAST_ITEM_ID), "item {} is outside of the range of item numbers"),
    (WRONG_SIZE, (), "item {} has {} bytes but its blob has {}"),
    (NEEDLESS_DOWNLOAD, (), "item {} is {} but still has a download"),
    (WRONG_NAME, (), "item {} has a name that no file can have"),
    (TRASHED_TWICE, (), "item {} is in the trash by itself and with its folder {}"),
    (NO_FOLDER, (), "item {} is in item {}, which is no folder"),
    (WRONG_COUNT, (), "tag {!r} counts {} live items and has {}"),
    (WRONG_PAIR, (), "tag {!r} is not the pair of its key and value"),
    (WRONG_CAUSES, (), "row {} of the history does not say who did it"),
    (WRONG_CALL, (), "row {} of the history, of change {}, contradicts itself"),
    (WRONG_HASH, (), "blob {!r} is not named by the lower-case hex of a SHA-256"),
)


def check(database: SqliteDatabase) -> list[str]:
    """One sentence a fault, empty when sound."""
    connection = raw(database)
    try:
        connection.execute("BEGIN")
        try:
            return _faults(connection)
        finally:
            connection.execute("ROLLBACK")
    except sqlite3.DatabaseError as error:
        return [f"the database cannot be read: {error}"]


def _faults(connection: sqlite3.Connection) -> list[str]:
    faults = [
        f"integrity_check: {text}"
        for (text,) in connection.execute("PRAGMA integrity_check(20)").fetchall()
        if text != "ok"
    ]
    for table, rowid, parent, _ in connection.execute("PRAGMA foreign_key_check").fetchmany(SHOWN):
        faults.append(f"foreign_key_check: row {rowid} of {table} points to a row of {parent} that does not exist")
    for query, parameters, sentence in RULES:
        faults += [sentence.format(*row) for row in connection.execute(query, parameters).fetchmany(SHOWN)]
    for tag, page in islice(pages.wrong(connection), SHOWN):
        faults.append(f"page {page} of who carries tag {tag} is not what its taggings say")
    return faults
