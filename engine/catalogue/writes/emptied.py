"""Empty folders that are removed without a trace, and come back with their number. On the writer thread, within a
transaction.

There is nothing in the trash for undo to take out, so the journal's row says all that such a folder was. What is more
than that, a download or a torrent, is left to the trash: what it is may be secret, and much.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

from pyroaring import BitMap

from engine.catalogue import points
from engine.catalogue.transaction import Transaction
from engine.catalogue.writes import items
from engine.errors import Changed, NoSuchItem
from engine.history import Record, What
from engine.types import ItemId, Kind
from query.errors import show

COLUMNS: Final = ("state", "mode", "mtime_ns", "mtime_given", "added_ns", "looked")
READ: Final = f"SELECT parent, {', '.join(COLUMNS)} FROM item WHERE id = ?"  # noqa: S608 -- constants, no values
INSERT: Final = (
    f"INSERT INTO item (id, name, kind, parent, {', '.join(COLUMNS)})"  # noqa: S608 -- constants, no values
    f" VALUES (?, ?, ?, ?{', ?' * len(COLUMNS)})"
)
MORE: Final = (
    "SELECT 1 FROM source WHERE item = :item AND (url <> '' OR host <> '')"
    " UNION ALL SELECT 1 FROM download WHERE item = :item UNION ALL SELECT 1 FROM torrent WHERE item = :item"
)
SOURCES: Final = "SELECT kind FROM source WHERE item = ? ORDER BY position"
INSERT_SOURCE: Final = "INSERT INTO source (item, position, kind, url, public_url, host) VALUES (?, ?, ?, '', '', '')"


def is_spare(transaction: Transaction, folder: int) -> bool:
    """Whether a folder without tags, attributes and anything in it can be made again from a row of the journal."""
    return not transaction.connection.execute(MORE, {"item": folder}).fetchall()


def remove(transaction: Transaction, folder: int) -> None:
    """One that is spare."""
    connection = transaction.connection
    [(parent, *columns)] = connection.execute(READ, (folder,)).fetchall()
    sources = [kind for (kind,) in connection.execute(SOURCES, (folder,)).fetchall()]
    transaction.removed[ItemId(folder)] = {
        "parent": parent,
        **dict(zip(COLUMNS, columns, strict=True)),
        "sources": sources,
    }
    items.discard(transaction, folder)


def put_back(transaction: Transaction, records: Iterable[Record]) -> list[int]:
    """The folders that these removed, for `undo_places.judge`. What was removed later is nearer to the top."""
    back = []
    for record in reversed([record for record in records if "removed" in record.what]):
        [folder] = record.items
        if points.item(transaction.connection, folder) is None:
            _make(transaction, folder, record.what["removed"], record.what["row"])
            back.append(folder)
    return back


def is_let_go(record: Record, removed: BitMap) -> bool:
    """Whether it is about what lies in the trash by itself, and was in one of the folders `removed` by the same call.
    It goes back there if it still can; somebody may have ended or restored it since, on which nothing else depends."""
    old, *_ = record.what.get("parent", (None,))
    return old is not None and old in removed


def _make(transaction: Transaction, folder: int, name: str, row: What) -> None:
    parent = row["parent"]
    if parent is not None:
        try:
            items.check_folder(transaction, parent)
        except NoSuchItem:
            raise Changed(f"the folder that held {show(name)} is gone, or in the trash") from None
    connection = transaction.connection
    connection.execute(
        INSERT, (folder, os.fsencode(name), Kind.FOLDER.value, parent, *(row[column] for column in COLUMNS))
    )
    connection.executemany(INSERT_SOURCE, [(folder, position, kind) for position, kind in enumerate(row["sources"])])
    items.touch(transaction, parent)
    transaction.made(folder)
