"""Items as columns. Imports points and scans; on a reader thread.

Each column of thousands of rows is one JSON array, made within SQLite: the interpreter's lock changes hands once a call
instead of once a row, and 106,000 rows take 0.27 s of CPU instead of 0.59, half of it without that lock.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from typing import Final

from peewee import SqliteDatabase

from engine.catalogue import scans
from engine.catalogue.database import raw
from engine.columns import Columns

AT_ONCE: Final = 5000  # items: 13 ms

COLUMNS: Final = (
    "SELECT json_group_array(i.id), json_group_array(coalesce(i.size, 0)), json_group_array(i.mode),"
    " json_group_array(i.mtime_ns), json_group_array(i.added_ns),"
    " json_group_array((SELECT count(*) FROM tagging t WHERE t.item = i.id) + (i.parent IS NOT NULL)),"
    " CAST(group_concat(i.name, '/') AS BLOB),"
    " json_group_array(i.id) FILTER (WHERE i.kind <> 'file' OR i.state NOT IN ('complete', 'seeding'))"
    " FROM json_each(?) j JOIN item i ON i.id = j.value"
)


def columns(ids: Sequence[int], database: SqliteDatabase) -> Columns:
    """`ids` ascend; those that do not exist are left out."""
    with database.atomic():  # one snapshot for both
        [row] = raw(database).execute(COLUMNS, (json.dumps(ids),)).fetchall()
        numbers, sizes, modes, mtimes, added, paths, names, odd = row
        others = scans.items(database, json.loads(odd))
    return Columns(
        array("I", json.loads(numbers)),
        names or b"",
        array("q", json.loads(sizes)),
        array("I", json.loads(modes)),
        array("q", json.loads(mtimes)),
        array("q", json.loads(added)),
        array("I", json.loads(paths)),
        {item.id: item for item in others},
    )
