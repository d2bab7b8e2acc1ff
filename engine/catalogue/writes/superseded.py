"""What an item held until now becomes an item of its own in the trash. On the writer thread, within a transaction.

It has the name, the tags, the sources and attributes of the item, and whatever belonged to the old content: a torrent
goes on to seed it, and who was writing to it goes on with it.
"""

from __future__ import annotations

from typing import Final

from engine.catalogue.transaction import Transaction
from engine.types import BlobId, Item, ItemId, State

COPY: Final = (
    "INSERT INTO item (name, kind, state, size, blob, mtime_ns, mtime_given, added_ns, mode, error, trashed_ns, parent)"
    " SELECT name, kind, ?1, ifnull((SELECT b.size FROM blob b WHERE b.id = ?2), size), ?2, mtime_ns, mtime_given,"
    " added_ns, mode, ?3, ?4, ?5 FROM item WHERE id = ?6"
)
COPY_TAGS: Final = "INSERT INTO tagging (item, tag) SELECT ?, tag FROM tagging WHERE item = ?"
COPY_XATTRS: Final = "INSERT INTO xattr (item, name, value) SELECT ?, name, value FROM xattr WHERE item = ?"
COPY_SOURCES: Final = (
    "INSERT INTO source (item, position, kind, url, public_url, host)"
    " SELECT ?, position, kind, url, public_url, host FROM source WHERE item = ?"
)
MOVE_DOWNLOAD: Final = "UPDATE download SET item = ? WHERE item = ?"
MOVE_DRAFTS: Final = "UPDATE draft SET item = ? WHERE item = ?"
# The keys of torrents point at each other while they move.
LATER_KEYS: Final = "PRAGMA defer_foreign_keys = ON"
MOVE_FILE: Final = "UPDATE torrent_file SET item = ? WHERE item = ?"
MOVE_TORRENT: Final = "UPDATE torrent SET item = ? WHERE item = ?"
MOVE_FILES: Final = "UPDATE torrent_file SET torrent = ? WHERE torrent = ?"
DROP_FILE: Final = "DELETE FROM torrent_file WHERE item = ?"
DROP_TORRENT: Final = "DELETE FROM torrent WHERE item = ?"


def keep(transaction: Transaction, old: Item, *, staged: bool = False) -> ItemId:
    """The new item, in the trash. `staged`: what is being written to the old content goes along."""
    state = old.state if staged or old.blob is None or old.state.whole else State.COMPLETE
    number = copy(transaction, old, state, old.blob, old.error)
    connection = transaction.connection
    if staged:
        connection.execute(MOVE_DOWNLOAD, (number, old.id))
        connection.execute(MOVE_DRAFTS, (number, old.id))
    connection.execute(LATER_KEYS)
    connection.execute(MOVE_FILE, (number, old.id))
    connection.execute(MOVE_TORRENT, (number, old.id))
    connection.execute(MOVE_FILES, (number, old.id))
    transaction.made(number)
    return number


def copy(transaction: Transaction, old: Item, state: State, blob: BlobId | None, error: str | None) -> ItemId:
    """A second one in the trash, of that content. The caller notes it as made."""
    connection, facts = transaction.connection, transaction.facts(old.id)
    parent = old.parent if facts.live else None  # in a trashed folder it would be in the trash twice
    number = connection.execute(COPY, (state.value, blob, error, transaction.clock(), parent, old.id)).lastrowid
    assert number is not None
    connection.execute(COPY_TAGS, (number, old.id))
    connection.execute(COPY_XATTRS, (number, old.id))
    connection.execute(COPY_SOURCES, (number, old.id))
    return ItemId(number)


def leave_torrent(transaction: Transaction, item: int) -> None:
    """Its content is not what a torrent brought any more, and that is kept nowhere."""
    transaction.connection.execute(DROP_FILE, (item,))
    transaction.connection.execute(DROP_TORRENT, (item,))
