"""What the journal says: who did it, and what was changed. Plain values, pure; imports types. Any thread.

A row is about items that one transaction changed alike. Its `what` is a JSON object with some of these keys:

    add remove    lists of tags
    name          [old, new]
    parent        [old, new]: the folder item that holds it, null for none
    trashed       [was in the trash by itself, is]
    content       [old SHA-256, new]; the first content of an item is no change of it
    made          the name, or true for several; with `add` its tags, with `trashed` true where it is made in the trash
    ended         the name, or true for several: it is gone for good
    dropped       the same of what never had content
    removed       the name of an empty folder that left no trace; with `row`, what else it was, by which undo makes it
    given         the same of what gave its content to another item of the same transaction, as by `mv tmp f`

An undo that found all as it was already has `nothing`: true,
and one about a tag has `tag`: ["created", name], ["removed", name] or ["renamed", old, new]. One about a relation has
`relation`: ["related", tag, kind, other] or ["unrelated", ...]; one about a saved query `query`: ["saved", name, text],
["forgotten", name, text] or ["renamed", old, new].
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pyroaring import BitMap

from engine.types import SAVING, Change, Facts, ItemId, TagChange, TagEvent

What = dict[str, Any]


class Cause(StrEnum):
    """Who did it."""

    MOUNT = "mount"
    COMMAND = "command"
    DOWNLOAD = "download"  # a transfer or a watched folder, by itself
    RULE = "rule"  # of the config file
    UPKEEP = "upkeep"  # of the trash, by age and size
    UNDO = "undo"

    @property
    def decided(self) -> bool:
        """Whether a person did it: `tagfs undo` looks for the last of these."""
        return self is Cause.MOUNT or self is Cause.COMMAND


@dataclass(frozen=True, slots=True)
class Record:
    """One row of the journal."""

    id: int
    call: int  # the id of the first row of its transaction
    at_ns: int
    cause: Cause
    undoes: int | None  # the call that this one took back
    items: BitMap  # empty for what concerns none
    what: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A row to be. `item` for a single one, `items` for several, neither for what concerns none."""

    what: What
    item: int | None = None
    items: BitMap | None = None


@dataclass(frozen=True, slots=True)
class Undone:
    """What an undo did: items that it took out of the trash and put there, and how many it could leave alone since they
    have ended for good."""

    call: int
    restored: tuple[int, ...]
    trashed: tuple[int, ...]
    missing: int


def recontents(records: Iterable[Record]) -> BitMap:
    """What may have another content when these are undone: also what kept the old one, in the trash."""
    return members(
        record for record in records if "content" in record.what or {"made", "trashed"} <= record.what.keys()
    )


# Keys that say of an item that it was not there before, or is not afterwards.
ABSENT = frozenset({"made", "ended", "dropped", "given", "removed"})


def goes_away(records: Iterable[Record]) -> BitMap:
    """What goes to the trash when these are undone."""
    return members(
        record for record in records
        if record.what.get("trashed") == [True, False] or ("made" in record.what and "trashed" not in record.what)
    )  # fmt: skip


def comes_back(records: Iterable[Record]) -> BitMap:
    """What comes out of the trash when these are undone."""
    return members(record for record in records if record.what.get("trashed") == [False, True])


def members(records: Iterable[Record]) -> BitMap:
    """All items that these are about."""
    return BitMap().union(*(record.items for record in records))


# Up to here what a transaction made or ended has a row each, with the name; beyond, one for all of it.
NAMED_LIMIT = 100


