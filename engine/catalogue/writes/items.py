"""How items come and go: add, trash, restore, purge, discard. On the writer thread, within a transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from engine.catalogue import checks, points
from engine.catalogue.transaction import Transaction
from engine.catalogue.writes import content, tagging
from engine.errors import BadRequest, EngineError
from engine.ports import NewItem
from engine.types import LAST_ITEM_ID, Item, Source

INSERT_ITEM: Final = (
    "INSERT INTO item (name, kind, state, size, blob, mtime_ns, mtime_given, added_ns, mode, target)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
INSERT_SOURCE: Final = "INSERT INTO source (item, position, kind, url, public_url, host) VALUES (?, ?, ?, ?, ?, ?)"
INSERT_XATTR: Final = "INSERT INTO xattr (item, name, value) VALUES (?, ?, ?)"
TRASH: Final = "UPDATE item SET trashed_ns = ? WHERE id = ?"
RESTORE: Final = "UPDATE item SET trashed_ns = NULL, name = coalesce(?, name) WHERE id = ?"
DELETE_ITEM: Final = "DELETE FROM item WHERE id = ?"  # taggings, xattrs, sources and download cascade


def add(transaction: Transaction, new: NewItem) -> Item:
    checks.new_item(new)
    name, tags = checks.name_bytes(new.name), checks.tag_names(new.tags)
    xattrs = checks.xattr_rows(new.xattrs)
    target = None if new.target is None else checks.file_bytes(new.target, "target")
    size = len(target) if target is not None else new.size
    blob = None
    if new.sha256 is not None and new.size is not None:
        blob = content.blob_to_use(transaction, new.sha256, new.size, {})
    now = transaction.clock()
    connection = transaction.connection
    number = connection.execute(
        INSERT_ITEM,
        (
            name, new.kind.value, new.state.value, size, blob, now if new.mtime_ns is None else new.mtime_ns,
            new.mtime_ns is not None, now, new.mode, target,
        ),
    ).lastrowid  # fmt: skip
    assert number is not None
    if number > LAST_ITEM_ID:
        raise EngineError("the catalogue has given out all item numbers")
    tagging.tag(transaction, number, sorted(tags))
    connection.executemany(INSERT_XATTR, [(number, *row) for row in xattrs])
    connection.executemany(INSERT_SOURCE, _source_rows(number, new.sources))
    if new.download is not None:
        content.start_download(transaction, number, new.download, size)
    transaction.made(number)
    return transaction.item(number)


def add_many(transaction: Transaction, new: Sequence[NewItem]) -> list[Item]:
    return [add(transaction, one) for one in new]


def trash(transaction: Transaction, item: int) -> Item:
    """Nothing happens to an item that is in the trash already."""
    if transaction.item(item).trashed_ns is None:
        with transaction.changing(item):
            transaction.connection.execute(TRASH, (transaction.clock(), item))
    return transaction.item(item)


def restore(transaction: Transaction, item: int, name: str | None) -> Item:
    """With a new name if one is given, live or not."""
    stored = None if name is None else checks.name_bytes(name)
    with transaction.changing(item):
        transaction.connection.execute(RESTORE, (stored, item))
    return transaction.item(item)


def purge(transaction: Transaction, items: Collection[int]) -> None:
    """Numbers without an item are left out; BadRequest for a live one, and then none is forgotten."""
    for item in sorted(set(items)):
        found = points.item(transaction.connection, item)
        if found is None:
            continue
        if found.trashed_ns is None:
            raise BadRequest(f"item {item} is not in the trash")
        _forget(transaction, item)


def discard(transaction: Transaction, item: int) -> None:
    """BadRequest for an item that has content."""
    if transaction.item(item).blob is not None:
        raise BadRequest(f"item {item} has content; it goes by way of the trash")
    _forget(transaction, item)


def _forget(transaction: Transaction, item: int) -> None:
    before = transaction.facts(item)
    transaction.connection.execute(DELETE_ITEM, (item,))
    transaction.forgotten(item, before)


def _source_rows(item: int, sources: Sequence[Source]) -> list[tuple[int, int, str, str, str, str]]:
    return [
        (item, position, source.kind.value, source.url, source.public_url, source.host.lower())
        for position, source in enumerate(sources)
    ]
