"""A query with a tag by another name. Imports query.ast; pure, any thread."""

from __future__ import annotations

from query.ast import And, Expr, Not, Or, Query
from query.terms import exact, text_of


def renamed(query: Query, old: str, new: str) -> Query:
    """`query` with `new` wherever it names the tag `old`; equal to `query` where it does not.

    A comparison or a range names values, not the tag, and stays."""
    return Query(_renamed(query.expr, old, new), query.end)


def _renamed(expr: Expr, old: str, new: str) -> Expr:
    match expr:
        case Not(operand):
            return Not(_renamed(operand, old, new))
        case And(operands) | Or(operands):
            return type(expr)(tuple(_renamed(operand, old, new) for operand in operands))
        case leaf:
            return exact(new) if text_of(leaf) == old else leaf