def entries(changes: list[Change], tags: list[TagChange], removed: Mapping[ItemId, What]) -> list[Entry]:
    """The rows that tell of a transaction: tags first, then items in the order of their first change. `removed`: what
    the empty folders were that are gone."""
    told = [entry for change in tags if change.event not in SAVING for entry in _of_tag(change)]
    if len(changes) == 1:  # nearly all of them
        [(item, before, after)] = [(change.item, change.before, change.after) for change in changes]
        what = difference(before, after, removed.get(item))
        if what:
            told.append(Entry(what, item))
        return told
    groups: dict[Any, list[tuple[ItemId, What]]] = {}
    net = _net(changes)
    taken = {after.sha256 for _, before, after in net if before and after and before.sha256 != after.sha256}
    for item, before, after in net:
        what = difference(before, after, removed.get(item))
        if "ended" in what and before is not None and before.sha256 in taken:
            what = {"given": what["ended"]}
        if what:
            groups.setdefault(_alike(what), []).append((item, what))
    born = [key for key in groups if "made" in key[0]]
    if sum(len(groups[key]) for key in born) > NAMED_LIMIT and len(born) > NAMED_LIMIT // 10:
        made = [item for key in born for item, _ in groups.pop(key)]  # each with other tags, as `import` makes them
        told.append(Entry({"made": True}, items=BitMap(made)))
    for key, group in groups.items():
        told += _told(key[0], group)
    return told


def difference(before: Facts | None, after: Facts | None, row: What | None = None) -> What:
    """What a journal says of an item that was so and is so; empty where nothing of it is worth a row. `row`: what an
    empty folder was that is gone."""
    if before is None:
        return {} if after is None else _made(after)
    if after is None and row is not None:
        return {"removed": before.name, "row": row}
    if after is None:
        return {"dropped" if before.sha256 is None and not before.trashed else "ended": before.name}
    what: What = {}
    if before.tags != after.tags:
        if came := after.tags - before.tags:
            what["add"] = sorted(came)
        if gone := before.tags - after.tags:
            what["remove"] = sorted(gone)
    if before.name != after.name:
        what["name"] = [before.name, after.name]
    if before.parent != after.parent:
        what["parent"] = [before.parent, after.parent]
    if before.trashed != after.trashed:
        what["trashed"] = [before.trashed, after.trashed]
    if before.sha256 != after.sha256 and before.sha256 is not None:
        what["content"] = [before.sha256, after.sha256]
    return what


def _made(after: Facts) -> What:
    what: What = {"made": after.name}
    if after.tags:
        what["add"] = sorted(after.tags)
    if after.trashed:
        what["trashed"] = True
    return what


def _net(changes: list[Change]) -> list[tuple[ItemId, Facts | None, Facts | None]]:
    """An item that was changed twice in one transaction was changed once."""
    first: dict[ItemId, Facts | None] = {}
    last: dict[ItemId, Facts | None] = {}
    for change in changes:
        first.setdefault(change.item, change.before)
        last[change.item] = change.after
    return [(item, before, last[item]) for item, before in first.items()]


def _alike(what: What) -> tuple[Any, ...]:
    """What is equal for items that were changed alike: names of what came and went do not count."""
    return (tuple(what), *(str(value) for key, value in what.items() if key not in _NAMING))


_NAMING = ("made", *sorted(ABSENT - {"made"}))


def _told(keys: tuple[str, ...], group: list[tuple[ItemId, What]]) -> list[Entry]:
    naming = next((key for key in keys if key in _NAMING), None)
    if len(group) == 1 or "row" in keys or (naming is not None and len(group) <= NAMED_LIMIT):
        return [Entry(what, item) for item, what in group]
    what = group[0][1] if naming is None else {**group[0][1], naming: True}
    return [Entry(what, items=BitMap([item for item, _ in group]))]


def _of_tag(change: TagChange) -> Iterator[Entry]:
    if change.event is TagEvent.RETAGGED:
        for key, items in (("add", change.gained), ("remove", change.lost)):
            if items:
                yield Entry({key: [change.name]}, items=items)
    elif change.event is TagEvent.RENAMED:
        yield Entry({"tag": ["renamed", change.name, change.new_name]})
    elif change.relation is not None:
        yield Entry({"relation": [change.event.value, *change.relation]})
    else:
        yield Entry({"tag": [change.event.value, change.name]})
