"""From the text of one term to its leaf in the tree, with every check that needs no neighbour. Pure; any thread.

    movie              Tag
    year:2000          Compare EQ
    year:2000..2010    Range
    year  >=  2000     Compare, its three parts handed over by the parser

Both spellings end up here, so that they accept and refuse the same names and values. Imports query.ast and the tables
of names, keys and values. All functions raise BadName; the parsers add where.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from query.ast import Compare, Leaf, Op, Range, Tag
from query.builtin import BUILTIN_KEYS, CHOICES
from query.dates import read_age, read_date
from query.errors import BadName, show
from query.names import check_key, check_tag, clean, split_pair
from query.values import read_quantity

DOTS: Final = ".."


@lru_cache(maxsize=4096)
def exact(text: str) -> Tag | Compare:
    """The term of a text that is taken as it stands: a plain tag, or a pair even if its value contains dots."""
    pair = split_pair(text)
    if pair is None:
        return Tag(check_tag(text))
    key, value = pair
    return compared(key, Op.EQ, value)


def ranged(key: str, low: str, high: str) -> Range:
    """The term `key:low..high`; an empty bound is open."""
    key = check_key(key)
    if not low and not high:
        raise BadName(f"the range {show(key + ':' + DOTS)} needs a bound before or after the dots")
    if DOTS in low + " " + high or low.endswith("."):
        # A second pair of dots would make it unclear which of them is meant; comparisons take such values.
        raise BadName(f"the range {show(f'{key}:{low}..{high}')} has more than one '..'")
    for bound in filter(None, (low, high)):
        _check_value(key, Op.GE, bound)
    return Range(key, clean(low) or None, clean(high) or None)


def compared(key: str, op: Op, value: str) -> Compare:
    """The term `key op value`. An EQ on a key that users make up is a tag, and obeys the rules of its name."""
    key = check_key(key)
    value = clean(value)
    if op is Op.EQ and key not in BUILTIN_KEYS:
        check_tag(f"{key}:{value}")
    else:
        _check_value(key, op, value)
    return Compare(key, op, value)


def split_range(value: str) -> tuple[str, str] | None:
    """('2000', '2010') for '2000..2010', None for a value without two dots. Splits at the first of them."""
    low, dots, high = value.partition(DOTS)
    return (low, high) if dots else None


def _check_value(key: str, op: Op, value: str) -> None:
    value = clean(value)
    if not value:
        raise BadName(f"{show(key + ':')} needs a value")
    if "\0" in value:
        raise BadName(f"the value {show(value)} of {show(key + ':')} contains a NUL")
    if op is Op.HAS:
        return  # a part of a value need not be one
    if op in (Op.EQ, Op.NE) and key in CHOICES and value not in CHOICES[key]:
        raise BadName(f"{show(value)} is no value of {key}:, which has {', '.join(CHOICES[key])}")
    if key in _READS and not _READS[key][0](value):
        raise BadName(f"{show(value)} is no value of {key}:, which takes {_READS[key][1]}")


def _is_size(value: str) -> bool:
    return read_quantity(value) is not None


def _is_date_or_age(value: str) -> bool:
    return read_date(value) is not None or read_age(value) is not None


# Bounds of these keys are never text: an unreadable one would quietly match nothing.
_READS: Final[dict[str, tuple[Callable[[str], bool], str]]] = {
    "size": (_is_size, "bytes or a size such as 700M or 1.5GiB"),
    "added": (_is_date_or_age, "a date such as 2026-11-23 or an age such as 7d"),
}


def text_of(leaf: Leaf) -> str | None:
    """The tag name that a leaf states, `movie` or `year:2000`; None for other comparisons and for ranges."""
    match leaf:
        case Tag(name):
            return name
        case Compare(key, Op.EQ, value):
            return f"{key}:{value}"
        case _:
            return None
