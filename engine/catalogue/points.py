"""Every indexed point read: its SQL text and what it returns. Imports types; on the thread that owns the connection.

The trio thread runs these on a connection of its own (7 µs each, where a worker thread costs 120), the writer thread
runs the same ones inside its transactions. A test lets EXPLAIN QUERY PLAN say SEARCH for each of QUERIES: no scan here.
 Every result is fetched whole, which ends the statement: an open one would pin an old snapshot.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.types import Blob, BlobId, Download, Facts, Item, ItemId, Kind, SavedQuery, Source, SourceKind, State

Row = tuple[Any, ...]

NAME_MAX: Final = 255  # bytes of a name: so many 0xff are above all that begin alike

ITEM_COLUMNS: Final = (
    "i.id, i.name, i.kind, i.state, i.size, b.sha256, i.blob, i.mtime_ns, i.added_ns, i.mode, i.target, i.error,"
    " i.trashed_ns, (SELECT count(*) FROM tagging t WHERE t.item = i.id), i.parent"
)
ITEM: Final = "SELECT " + ITEM_COLUMNS + " FROM item i LEFT JOIN blob b ON b.id = i.blob WHERE i.id = ?"  # noqa: S608 -- constants, no values
LIVE_NAMED: Final = "SELECT id FROM item WHERE name = ? AND trashed_ns IS NULL ORDER BY id"
NAMES: Final = (
    "SELECT DISTINCT name FROM item WHERE name >= ? AND name < ? AND trashed_ns IS NULL ORDER BY name LIMIT ?"
)
TRASH_NAMED: Final = "SELECT id FROM item WHERE name = ? AND trashed_ns IS NOT NULL ORDER BY id"
TAGS: Final = "SELECT g.name FROM tagging t JOIN tag g ON g.id = t.tag WHERE t.item = ?"
# One statement: each one gives the interpreter's lock away four times, to a loop that has use for it.
FACTS: Final = (
    "SELECT " + ITEM_COLUMNS + ", b.mime,"  # noqa: S608 -- constants, no values
    " (SELECT json_group_array(g.name) FROM tagging t JOIN tag g ON g.id = t.tag WHERE t.item = i.id),"
    " (SELECT json_group_array(json_array(s.kind, s.host)) FROM source s WHERE s.item = i.id)"
    " FROM item i LEFT JOIN blob b ON b.id = i.blob WHERE i.id = ?"
)
XATTRS: Final = "SELECT name, value FROM xattr WHERE item = ? ORDER BY name"
SOURCES: Final = "SELECT kind, url, public_url, host FROM source WHERE item = ? ORDER BY position"
DOWNLOAD_COLUMNS: Final = (
    "d.item, d.staging, d.size, d.etag, d.last_modified, d.ranges, d.digests, d.name_fixed, d.attempts, d.retry_at_ns,"
    " d.options"
)
DOWNLOAD: Final = "SELECT " + DOWNLOAD_COLUMNS + " FROM download d WHERE d.item = ?"  # noqa: S608 -- constants, no values
STAGED: Final = "SELECT staging FROM download WHERE item = ?"
DRAFTS: Final = "SELECT staging FROM draft WHERE item = ? ORDER BY id"
HOLDER: Final = (
    "SELECT item, id FROM draft WHERE staging = ?1 UNION ALL SELECT item, 0 FROM download WHERE staging = ?1 LIMIT 1"
)
BLOB: Final = "SELECT id, sha256, size FROM blob WHERE sha256 = ?"
BLOB_BY_DIGEST: Final = (
    "SELECT b.id, b.sha256, b.size FROM digest d JOIN blob b ON b.id = d.blob WHERE d.algorithm = ? AND d.hex = ?"
    " ORDER BY d.blob LIMIT 1"
)
DIGEST_OF: Final = "SELECT d.hex FROM blob b JOIN digest d ON d.blob = b.id WHERE b.sha256 = ? AND d.algorithm = ?"
BLOBS_OF_SIZE: Final = "SELECT id, sha256, size FROM blob WHERE size = ? ORDER BY id LIMIT 100"
CHILD: Final = "SELECT id FROM item WHERE parent = ? AND name = ? AND trashed_ns IS NULL ORDER BY id LIMIT 1"
HOLDS: Final = "SELECT 1 FROM item WHERE parent = ? AND trashed_ns IS NULL LIMIT 1"
NAMESAKE: Final = "SELECT 1 FROM item WHERE parent = ? AND name = ? AND trashed_ns IS NULL AND id <> ? LIMIT 1"
UP: Final = "SELECT parent, trashed_ns IS NOT NULL FROM item WHERE id = ?"
TAG: Final = "SELECT id FROM tag WHERE name = ?"
TAG_CARRIED: Final = "SELECT 1 FROM tagging WHERE tag = ? LIMIT 1"

RELATED: Final = "SELECT 1 FROM relation WHERE tag = ? AND kind = ? AND other = ?"
SAVED_QUERY: Final = "SELECT id, name, text, added_ns FROM saved_query WHERE name = ?"

TORRENT_OF: Final = "SELECT torrent, position FROM torrent_file WHERE item = ?"
IS_TORRENT: Final = "SELECT 1 FROM torrent WHERE item = ?"
TORRENT_V1: Final = "SELECT item FROM torrent WHERE v1 = ? ORDER BY item LIMIT 1"
TORRENT_V2: Final = "SELECT item FROM torrent WHERE v2 = ? ORDER BY item LIMIT 1"

SUGGESTIONS: Final = "SELECT tag, origin FROM suggestion WHERE item = ? AND state = 'open' ORDER BY tag"

# What the test explains; the value is the number of parameters.
QUERIES: Final[Mapping[str, int]] = {
    ITEM: 1, LIVE_NAMED: 1, NAMES: 3, TRASH_NAMED: 1, TAGS: 1, FACTS: 1, XATTRS: 1, SOURCES: 1, DOWNLOAD: 1,
    BLOB: 1, BLOB_BY_DIGEST: 2, DIGEST_OF: 2, BLOBS_OF_SIZE: 1, CHILD: 2, HOLDS: 1, NAMESAKE: 3, UP: 1,
    TAG: 1, TAG_CARRIED: 1, STAGED: 1, DRAFTS: 1, HOLDER: 1, TORRENT_OF: 1, IS_TORRENT: 1, TORRENT_V1: 1, TORRENT_V2: 1,
    RELATED: 3, SAVED_QUERY: 1, SUGGESTIONS: 1,
}  # fmt: skip

# A dictionary look-up is five times quicker than the constructor of an Enum, and a listing makes 10,000 rows.
_KINDS: Final = {kind.value: kind for kind in Kind}
_STATES: Final = {state.value: state for state in State}


def item(connection: sqlite3.Connection, number: int) -> Item | None:
    rows = connection.execute(ITEM, (number,)).fetchall()
    return item_of(rows[0]) if rows else None


def named(connection: sqlite3.Connection, name: str) -> list[ItemId]:
    return [ItemId(number) for (number,) in connection.execute(LIVE_NAMED, (os.fsencode(name),)).fetchall()]


def names(connection: sqlite3.Connection, prefix: str, limit: int) -> list[str]:
    low = os.fsencode(prefix)
    rows = connection.execute(NAMES, (low, low + b"\xff" * NAME_MAX, limit)).fetchall()
    return [os.fsdecode(name) for (name,) in rows]


def trashed(connection: sqlite3.Connection, name: str) -> list[ItemId]:
    return [ItemId(number) for (number,) in connection.execute(TRASH_NAMED, (os.fsencode(name),)).fetchall()]


def tags(connection: sqlite3.Connection, number: int) -> list[str]:
    """Sorted by code point."""
    return sorted(name for (name,) in connection.execute(TAGS, (number,)).fetchall())


def facts(connection: sqlite3.Connection, number: int) -> Facts | None:
    found = both(connection, number)
    return None if found is None else found[1]


def both(connection: sqlite3.Connection, number: int) -> tuple[Item, Facts] | None:
    """The row of an item, and what queries can ask of it."""
    rows = connection.execute(FACTS, (number,)).fetchall()
    if not rows:
        return None
    *columns, mime, tags, sources = rows[0]
    item, origins = item_of(columns), json.loads(sources)
    found = Facts(
        item.name,
        item.kind,
        item.state,
        item.size,
        item.sha256,
        item.added_ns,
        item.trashed_ns is not None,
        frozenset(json.loads(tags)),
        frozenset([kind for kind, _ in origins]),
        frozenset([host for _, host in origins if host]),
        item.parent,
        item.parent is not None and buried(connection, item.parent),
        mime,
    )
    return item, found


def holds(connection: sqlite3.Connection, folder: int) -> bool:
    return bool(connection.execute(HOLDS, (folder,)).fetchall())


def has_namesake(connection: sqlite3.Connection, folder: int, name: str, item: int) -> bool:
    """Whether a folder holds another item than `item` of that name."""
    return bool(connection.execute(NAMESAKE, (folder, os.fsencode(name), item)).fetchall())


def buried(connection: sqlite3.Connection, folder: int) -> bool:
    """Whether what is in a folder is in the trash with it, or with a folder further up."""
    ((parent, in_trash),) = connection.execute(UP, (folder,)).fetchall()
    while parent is not None and not in_trash:
        ((parent, in_trash),) = connection.execute(UP, (parent,)).fetchall()
    return bool(in_trash)


def ancestors(connection: sqlite3.Connection, number: int) -> list[ItemId]:
    """The folders that hold an item, the nearest first."""
    found: list[ItemId] = []
    rows = connection.execute(UP, (number,)).fetchall()
    while rows and rows[0][0] is not None:
        found.append(ItemId(rows[0][0]))
        rows = connection.execute(UP, (found[-1],)).fetchall()
    return found


def xattrs(connection: sqlite3.Connection, number: int) -> dict[str, bytes]:
    return {os.fsdecode(name): value for name, value in connection.execute(XATTRS, (number,)).fetchall()}


def sources(connection: sqlite3.Connection, number: int) -> list[Source]:
    rows = connection.execute(SOURCES, (number,)).fetchall()
    return [Source(SourceKind(kind), url, public_url, host) for kind, url, public_url, host in rows]


def download(connection: sqlite3.Connection, number: int) -> Download | None:
    rows = connection.execute(DOWNLOAD, (number,)).fetchall()
    return download_of(rows[0]) if rows else None


def staged(connection: sqlite3.Connection, number: int) -> list[str]:
    """The staged files of an item in the order in which they build on each other."""
    rows = connection.execute(STAGED, (number,)).fetchall() + connection.execute(DRAFTS, (number,)).fetchall()
    return [name for (name,) in rows]


def holder(connection: sqlite3.Connection, staging: str) -> tuple[ItemId, int] | None:
    """The item that a staged file belongs to, and the number of its draft, 0 for that of a new item."""
    rows = connection.execute(HOLDER, (staging,)).fetchall()
    return (ItemId(rows[0][0]), rows[0][1]) if rows else None


def blob(connection: sqlite3.Connection, sha256: str) -> Blob | None:
    rows = connection.execute(BLOB, (sha256,)).fetchall()
    return blob_of(rows[0]) if rows else None


def blob_by_digest(connection: sqlite3.Connection, algorithm: str, hexdigest: str) -> Blob | None:
    if algorithm == "sha256":
        return blob(connection, hexdigest)
    rows = connection.execute(BLOB_BY_DIGEST, (algorithm, hexdigest)).fetchall()
    return blob_of(rows[0]) if rows else None


def blobs_of_size(connection: sqlite3.Connection, size: int) -> list[Blob]:
    return [blob_of(row) for row in connection.execute(BLOBS_OF_SIZE, (size,)).fetchall()]


def child(connection: sqlite3.Connection, folder: int, name: str) -> ItemId | None:
    rows = connection.execute(CHILD, (folder, os.fsencode(name))).fetchall()
    return ItemId(rows[0][0]) if rows else None


def digest_of(connection: sqlite3.Connection, sha256: str, algorithm: str) -> str | None:
    rows = connection.execute(DIGEST_OF, (sha256, algorithm)).fetchall()
    return str(rows[0][0]) if rows else None


def torrent_of(connection: sqlite3.Connection, number: int) -> tuple[ItemId, int] | None:
    rows = connection.execute(TORRENT_OF, (number,)).fetchall()
    return (ItemId(rows[0][0]), rows[0][1]) if rows else None


def is_torrent(connection: sqlite3.Connection, number: int) -> bool:
    return bool(connection.execute(IS_TORRENT, (number,)).fetchall())


def suggestions(connection: sqlite3.Connection, number: int) -> list[tuple[str, str]]:
    return [(tag, origin) for tag, origin in connection.execute(SUGGESTIONS, (number,)).fetchall()]


def torrent_known(connection: sqlite3.Connection, v1: str | None, v2: str | None) -> ItemId | None:
    for query, infohash in ((TORRENT_V1, v1), (TORRENT_V2, v2)):
        rows = connection.execute(query, (infohash,)).fetchall() if infohash is not None else []
        if rows:
            return ItemId(rows[0][0])
    return None


def tag_id(connection: sqlite3.Connection, name: str) -> int | None:
    rows = connection.execute(TAG, (name,)).fetchall()
    return int(rows[0][0]) if rows else None


def tag_carried(connection: sqlite3.Connection, tag: int) -> bool:
    """Whether a live or trashed item carries the tag of this id."""
    return bool(connection.execute(TAG_CARRIED, (tag,)).fetchall())


def related(connection: sqlite3.Connection, tag: int, kind: str, other: int) -> bool:
    return bool(connection.execute(RELATED, (tag, kind, other)).fetchall())


def saved_query(connection: sqlite3.Connection, name: str) -> SavedQuery | None:
    rows = connection.execute(SAVED_QUERY, (os.fsencode(name),)).fetchall()
    return saved_query_of(rows[0]) if rows else None


def saved_query_of(row: Row) -> SavedQuery:
    """A row of SAVED_QUERY."""
    number, name, text, added_ns = row
    return SavedQuery(number, os.fsdecode(name), text, added_ns)


def item_of(row: Sequence[Any]) -> Item:
    """A row of ITEM_COLUMNS."""
    (
        number, name, kind, state, size, sha256, blob_id, mtime_ns, added_ns, mode, target, error, trashed_ns, count,
        parent,
    ) = row  # fmt: skip
    return Item(
        number, os.fsdecode(name), _KINDS[kind], _STATES[state], size, sha256, blob_id, mtime_ns, added_ns, mode,
        None if target is None else os.fsdecode(target), error, trashed_ns, count, parent,
    )  # fmt: skip


def download_of(row: Row) -> Download:
    """A row of DOWNLOAD_COLUMNS."""
    item, staging, size, etag, last_modified, ranges, digests, name_fixed, attempts, retry_at_ns, options = row
    return Download(
        item, staging, size, etag, last_modified, ranges, json.loads(digests), bool(name_fixed), attempts, retry_at_ns,
        json.loads(options),
    )  # fmt: skip


def blob_of(row: Sequence[Any]) -> Blob:
    number, sha256, size = row
    return Blob(BlobId(number), sha256, size)
