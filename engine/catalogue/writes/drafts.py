"""New content for what has content: drafts, and one item taking the place of another's content. On the writer thread,
within a transaction.

A staged file belongs to the item that its row names, a `download` for an item that never had content, else a `draft`;
rows move with `replace`, so whoever seals names the file and not the item.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.catalogue import points
from engine.catalogue.transaction import Transaction
from engine.catalogue.writes import content, items, superseded
from engine.catalogue.writes.content import COMPLETE, DROP_DOWNLOAD
from engine.catalogue.writes.superseded import MOVE_DOWNLOAD, MOVE_DRAFTS
from engine.errors import BadRequest, Busy, NoSuchItem
from engine.ports import Replaced
from engine.types import Item, ItemId, Kind, SourceKind, State

INSERT_DRAFT: Final = "INSERT INTO draft (item, staging) VALUES (?, ?)"
DROP_UPTO: Final = "DELETE FROM draft WHERE item = ? AND id <= ?"
DROP: Final = "DELETE FROM draft WHERE staging = ?"
SET_MTIME: Final = "UPDATE item SET mtime_ns = coalesce(?, mtime_ns) WHERE id = ?"
TAKE_OVER: Final = (
    "UPDATE item SET state = s.state, size = s.size, blob = s.blob, mtime_ns = s.mtime_ns, mtime_given = s.mtime_given,"
    " mode = s.mode, error = s.error FROM item s WHERE item.id = ? AND s.id = ?"
)
KEEP_ORIGIN: Final = (
    "INSERT INTO xattr (item, name, value) SELECT item, CAST('user.xdg.origin.url' AS BLOB), CAST(public_url AS BLOB)"
    " FROM source WHERE item = ? AND public_url <> '' ORDER BY position LIMIT 1 ON CONFLICT DO NOTHING"
)
DROP_SOURCES: Final = "DELETE FROM source WHERE item = ?"
MOVE_SOURCES: Final = "UPDATE source SET item = ? WHERE item = ?"
DELETE_ITEM: Final = "DELETE FROM item WHERE id = ?"


def start(transaction: Transaction, item: int, staging: str) -> None:
    """See ports.Catalogue.start_draft."""
    if transaction.item(item).kind is not Kind.FILE:
        raise BadRequest(f"item {item} is no file and has no content")
    transaction.connection.execute(INSERT_DRAFT, (item, staging))


def drop(transaction: Transaction, staging: str) -> None:
    transaction.connection.execute(DROP, (staging,))


def seal(
    transaction: Transaction,
    staging: str,
    sha256: str,
    size: int,
    *,
    digests: Mapping[str, str],
    mtime_ns: int | None,
    keep_old: bool,
    mime: str | None = None,
) -> Item:
    """See ports.Catalogue.seal."""
    item, draft = _holder(transaction, staging)
    old = transaction.item(item)
    blob = content.blob_to_use(transaction, sha256, size, digests, mime)
    connection = transaction.connection
    if old.blob == blob and old.state.whole:
        with transaction.changing(item):
            connection.execute(SET_MTIME, (mtime_ns, item))
    else:
        if old.blob is not None and old.blob != blob:
            if keep_old and old.size and old.state is not State.MISSING:
                superseded.keep(transaction, old)
            superseded.leave_torrent(transaction, item)
        with transaction.changing(item):
            connection.execute(COMPLETE, (blob, size, mtime_ns, mtime_ns is not None, item))
            connection.execute(DROP_DOWNLOAD, (item,))
    if draft:
        connection.execute(DROP_UPTO, (item, draft))
    return transaction.item(item)


def strand(
    transaction: Transaction,
    staging: str,
    sha256: str,
    size: int,
    *,
    digests: Mapping[str, str],
    why: str,
    mime: str | None = None,
) -> ItemId | None:
    """See ports.Catalogue.strand."""
    item, _ = _holder(transaction, staging)
    old = transaction.item(item)
    blob = content.blob_to_use(transaction, sha256, size, digests, mime)
    drop(transaction, staging)
    if old.blob == blob or size == 0:
        return None
    number = superseded.copy(transaction, old, State.COMPLETE, blob, why)
    transaction.made(number)
    return number


def replace(transaction: Transaction, target: int, source: int) -> Replaced:
    """See ports.Catalogue.replace."""
    old, new = transaction.item(target), transaction.item(source)
    for item in (old, new):
        if item.kind is not Kind.FILE:
            raise BadRequest(f"item {item.id} is no file and has no content")
        if not is_settled(transaction, item):
            raise Busy(f"{item.name!r} is still arriving: its content cannot be replaced, nor replace another")
    if target == source or not transaction.facts(target).live:
        raise BadRequest(f"the content of item {target} cannot be replaced by that of item {source}")
    connection, before = transaction.connection, transaction.facts(source)
    kept = None
    is_lost = old.blob is not None and old.blob != new.blob and old.size and old.state is not State.MISSING
    if is_lost or points.staged(connection, target):
        kept = superseded.keep(transaction, old, staged=True)
    else:
        superseded.leave_torrent(transaction, target)
    with transaction.changing(target):
        connection.execute(TAKE_OVER, (target, source))
        connection.execute(MOVE_DOWNLOAD, (target, source))
        connection.execute(MOVE_DRAFTS, (target, source))
        connection.execute(KEEP_ORIGIN, (target,))
        connection.execute(DROP_SOURCES, (target,))
        connection.execute(MOVE_SOURCES, (target, source))
        connection.execute(DELETE_ITEM, (source,))
    transaction.forgotten(source, before)
    items.touch(transaction, old.parent, new.parent)
    return Replaced(transaction.item(target), kept)


def is_settled(transaction: Transaction, item: Item) -> bool:
    """Whether an item has content of its own, or what is written here will be; else a download brings it."""
    if item.state.whole or item.state in (State.WRITING, State.MISSING):
        return True
    return any(kind == SourceKind.MOUNT for kind in transaction.facts(item.id).sources)


def _holder(transaction: Transaction, staging: str) -> tuple[int, int]:
    """As `points.holder`, of what must have one."""
    found = points.holder(transaction.connection, staging)
    if found is None:
        raise NoSuchItem("the item that this was written for is gone")
    return found
