"""What `tagfs verify --repair` writes: rows are made to follow from what they depend on, and from what the store holds.
On the writer thread, within a transaction.

Nothing here takes an item, a tag or a name away. Rows go only where they point to nothing, or are needless beside
others.
"""

from __future__ import annotations

from typing import Final

from engine.catalogue import checks, pages
from engine.catalogue.transaction import Transaction
from engine.catalogue.verify import NEEDLESS_DOWNLOAD, WRONG_COUNT, WRONG_SIZE
from engine.types import ItemId

HOLDERS: Final = (
    "SELECT i.id FROM item i JOIN blob b ON b.id = i.blob WHERE b.sha256 = ? AND i.state IN ('complete', 'seeding')"
)
LOST: Final = (
    "SELECT i.id FROM item i JOIN blob b ON b.id = i.blob WHERE b.sha256 = ? AND b.size = ? AND i.state = 'missing'"
)
SET_STATE: Final = "UPDATE item SET state = ?, error = ? WHERE id = ?"
COME_BACK: Final = "UPDATE item SET state = 'complete', error = NULL, size = ? WHERE id = ?"
SET_BLOB_SIZE: Final = "UPDATE blob SET size = ? WHERE sha256 = ?"
SET_ITEM_SIZE: Final = "UPDATE item SET size = ? WHERE id = ?"
SET_COUNT: Final = "UPDATE tag SET items = ? WHERE name = ?"
DROP_DOWNLOAD: Final = "DELETE FROM download WHERE item = ?"
# Rows that say something about another row and are worth nothing without it.
LOOSE: Final = {
    "tagging": "DELETE FROM tagging WHERE item NOT IN (SELECT id FROM item) OR tag NOT IN (SELECT id FROM tag)",
    "xattr": "DELETE FROM xattr WHERE item NOT IN (SELECT id FROM item)",
    "source": "DELETE FROM source WHERE item NOT IN (SELECT id FROM item)",
    "download": "DELETE FROM download WHERE item NOT IN (SELECT id FROM item)",
    "draft": "DELETE FROM draft WHERE item NOT IN (SELECT id FROM item)",
    "suggestion": "DELETE FROM suggestion WHERE item NOT IN (SELECT id FROM item)",
    "digest": "DELETE FROM digest WHERE blob NOT IN (SELECT id FROM blob)",
    "relation": "DELETE FROM relation WHERE tag NOT IN (SELECT id FROM tag) OR other NOT IN (SELECT id FROM tag)",
}


def lose(transaction: Transaction, sha256: str, why: str) -> list[ItemId]:
    """See ports.Catalogue.lose_content."""
    found = _ids(transaction, HOLDERS, sha256)
    for item in found:
        with transaction.changing(item):
            transaction.connection.execute(SET_STATE, ("missing", checks.stored_text(why), item))
    return found


def find(transaction: Transaction, sha256: str, size: int) -> list[ItemId]:
    """See ports.Catalogue.find_content."""
    found = _ids(transaction, LOST, sha256, size)
    for item in found:
        with transaction.changing(item):
            transaction.connection.execute(COME_BACK, (size, item))
            transaction.connection.execute(DROP_DOWNLOAD, (item,))
    return found


def set_blob_size(transaction: Transaction, sha256: str, size: int) -> None:
    """The content was hashed: it has so many bytes, whatever the rows say."""
    transaction.connection.execute(SET_BLOB_SIZE, (size, sha256))
    for item in _ids(transaction, HOLDERS, sha256):
        with transaction.changing(item):
            transaction.connection.execute(SET_ITEM_SIZE, (size, item))


def mend(transaction: Transaction) -> None:
    """See ports.Catalogue.mend."""
    connection = transaction.connection
    connection.execute("REINDEX")
    for table in {row[0] for row in connection.execute("PRAGMA foreign_key_check").fetchall()} & LOOSE.keys():
        connection.execute(LOOSE[table])
    pages.drop_wrong(connection)
    for item, _ in connection.execute(NEEDLESS_DOWNLOAD).fetchall():
        connection.execute(DROP_DOWNLOAD, (item,))
    for item, _, size in connection.execute(WRONG_SIZE).fetchall():
        with transaction.changing(item):
            connection.execute(SET_ITEM_SIZE, (size, item))
    for name, _, live in connection.execute(WRONG_COUNT).fetchall():
        connection.execute(SET_COUNT, (live, name))


def _ids(transaction: Transaction, query: str, *values: str | int) -> list[ItemId]:
    return [ItemId(number) for (number,) in transaction.connection.execute(query, values).fetchall()]
