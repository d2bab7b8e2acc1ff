"""The part of undo that is about relations between tags and saved queries. On the writer thread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.catalogue import points
from engine.catalogue.transaction import Transaction
from engine.catalogue.writes import relations, saved
from engine.errors import Changed, NameTaken, NoSuchQuery, NoSuchRelation, NoSuchTag
from engine.history import Record
from query.errors import show
from query.relations import Relation, RelationKind


def put_back(transaction: Transaction, records: Iterable[Record]) -> None:
    """The last first. The tags must be there."""
    for record in reversed(list(records)):
        if "relation" in record.what:
            _relation_back(transaction, *record.what["relation"])
        if "query" in record.what:
            _query_back(transaction, *record.what["query"])


def _relation_back(transaction: Transaction, event: str, tag: str, kind: str, other: str) -> None:
    relation = Relation(tag, RelationKind(kind), other)
    try:
        if event == "related":
            relations.unrelate(transaction, relation)
        else:
            relations.relate(transaction, relation)
    except NoSuchTag as error:
        raise Changed(f"{error} any more") from None
    except (NameTaken, NoSuchRelation):
        return  # it is so already


def _query_back(transaction: Transaction, event: str, name: str, *rest: str) -> None:
    try:
        if event == "renamed":
            saved.rename(transaction, rest[0], name)
        elif event == "forgotten":
            saved.save(transaction, name, rest[0])
        else:
            _check_text(transaction, name, rest)
            saved.forget(transaction, name)
    except NameTaken:
        raise Changed(f"another query was saved as {show(name)} since") from None
    except NoSuchQuery as error:
        raise Changed(f"{error} any more") from None


def _check_text(transaction: Transaction, name: str, texts: Sequence[str]) -> None:
    found = points.saved_query(transaction.connection, name)
    if found is not None and found.text not in texts:
        raise Changed(f"the query {show(name)} was saved anew since")
