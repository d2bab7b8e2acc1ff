"""Content: blob rows, their digests, and the download that brings them. On the writer thread, within a transaction.

The order that makes I1 hold lies with the caller: the blob is whole and durable in the store before any function here
names it (R2). Here only rows are made, and a row that nobody needs is dropped by `forget_blob` alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Final

from engine.catalogue import checks, points
from engine.catalogue.transaction import Transaction
from engine.catalogue.writes import edits, superseded
from engine.errors import BadRequest, NoSuchItem
from engine.ports import Arrived, NewDownload
from engine.types import BlobId, Download, Item, ItemId, Kind, State

INSERT_BLOB: Final = "INSERT INTO blob (sha256, size, mime) VALUES (?, ?, ?)"
UNLOOKED_BLOB: Final = "SELECT id FROM blob WHERE sha256 = ? AND mime IS NULL"
ITEMS_OF_BLOB: Final = "SELECT id FROM item WHERE blob = ?"
SET_MIME: Final = "UPDATE blob SET mime = ? WHERE id = ?"
INSERT_DIGEST: Final = "INSERT INTO digest (blob, algorithm, hex) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
FORGET_BLOB: Final = "DELETE FROM blob WHERE sha256 = ? AND NOT EXISTS (SELECT 1 FROM item WHERE item.blob = blob.id)"
COMPLETE: Final = (
    "UPDATE item SET state = 'complete', blob = ?, size = ?, error = NULL, mtime_ns = coalesce(?, mtime_ns),"
    " mtime_given = mtime_given OR ? WHERE id = ?"
)
ARRIVED: Final = "UPDATE item SET state = ?, blob = ?, size = ?, error = NULL WHERE id = ?"
DROP_DOWNLOAD: Final = "DELETE FROM download WHERE item = ?"
PUT_DOWNLOAD: Final = (
    "INSERT INTO download (item, staging, size, etag, last_modified, ranges, digests, name_fixed, attempts,"
    " retry_at_ns, options) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (item) DO UPDATE SET staging = excluded.staging, size = excluded.size, etag = excluded.etag,"
    " last_modified = excluded.last_modified, ranges = excluded.ranges, digests = excluded.digests,"
    " name_fixed = excluded.name_fixed, attempts = excluded.attempts, retry_at_ns = excluded.retry_at_ns,"
    " options = excluded.options"
)


def complete(
    transaction: Transaction,
    item: int,
    sha256: str,
    size: int,
    *,
    digests: Mapping[str, str],
    mtime_ns: int | None,
    keep_old: bool,
    mime: str | None = None,
) -> Item:
    """See ports.Catalogue.complete. `mtime_ns` of None leaves the item's own."""
    old = transaction.item(item)
    if old.kind is not Kind.FILE:
        raise BadRequest(f"item {item} is no file and has no content")
    blob = blob_to_use(transaction, sha256, size, digests, mime)
    if keep_old and old.blob is not None and old.blob != blob and old.size:
        superseded.keep(transaction, old)
    with transaction.changing(item):
        transaction.connection.execute(COMPLETE, (blob, size, mtime_ns, mtime_ns is not None, item))
        transaction.connection.execute(DROP_DOWNLOAD, (item,))
    return transaction.item(item)


def complete_many(transaction: Transaction, arrived: Sequence[Arrived]) -> None:
    """See ports.Catalogue.complete_many."""
    for one in arrived:
        found = points.item(transaction.connection, one.item)
        if found is None or found.kind is not Kind.FILE:
            continue  # it went while it arrived
        blob = blob_to_use(transaction, one.sha256, one.size, one.digests, one.mime)
        with transaction.changing(one.item):
            edits.edit_columns(transaction, one.item, one.edit)
            transaction.connection.execute(ARRIVED, (one.state.value, blob, one.size, one.item))
            transaction.connection.execute(DROP_DOWNLOAD, (one.item,))


def blob_to_use(
    transaction: Transaction, sha256: str, size: int, digests: Mapping[str, str], mime: str | None
) -> BlobId:
    """The id of the blob row, which is made if there is none. BadRequest if it has another size (R13).

    Not within `changing`: what a blob is found to be changes other items that have it."""
    found = points.blob(transaction.connection, checks.sha256_hex(sha256))
    if found is None:
        number = transaction.connection.execute(INSERT_BLOB, (sha256, size, mime)).lastrowid
        assert number is not None
        blob = BlobId(number)
    elif found.size == size:
        blob = found.id
        if mime is not None:
            set_media_types(transaction, {sha256: mime})
    else:
        raise BadRequest(f"the blob {sha256} has {found.size} bytes, not {size}")
    _note_digests(transaction, blob, digests)
    return blob


def set_media_types(transaction: Transaction, found: Mapping[str, str]) -> None:
    """See ports.Catalogue.set_media_types. What is known already is not told again."""
    for sha256, mime in found.items():
        for (blob,) in transaction.connection.execute(UNLOOKED_BLOB, (sha256,)).fetchall():
            with ExitStack() as changing:
                for (item,) in transaction.connection.execute(ITEMS_OF_BLOB, (blob,)).fetchall():
                    changing.enter_context(transaction.changing(item))
                transaction.connection.execute(SET_MIME, (mime, blob))


def add_digests(transaction: Transaction, sha256: str, digests: Mapping[str, str]) -> None:
    """Nothing where there is no such blob."""
    found = points.blob(transaction.connection, sha256)
    if found is not None:
        _note_digests(transaction, found.id, digests)


def _note_digests(transaction: Transaction, blob: BlobId, digests: Mapping[str, str]) -> None:
    rows = [(blob, algorithm, digest) for algorithm, digest in digests.items() if algorithm != "sha256"]
    if rows:
        transaction.connection.executemany(INSERT_DIGEST, rows)


def forget_blob(transaction: Transaction, sha256: str) -> bool:
    transaction.connection.execute(FORGET_BLOB, (sha256,))
    return points.blob(transaction.connection, sha256) is None


def start_download(transaction: Transaction, item: int, new: NewDownload, size: int | None) -> None:
    download = Download(
        ItemId(item), new.staging, size, None, None, "", new.digests, new.name_fixed, 0, None, new.options
    )
    _put_download(transaction, download)


def update_download(transaction: Transaction, download: Download) -> None:
    """Store the row as given. It may have gone meanwhile only because the item is complete or gone: NoSuchItem."""
    if transaction.item(download.item).state in (State.COMPLETE, State.SEEDING):
        raise NoSuchItem(f"item {download.item} is complete and has no download")
    _put_download(transaction, download)


def _put_download(transaction: Transaction, download: Download) -> None:
    transaction.connection.execute(
        PUT_DOWNLOAD,
        (
            download.item, download.staging, download.size, download.etag, download.last_modified, download.ranges,
            json.dumps(dict(download.digests)), download.name_fixed, download.attempts, download.retry_at_ns,
            json.dumps(dict(download.options)),
        ),
    )  # fmt: skip
