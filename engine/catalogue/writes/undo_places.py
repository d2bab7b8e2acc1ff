"""Puts items back where a change found them: out of the trash, under their names, in their folders. On the writer
thread, within the transaction of an undo.

All are moved before any is judged: a change may have exchanged two of them, or one may go to the trash for another.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pyroaring import BitMap

from engine.catalogue import points
from engine.catalogue.transaction import Transaction
from engine.catalogue.writes import edits, emptied, items, places
from engine.errors import BadRequest, Changed, NoSuchItem
from engine.history import Record, comes_back, members
from engine.ports import Edit, Move
from engine.types import ItemId
from query.errors import show

PLACE: Final = ("name", "parent")


def put_back(
    transaction: Transaction, records: Iterable[Record], there: dict[int, BitMap]
) -> tuple[list[int], list[int]]:
    """What came out of the trash, and all that is elsewhere now, for `judge`."""
    records = [record for record in records if record.items]
    back = [item for item in comes_back(records) & BitMap().union(*there.values()) if transaction.facts(item).trashed]
    for item in back:
        items.restore(transaction, item, None)
    removed = members(record for record in records if "removed" in record.what)
    moved = [
        (item, record)
        for record in records
        if not record.what.keys().isdisjoint(PLACE)
        for item in there[record.id]
        if not (emptied.is_let_go(record, removed) and transaction.facts(item).live)
    ]
    for item, record in moved:
        _move(transaction, item, record)
    found = [*back, *(item for item, _ in moved)]
    placed = [*back, *(item for item, record in moved if "parent" in record.what)]  # a name may be given anywhere
    for facts in map(transaction.facts, placed):
        if facts.buried and not facts.trashed:
            raise Changed(f"the folder that held {show(facts.name)} is in the trash")
    return back, found


def _move(transaction: Transaction, item: int, record: Record) -> None:
    facts = transaction.facts(item)
    old, new = record.what.get("name", [facts.name, facts.name])
    if facts.name not in (old, new):
        raise Changed(f"{show(new)} was renamed to {show(facts.name)} since")
    from_, to = record.what.get("parent", [facts.parent, facts.parent])
    if facts.parent not in (from_, to):
        raise Changed(f"{show(facts.name)} was moved to another folder since")
    edit = Edit(name=None if old == facts.name else old)
    if from_ == facts.parent:
        edits.edit(transaction, item, edit)
        return
    try:
        places.move(transaction, [Move(ItemId(item), from_, edit)], (), judged=False)
    except NoSuchItem:
        raise Changed(f"the folder that held {show(facts.name)} is gone, or in the trash") from None
    except BadRequest:
        raise Changed(f"the folder that held {show(facts.name)} is in it since") from None
    if facts.trashed:  # to move is to take out of the trash, which is not what is undone
        items.trash(transaction, item, along=())


def judge(transaction: Transaction, moved: Iterable[int]) -> None:
    """Once what goes to the trash is there. Changed where something is in the way: in a folder a name is given once."""
    for item in moved:
        facts = transaction.facts(item)
        if facts.parent is None or not facts.live:
            continue
        if points.has_namesake(transaction.connection, facts.parent, facts.name, item):
            raise Changed(f"there is another {show(facts.name)} in its folder since")
