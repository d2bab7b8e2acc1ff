"""The whole catalogue as JSON lines, as of one moment. Imports database, points; each step on a worker thread.

    header ─▶ tags ─▶ relations ─▶ saved queries ─▶ items, a folder before what is in it

docs/export-format.md describes the lines. All come out of one read transaction on a connection of its own, so that
whoever reads slowly holds up nobody, and sees nothing of what is written meanwhile. A page of items at a time is in
memory, and of what folders hold the ids.
"""

from __future__ import annotations

import json
import os
import sqlite3
from array import array
from base64 import b64encode
from collections import defaultdict
from collections.abc import Generator, Iterator
from typing import Any, Final

VERSION: Final = 1
PAGE: Final = 1_000  # items read together

COLUMNS: Final = (
    "SELECT i.id, i.name, i.kind, i.state, i.size, b.sha256, b.mime, i.mtime_ns, i.mtime_given, i.added_ns, i.mode,"
    " i.target, i.error, i.trashed_ns, i.parent"
)
TOP: Final = (
    COLUMNS + " FROM item i LEFT JOIN blob b ON b.id = i.blob WHERE i.parent IS NULL AND i.id > ? ORDER BY i.id LIMIT ?"
)
ROWS: Final = (
    COLUMNS + " FROM json_each(?) j JOIN item i ON i.id = j.value LEFT JOIN blob b ON b.id = i.blob ORDER BY j.key"
)
INNER: Final = (
    "WITH RECURSIVE inner(id, depth) AS ("
    "SELECT i.id, 1 FROM item f JOIN item i ON i.parent = f.id WHERE f.parent IS NULL"
    " UNION ALL SELECT i.id, n.depth + 1 FROM inner n JOIN item i ON i.parent = n.id)"
    " SELECT id FROM inner ORDER BY depth, id"
)
COUNT: Final = "SELECT count(*) FROM item"
TAGS: Final = "SELECT name FROM tag ORDER BY id"
RELATIONS: Final = (
    "SELECT t.name, r.kind, o.name FROM relation r JOIN tag t ON t.id = r.tag JOIN tag o ON o.id = r.other"
    " ORDER BY t.name, r.kind, o.name"
)
QUERIES: Final = "SELECT name, text, added_ns FROM saved_query ORDER BY id"
TAGGED: Final = (
    "SELECT t.item, g.name FROM json_each(?) j JOIN tagging t ON t.item = j.value JOIN tag g ON g.id = t.tag"
)
XATTRS: Final = "SELECT x.item, x.name, x.value FROM json_each(?) j JOIN xattr x ON x.item = j.value ORDER BY x.name"
SOURCES: Final = (
    "SELECT s.item, s.kind, s.url, s.public_url, s.host FROM json_each(?) j JOIN source s ON s.item = j.value"
    " ORDER BY s.item, s.position"
)

Line = dict[str, Any]


def lines(connection: sqlite3.Connection, *, secrets: bool) -> Generator[str, None, None]:
    """Without line breaks, in ASCII. `secrets`: with the URLs as they are, which may hold passwords and tokens."""
    connection.execute("BEGIN")
    try:
        for line in _lines(connection, secrets=secrets):
            yield json.dumps(line, separators=(",", ":")).replace("\x7f", "\\u007f")
    finally:
        connection.execute("ROLLBACK")


def _lines(connection: sqlite3.Connection, *, secrets: bool) -> Iterator[Line]:
    ((items,),) = connection.execute(COUNT).fetchall()
    yield {"tagfs": "catalogue", "version": VERSION, "items": items}
    for (name,) in connection.execute(TAGS):
        yield {"tag": name}
    for relation in connection.execute(RELATIONS):
        yield {"relation": list(relation)}
    for name, text, added_ns in connection.execute(QUERIES):
        yield {"query": os.fsdecode(name), "text": text, "added_ns": added_ns}
    last = 0
    while rows := connection.execute(TOP, (last, PAGE)).fetchall():
        last = rows[-1][0]
        yield from _items(connection, rows, secrets=secrets)
    inner = array("I", (item for (item,) in connection.execute(INNER)))
    for start in range(0, len(inner), PAGE):
        ids = json.dumps(inner[start : start + PAGE].tolist())
        yield from _items(connection, connection.execute(ROWS, (ids,)).fetchall(), secrets=secrets)


def _items(connection: sqlite3.Connection, rows: list[tuple[Any, ...]], *, secrets: bool) -> Iterator[Line]:
    ids = json.dumps([row[0] for row in rows])
    tags: defaultdict[int, list[str]] = defaultdict(list)
    for item, name in connection.execute(TAGGED, (ids,)):
        tags[item].append(name)
    xattrs: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for item, name, value in connection.execute(XATTRS, (ids,)):
        xattrs[item][os.fsdecode(name)] = b64encode(value).decode()
    sources: defaultdict[int, list[Line]] = defaultdict(list)
    for item, kind, url, public_url, host in connection.execute(SOURCES, (ids,)):
        sources[item].append({"kind": kind, "url": url if secrets else public_url, "host": host})
    for row in rows:
        yield _item(row, sorted(tags[row[0]]), xattrs[row[0]], sources[row[0]])


def _item(row: tuple[Any, ...], tags: list[str], xattrs: dict[str, str], sources: list[Line]) -> Line:
    """Keys whose value is unknown or empty are left out."""
    (
        item, name, kind, state, size, sha256, mime, mtime_ns, mtime_given, added_ns, mode, target, error, trashed_ns,
        parent,
    ) = row  # fmt: skip
    line: Line = {
        "item": item, "name": os.fsdecode(name), "kind": kind, "state": state, "parent": parent, "size": size,
        "sha256": sha256, "mime": mime, "mtime_ns": mtime_ns, "mtime_given": bool(mtime_given) or None,
        "added_ns": added_ns, "mode": mode, "target": None if target is None else os.fsdecode(target), "error": error,
        "trashed_ns": trashed_ns, "tags": tags or None, "xattrs": xattrs or None, "sources": sources or None,
    }  # fmt: skip
    return {key: value for key, value in line.items() if value is not None}
