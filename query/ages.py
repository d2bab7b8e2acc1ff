"""Queries whose answer moves with the clock: ages of the key `added`. Imports query.ast; pure, the time is passed in.

`added:7d` means the last seven days, counted back from when somebody looks. A cache that keys on the query alone may
hold every other query until a tag changes; these it must ask again, or `resolve` first.
"""

from __future__ import annotations

from typing import Final

from query.ast import And, Compare, Expr, Not, Op, Or, Range
from query.dates import ago, read_age

KEY: Final = "added"

# An age stands for an instant; "equal to the last seven days" means within them.
WITHIN: Final = {Op.EQ: Op.GE, Op.NE: Op.LT}


def is_age(key: str, value: str | None) -> bool:
    """Whether `value` is an age in a comparison of `key`; other keys have no ages, there `7d` is text."""
    return key == KEY and value is not None and read_age(value) is not None


def is_relative(expr: Expr) -> bool:
    """Whether the result depends on the time at which it is asked for."""
    match expr:
        case Compare(key, op, value):
            return op is not Op.HAS and is_age(key, value)
        case Range(key, low, high):
            return is_age(key, low) or is_age(key, high)
        case Not(operand):
            return is_relative(operand)
        case And(operands) | Or(operands):
            return any(map(is_relative, operands))
        case _:
            return False


def resolve(expr: Expr, *, now: float) -> Expr:
    """`expr` with each age replaced by the second that lay so long before `now` (seconds since 1970).

    What comes back is not relative and means at `now` what `expr` means. `expr` itself comes back if it has no ages.
    """
    return _resolve(expr, now) if is_relative(expr) else expr


def _resolve(expr: Expr, now: float) -> Expr:
    match expr:
        case Not(operand):
            return Not(_resolve(operand, now))
        case And(operands):
            return And(tuple(_resolve(operand, now) for operand in operands))
        case Or(operands):
            return Or(tuple(_resolve(operand, now) for operand in operands))
        case Compare(key, op, value) if op is not Op.HAS and is_age(key, value):
            return Compare(key, WITHIN.get(op, op), _instant(value, now))
        case Range("added", low, high):
            return Range(KEY, low and _instant(low, now), high and _instant(high, now))
        case _:
            return expr


def _instant(text: str, now: float) -> str:
    age = read_age(text)
    return text if age is None else ago(age, now)
