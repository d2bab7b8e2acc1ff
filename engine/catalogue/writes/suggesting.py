"""What was found out about items: tags that rules put on them, tags that are proposed, and what becomes of those.

On the writer thread, within a transaction. A row of `suggestion` remembers for each item and tag what was decided, by a
rule or a person: so no rule puts back what somebody took off, and what was refused is not proposed again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from engine.catalogue import points
from engine.catalogue.transaction import Transaction
from engine.catalogue.writes import tagging
from engine.errors import NoSuchItem
from engine.ports import Look
from engine.suggested import key_of
from engine.types import ItemId

KNOWN: Final = "SELECT tag, state FROM suggestion WHERE item = ?"
OPEN: Final = "SELECT tag FROM suggestion WHERE item = ? AND state = 'open' ORDER BY tag"
PUT: Final = (
    "INSERT INTO suggestion (item, tag, origin, state) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (item, tag) DO UPDATE SET state = excluded.state"
)
LOOKED_AT: Final = "UPDATE item SET looked = max(looked, ?) WHERE id IN (SELECT value FROM json_each(?))"


def note_looks(transaction: Transaction, looks: Sequence[Look], *, dry_run: bool) -> int:
    """See ports.Catalogue.note_looks."""
    number = 0
    stages: dict[int, list[int]] = {}
    for look in looks:
        if look.tags or look.proposed or look.accept:
            number += _note(transaction, look, dry_run=dry_run)
        if look.stage and not dry_run:
            stages.setdefault(look.stage, []).append(look.item)
    for stage, items in stages.items():
        transaction.connection.execute(LOOKED_AT, (stage, json.dumps(items)))
    return number


def _note(transaction: Transaction, look: Look, *, dry_run: bool) -> int:
    """Returns how many tags the item gets."""
    facts = points.facts(transaction.connection, look.item)
    if facts is None:
        return 0  # it went meanwhile
    known = dict(transaction.connection.execute(KNOWN, (look.item,)).fetchall())
    decided, proposed = _sorted_out(look, known, facts.tags)
    gained = [tag for tag in decided if tag not in facts.tags]
    if not dry_run:
        rows = [(look.item, tag, origin, "accepted") for tag, origin in decided.items()]
        rows += [(look.item, tag, origin, "open") for tag, origin in proposed.items()]
        transaction.connection.executemany(PUT, rows)
        _put_on(transaction, look.item, gained)
    return len(gained)


def _sorted_out(look: Look, known: Mapping[str, str], own: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
    """By tag what it comes from: those that are decided with this look, and those that are left to a person. What a
    person said of an item counts: where it has a year, no other one is proposed."""
    said = {key_of(tag) for tag in own} - {None}
    decided = {tag: "rule" for tag in look.tags if known.get(tag) not in ("accepted", "refused")}
    proposed: dict[str, str] = {}
    earlier = [(tag, "name") for tag, state in known.items() if state == "open"]
    for tag, origin in (*earlier, *look.proposed):
        if known.get(tag, "open") != "open" or tag in decided or tag in proposed:
            continue
        if key_of(tag) in look.accept:
            decided[tag] = origin
        elif tag not in known and key_of(tag) not in said:
            proposed[tag] = origin
    return decided, proposed


def decide(transaction: Transaction, items: Collection[int], tags: Collection[str] | None, *, accept: bool) -> int:
    """See ports.Catalogue.decide."""
    number = 0
    for item in items:
        facts = points.facts(transaction.connection, item)
        if facts is None:
            raise NoSuchItem(f"there is no item {item}")
        found = [tag for (tag,) in transaction.connection.execute(OPEN, (item,)).fetchall()]
        chosen = [tag for tag in found if tags is None or tag in tags]
        state = "accepted" if accept else "refused"
        transaction.connection.executemany(PUT, [(item, tag, "", state) for tag in chosen])
        if accept:
            _put_on(transaction, item, [tag for tag in chosen if tag not in facts.tags])
        number += len(chosen)
    return number


def _put_on(transaction: Transaction, item: int, tags: Sequence[str]) -> None:
    if tags:
        with transaction.changing(ItemId(item)):
            tagging.tag(transaction, item, tags)
