"""A query as bitmap algebra. Pure: the caller says what a leaf selects. Imports query.ast; any thread."""

from __future__ import annotations

from collections.abc import Callable

from pyroaring import BitMap

from query.ast import And, Compare, Expr, Leaf, Not, Or, Range, Tag


def evaluate(expr: Expr, live: BitMap, select: Callable[[Leaf], BitMap]) -> BitMap:
    """The members of `live` that match, as a bitmap of its own."""
    return _select(expr, live, select) & live


def holds(expr: Expr, test: Callable[[Leaf], bool]) -> bool:
    """Whether one item matches, asking no more leaves than needed."""
    match expr:
        case Not(operand):
            return not holds(operand, test)
        case And(operands):
            return all(holds(operand, test) for operand in operands)
        case Or(operands):
            return any(holds(operand, test) for operand in operands)
        case Tag() | Compare() | Range():
            return test(expr)


def _select(expr: Expr, live: BitMap, select: Callable[[Leaf], BitMap]) -> BitMap:
    match expr:
        case Not(operand):
            return live - _select(operand, live, select)
        case Or(operands):
            return BitMap.union(*(_select(operand, live, select) for operand in operands))
        case And(operands):
            # a and not b is a - b: the complement, as large as everything, is never made.
            without = [operand.operand for operand in operands if isinstance(operand, Not)]
            within = [operand for operand in operands if not isinstance(operand, Not)]
            found = BitMap.intersection(live, *(_select(operand, live, select) for operand in within))
            for operand in without:
                found -= _select(operand, live, select)
            return found
        case Tag() | Compare() | Range():
            return select(expr)
