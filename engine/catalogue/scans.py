"""Reads that may touch many rows. Imports models and points; each runs on a reader thread with its own connection."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from typing import Final

from peewee import JOIN, ModelSelect, SqliteDatabase, fn

from engine.catalogue import points
from engine.catalogue.database import raw
from engine.catalogue.models import TO_LOOK, Blob, Download, Draft, Item, Tagging, Torrent
from engine.trash import Heap, Thing
from engine.types import Blob as BlobRow
from engine.types import Download as DownloadRow
from engine.types import Item as ItemRow
from engine.types import ItemId, SavedQuery, State
from engine.types import Torrent as TorrentRow

TORRENT: Final = "SELECT item, v1, v2, metadata, magnet, folder, resume, options FROM torrent WHERE item = ?"
TORRENT_FILES: Final = (
    "SELECT f.position, " + points.ITEM_COLUMNS  # noqa: S608 -- constants, no values
    + " FROM torrent_file f JOIN item i ON i.id = f.item LEFT JOIN blob b ON b.id = i.blob"
    " WHERE f.torrent = ? ORDER BY f.position"
)  # fmt: skip
SAVED_QUERIES: Final = "SELECT id, name, text, added_ns FROM saved_query ORDER BY name"

TRASHED: Final = "SELECT id, trashed_ns FROM item WHERE trashed_ns IS NOT NULL ORDER BY trashed_ns, id"
# What a folder holds goes with it; nothing is in the trash twice.
TRASHED_CONTENT: Final = (
    "WITH RECURSIVE gone(id, root) AS (SELECT id, id FROM item WHERE trashed_ns IS NOT NULL"
    " UNION ALL SELECT i.id, g.root FROM gone g JOIN item i ON i.parent = g.id)"
    " SELECT g.root, i.blob, b.size FROM gone g JOIN item i ON i.id = g.id JOIN blob b ON b.id = i.blob"
)
USES: Final = "SELECT i.blob, count(*) FROM json_each(?) j JOIN item i ON i.blob = j.value GROUP BY i.blob"

# The hot one: 10,000 rows of a directory. A peewee query would spend more on building rows than SQLite on finding them.
ITEMS: Final = (
    "SELECT " + points.ITEM_COLUMNS  # noqa: S608 -- constants, no values
    + " FROM json_each(?) j JOIN item i ON i.id = j.value LEFT JOIN blob b ON b.id = i.blob"
)  # fmt: skip
CHILDREN: Final = (
    "SELECT " + points.ITEM_COLUMNS  # noqa: S608 -- constants, no values
    + " FROM item i LEFT JOIN blob b ON b.id = i.blob WHERE i.parent = ? AND i.trashed_ns IS NULL AND i.id > ?"
    " ORDER BY i.id LIMIT ?"
)  # fmt: skip


TO_LOOK_AT: Final = f"SELECT id FROM item WHERE {TO_LOOK} AND id > ? ORDER BY id LIMIT ?"  # noqa: S608 -- constants, no values
SUGGESTED: Final = (
    "SELECT DISTINCT s.item FROM suggestion s JOIN item i ON i.id = s.item"
    " WHERE s.state = 'open' AND s.item > ? AND i.trashed_ns IS NULL ORDER BY s.item LIMIT ?"
)


def items(database: SqliteDatabase, ids: Collection[int]) -> list[ItemRow]:
    """Ascending, without those that do not exist."""
    rows = raw(database).execute(ITEMS, (json.dumps(sorted(set(ids))),)).fetchall()
    return [points.item_of(row) for row in rows]


def children(database: SqliteDatabase, folder: int, after: int, limit: int | None) -> list[ItemRow]:
    """Those not in the trash by themselves, oldest first."""
    return [points.item_of(row) for row in raw(database).execute(CHILDREN, (folder, after, limit or -1)).fetchall()]


def trash_list(database: SqliteDatabase) -> list[ItemRow]:
    """The last one trashed first."""
    query = _items().where(Item.trashed_ns.is_null(False)).order_by(Item.trashed_ns.desc(), Item.id.desc())
    return [points.item_of(row) for row in query.tuples().iterator(database)]


def saved_queries(database: SqliteDatabase) -> list[SavedQuery]:
    rows = raw(database).execute(SAVED_QUERIES).fetchall()
    return [points.saved_query_of(row) for row in rows]


def trash_heap(database: SqliteDatabase) -> Heap:
    """Oldest first."""
    connection = raw(database)
    with database.atomic():  # one snapshot for all
        things = {item: (when, set[int]()) for item, when in connection.execute(TRASHED)}
        sizes: dict[int, int] = {}
        inside: Counter[int] = Counter()
        for root, blob, size in connection.execute(TRASHED_CONTENT):
            things[root][1].add(blob)
            sizes[blob] = size
            inside[blob] += 1
        uses = dict(connection.execute(USES, (json.dumps(list(sizes)),)).fetchall())
    return Heap(
        [Thing(ItemId(item), when, frozenset(blobs)) for item, (when, blobs) in things.items()],
        sizes,
        frozenset(blob for blob, count in inside.items() if uses[blob] > count),
    )


def arriving(database: SqliteDatabase) -> list[ItemId]:
    whole = [state.value for state in State if state.whole]
    brought = Download.select(Download.item).union(Torrent.select(Torrent.item))
    query = Item.select(Item.id).where(Item.id.in_(brought), Item.trashed_ns.is_null(), Item.state.not_in(whole))
    return [ItemId(number) for (number,) in query.order_by(Item.id).tuples().iterator(database)]


def torrent(database: SqliteDatabase, item: int) -> TorrentRow | None:
    """With its metadata, which may be megabytes."""
    rows = raw(database).execute(TORRENT, (item,)).fetchall()
    if not rows:
        return None
    number, v1, v2, metadata, magnet, folder, resume, options = rows[0]
    return TorrentRow(ItemId(number), v1, v2, metadata, magnet, folder, resume, json.loads(options))


def torrents(database: SqliteDatabase) -> list[tuple[ItemId, str]]:
    query = Torrent.select(Torrent.item, Torrent.folder).order_by(Torrent.item)
    return [(ItemId(item), folder) for item, folder in query.tuples().iterator(database)]


def torrent_files(database: SqliteDatabase, item: int) -> list[tuple[int, ItemRow]]:
    rows = raw(database).execute(TORRENT_FILES, (item,)).fetchall()
    return [(position, points.item_of(row)) for position, *row in rows]


def downloads(database: SqliteDatabase) -> list[DownloadRow]:
    """Of live items that are not whole, oldest first."""
    whole = [state.value for state in State if state.whole]
    columns = (
        Download.item, Download.staging, Download.size, Download.etag, Download.last_modified, Download.ranges,
        Download.digests, Download.name_fixed, Download.attempts, Download.retry_at_ns, Download.options,
    )  # fmt: skip
    query = (
        Download.select(*columns)
        .join(Item, on=Download.item == Item.id)
        .where(Item.trashed_ns.is_null(), Item.state.not_in(whole))
        .order_by(Download.item)
    )
    return [points.download_of(row) for row in query.tuples().iterator(database)]


def drafts(database: SqliteDatabase) -> list[tuple[ItemId, str]]:
    query = Draft.select(Draft.item, Draft.staging).order_by(Draft.id)
    return [(ItemId(item), staging) for item, staging in query.tuples().iterator(database)]


def blobs(database: SqliteDatabase) -> list[BlobRow]:
    return _blobs(Blob.select(Blob.id, Blob.sha256, Blob.size).order_by(Blob.id), database)


def unreferenced_blobs(database: SqliteDatabase) -> list[BlobRow]:
    used = Item.select(Item.id).where(Item.blob == Blob.id)
    return _blobs(Blob.select(Blob.id, Blob.sha256, Blob.size).where(~fn.EXISTS(used)).order_by(Blob.id), database)


def holders(database: SqliteDatabase, blobs: Collection[str]) -> list[ItemRow]:
    """Items that have one of these contents, in the trash or not, oldest first."""
    rows = _items().where(Blob.sha256.in_(list(blobs))).order_by(Item.id)
    return [points.item_of(row) for row in rows.tuples().iterator(database)]


def lost(database: SqliteDatabase) -> list[ItemRow]:
    """Items whose content was there and is missing, in the trash or not."""
    rows = _items().where(Item.state == State.MISSING.value, Item.blob.is_null(False)).order_by(Item.id)
    return [points.item_of(row) for row in rows.tuples().iterator(database)]


def to_look_at(database: SqliteDatabase, after: int, limit: int) -> list[ItemId]:
    return [ItemId(number) for (number,) in raw(database).execute(TO_LOOK_AT, (after, limit)).fetchall()]


def suggested(database: SqliteDatabase, after: int, limit: int) -> list[ItemId]:
    return [ItemId(number) for (number,) in raw(database).execute(SUGGESTED, (after, limit)).fetchall()]


def blobs_to_look_at(database: SqliteDatabase, after: int, limit: int) -> list[BlobRow]:
    query = Blob.select(Blob.id, Blob.sha256, Blob.size).where(Blob.mime.is_null(), Blob.id > after)
    return _blobs(query.order_by(Blob.id).limit(limit), database)


def _items() -> ModelSelect[Item]:
    """The columns of points.ITEM_COLUMNS, in their order."""
    tag_count = Tagging.select(fn.COUNT(Tagging.tag)).where(Tagging.item == Item.id)
    columns = (
        Item.id, Item.name, Item.kind, Item.state, Item.size, Blob.sha256, Item.blob, Item.mtime_ns, Item.added_ns,
        Item.mode, Item.target, Item.error, Item.trashed_ns, tag_count, Item.parent,
    )  # fmt: skip
    return Item.select(*columns).join(Blob, JOIN.LEFT_OUTER, on=Item.blob == Blob.id)


def _blobs(query: ModelSelect[Blob], database: SqliteDatabase) -> list[BlobRow]:
    return [points.blob_of(row) for row in query.tuples().iterator(database)]
