"""What the index loads: bitmaps and ordered arrays. Imports transaction; on the writer (opening) or a reader thread.

Numbers come out of SQLite as one JSON array for thousands of rows: 0.15 µs an id instead of 0.3 row by row, and the
interpreter's lock changes hands once a chunk instead of once a row, which the event loop feels.
"""

from __future__ import annotations

import json
import os
import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any, Final

from peewee import SqliteDatabase
from pyroaring import BitMap

from engine.catalogue import pages
from engine.catalogue.database import raw
from engine.catalogue.pages import CHUNK
from engine.catalogue.transaction import Transaction
from engine.media_types import media_types
from engine.ports import Opening
from engine.types import LAST_ITEM_ID, State, extension, timestamp
from query.ast import Compare, Op, Range
from query.evaluate import satisfies
from query.relations import Relation, RelationKind

STATE_IDS: Final = (
    "SELECT json_group_array(id) FROM (SELECT id FROM item"
    " WHERE state = ? AND id > ? AND trashed_ns IS NULL ORDER BY id LIMIT ?)"
)
TRASHED: Final = "SELECT id FROM item WHERE trashed_ns IS NOT NULL"
HELD: Final = "SELECT parent, json_group_array(id) FROM item WHERE parent IS NOT NULL GROUP BY parent"
INNER_FOLDERS: Final = "SELECT id FROM item INDEXED BY item_inner_folder WHERE kind = 'folder' AND parent IS NOT NULL"
ALL_TAGS: Final = "SELECT id, name, items FROM tag"
RELATIONS: Final = (
    "SELECT t.name, r.kind, o.name FROM relation r JOIN tag t ON t.id = r.tag JOIN tag o ON o.id = r.other"
)
UNTAGGED: Final = "SELECT id FROM item WHERE NOT EXISTS (SELECT 1 FROM tagging WHERE tagging.item = item.id)"
SOURCES: Final = "SELECT DISTINCT item, kind FROM source"
HOSTS: Final = "SELECT DISTINCT item, host FROM source WHERE host <> ''"
FILE_NAMES: Final = "SELECT id, name FROM item WHERE kind = 'file'"
FILE_TYPES: Final = "SELECT i.id, i.name, b.mime FROM item i LEFT JOIN blob b ON b.id = i.blob WHERE i.kind = 'file'"
NAMES: Final = "SELECT id, name FROM item WHERE trashed_ns IS NULL"
NAMED: Final = "SELECT id, name FROM item WHERE trashed_ns IS NULL AND name = ?"
HASHES: Final = "SELECT i.id, b.sha256 FROM item i JOIN blob b ON b.id = i.blob WHERE i.trashed_ns IS NULL"
HASHED: Final = HASHES + " AND b.sha256 = ?"
SIZES: Final = "SELECT size, id FROM item WHERE trashed_ns IS NULL AND size IS NOT NULL ORDER BY size, id"
ADDED: Final = "SELECT added_ns / 1000000000, id FROM item WHERE trashed_ns IS NULL ORDER BY added_ns / 1000000000, id"

ORDERED: Final = {"size": SIZES, "added": ADDED}


def opening(transaction: Transaction) -> Opening:
    """On the writer thread, so that its place in the order of commits is known."""
    connection = transaction.connection
    states = {state.value: _ids(connection, STATE_IDS, state.value) for state in State}
    tags = connection.execute(ALL_TAGS).fetchall()
    held = {folder: BitMap() for (folder,) in connection.execute(INNER_FOLDERS)}
    held |= {folder: BitMap(json.loads(ids)) for folder, ids in connection.execute(HELD)}
    relations = [Relation(tag, RelationKind(kind), other) for tag, kind, other in connection.execute(RELATIONS)]
    return Opening({state: ids for state, ids in states.items() if ids}, tags, held, relations)


def carriers(transaction: Transaction, tag: int) -> BitMap:
    """As `tagged`, for one tag, on the writer thread."""
    return pages.scan(transaction.connection, tag, 0, LAST_ITEM_ID + 1) - _trashed(transaction.connection)


