"""How the values of a key compare. Imports query.dates; pure, any thread.

A value is a text. Two values compare as numbers when both read as numbers or sizes, as dates when both read as dates,
and as text (by code point, which is also the order of their UTF-8) otherwise. So each text falls into one kind:

    kind      reads as                                   sort key
    QUANTITY  a number or a size: -3.5  700M  1.5GiB     its exact value, int or Fraction
    YEAR      four digits, 0001 to 9999                  its exact value: a number and a date at once
    DATE      2026-11 and finer, see query.dates         its first instant, seconds since 1970
    TEXT      anything else                              itself

A *stored* value (an item's) is a point: a date counts as its first instant. A *bound* (a query's) that is a date is
the whole interval it names: 2026-11-23 equals 2026-11, is not above it, and `..2026-11` includes it. That makes the
comparison asymmetric on purpose; for every other kind a bound is a point too.

Indexes. Keep the stored values of a key in one sorted list for each kind. `span(bound, kind)` tells where a bound
falls in the list of a kind; `position` turns that into two list positions. Bisecting gives exactly what `compare` gives
for every pair of kinds for which `span` is not None:

    bound \\ stored   QUANTITY   YEAR     DATE     TEXT
    QUANTITY         number     number   -        -
    YEAR             number     number   date     -
    DATE             -          date     date     -
    TEXT             -          -        -        text

At a dash the two compare as text, which is not the order of that list: call `compare` for each of its values.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, TypeAlias

from query.dates import Instant, ago, first_year_from, read_age, read_date

SortKey: TypeAlias = int | Fraction | str  # comparable within one kind only


class Kind(Enum):
    QUANTITY = "quantity"
    YEAR = "year"
    DATE = "date"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Value:
    """A text and what it reads as.

    key     the sort key, a total order among the values of one kind
    dates   for a YEAR or DATE the half-open interval of instants that it names
    """

    text: str
    kind: Kind
    key: SortKey
    dates: tuple[Instant, Instant] | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """The sort keys that equal a bound: from `low` to `high`, which is part of it only if `closed`."""

    low: SortKey
    high: SortKey
    closed: bool


# No exponent, sign of infinity, underscore or foreign digit: `1e3` is more often a name than a thousand. Unit letters
# keep their case, else 5m would equal 5M. 255 digits bound the work; no tag is longer.
_NUMBER: Final = re.compile(r"(?P<number>[+-]?\d{1,255}(?:\.\d{1,255})?)(?P<unit>B|(?:[kKMGTPE](?:i?B|i)?))?", re.ASCII)
_POWERS: Final = {letter: power for power, letter in enumerate("KMGTPE", start=1)}

_YEAR: Final = re.compile(r"\d{4}", re.ASCII)


@lru_cache(maxsize=4096)
def classify(text: str) -> Value:
    """What `text` reads as. Total, linear in its length."""
    number = read_quantity(text)
    dates = read_date(text)
    if number is not None:
        if dates is not None and _YEAR.fullmatch(text):
            return Value(text, Kind.YEAR, number, dates)
        return Value(text, Kind.QUANTITY, number)
    if dates is not None:
        return Value(text, Kind.DATE, dates[0], dates)
    return Value(text, Kind.TEXT, text)


def read_quantity(text: str) -> int | Fraction | None:
    """The exact value of a number or a size, None for other texts.

    A lone letter counts in powers of 1024, as in du, find and ls (k K M G T P E), and so do Ki, KiB, Mi, MiB, ...;
    kB, KB, MB, ... count in powers of 1000. `B` alone is a byte.
    """
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    value = Fraction(found["number"]) * _factor(found["unit"])
    return value.numerator if value.denominator == 1 else value


def span(bound: Value, kind: Kind) -> Span | None:
    """The sort keys in a list of stored values of `kind` that equal `bound`; None if the two compare as text.

    Between TEXT and TEXT the order of the list is the order of texts, so there is a span.
    """
    if bound.kind in _NUMERIC and kind in _NUMERIC:
        return Span(bound.key, bound.key, closed=True)
    if bound.dates is not None and kind is Kind.DATE:
        return Span(*bound.dates, closed=False)
    if bound.kind is Kind.DATE and kind is Kind.YEAR:
        return _years_within(bound)
    if bound.kind is Kind.TEXT and kind is Kind.TEXT:
        return Span(bound.key, bound.key, closed=True)
    return None


def position(keys: Sequence[Any], where: Span) -> tuple[int, int]:
    """(i, j) for a sorted list of sort keys: below i they are less than the bound, from j on greater, between equal."""
    right = bisect_right if where.closed else bisect_left
    return bisect_left(keys, where.low), right(keys, where.high)


def compare(stored: str, bound: str, *, now: float | None = None) -> int:
    """-1, 0 or 1: the item's value `stored` is less than, equal to or greater than the query's `bound`.

    With `now` (seconds since 1970) a bound may be an age: `7d` is the second that lay seven days before `now`. Only
    the built-in key `added` has ages; leave `now` out for the others, for which `7d` is text.
    """
    if now is not None and (age := read_age(bound)) is not None:
        bound = ago(age, now)
    left, right = classify(stored), classify(bound)
    where = span(right, left.kind)
    if where is None:
        return (stored > bound) - (stored < bound)
    less, up_to = position((left.key,), where)
    if less < up_to:
        return 0
    return -1 if less else 1


_NUMERIC: Final = frozenset({Kind.QUANTITY, Kind.YEAR})


def _factor(unit: str | None) -> int:
    if unit is None or unit == "B":
        return 1
    decimal = unit[1:] == "B"
    return int((1000 if decimal else 1024) ** _POWERS[unit[0].upper()])


def _years_within(bound: Value) -> Span:
    """Where a DATE falls among stored years: it equals those whose first instant it covers, one at most."""
    assert bound.dates is not None
    start, end = bound.dates
    return Span(first_year_from(start), first_year_from(end), closed=False)
