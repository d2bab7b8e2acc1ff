"""Queries that have a name. On the writer thread, within a transaction.

What is kept is the text of an expression. A tag that is renamed is renamed in it, in the same transaction.
"""

from __future__ import annotations

from typing import Final

from engine.catalogue import checks, points
from engine.catalogue.transaction import Transaction
from engine.errors import BadRequest, NameTaken, NoSuchQuery
from engine.history import Entry
from engine.types import SavedQuery, TagChange, TagEvent
from query.errors import QueryError, show
from query.parse import parse_expression
from query.renaming import renamed
from query.render import render_expression

ALL: Final = "SELECT id, name, text, added_ns FROM saved_query ORDER BY id"
INSERT: Final = "INSERT INTO saved_query (name, text, added_ns) VALUES (?, ?, ?)"
RENAME: Final = "UPDATE saved_query SET name = ? WHERE id = ?"
REWRITE: Final = "UPDATE saved_query SET text = ? WHERE id = ?"
DELETE: Final = "DELETE FROM saved_query WHERE id = ?"


def save(transaction: Transaction, name: str, text: str, added_ns: int | None = None) -> None:
    """`added_ns` of None: now."""
    data = checks.name_bytes(name)
    try:
        text = render_expression(parse_expression(text))
    except QueryError as error:
        raise BadRequest(error.message) from None
    if points.saved_query(transaction.connection, name) is not None:
        raise NameTaken(f"a query called {show(name)} is saved already")
    transaction.connection.execute(INSERT, (data, text, transaction.clock() if added_ns is None else added_ns))
    transaction.tags.append(TagChange(TagEvent.SAVED, name))
    transaction.entries.append(Entry({"query": ["saved", name, text]}))


def rename(transaction: Transaction, old: str, new: str) -> None:
    query, data = _existing(transaction, old), checks.name_bytes(new)
    if new == old:
        return
    if points.saved_query(transaction.connection, new) is not None:
        raise NameTaken(f"a query called {show(new)} is saved already")
    transaction.connection.execute(RENAME, (data, query.id))
    transaction.tags += (TagChange(TagEvent.FORGOTTEN, old, new), TagChange(TagEvent.SAVED, new))
    transaction.entries.append(Entry({"query": ["renamed", old, new]}))


def forget(transaction: Transaction, name: str) -> None:
    query = _existing(transaction, name)
    transaction.connection.execute(DELETE, (query.id,))
    transaction.tags.append(TagChange(TagEvent.FORGOTTEN, name))
    transaction.entries.append(Entry({"query": ["forgotten", name, query.text]}))


def follow(transaction: Transaction, old: str, new: str) -> None:
    """A tag has another name: the queries that name it do so by the new one, and back when that is undone."""
    for query in map(points.saved_query_of, transaction.connection.execute(ALL).fetchall()):
        try:
            before = parse_expression(query.text)
        except QueryError:  # written by another program: its directory says what is wrong with it
            continue
        after = renamed(before, old, new)
        if after == before:
            continue
        try:
            text = render_expression(after)
        except QueryError as error:
            raise BadRequest(f"the saved query {show(query.name)} cannot name the tag {new!r}: {error}") from None
        transaction.connection.execute(REWRITE, (text, query.id))
        transaction.tags.append(TagChange(TagEvent.SAVED, query.name))


def _existing(transaction: Transaction, name: str) -> SavedQuery:
    query = points.saved_query(transaction.connection, name)
    if query is None:
        raise NoSuchQuery(f"no query is saved as {show(name)}")
    return query