def tagged(database: SqliteDatabase, tags: Collection[int]) -> tuple[dict[int, BitMap], dict[pages.Page, int]]:
    """And the pages of them that are worth keeping, with how many ids each has."""
    worth: dict[pages.Page, int] = {}
    found: dict[int, BitMap] = {}
    with database.atomic():  # one snapshot for all
        trashed = _trashed(raw(database))
        for tag in tags:
            ids, more = pages.load(raw(database), tag)
            found[tag] = ids - trashed
            worth |= more
    return found, worth


def valued(database: SqliteDatabase, key: str) -> dict[str, BitMap]:
    groups: defaultdict[str, array[int]] = defaultdict(lambda: array("I"))
    with database.atomic():
        trashed = _trashed(raw(database))
        for item, value in _values(raw(database), key):
            groups[value].append(item)
    return {value: BitMap(ids) - trashed for value, ids in groups.items()}


def ordered(database: SqliteDatabase, key: str) -> tuple[array[int], array[int]]:
    values, ids = array("q"), array("I")
    for value, item in raw(database).execute(ORDERED[key]):
        values.append(value)
        ids.append(item)
    return values, ids


def search(database: SqliteDatabase, leaf: Compare | Range) -> BitMap:
    rows = _candidates(raw(database), leaf)
    return BitMap([item for item, value in rows if satisfies(leaf, value, now=0.0)])


def _trashed(connection: sqlite3.Connection) -> BitMap:
    """Few, as a rule: cheaper to take off than to join with."""
    return BitMap([item for (item,) in connection.execute(TRASHED)])


def _ids(connection: sqlite3.Connection, query: str, value: str | int) -> BitMap:
    """The ids that `query` gives in ascending order, chunk by chunk."""
    ids, last = BitMap(), -1
    while True:
        ((text,),) = connection.execute(query, (value, last, CHUNK)).fetchall()
        chunk = json.loads(text)
        ids.update(chunk)
        if len(chunk) < CHUNK:
            return ids
        last = max(chunk)


def _values(connection: sqlite3.Connection, key: str) -> Iterator[tuple[int, str]]:
    match key:
        case "source":
            yield from connection.execute(SOURCES)
        case "host":
            yield from connection.execute(HOSTS)
        case "is":
            yield from ((item, "untagged") for (item,) in connection.execute(UNTAGGED))
        case "ext":
            for item, name in connection.execute(FILE_NAMES):
                if ext := extension(os.fsdecode(name)):
                    yield item, ext
        case "type":
            yield from _types(connection)
        case _:
            raise AssertionError(key)


def _types(connection: sqlite3.Connection) -> Iterator[tuple[int, str]]:
    """A million names have a few hundred endings: each is looked up once (5 µs a look-up)."""
    known: dict[tuple[bytes, str | None], tuple[str, ...]] = {}
    for item, name, mime in connection.execute(FILE_TYPES):
        dot = name.rfind(b".")
        ending = name[dot:] if dot > 0 and not name.startswith(b".") and b":" not in name else None
        types = None if ending is None else known.get((ending, mime))
        if types is None:
            types = media_types(os.fsdecode(name), mime)
            if ending is not None:
                known[ending, mime] = types
        for value in types:
            yield item, value


def _candidates(connection: sqlite3.Connection, leaf: Compare | Range) -> Iterator[tuple[int, str]]:
    """(item, value) of all items that may match `leaf`."""
    match leaf:
        case Compare("name", Op.EQ, value):
            return _decoded(connection.execute(NAMED, (os.fsencode(value),)))
        case Compare("name") | Range("name"):
            return _decoded(connection.execute(NAMES))
        case Compare("sha256", Op.EQ, value):
            return iter(connection.execute(HASHED, (value.lower(),)))
        case Compare("sha256") | Range("sha256"):
            return iter(connection.execute(HASHES))
        case Compare("size") | Range("size"):
            return ((item, str(size)) for size, item in connection.execute(SIZES))
        case Compare("added") | Range("added"):
            return ((item, timestamp(seconds * 10**9)) for seconds, item in connection.execute(ADDED))
        case _:
            raise AssertionError(leaf)


def _decoded(rows: Any) -> Iterator[tuple[int, str]]:
    return ((item, os.fsdecode(name)) for item, name in rows)
