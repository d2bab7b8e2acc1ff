"""Torrents: their rows, which item is which file, and content that comes file by file. On the writer thread, within a
transaction.

A torrent is added with what is known (for a magnet link little more than its infohash) and described once, when its
metadata is here: then it gets its files, and all of that is one transaction, so a kill leaves either of the two.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Final

from engine.catalogue import checks
from engine.catalogue.transaction import Transaction
from engine.catalogue.writes import folders, items
from engine.catalogue.writes.edits import SET_NAME, SET_SIZE, SET_STATE
from engine.errors import BadRequest, NoSuchItem
from engine.ports import NewItem, NewTorrent, TorrentFiles
from engine.types import Item, ItemId, Kind, State

INSERT_TORRENT: Final = (
    "INSERT INTO torrent (item, v1, v2, metadata, magnet, folder, resume, options) VALUES (?, ?, ?, ?, ?, ?, NULL, ?)"
)
DESCRIBE: Final = "UPDATE torrent SET v1 = ?, v2 = ?, metadata = ? WHERE item = ?"
INSERT_FILE: Final = "INSERT INTO torrent_file (torrent, position, item) VALUES (?, ?, ?)"
DROP_FILES: Final = "DELETE FROM torrent_file WHERE torrent = ?"
SET_RESUME: Final = "UPDATE torrent SET resume = ? WHERE item = ?"
SET_MAGNET: Final = "UPDATE torrent SET magnet = ? WHERE item = ?"
SET_OPTIONS: Final = "UPDATE torrent SET options = ? WHERE item = ?"
FOLDERS_BELOW: Final = (
    "WITH RECURSIVE below(id) AS (SELECT ? UNION ALL SELECT item.id FROM item JOIN below ON item.parent = below.id"
    " WHERE item.kind = 'folder' AND NOT EXISTS (SELECT 1 FROM source s WHERE s.item = item.id)) SELECT id FROM below"
)


def add_torrent(transaction: Transaction, new: NewItem, torrent: NewTorrent) -> Item:
    item = items.add(transaction, new)
    transaction.connection.execute(
        INSERT_TORRENT,
        (
            item.id, torrent.v1, torrent.v2, torrent.metadata, torrent.magnet, torrent.folder,
            json.dumps(dict(torrent.options)),
        ),
    )  # fmt: skip
    return item


def describe_torrent(transaction: Transaction, item: int, found: TorrentFiles) -> list[ItemId]:
    """See ports.Catalogue.describe_torrent."""
    old = transaction.item(item)
    connection = transaction.connection
    if connection.execute(DESCRIBE, (found.v1, found.v2, found.metadata, item)).rowcount != 1:
        raise NoSuchItem(f"item {item} is no torrent")
    if found.name is not None and found.name != old.name:
        with transaction.changing(item):
            connection.execute(SET_NAME, (checks.name_bytes(found.name), item))
    if found.is_single:
        if len(found.files) != 1:
            raise BadRequest(f"item {item} is one file, not {len(found.files)}")
        with transaction.changing(item):
            connection.execute(SET_SIZE, (found.files[0].size, item))
        ids = [ItemId(item)]
    else:
        ids = folders.unpack(transaction, item, found.files)
    connection.execute(DROP_FILES, (item,))
    rows = [(item, position, number) for position, number in zip(found.positions, ids, strict=True)]
    connection.executemany(INSERT_FILE, rows)
    return ids


def save_resume(transaction: Transaction, item: int, resume: bytes | None) -> None:
    """Nothing where there is no such torrent any more."""
    transaction.connection.execute(SET_RESUME, (resume, item))


def set_magnet(transaction: Transaction, item: int, magnet: str) -> None:
    transaction.connection.execute(SET_MAGNET, (magnet, item))


def set_options(transaction: Transaction, item: int, options: dict[str, str]) -> None:
    transaction.connection.execute(SET_OPTIONS, (json.dumps(options), item))


def settle_folder(transaction: Transaction, item: int, state: State, error: str | None) -> None:
    """A folder item and the folders in it, which have no content of their own to tell by; a file without content
    keeps the state that it has."""
    found = transaction.item(item)
    if found.kind is Kind.FILE:
        if state.whole and found.blob is None:
            raise BadRequest(f"item {item} has no content and cannot be {state.value}")
        _set_state(transaction, [item], state, error)
        return
    numbers = [number for (number,) in transaction.connection.execute(FOLDERS_BELOW, (item,)).fetchall()]
    _set_state(transaction, numbers, state, error)


def _set_state(transaction: Transaction, numbers: Collection[int], state: State, error: str | None) -> None:
    sentence = None if error is None else checks.stored_text(error)
    for number in numbers:
        before = transaction.item(number)
        if (before.state, before.error) != (state, sentence):
            with transaction.changing(number):
                transaction.connection.execute(SET_STATE, (state.value, sentence, number))
