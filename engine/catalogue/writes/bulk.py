"""Tags of very many items in one transaction: sets in, sets out. On the writer thread, within a transaction.

    wanted ─▶ what of it is not so yet ─▶ few: a `Change` each
                                       └▶ many: INSERT ... SELECT in chunks ─▶ one TagChange a tag, with a bitmap

A million taggings are put on in 1.3 s and taken off in 2.6 s. With facts before and after a million changes would take
a minute to read and a gigabyte to hold.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Final, TypeAlias

from pyroaring import BitMap

from engine.catalogue import checks, points
from engine.catalogue.transaction import Transaction
from engine.catalogue.writes import relations, saved, tagging
from engine.catalogue.writes.tagging import DELETE_TAG, RENAME_TAG
from engine.errors import BadRequest, NameTaken, NoSuchTag
from engine.ports import Retagging
from engine.types import TagChange, TagEvent
from query.relations import Relation

FEW: Final = 1_000  # items that are told of one by one: 50 ms
CHUNK: Final = 20_000  # taggings a statement: some 30 ms

EXIST: Final = "SELECT json_group_array(id) FROM item WHERE id IN (SELECT value FROM json_each(?))"
CARRY: Final = "SELECT json_group_array(item) FROM tagging WHERE tag = ? AND item IN (SELECT value FROM json_each(?))"
UNTAGGED: Final = (
    "SELECT json_group_array(value) FROM json_each(?) j"
    " WHERE NOT EXISTS (SELECT 1 FROM tagging WHERE tagging.item = j.value)"
)
CARRIERS: Final = (
    "SELECT json_group_array(item) FROM (SELECT item FROM tagging WHERE tag = ? AND item > ? ORDER BY item LIMIT ?)"
)
GONE: Final = (
    "WITH RECURSIVE gone(id) AS (SELECT id FROM item WHERE trashed_ns IS NOT NULL"
    " UNION SELECT i.id FROM gone JOIN item i ON i.parent = gone.id) SELECT json_group_array(id) FROM gone"
)
PUT: Final = "INSERT INTO tagging (item, tag) SELECT value, ? FROM json_each(?)"
TAKE: Final = "DELETE FROM tagging WHERE tag = ? AND item IN (SELECT value FROM json_each(?))"
SET_COUNT: Final = "UPDATE tag SET items = ? WHERE id = ?"
MOVE_RELATIONS: Final = "UPDATE relation SET tag = ? WHERE tag = ?"
MOVE_RELATED: Final = "UPDATE relation SET other = ? WHERE other = ?"

Sets: TypeAlias = dict[str, BitMap]
Report: TypeAlias = Callable[[int, int], None]


def retag_many(transaction: Transaction, wanted: Retagging, *, dry_run: bool, report: Report) -> int:
    """See ports.Catalogue.retag_many; `report` is called on this thread."""
    gained, lost = _difference(transaction, wanted)
    changed = BitMap.union(BitMap(), *gained.values(), *lost.values())
    if dry_run or not changed:
        return len(changed)
    if len(changed) <= FEW:
        _one_by_one(transaction, changed, gained, lost)
    else:
        _together(transaction, gained, lost, report)
    return len(changed)


def merge_tag(transaction: Transaction, old: str, new: str, *, report: Report) -> int:
    """See ports.Catalogue.merge_tag. The row with more taggings keeps them, and gets the new name if need be."""
    connection = transaction.connection
    rows = {name: points.tag_id(connection, name) for name in (old, new)}
    for name, number in rows.items():
        if number is None:
            raise NoSuchTag(f"there is no tag {name!r}")
    if old == new:
        raise BadRequest(f"the tag {old!r} cannot be merged into itself")
    carried = {name: _carriers(transaction, number) for name, number in rows.items() if number is not None}
    # What was stated of the tag that ends is said of the other one instead. So its row has no relations by now, and
    # the row that ends, if that is the other one's, hands over those that it has.
    stated = relations.of_tag(transaction, old)
    for relation in stated:
        relations.unrelate(transaction, relation)
    kept, ended = (old, new) if len(carried[old]) > len(carried[new]) else (new, old)
    kept_row, ended_row = rows[kept], rows[ended]
    assert kept_row is not None and ended_row is not None
    moved = carried[ended] - carried[kept]
    progress = _Progress(len(moved) + len(carried[ended]), report)
    progress.execute(transaction, PUT, kept_row, moved)
    progress.execute(transaction, TAKE, ended_row, carried[ended])
    for query in (MOVE_RELATIONS, MOVE_RELATED):
        connection.execute(query, (kept_row, ended_row))
    connection.execute(DELETE_TAG, (ended_row,))
    if kept == old:
        connection.execute(RENAME_TAG, (*tagging.tag_row(new), kept_row))
    live = (carried[old] | carried[new]) - _gone(transaction)
    connection.execute(SET_COUNT, (len(live), kept_row))
    transaction.tags += [
        TagChange(TagEvent.RETAGGED, new, gained=carried[old] - carried[new], number=kept_row),
        TagChange(TagEvent.RETAGGED, old, lost=carried[old]),
        TagChange(TagEvent.REMOVED, old, heir=new),
    ]
    for tag, kind, other in stated:
        first, second = (new if name == old else name for name in (tag, other))
        if first != second:
            with suppress(NameTaken):  # it was said of both
                relations.relate(transaction, Relation(first, kind, second))
    saved.follow(transaction, old, new)
    return len(carried[old])


def _difference(transaction: Transaction, wanted: Retagging) -> tuple[Sets, Sets]:
    """By tag, without empty ones: the items that have to get it, and those that have to lose it."""
    adding, removing = _checked(wanted.add), _checked(wanted.remove)
    there = _select(transaction, EXIST, BitMap.union(BitMap(), *adding.values()))
    gained: Sets = {}
    lost: Sets = {}
    for name in sorted(adding):
        tag = points.tag_id(transaction.connection, name)
        items = (adding[name] & there) - removing.get(name, BitMap())
        gained[name] = items if tag is None else items - _select(transaction, CARRY, items, tag)
    for name in sorted(removing):
        tag = points.tag_id(transaction.connection, name)
        lost[name] = BitMap() if tag is None else _select(transaction, CARRY, removing[name], tag)
    return {name: items for name, items in gained.items() if items}, {n: items for n, items in lost.items() if items}


def _checked(sets: Mapping[str, BitMap]) -> Sets:
    """By the names as they are stored."""
    found: Sets = {}
    for name, items in sets.items():
        stored = checks.tag_name(name)
        found[stored] = items if stored not in found else found[stored] | items
    return found


def _one_by_one(transaction: Transaction, changed: BitMap, gained: Sets, lost: Sets) -> None:
    for item in changed:
        with transaction.changing(item):
            tagging.untag(transaction, item, [name for name, items in lost.items() if item in items])
            tagging.tag(transaction, item, [name for name, items in gained.items() if item in items])


def _together(transaction: Transaction, gained: Sets, lost: Sets, report: Report) -> None:
    numbers = {name: tagging.tag_to_use(transaction, name) for name in (*lost, *gained)}
    clothed = _select(transaction, UNTAGGED, BitMap.union(BitMap(), *gained.values()))
    progress = _Progress(sum(map(len, (*gained.values(), *lost.values()))), report)
    for name, items in lost.items():
        progress.execute(transaction, TAKE, numbers[name], items)
    for name, items in gained.items():
        progress.execute(transaction, PUT, numbers[name], items)
    bare = _select(transaction, UNTAGGED, BitMap.union(BitMap(), *lost.values()))
    gone = _gone(transaction)
    for name in numbers:
        come, left = gained.get(name, BitMap()), lost.get(name, BitMap())
        transaction.counts[name] += len(come - gone) - len(left - gone)
        last = name == next(reversed(numbers))
        transaction.tags.append(
            TagChange(
                TagEvent.RETAGGED, name, gained=come, lost=left,
                bare=bare if last else BitMap(), clothed=clothed if last else BitMap(),
            )
        )  # fmt: skip


class _Progress:
    """`report` hears of each chunk how many taggings are done, and of how many."""

    def __init__(self, total: int, report: Report) -> None:
        self._done, self._total, self._report = 0, total, report

    def execute(self, transaction: Transaction, query: str, tag: int, items: BitMap) -> None:
        for chunk in _chunks(items):
            transaction.connection.execute(query, (tag, json.dumps(chunk)))
            self._done += len(chunk)
            self._report(self._done, self._total)


def _select(transaction: Transaction, query: str, items: BitMap, *parameters: int) -> BitMap:
    """Those of `items` that `query` gives."""
    found = BitMap()
    for chunk in _chunks(items):
        ((text,),) = transaction.connection.execute(query, (*parameters, json.dumps(chunk))).fetchall()
        found.update(json.loads(text))
    return found


def _chunks(items: BitMap) -> Iterator[list[int]]:
    numbers = items.to_array()
    for start in range(0, len(numbers), CHUNK):
        yield numbers[start : start + CHUNK].tolist()


def _carriers(transaction: Transaction, tag: int) -> BitMap:
    found, last = BitMap(), -1
    while True:
        ((text,),) = transaction.connection.execute(CARRIERS, (tag, last, CHUNK)).fetchall()
        chunk = json.loads(text)
        found.update(chunk)
        if len(chunk) < CHUNK:
            return found
        last = chunk[-1]


def _gone(transaction: Transaction) -> BitMap:
    """What is in the trash, by itself or with a folder."""
    ((text,),) = transaction.connection.execute(GONE).fetchall()
    return BitMap(json.loads(text))
