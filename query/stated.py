"""Which tags a path states: what a write in its directory puts on an item, or takes off. Imports query.ast; pure."""

from __future__ import annotations

from collections.abc import Iterator

from query.ast import And, Compare, Expr, Leaf, Not, Query
from query.builtin import BUILTIN_KEYS
from query.terms import text_of


def stated(query: Query) -> tuple[str, ...] | None:
    """The positive tags of a path, 'movie' or 'year:2000', in its order and each once.

    None if no write below `query` has one clear meaning: it has several branches, a group (of one tag, too), a range, a
    comparison other than equality or a built-in key, negated or not. Negated tags are not stated, so `-/watched` gives
    (). Ask for the query as it was parsed: normalising `{/a/}` or a/+/a removes the very thing that makes it unclear.
    The end does not matter.
    """
    names: dict[str, None] = {}
    for leaf, negated in _literals(query.expr):
        name = None if leaf is None else _settable(leaf)
        if name is None:
            return None
        if not negated:
            names[name] = None
    return tuple(names)


def _literals(expr: Expr) -> Iterator[tuple[Leaf | None, bool]]:
    """The leaves of a single branch and whether they are negated; (None, ...) stands for anything but a leaf."""
    for step in _steps(expr):
        negated = isinstance(step, Not)
        operand = step.operand if isinstance(step, Not) else step
        yield (operand if isinstance(operand, Leaf) else None), negated


def _steps(expr: Expr) -> Iterator[Expr]:
    """The operands of an And; in an expression it may hold others: (a and b) and c."""
    if isinstance(expr, And):
        for operand in expr.operands:
            yield from _steps(operand)
    else:
        yield expr


def _settable(leaf: Leaf) -> str | None:
    is_builtin = isinstance(leaf, Compare) and leaf.key in BUILTIN_KEYS
    return None if is_builtin else text_of(leaf)
