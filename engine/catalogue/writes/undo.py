"""Takes back what one transaction did, as one transaction. On the writer thread.

The rows of the journal say what each item was before. What is to be restored must still be as the change left it, or
be as it was before already; else somebody changed it since, and the undo is refused as a whole (`Changed`). What the
undo does is journaled like everything, with the call that it took back: so an undo can be undone, which is redo.

    tags come back ─▶ empty folders ─▶ out of the trash ─▶ names ─▶ content ─▶ tags of items ─▶ into the trash
                                                                                                  tags go ◀┘

Nothing is lost by it: an item that the change made goes to the trash, and content that the change brought does so, too.
An empty folder that an undo has made again is removed again, as long as it is empty.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final

from pyroaring import BitMap

from engine.catalogue import journal, points
from engine.catalogue.transaction import Transaction
from engine.catalogue.writes import (
    bulk,
    edits,
    emptied,
    items,
    places,
    tagging,
    undo_content,
    undo_places,
    undo_related,
)
from engine.errors import Changed, NoSuchChange, NoSuchTag
from engine.history import ABSENT, Cause, Entry, Record, Undone, goes_away, members
from engine.ports import Edit, Retagging
from query.errors import show

CARRYING: Final = "SELECT item FROM tagging WHERE tag = ?"
EXISTING: Final = "SELECT i.id FROM json_each(?) j JOIN item i ON i.id = j.value"


def undo(transaction: Transaction, call: int) -> Undone:
    """See ports.Catalogue.undo."""
    connection = transaction.connection
    records = journal.rows_of(connection, call)
    if not records:
        raise NoSuchChange(f"there is no change {call} in the history, or not all of it any more")
    if journal.undone_by(connection, call) is not None:
        raise Changed(f"change {call} is undone already")
    transaction.cause, transaction.undoes = Cause.UNDO, call
    there = {record.id: _existing(transaction, record.items) for record in records}
    missing = _missing(records, there)
    of_tags = [record.what["tag"] for record in records if "tag" in record.what]
    of_items = [record for record in records if record.items]
    before, after = _in_order(of_tags, alone=not of_items)
    _tags_back(transaction, before, alone=not of_items)
    undo_related.put_back(transaction, records)
    again = emptied.put_back(transaction, of_items)
    back, moved = undo_places.put_back(transaction, of_items, there)
    undo_content.put_back(transaction, of_items, there)
    _retag(transaction, of_items, there)
    made = [record for record in of_items if "made" in record.what]
    removed = _remove_again(transaction, [record for record in made if record.undoes is not None], there)
    existing = BitMap().union(*there.values()) - removed
    away = _trash(transaction, goes_away(records) & existing, members(made))
    # What comes out of the trash may find its name taken, as it may whenever it is restored.
    undo_places.judge(transaction, [*again, *(item for item in moved if item not in back)])
    _tags_back(transaction, after, alone=not of_items)
    if not transaction.changes and not transaction.tags:
        # All is as it was already, and the next undo goes further back.
        transaction.entries.append(Entry({"nothing": True}))
    return Undone(call, tuple(back), tuple(away), missing)


# -- items that there are no more -----------------------------------------------------------------------------------
def _existing(transaction: Transaction, numbers: BitMap) -> BitMap:
    if not numbers:
        return BitMap()
    return BitMap([number for (number,) in transaction.connection.execute(EXISTING, (json.dumps(list(numbers)),))])


def _missing(records: Sequence[Record], there: dict[int, BitMap]) -> int:
    """How many items of several have ended since: they need nothing. Changed where nothing else is left of a row."""
    missing = 0
    removed = members(record for record in records if "removed" in record.what)
    for record in records:
        if "ended" in record.what:
            name = record.what["ended"]
            what = f"{len(record.items)} items" if name is True else show(name)
            raise Changed(
                f"change {record.call} ended {what} for good, which nothing brings back; "
                "earlier changes can be undone by their number"
            )
        if not record.items or record.what.keys() & ABSENT:
            continue
        if not there[record.id] and not emptied.is_let_go(record, removed):
            which = f"item {record.items[0]} has" if len(record.items) == 1 else "its items have"
            raise Changed(f"change {record.call} cannot be undone: {which} ended for good since")
        missing += len(record.items) - len(there[record.id])
    return missing


# -- tags -----------------------------------------------------------------------------------------------------------
def _in_order(tags: list[list[str]], *, alone: bool) -> tuple[list[list[str]], list[list[str]]]:
    """What comes before the items and what after them: a tag that is to be put on items must be there."""
    backwards = tags[::-1]
    if alone:
        return backwards, []
    return [tag for tag in backwards if tag[0] == "removed"], [tag for tag in backwards if tag[0] != "removed"]


def _tags_back(transaction: Transaction, tags: Iterable[list[str]], *, alone: bool) -> None:
    for event, name, *rest in tags:
        there = points.tag_id(transaction.connection, name)
        if event == "removed":
            if there is None:
                tagging.create_tag(transaction, name)
        elif event == "renamed":
            if there is not None:
                raise Changed(f"there is another tag {show(name)} since")
            try:
                tagging.rename_tag(transaction, rest[0], name)
            except NoSuchTag:
                raise Changed(f"the tag {show(rest[0])} was renamed or removed since") from None
        elif there is None:
            if alone:
                raise Changed(f"the tag {show(name)} was renamed or removed since")
        else:
            _unmake(transaction, there, name, alone=alone)


def _unmake(transaction: Transaction, tag: int, name: str, *, alone: bool) -> None:
    """A tag that came with items stays where something live carries it by now. What is in the trash does not keep it:
    most often the undo of a later change has put it there, and undo must be able to walk on."""
    carried = [item for (item,) in transaction.connection.execute(CARRYING, (tag,)).fetchall()]
    if not any(transaction.facts(item).live for item in carried):
        edits.edit_many(transaction, [(item, Edit(remove=[name])) for item in carried])
        tagging.remove_tag(transaction, name)
    elif alone:
        raise Changed(f"the tag {show(name)} is in use since")


def _retag(transaction: Transaction, records: Iterable[Record], there: dict[int, BitMap]) -> None:
    for record in records:
        if "made" in record.what:
            continue  # it keeps its tags in the trash
        add, remove = record.what.get("remove", ()), record.what.get("add", ())
        for name in (*add, *remove):
            if points.tag_id(transaction.connection, name) is None:
                raise Changed(f"the tag {show(name)} was renamed or removed since")
        if add or remove:
            wanted = Retagging(dict.fromkeys(add, there[record.id]), dict.fromkeys(remove, there[record.id]))
            bulk.retag_many(transaction, wanted, dry_run=False, report=lambda done, total: None)


# -- trash ----------------------------------------------------------------------------------------------------------
def _trash(transaction: Transaction, numbers: BitMap, made: BitMap) -> list[int]:
    """What goes with its folder is not moved by itself. What was made in a folder since it was restored is in the trash
    by itself by then, and must not come back when the undo walks on to what had put the folder there: it joins those
    folders alone that were made by the change, before which there is nothing of them."""
    away = []
    for number in numbers:
        facts = transaction.facts(number)
        if facts.live and (facts.parent is None or facts.parent not in numbers):
            items.trash(transaction, number, None if number in made else ())
            away.append(number)
    return away


def _remove_again(transaction: Transaction, records: Iterable[Record], there: dict[int, BitMap]) -> BitMap:
    """What an undo has made is an empty folder."""
    removed = BitMap()
    for item in BitMap().union(*(there[record.id] for record in records)):
        facts = transaction.facts(item)
        if facts.live and not points.holds(transaction.connection, item):
            places.remove_folder(transaction, item, along=())
            removed.add(item)
    return removed
