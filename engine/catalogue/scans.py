"""Reads that may touch many rows. Imports models and points; each runs on a reader thread with its own connection."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Final

from peewee import JOIN, ModelSelect, SqliteDatabase, fn

from engine.catalogue import points
from engine.catalogue.database import raw
from engine.catalogue.models import Blob, Download, Item, Tagging
from engine.types import Blob as BlobRow
from engine.types import Download as DownloadRow
from engine.types import Item as ItemRow
from engine.types import State

# The hot one: 10,000 rows of a directory. A peewee query would spend more on building rows than SQLite on finding them.
ITEMS: Final = (
    "SELECT " + points.ITEM_COLUMNS  # noqa: S608 -- constants, no values
    + " FROM json_each(?) j JOIN item i ON i.id = j.value LEFT JOIN blob b ON b.id = i.blob"
)  # fmt: skip


def items(database: SqliteDatabase, ids: Collection[int]) -> list[ItemRow]:
    """Ascending, without those that do not exist."""
    rows = raw(database).execute(ITEMS, (json.dumps(sorted(set(ids))),)).fetchall()
    return [points.item_of(row) for row in rows]


def children(database: SqliteDatabase, folder: int) -> list[ItemRow]:
    """Live ones, oldest first."""
    query = _items().where(Item.parent == folder, Item.trashed_ns.is_null()).order_by(Item.id)
    return [points.item_of(row) for row in query.tuples().iterator(database)]


def trash_list(database: SqliteDatabase) -> list[ItemRow]:
    """The last one trashed first."""
    query = _items().where(Item.trashed_ns.is_null(False)).order_by(Item.trashed_ns.desc(), Item.id.desc())
    return [points.item_of(row) for row in query.tuples().iterator(database)]


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


def blobs(database: SqliteDatabase) -> list[BlobRow]:
    return _blobs(Blob.select(Blob.id, Blob.sha256, Blob.size).order_by(Blob.id), database)


def unreferenced_blobs(database: SqliteDatabase) -> list[BlobRow]:
    used = Item.select(Item.id).where(Item.blob == Blob.id)
    return _blobs(Blob.select(Blob.id, Blob.sha256, Blob.size).where(~fn.EXISTS(used)).order_by(Blob.id), database)


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
