"""How items come and go: add, trash, restore, purge, discard. On the writer thread, within a transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from engine.catalogue import below, checks, points
from engine.catalogue.transaction import Transaction
from engine.catalogue.writes import content, tagging
from engine.errors import BadRequest, EngineError, NameTaken, NoSuchItem
from engine.ports import NewItem
from engine.types import LAST_ITEM_ID, Change, Facts, Item, ItemId, Kind, Source
from query.errors import show

INSERT_ITEM: Final = (
    "INSERT INTO item (name, kind, state, size, blob, mtime_ns, mtime_given, added_ns, mode, target, parent)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
INSERT_SOURCE: Final = "INSERT INTO source (item, position, kind, url, public_url, host) VALUES (?, ?, ?, ?, ?, ?)"
INSERT_XATTR: Final = "INSERT INTO xattr (item, name, value) VALUES (?, ?, ?)"
TRASH: Final = "UPDATE item SET trashed_ns = ? WHERE id = ?"
RESTORE: Final = "UPDATE item SET trashed_ns = NULL, name = coalesce(?, name) WHERE id = ?"
UNTRASH: Final = "UPDATE item SET trashed_ns = NULL WHERE id = ?"
LET_GO: Final = "UPDATE item SET parent = NULL WHERE id = ?"
TOUCH: Final = "UPDATE item SET mtime_ns = ? WHERE id = ?"
DELETE_ITEM: Final = "DELETE FROM item WHERE id = ?"  # taggings, xattrs, sources and download cascade


def add(transaction: Transaction, new: NewItem) -> Item:
    checks.new_item(new)
    name, tags = checks.name_bytes(new.name), checks.tag_names(new.tags)
    if new.parent is not None:
        check_folder(transaction, new.parent)
    xattrs = checks.xattr_rows(new.xattrs)
    target = None if new.target is None else checks.file_bytes(new.target, "target")
    size = len(target) if target is not None else new.size
    blob = None
    if new.sha256 is not None and new.size is not None:
        blob = content.blob_to_use(transaction, new.sha256, new.size, {}, new.mime)
    now = transaction.clock()
    connection = transaction.connection
    number = connection.execute(
        INSERT_ITEM,
        (
            name, new.kind.value, new.state.value, size, blob, now if new.mtime_ns is None else new.mtime_ns,
            new.mtime_ns is not None, now, new.mode, target, new.parent,
        ),
    ).lastrowid  # fmt: skip
    assert number is not None
    if number > LAST_ITEM_ID:
        raise EngineError("the catalogue has given out all item numbers")
    tagging.tag(transaction, number, sorted(tags))
    if xattrs:
        connection.executemany(INSERT_XATTR, [(number, *row) for row in xattrs])
    connection.executemany(INSERT_SOURCE, source_rows(number, new.sources))
    if new.download is not None:
        content.start_download(transaction, number, new.download, size)
    if new.parent is not None:
        check_name(transaction, new.parent, new.name, number)
        touch(transaction, new.parent)
    return transaction.made(number)


def add_many(transaction: Transaction, new: Sequence[NewItem]) -> list[Item]:
    return [add(transaction, one) for one in new]


def trash(transaction: Transaction, item: int, along: Collection[int] | None = None) -> Item:
    """Nothing happens to an item that is in the trash already, by itself or with its folder.

    What a folder holds goes with it and keeps its rows as they are. Only what is in the trash by itself takes part in
    the folder's stay there from now on: `rm -r` has put all of it there one by one. With `along`, only these do; the
    others are in no folder any more."""
    if not transaction.facts(item).live:
        return transaction.item(item)
    held = noted(transaction, item, buried=False)
    with transaction.changing(item) as before:
        transaction.connection.execute(TRASH, (transaction.clock(), item))
    touch(transaction, before.parent)
    left = set() if along is None else {number for number, facts in held.items() if facts.trashed} - set(along)
    for number in left:
        let_go(transaction, number, held.pop(number))
    transaction.connection.executemany(UNTRASH, [(number,) for number, facts in held.items() if facts.trashed])
    for number, facts in held.items():
        transaction.changes.append(Change(ItemId(number), facts, replace(facts, trashed=False, buried=True)))
    return transaction.item(item)


def let_go(transaction: Transaction, item: int, facts: Facts) -> None:
    """What is in the trash by itself is in no folder any more."""
    transaction.connection.execute(LET_GO, (item,))
    transaction.changes.append(Change(ItemId(item), facts, replace(facts, parent=None)))


def restore(transaction: Transaction, item: int, name: str | None) -> Item:
    """With a new name if one is given, live or not."""
    stored = None if name is None else checks.name_bytes(name)
    with transaction.changing(item) as before:
        transaction.connection.execute(RESTORE, (stored, item))
    touch(transaction, before.parent)
    if before.trashed:
        for number, facts in noted(transaction, item, buried=False).items():
            transaction.changes.append(Change(ItemId(number), replace(facts, buried=True), facts))
    return transaction.item(item)


def purge(transaction: Transaction, items: Collection[int]) -> None:
    """Numbers without an item are left out; BadRequest for a live one, and then none is forgotten. What a folder holds
    goes with it."""
    for item in sorted(set(items)):
        found = points.facts(transaction.connection, item)
        if found is None:
            continue
        if found.live:
            raise BadRequest(f"item {item} is not in the trash")
        _forget(transaction, item)


def discard(transaction: Transaction, item: int) -> None:
    """BadRequest for an item that has content, or holds one that has."""
    held = _held(transaction, item)
    if transaction.item(item).blob is not None or any(facts.sha256 is not None for facts in held.values()):
        raise BadRequest(f"item {item} has content; it goes by way of the trash")
    touch(transaction, transaction.item(item).parent)
    _forget(transaction, item)


def _forget(transaction: Transaction, item: int) -> None:
    """From the bottom up: SQLite cascades to no more than 1,000 levels."""
    before = transaction.facts(item)
    held = _held(transaction, item)
    for number in reversed(held):
        transaction.connection.execute(DELETE_ITEM, (number,))
        transaction.forgotten(number, held[number])
    transaction.connection.execute(DELETE_ITEM, (item,))
    transaction.forgotten(item, before)


def check_folder(transaction: Transaction, folder: int) -> None:
    """Whether something can be put into it."""
    found = points.facts(transaction.connection, folder)
    if found is None or not found.live or found.kind is not Kind.FOLDER:
        raise NoSuchItem(f"there is no folder {folder} any more")


def check_name(transaction: Transaction, folder: int, name: str, item: int) -> None:
    """Whether `item`, which is in `folder` already, is the only one of that name there."""
    if points.has_namesake(transaction.connection, folder, name, item):
        raise NameTaken(f"there is {show(name)} in this folder already")


def touch(transaction: Transaction, *folders: int | None) -> None:
    """Something came into these folders or went: their modification time, as of every directory."""
    now = transaction.clock()
    rows = [(now, folder) for folder in {*folders} if folder is not None]
    transaction.connection.executemany(TOUCH, rows)


def noted(transaction: Transaction, item: int, *, buried: bool) -> dict[int, Facts]:
    """What a folder holds and has tags of its own or is in the trash by itself; nothing for what is no folder."""
    if transaction.item(item).kind is not Kind.FOLDER:
        return {}
    return below.noted(transaction.connection, item, buried=buried)


def _held(transaction: Transaction, item: int) -> dict[int, Facts]:
    """All that it holds, a folder before what is in it."""
    facts = transaction.facts(item)
    if facts.kind is not Kind.FOLDER:
        return {}
    return below.everything(transaction.connection, item, buried=not facts.live)


def source_rows(item: int, sources: Sequence[Source]) -> list[tuple[int, int, str, str, str, str]]:
    return [
        (item, position, source.kind.value, source.url, source.public_url, source.host.lower())
        for position, source in enumerate(sources)
    ]
