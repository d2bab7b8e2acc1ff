"""`Edit`: changes to one item, all or none. On the writer thread, within a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from engine.catalogue import checks, points
from engine.catalogue.transaction import Transaction
from engine.catalogue.writes import tagging
from engine.errors import AttributeExists, AttributeMissing, BadRequest
from engine.ports import Edit
from engine.types import Change, Facts, Item, ItemId, Kind, State

SET_NAME: Final = "UPDATE item SET name = ? WHERE id = ?"
SET_MTIME: Final = "UPDATE item SET mtime_ns = ?, mtime_given = 1 WHERE id = ?"
SET_MTIME_IF_UNSET: Final = "UPDATE item SET mtime_ns = ? WHERE id = ? AND NOT mtime_given"
SET_MODE: Final = "UPDATE item SET mode = ? WHERE id = ?"
SET_STATE: Final = "UPDATE item SET state = ?, error = ? WHERE id = ?"
SET_SIZE: Final = "UPDATE item SET size = ? WHERE id = ?"
PUT_XATTR: Final = (
    "INSERT INTO xattr (item, name, value) VALUES (?, ?, ?)"
    " ON CONFLICT (item, name) DO UPDATE SET value = excluded.value"
)
DELETE_XATTR: Final = "DELETE FROM xattr WHERE item = ? AND name = ?"


def edit(transaction: Transaction, item: int, edit: Edit) -> Item:
    if is_about_tags(edit):  # the most frequent edit, and its outcome is known: two reads less
        row, before = transaction.both(item)
        tags = _edit_tags(transaction, item, edit, before)
        _edit_xattrs(transaction, item, edit)
        transaction.changes.append(Change(ItemId(item), before, replace(before, tags=tags)))
        return row._replace(tag_count=len(tags))
    with transaction.changing(item) as before:
        apply(transaction, item, edit, before)
    return transaction.item(item)


def apply(transaction: Transaction, item: int, edit: Edit, before: Facts) -> None:
    """All that `edit` says. Within `transaction.changing`, which gave `before`."""
    edit_columns(transaction, item, edit)
    _edit_tags(transaction, item, edit, before)
    _edit_xattrs(transaction, item, edit)


def edit_many(transaction: Transaction, edits: Sequence[tuple[int, Edit]]) -> None:
    for item, one in edits:
        edit(transaction, item, one)


def tags_after(before: Facts, edit: Edit) -> set[str]:
    """The own tags that `edit` leaves: replaced first, then added, then removed."""
    base = before.tags if edit.tags is None else checks.tag_names(edit.tags)
    return (set(base) | checks.tag_names(edit.add)) - checks.tag_names(edit.remove)


def edit_columns(transaction: Transaction, item: int, edit: Edit) -> None:
    """All that `edit` says of the item's own row. Within `transaction.changing`."""
    connection = transaction.connection
    if edit.name is not None:
        connection.execute(SET_NAME, (checks.name_bytes(edit.name), item))
    if edit.mtime_ns is not None:
        connection.execute(SET_MTIME, (edit.mtime_ns, item))
    if edit.mtime_if_unset is not None:
        connection.execute(SET_MTIME_IF_UNSET, (edit.mtime_if_unset, item))
    if edit.mode is not None:
        connection.execute(SET_MODE, (edit.mode & 0o7777, item))
    if edit.size is not None:
        _edit_size(transaction, item, edit.size)
    if edit.state is not None:
        _edit_state(transaction, item, edit.state, edit.error)


def _edit_size(transaction: Transaction, item: int, size: int) -> None:
    if transaction.item(item).state.whole:
        raise BadRequest(f"item {item} is complete, its size is that of its content")
    transaction.connection.execute(SET_SIZE, (size, item))


def _edit_state(transaction: Transaction, item: int, state: State, error: str | None) -> None:
    found = transaction.item(item)
    if state.whole and found.kind is Kind.FILE and found.blob is None:
        raise BadRequest(f"item {item} has no content and cannot be {state.value}")
    sentence = None if error is None else checks.stored_text(error)
    transaction.connection.execute(SET_STATE, (state.value, sentence, item))


def is_about_tags(edit: Edit) -> bool:
    """Whether `edit` is about tags and attributes alone."""
    columns = (edit.name, edit.mtime_ns, edit.mtime_if_unset, edit.mode, edit.size, edit.state)
    return all(column is None for column in columns)


def _edit_tags(transaction: Transaction, item: int, edit: Edit, before: Facts) -> frozenset[str]:
    """The tags that the item has then."""
    if edit.tags is None and not edit.add and not edit.remove:
        return before.tags
    tags = tags_after(before, edit)
    tagging.retag(transaction, item, before.tags, tags)
    return frozenset(tags)


def _edit_xattrs(transaction: Transaction, item: int, edit: Edit) -> None:
    if not edit.set_xattrs and not edit.remove_xattrs:
        return
    there = points.xattrs(transaction.connection, item)
    for name in edit.set_xattrs:
        if edit.must_create and name in there:
            raise AttributeExists(f"item {item} has an attribute {name!r} already")
        if edit.must_replace and name not in there:
            raise AttributeMissing(f"item {item} has no attribute {name!r}")
    rows = checks.xattr_rows(edit.set_xattrs)
    transaction.connection.executemany(PUT_XATTR, [(item, *row) for row in rows])
    for name in edit.remove_xattrs:
        if name not in there:
            raise AttributeMissing(f"item {item} has no attribute {name!r}")
        transaction.connection.execute(DELETE_XATTR, (item, checks.xattr_name(name)))
