"""Queries as SQL over the catalogue's file: an oracle that shares no code with the index.

Naive on purpose: a subquery a leaf, no index in mind. Numbers are compared through `tag.value_number`, which puts that
column to the test; whatever compares otherwise goes through a function registered for it.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from typing import Any

from engine.media_types import media_types
from engine.types import extension, timestamp
from query.ages import resolve
from query.ast import And, Compare, Expr, Not, Op, Or, Range, Tag
from query.builtin import BUILTIN_KEYS
from query.evaluate import satisfies
from query.values import Kind, classify

Sql = tuple[str, list[Any]]

_OPERATORS = {Op.EQ: "=", Op.NE: "<>", Op.LT: "<", Op.LE: "<=", Op.GT: ">", Op.GE: ">="}

# (what the values of an item are, as a subquery of one column `v`)
_VALUES = {
    "state": "SELECT i.state AS v",
    "size": "SELECT CAST(i.size AS TEXT) AS v WHERE i.size IS NOT NULL",
    "added": "SELECT instant(i.added_ns) AS v",
    "name": "SELECT i.name AS v",
    "ext": "SELECT extension(i.name) AS v WHERE i.kind = 'file' AND extension(i.name) <> ''",
    "type": "SELECT j.value AS v FROM json_each(types(i.name, (SELECT b.mime FROM blob b WHERE b.id = i.blob))) j"
    " WHERE i.kind = 'file'",
    "source": "SELECT s.kind AS v FROM source s WHERE s.item = i.id",
    "host": "SELECT s.host AS v FROM source s WHERE s.item = i.id AND s.host <> ''",
    "sha256": "SELECT b.sha256 AS v FROM blob b WHERE b.id = i.blob",
    "is": "SELECT 'untagged' AS v WHERE NOT EXISTS"
    " (SELECT 1 FROM up JOIN tagging t ON t.item = up.above WHERE up.item = i.id)",
}

# Each item with itself and all folders that hold it.
_UP = (
    "WITH RECURSIVE up(item, above) AS (SELECT id, id FROM item UNION ALL SELECT up.item, i.parent FROM up"
    " JOIN item i ON i.id = up.above WHERE i.parent IS NOT NULL)"
)
_LIVE = "NOT EXISTS (SELECT 1 FROM up JOIN item a ON a.id = up.above WHERE up.item = i.id AND a.trashed_ns IS NOT NULL)"


def select(path: str, expr: Expr, now: float) -> list[int]:
    """The ids of live items that match, ascending."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        leaves: list[Compare | Range] = []
        connection.create_function(
            "satisfies", 2, lambda number, value: satisfies(leaves[number], _text(value), now=now)
        )
        connection.create_function("instant", 1, timestamp)
        connection.create_function("extension", 1, lambda name: extension(os.fsdecode(name)))
        connection.create_function("types", 2, lambda name, mime: json.dumps(media_types(os.fsdecode(name), mime)))
        condition, parameters = _translate(resolve(expr, now=now), leaves)
        query = f"{_UP} SELECT i.id FROM item i WHERE {_LIVE} AND {condition} ORDER BY i.id"
        return [number for (number,) in connection.execute(query, parameters)]
    finally:
        connection.close()


def _text(value: str | bytes) -> str:
    return os.fsdecode(value) if isinstance(value, bytes) else value


def _translate(expr: Expr, leaves: list[Compare | Range]) -> Sql:
    match expr:
        case Tag(name):
            return _carries("g.name = ?", [name])
        case Not(operand):
            condition, parameters = _translate(operand, leaves)
            return f"NOT {condition}", parameters
        case And(operands):
            return _joined(" AND ", operands, leaves)
        case Or(operands):
            return _joined(" OR ", operands, leaves)
        case Compare(key, Op() as op, value) if key not in BUILTIN_KEYS and op in _OPERATORS and _is_number(value):
            number = classify(value)
            leaves.append(expr)
            numeric = f"g.value_kind IN ('quantity', 'year') AND g.value_number {_OPERATORS[op]} ?"
            other = "g.value_kind NOT IN ('quantity', 'year') AND satisfies(?, g.value)"
            return _carries(f"g.key = ? AND (({numeric}) OR ({other}))", [key, float(number.key), len(leaves) - 1])
        case Compare(key) | Range(key):
            leaves.append(expr)
            if key in BUILTIN_KEYS:
                return f"EXISTS (SELECT 1 FROM ({_VALUES[key]}) WHERE satisfies(?, v))", [len(leaves) - 1]
            return _carries("g.key = ? AND satisfies(?, g.value)", [key, len(leaves) - 1])


def _is_number(value: str) -> bool:
    return classify(value).kind in (Kind.QUANTITY, Kind.YEAR)


def _carries(condition: str, parameters: list[Any]) -> Sql:
    tags = "up u JOIN tagging t ON t.item = u.above JOIN tag g ON g.id = t.tag"
    return f"EXISTS (SELECT 1 FROM {tags} WHERE u.item = i.id AND {condition})", parameters


def _joined(glue: str, operands: Sequence[Expr], leaves: list[Compare | Range]) -> Sql:
    parts = [_translate(operand, leaves) for operand in operands]
    return "(" + glue.join(text for text, _ in parts) + ")", [value for _, values in parts for value in values]
