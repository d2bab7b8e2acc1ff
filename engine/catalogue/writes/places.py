"""Where items are: in which folder, or at the top. On the writer thread, within a transaction.

A folder takes all that it holds along: rows of what is below it do not change, and no change of them is told. A name is
in a folder once, since programs make locks by it (O_EXCL); at the top two items may have the same.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from engine.catalogue import points
from engine.catalogue.transaction import Transaction
from engine.catalogue.writes import edits, emptied, items
from engine.errors import BadRequest, NotEmpty
from engine.ports import Move
from engine.types import Change, ItemId, Kind

CHILDREN: Final = "SELECT id FROM item WHERE parent = ?"
SET_PLACE: Final = "UPDATE item SET parent = ?, trashed_ns = NULL WHERE id = ?"


def move(transaction: Transaction, moves: Sequence[Move], trashed: Collection[int], *, judged: bool = True) -> None:
    """See ports.Catalogue.move. Not `judged`: the caller looks at the names, once all of its moves are done."""
    for item in trashed:
        if transaction.item(item).kind is Kind.FOLDER:
            remove_folder(transaction, item)
        else:
            items.trash(transaction, item)
    for one in moves:
        _move(transaction, one)
    for one in moves:
        if judged and one.parent is not None:
            items.check_name(transaction, one.parent, transaction.item(one.item).name, one.item)


def remove_folder(transaction: Transaction, item: int, along: Collection[int] | None = None) -> None:
    """See ports.Catalogue.remove_folder."""
    found = transaction.item(item)
    connection = transaction.connection
    if found.kind is not Kind.FOLDER:
        raise BadRequest(f"item {item} is no folder")
    if points.holds(connection, item):
        raise NotEmpty("there are items in this folder: rm -r or tagfs rm takes all of it")
    if not transaction.facts(item).live:
        return
    held = {number for (number,) in connection.execute(CHILDREN, (item,)).fetchall()}
    joining = held if along is None else held & set(along)
    if found.tag_count or joining or points.xattrs(connection, item) or not emptied.is_spare(transaction, item):
        items.trash(transaction, item, along)
        return
    for number in held:
        items.let_go(transaction, number, transaction.facts(number))
    emptied.remove(transaction, item)


def _move(transaction: Transaction, move: Move) -> None:
    item, parent = move.item, move.parent
    before = transaction.facts(item)
    if parent is not None:
        if item in (parent, *points.ancestors(transaction.connection, parent)):
            raise BadRequest(f"folder {item} cannot be in itself")
        items.check_folder(transaction, parent)
    with transaction.changing(item):
        transaction.connection.execute(SET_PLACE, (parent, item))
        edits.apply(transaction, item, move.edit, before)
    items.touch(transaction, before.parent, parent)
    if not before.live:
        for number, facts in items.noted(transaction, item, buried=False).items():
            transaction.changes.append(Change(ItemId(number), replace(facts, buried=True), facts))
