"""Which stretches of a sorted list a comparison selects: pure decisions over query.values. Any thread.

A list of stored values is sorted by their sort keys. A `Cut` is a place between two of its elements; a comparison is a
few stretches from cut to cut. Own keys and the built-in ordered keys share this; only the lists differ.

    stored:    1998   2000   2000   2003           year:/lt/2000   start .. A
                    A             B                year:2000       A .. B
                                                   year:/ne/2000   start .. A, B .. end
                                                   year:2000..     A .. end
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from query.ast import Compare, Op, Range
from query.values import SortKey, Span


class Cut(NamedTuple):
    """The place before all elements of this key, or `after` them."""

    key: SortKey
    after: bool


Stretch: TypeAlias = tuple[Cut | None, Cut | None]  # None: the start or the end of the list

SpanOf: TypeAlias = Callable[[str], Span | None]  # where a bound falls in the list; None where it is not that order


def stretches(leaf: Compare | Range, span_of: SpanOf) -> list[Stretch] | None:
    """What `leaf` selects of the list, None if the order of the list says nothing about it."""
    match leaf:
        case Compare(_, Op.HAS, _):
            return None
        case Compare(_, op, value):
            span = span_of(value)
            return None if span is None else _compared(op, *_around(span))
        case Range(_, low, high):
            above, below = low and span_of(low), high and span_of(high)
            if (low and not above) or (high and not below):
                return None
            return [(_around(above)[0] if above else None, _around(below)[1] if below else None)]


def position(keys: Sequence[Any], cut: Cut) -> int:
    """The index of `cut` in a sorted list of sort keys."""
    return bisect_right(keys, cut.key) if cut.after else bisect_left(keys, cut.key)


def _around(span: Span) -> tuple[Cut, Cut]:
    return Cut(span.low, after=False), Cut(span.high, after=span.closed)


def _compared(op: Op, before: Cut, behind: Cut) -> list[Stretch]:
    match op:
        case Op.EQ:
            return [(before, behind)]
        case Op.NE:
            return [(None, before), (behind, None)]
        case Op.LT:
            return [(None, before)]
        case Op.LE:
            return [(None, behind)]
        case Op.GT:
            return [(behind, None)]
        case Op.GE:
            return [(before, None)]
        case Op.HAS:
            raise AssertionError("has selects no stretch")
