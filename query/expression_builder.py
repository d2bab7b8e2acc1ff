"""What an expression means. Imports query.ast; pure. Called by lark at each reduction of expression.lark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lark import Transformer

from query.ast import And, Compare, End, Expr, Leaf, Not, Or, Query
from query.errors import BadName, QueryError
from query.lexeme import Lexeme
from query.terms import compared


class ExpressionBuilder(Transformer[Lexeme, Query]):
    """Callbacks for expression.lark, named after its aliases. Stateless: one instance serves all parses."""

    def open(self, children: Sequence[Any]) -> Query:
        return Query(children[0])

    def items(self, children: Sequence[Any]) -> Query:
        return Query(children[0], End.ITEMS)

    def literal(self, children: Sequence[Any]) -> Query:
        return Query(children[0], End.LITERAL)

    def either(self, children: Sequence[Expr]) -> Expr:
        return Or(tuple(children))

    def both(self, children: Sequence[Expr]) -> Expr:
        return And(tuple(children))

    def negated(self, children: Sequence[Expr]) -> Expr:
        return Not(children[0])

    def leaf(self, children: Sequence[Any]) -> Leaf:
        leaf: Leaf = children[0].payload
        return leaf

    def compared(self, children: Sequence[Any]) -> Compare:
        key, op, value = children
        try:
            return compared(key.payload.name, op.payload, value.payload)
        except BadName as bad:
            raise QueryError(f"column {value.at + 1}: {bad}") from None
