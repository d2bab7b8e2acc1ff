"""One value for equal queries, so that a query is a dictionary key. Imports query.ast; pure, any thread.

Two queries that differ only in the following have the same normal form, and so are one directory:

    order, repetition, nesting of the same connective    a/b/a             = b/a
    double negation, De Morgan                           a/-/{/b/c/}       = a/-b/-c
    absorption                                           a/+/a/b           = a
    the spelling of a comparison                         year:/ge/2000     = year:2000..      ext:MKV = ext:mkv

The form: negations only on leaves, no And in an And and no Or in an Or, at least two operands each, without
repetition, sorted. Not unified is what would cost more than a sort to find out: distribution (a and (b or c) against
(a and b) or (a and c)), contradictions and tautologies (a and not a), comparisons that contain each other. Absorption
among compound operands is quadratic and therefore skipped past COMPOUNDS of them; no path has that many branches.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from query.ages import WITHIN, is_age
from query.ast import And, Compare, Expr, Leaf, Not, Op, Or, Query, Range, Tag
from query.builtin import fold

COMPOUNDS: Final = 128

_SortKey: TypeAlias = tuple[object, ...]


def normalise(query: Query) -> Query:
    """The normal form of `query`. Its end is part of the query: `a/@` is another directory than `a`."""
    return Query(normalise_expr(query.expr), query.end)


def normalise_expr(expr: Expr) -> Expr:
    """The normal form of `expr`: it matches the same items at any time, and its own normal form is itself."""
    return _normal(expr, negated=False)


def _normal(expr: Expr, *, negated: bool) -> Expr:
    match expr:
        case Not(operand):
            return _normal(operand, negated=not negated)
        case And(operands) | Or(operands):
            connective = Or if isinstance(expr, Or) is not negated else And
            return _join(connective, (_normal(operand, negated=negated) for operand in operands))
        case _:
            return _literal(expr, negated=negated)


def _join(connective: type[And] | type[Or], operands: Iterable[Expr]) -> Expr:
    flat: set[Expr] = set()
    for operand in operands:
        if isinstance(operand, connective):
            flat.update(operand.operands)
        else:
            flat.add(operand)
    kept = _absorb(flat)
    if len(kept) == 1:
        return kept.pop()
    return connective(tuple(sorted(kept, key=_sort_key)))


def _absorb(operands: set[Expr]) -> set[Expr]:
    """Drop what another operand makes redundant: a or (a and b) is a, and so is a and (a or b).

    The compound operands are of the other connective, so one is redundant as soon as it has all parts of another
    operand, a literal being its own only part.
    """
    compound = {operand: frozenset(operand.operands) for operand in operands if isinstance(operand, And | Or)}
    literals = operands - compound.keys()
    if literals:
        compound = {operand: parts for operand, parts in compound.items() if literals.isdisjoint(parts)}
    if 1 < len(compound) <= COMPOUNDS:
        every = tuple(compound.values())
        compound = {operand: parts for operand, parts in compound.items() if not any(other < parts for other in every)}
    return literals | compound.keys()


def _literal(leaf: Leaf, *, negated: bool) -> Expr:
    leaf = _leaf(leaf)
    return Not(leaf) if negated else leaf


def _leaf(leaf: Leaf) -> Leaf:
    """One spelling for comparisons that mean the same whatever the values of the items are."""
    match leaf:
        case Range(key, str(low), None):
            return Compare(key, Op.GE, fold(key, low))
        case Range(key, None, str(high)):
            return Compare(key, Op.LE, fold(key, high))
        case Range(key, str(low), str(high)):
            low, high = fold(key, low), fold(key, high)
            if low == high and not is_age(key, low):
                return Compare(key, Op.EQ, low)
            return Range(key, low, high)
        case Compare(key, op, value):
            if op in WITHIN and is_age(key, value):
                return Compare(key, WITHIN[op], value)
            return Compare(key, op, fold(key, value))
        case _:
            return leaf


def _sort_key(expr: Expr) -> _SortKey:
    """A total order of normal forms: tags, comparisons, ranges, negations, then the compound ones.

    Keys of one rank have the same types at the same places, so they compare.
    """
    match expr:
        case Tag(name):
            return (0, name)
        case Compare(key, op, value):
            return (1, key, value, op.value)
        case Range(key, low, high):
            return (2, key, low or "", high or "")
        case Not(operand):
            return (3, _sort_key(operand))
        case Or(operands):
            return (4, tuple(map(_sort_key, operands)))
        case And(operands):
            return (5, tuple(map(_sort_key, operands)))
