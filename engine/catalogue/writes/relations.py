"""What tags say about each other. On the writer thread, within a transaction.

A row names tags by their ids, so it follows a rename. It is what somebody stated; what follows from all of them is for
`query.relations`.
"""

from __future__ import annotations

from typing import Final

from engine.catalogue import checks, points
from engine.catalogue.transaction import Transaction
from engine.errors import BadRequest, NameTaken, NoSuchRelation, NoSuchTag
from engine.types import TagChange, TagEvent
from query.relations import Relation, RelationKind

INSERT: Final = "INSERT INTO relation (tag, kind, other) VALUES (?, ?, ?)"
OF_TAG: Final = (
    "SELECT t.name, r.kind, o.name FROM relation r JOIN tag t ON t.id = r.tag JOIN tag o ON o.id = r.other"
    " WHERE r.tag = ? OR r.other = ?"
)
DELETE: Final = "DELETE FROM relation WHERE tag = ? AND kind = ? AND other = ?"


def relate(transaction: Transaction, relation: Relation) -> None:
    relation, tag, other = _checked(transaction, relation)
    if tag == other:
        raise BadRequest(f"a tag {relation.kind} another one, and not itself")
    if _stated(transaction, relation, tag, other) is not None:
        raise NameTaken(f"{relation} already")
    transaction.connection.execute(INSERT, (tag, relation.kind.value, other))
    transaction.tags.append(TagChange(TagEvent.RELATED, relation.tag, relation=relation))


def unrelate(transaction: Transaction, relation: Relation) -> None:
    relation, tag, other = _checked(transaction, relation)
    found = _stated(transaction, relation, tag, other)
    if found is None:
        raise NoSuchRelation(f"nobody said that {relation}")
    first, last = (tag, other) if found == relation else (other, tag)
    transaction.connection.execute(DELETE, (first, relation.kind.value, last))
    transaction.tags.append(TagChange(TagEvent.UNRELATED, found.tag, relation=found))


def unrelate_all(transaction: Transaction, tag: int) -> None:
    """Take back all that was stated of a tag, which is about to go."""
    for relation in _of_row(transaction, tag):
        unrelate(transaction, relation)


def of_tag(transaction: Transaction, name: str) -> list[Relation]:
    """All that was stated of a tag, sorted."""
    tag = points.tag_id(transaction.connection, name)
    return [] if tag is None else _of_row(transaction, tag)


def _of_row(transaction: Transaction, tag: int) -> list[Relation]:
    found = transaction.connection.execute(OF_TAG, (tag, tag)).fetchall()
    return sorted(Relation(first, RelationKind(kind), other) for first, kind, other in found)


def _checked(transaction: Transaction, relation: Relation) -> tuple[Relation, int, int]:
    """With the names as they are stored, and the ids of the two tags."""
    relation = Relation(checks.tag_name(relation.tag), relation.kind, checks.tag_name(relation.other))
    found: list[int] = []
    for name in (relation.tag, relation.other):
        number = points.tag_id(transaction.connection, name)
        if number is None:
            raise NoSuchTag(f"there is no tag {name!r}")
        found.append(number)
    return relation, found[0], found[1]


def _stated(transaction: Transaction, relation: Relation, tag: int, other: int) -> Relation | None:
    """As it was stated: of two tags that are the same either may stand first."""
    if points.related(transaction.connection, tag, relation.kind, other):
        return relation
    if relation.kind is RelationKind.SAME_AS and points.related(transaction.connection, other, relation.kind, tag):
        return Relation(relation.other, relation.kind, relation.tag)
    return None
