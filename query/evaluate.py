"""What a query means, said as plainly as possible: the oracle that every index is held to. Pure; linear scans.

An item matches a leaf if one of its values does. So `year:/ne/2000` asks for items with another year, and
`-year:2000` for items without that one, those without any year included; and an item with the years 1990 and 2020 is
in `year:2000..` and in `year:..2000`, but not in `year:2000..2010`.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from typing import Protocol, TypeVar

from query.ages import WITHIN, is_age
from query.ast import And, Compare, Expr, Leaf, Not, Op, Or, Range, Tag
from query.builtin import BUILTIN_KEYS, Order, fold, order_of
from query.names import split_pair
from query.values import compare

Id = TypeVar("Id", bound=Hashable)


class Facts(Protocol):
    """What is known about one item."""

    @property
    def tags(self) -> Collection[str]:
        """The tags that hold for it, its own and those of folders that hold it, in NFC, pairs included: 'year:2000'."""
        ...

    def values(self, key: str) -> Collection[str]:
        """Its values of a built-in key as text, none if it has none.

        size '1048576'; added '2026-11-23T10:00:00Z'; state 'paused'; type 'video' and 'video/x-matroska'. Not asked for
        `is`, which follows from the tags.
        """
        ...


def evaluate(expr: Expr, universe: Mapping[Id, Facts], *, now: float) -> set[Id]:
    """The items of `universe` that match `expr` at `now` (seconds since 1970)."""
    return {item for item, facts in universe.items() if matches(expr, facts, now=now)}


def matches(expr: Expr, facts: Facts, *, now: float) -> bool:
    """Whether an item with `facts` matches `expr` at `now` (seconds since 1970)."""
    match expr:
        case Tag(name):
            return name in facts.tags
        case Not(operand):
            return not matches(operand, facts, now=now)
        case And(operands):
            return all(matches(operand, facts, now=now) for operand in operands)
        case Or(operands):
            return any(matches(operand, facts, now=now) for operand in operands)
        case Compare(key) | Range(key):
            return any(satisfies(expr, value, now=now) for value in values_of(facts, key))


def values_of(facts: Facts, key: str) -> Iterable[str]:
    """All values of `key`, built-in or from the tags."""
    if key == "is":
        return () if facts.tags else ("untagged",)
    if key in BUILTIN_KEYS:
        return facts.values(key)
    pairs = map(split_pair, facts.tags)
    return [pair[1] for pair in pairs if pair is not None and pair[0] == key]


def satisfies(leaf: Compare | Range, value: str, *, now: float) -> bool:
    """Whether one value of the leaf's key is what the leaf asks for."""
    match leaf:
        case Compare(key, Op.HAS, part):
            return fold(key, part) in fold(key, value)
        case Compare(key, op, bound):
            op = WITHIN.get(op, op) if is_age(key, bound) else op
            return _holds(op, _compare(key, value, bound, now))
        case Range(key, low, high):
            return (low is None or _compare(key, value, low, now) >= 0) and (
                high is None or _compare(key, value, high, now) <= 0
            )


def leaves(expr: Expr) -> Iterator[Leaf]:
    """The leaves of `expr` from left to right, as often as they stand there."""
    pending = [expr]
    while pending:
        match pending.pop():
            case Not(operand):
                pending.append(operand)
            case And(operands) | Or(operands):
                pending.extend(reversed(operands))
            case leaf:
                yield leaf


def _compare(key: str, value: str, bound: str, now: float) -> int:
    if order_of(key) is Order.TYPED:
        return compare(value, bound, now=now if is_age(key, bound) else None)
    value, bound = fold(key, value), fold(key, bound)
    return (value > bound) - (value < bound)


def _holds(op: Op, order: int) -> bool:
    match op:
        case Op.EQ:
            return order == 0
        case Op.NE:
            return order != 0
        case Op.LT:
            return order < 0
        case Op.LE:
            return order <= 0
        case Op.GT:
            return order > 0
        case Op.GE:
            return order >= 0
        case Op.HAS:
            raise AssertionError("has compares parts, not orders")
