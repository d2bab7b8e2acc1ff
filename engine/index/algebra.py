"""A query as bitmap algebra. Pure: the caller says what a leaf selects. Imports query.ast; any thread."""

from __future__ import annotations

from collections.abc import Callable

from pyroaring import BitMap

from query.ast import And, Compare, Expr, Leaf, Not, Or, Range, Tag


def evaluate(expr: Expr, live: BitMap, select: Callable[[Leaf], BitMap]) -> BitMap:
    """The members of `live` that match, as a bitmap of its own."""
    found, ours = _select(expr, live, select)
    if not ours:
        return found & live
    found &= live
    return found


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


def _select(expr: Expr, live: BitMap, select: Callable[[Leaf], BitMap]) -> tuple[BitMap, bool]:
    """What matches, and whether it is a bitmap that nobody else has. Then it is worked on where it is: of ten million
    items, a new bitmap costs more than what is done to it."""
    match expr:
        case Not(operand):
            return live - _select(operand, live, select)[0], True
        case Or(operands):
            found, ours = _select(operands[0], live, select)
            for operand in operands[1:]:
                found, ours = _union(found, ours, *_select(operand, live, select)), True
            return found, ours
        case And(operands):
            # a and not b is a - b: the complement, as large as everything, is never made.
            without = [operand.operand for operand in operands if isinstance(operand, Not)]
            within = [_select(operand, live, select) for operand in operands if not isinstance(operand, Not)]
            found, ours = _intersection(within) if within else (live, False)
            for operand in without:
                taken, _ = _select(operand, live, select)
                if ours:
                    found -= taken
                else:
                    found, ours = found - taken, True
            return found, ours
        case Tag() | Compare() | Range():
            return select(expr), False


def _union(one: BitMap, ours: bool, other: BitMap, also_ours: bool) -> BitMap:
    if ours:
        one |= other
        return one
    if also_ours:
        other |= one
        return other
    return one | other


def _intersection(bitmaps: list[tuple[BitMap, bool]]) -> tuple[BitMap, bool]:
    """From the smallest on: it bounds what the others cost."""
    (found, ours), *others = sorted(bitmaps, key=lambda pair: len(pair[0]))
    for other, _ in others:
        if ours:
            found &= other
        else:
            found, ours = found & other, True
    return found, ours
