"""Tag rows, and which items carry them. On the writer thread, within a transaction.

A rename touches one row: taggings point at the tag's id, so the tags of a million items follow at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fractions import Fraction
from typing import Final

from engine.catalogue import checks, points
from engine.catalogue.transaction import Transaction
from engine.catalogue.writes import relations, saved
from engine.errors import NameTaken, NoSuchTag, TagInUse
from engine.types import TagChange, TagEvent
from query.names import split_pair
from query.values import Kind, classify

INSERT_TAG: Final = "INSERT INTO tag (name, key, value, value_kind, value_number, items) VALUES (?, ?, ?, ?, ?, 0)"
RENAME_TAG: Final = "UPDATE tag SET name = ?, key = ?, value = ?, value_kind = ?, value_number = ? WHERE id = ?"
DELETE_TAG: Final = "DELETE FROM tag WHERE id = ?"
TAGGED: Final = "INSERT INTO tagging (item, tag) SELECT ?, id FROM tag WHERE name = ?"
UNTAGGED: Final = "DELETE FROM tagging WHERE item = ? AND tag = (SELECT id FROM tag WHERE name = ?)"

TagRow = tuple[str, str | None, str | None, str | None, float | None]


def create_tag(transaction: Transaction, name: str) -> None:
    name = checks.tag_name(name)
    if points.tag_id(transaction.connection, name) is not None:
        raise NameTaken(f"the tag {name!r} exists already")
    _insert(transaction, name)


def remove_tag(transaction: Transaction, name: str) -> None:
    tag = _existing(transaction, name)
    if points.tag_carried(transaction.connection, tag):
        raise TagInUse(f"the tag {name!r} is in use")
    _delete(transaction, tag, name)


def rename_tag(transaction: Transaction, old: str, new: str) -> None:
    tag, new = _existing(transaction, old), checks.tag_name(new)
    if new == old:
        return
    replaced = points.tag_id(transaction.connection, new)
    if replaced is not None:
        if points.tag_carried(transaction.connection, replaced):
            raise TagInUse(f"the tag {new!r} is in use")
        _delete(transaction, replaced, new)
    transaction.connection.execute(RENAME_TAG, (*tag_row(new), tag))
    transaction.tags.append(TagChange(TagEvent.RENAMED, old, new))
    saved.follow(transaction, old, new)


def tag(transaction: Transaction, item: int, names: Iterable[str]) -> None:
    """Put tags that the item does not carry yet on it, making those that do not exist. Names are checked already."""
    for name in names:
        if not transaction.connection.execute(TAGGED, (item, name)).rowcount:
            _insert(transaction, name)
            transaction.connection.execute(TAGGED, (item, name))


def untag(transaction: Transaction, item: int, names: Iterable[str]) -> None:
    """Take tags that the item carries off it."""
    for name in names:
        transaction.connection.execute(UNTAGGED, (item, name))


def retag(transaction: Transaction, item: int, before: Collection[str], after: Collection[str]) -> None:
    """Make `after` the tags of an item that has the tags `before`."""
    untag(transaction, item, sorted(set(before) - set(after)))
    tag(transaction, item, sorted(set(after) - set(before)))


def tag_to_use(transaction: Transaction, name: str) -> int:
    """The id of tag `name`, which is made if there is none."""
    found = points.tag_id(transaction.connection, name)
    return _insert(transaction, name) if found is None else found


def tag_row(name: str) -> TagRow:
    """name, key, value, value_kind, value_number of a tag, as `models.Tag` describes them."""
    pair = split_pair(name)
    if pair is None:
        return name, None, None, None, None
    key, text = pair
    value = classify(text)
    number = None if value.kind is Kind.TEXT else _double(value.key)
    return name, key, text, value.kind.value, number


def _double(number: int | Fraction | str) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf") if Fraction(number) > 0 else float("-inf")


def _insert(transaction: Transaction, name: str) -> int:
    number = transaction.connection.execute(INSERT_TAG, tag_row(name)).lastrowid
    assert number is not None
    transaction.tags.append(TagChange(TagEvent.CREATED, name))
    return number


def _delete(transaction: Transaction, tag: int, name: str) -> None:
    relations.unrelate_all(transaction, tag)
    transaction.connection.execute(DELETE_TAG, (tag,))
    transaction.tags.append(TagChange(TagEvent.REMOVED, name))


def _existing(transaction: Transaction, name: str) -> int:
    found = points.tag_id(transaction.connection, name)
    if found is None:
        raise NoSuchTag(f"there is no tag {name!r}")
    return found
