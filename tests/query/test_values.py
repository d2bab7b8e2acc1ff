"""How values compare, and that bisecting an index says the same."""

from __future__ import annotations

from bisect import bisect_left
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.dates import ago, first_year_from, read_age, read_date
from query.values import Kind, Value, classify, compare, position, read_quantity, span
from tests.support.queries import NOW, examples, value_texts


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *(
            (text, Kind.QUANTITY)
            for text in ("0", "-3", "+3", "1.50", "007", "0000", "99999", "1K", "1.5GiB", "20kB", "7B")
        ),
        *((text, Kind.YEAR) for text in ("0001", "2026", "9999")),
        *((text, Kind.DATE) for text in ("2026-11", "2026-11-23", "2026-11-23T10:00", "2026-11-23 10:00:00.5Z")),
        *(
            (text, Kind.TEXT)
            for text in ("", "a", "1e3", "nan", "inf", "1_000", ".5", "5.", "1 K", "0x10", "1,5", "٣", "--1")
        ),
        *((text, Kind.TEXT) for text in ("1080p", "4m", "1Gb", "1GIB", "KiB", "1.2.3", "7d", "9" * 300)),
        *(
            (text, Kind.TEXT)
            for text in ("2026-13", "2026-02-30", "2026-1", "26-01", "2026-11-23T24:00", "2026-11-23T10")
        ),
        *((text, Kind.TEXT) for text in ("0000-01", "2026-11-23T10:00+24:00", "2026-11-23Z", "2026-11-23T10:60")),
    ],
)
def test_kinds(text: str, kind: Kind) -> None:
    assert classify(text).kind is kind


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1K", 1024),
        ("1k", 1024),
        ("1Ki", 1024),
        ("1KiB", 1024),
        ("1kB", 1000),
        ("1KB", 1000),
        ("1M", 2**20),
        ("1MB", 10**6),
        ("1G", 2**30),
        ("1T", 2**40),
        ("1P", 2**50),
        ("1E", 2**60),
        ("12B", 12),
        ("1.5GiB", 3 * 2**29),
        ("0.1K", Fraction(1024, 10)),
        ("-0.5", Fraction(-1, 2)),
        ("9007199254740993", 2**53 + 1),
    ],
)
def test_quantities_are_exact(text: str, value: int | Fraction) -> None:
    assert read_quantity(text) == value


@pytest.mark.parametrize(
    ("stored", "bound", "order"),
    [
        # numbers and sizes, not as text
        ("9", "10", -1),
        ("2000", "2000.0", 0),
        ("007", "7", 0),
        ("1024", "1K", 0),
        ("1000", "1kB", 0),
        ("-1", "0", -1),
        ("0.1", "0.10000000000000000000001", -1),
        # dates: a bound is all of the time it names
        ("2026-11-23", "2026-11", 0),
        ("2026-11-23T10:00:00Z", "2026", 0),
        ("2026-11-23T10:00:00Z", "2026-11-23T10:00", 0),
        ("2026-11-23T10:00:59Z", "2026-11-23T10:00", 0),
        ("2026-11-23T10:01:00Z", "2026-11-23T10:00", 1),
        ("2026-11-23T10:00:01Z", "2026-11-23T10:00:00", 1),
        ("2026-11-23T10:00:00.5Z", "2026-11-23T10:00:00", 0),
        ("2026-03-31T23:59:59Z", "2026-03", 0),
        ("2026-04-01", "2026-03", 1),
        ("2026-02-28", "2026-03", -1),
        ("2024-02-29T23:00:00Z", "2024-02", 0),
        # a stored date counts as its first instant
        ("2026-11", "2026-11-01", 0),
        ("2026-11", "2026-11-02", -1),
        ("2026", "2026-01", 0),
        ("2026", "2026-02", -1),
        # UTC unless it says otherwise
        ("2026-11-23T10:00:00Z", "2026-11-23T12:00+02:00", 0),
        ("2026-11-23T10:00:00Z", "2026-11-23T08:00-02:00", 0),
        ("2026-01-01T00:30+01:00", "2025", 0),
        # a year is a number and a date
        ("2026", "2026.0", 0),
        ("2026", "1.5K", 1),
        ("1999-12-31", "2000", -1),
        # anything else as text, also across kinds
        ("abc", "abd", -1),
        ("a", "B", 1),
        ("10", "9x", -1),
        ("1999-12-31", "500", -1),
        ("500", "1999-12-31", 1),
        ("x", "2026", 1),
    ],
)
def test_compare(stored: str, bound: str, order: int) -> None:
    assert compare(stored, bound) == order


def test_ages_need_the_time() -> None:
    assert ago(7 * 86_400, NOW) == "2026-11-16T10:00:00Z"
    assert compare("2026-11-16T10:00:01Z", "7d", now=NOW + 0.9) == 1
    assert compare("2026-11-16T10:00:00Z", "7d", now=NOW) == 0
    assert compare("2026-11-16T09:59:59Z", "7d", now=NOW) == -1
    assert compare("7d", "7d") == 0
    assert compare("8d", "7d") == 1  # text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30min", 1800), ("12h", 43_200), ("7d", 604_800), ("2w", 1_209_600), ("1y", 31_536_000)],
)
def test_ages(text: str, seconds: int) -> None:
    assert read_age(text) == seconds


@pytest.mark.parametrize("text", ["7", "d", "7 d", "-7d", "1.5d", "7m", "7D", "1000000000d", "٣d", ""])
def test_no_ages(text: str) -> None:
    assert read_age(text) is None


def test_ages_reach_back_to_the_first_date_at_most() -> None:
    assert ago(999_999_999 * 31_536_000, NOW) == "0001-01-01T00:00:00Z"


@examples
@given(st.datetimes())
def test_dates_agree_with_the_calendar(moment: object) -> None:
    text = str(moment).replace(" ", "T")
    interval = read_date(text)
    assert interval is not None
    assert interval[0] < interval[1]
    day, month, year = (read_date(text[:length]) for length in (10, 7, 4))
    for outer, inner in ((year, month), (month, day), (day, interval)):
        assert outer is not None
        assert inner is not None
        assert outer[0] <= inner[0] < inner[1] <= outer[1]


@examples
@given(st.integers(0, 4_000_000_000))
def test_ago_writes_what_read_date_reads(moment: int) -> None:
    assert read_date(ago(0, moment)) == (moment, moment + 1)


@pytest.mark.parametrize(
    ("text", "year"),
    [("2026", 2026), ("2026-01-01T00:00:01", 2027), ("0001", 1), ("0001-01-01T00:00+02:00", 1), ("9999-12-31", 10_000)],
)
def test_first_year_from(text: str, year: int) -> None:
    interval = read_date(text)
    assert interval is not None
    assert first_year_from(interval[0]) == year


def test_after_the_last_year() -> None:
    interval = read_date("9999-12-31T23:59-02:00")
    assert interval is not None
    assert first_year_from(interval[0]) == 10_000


# The promise to indexes


@examples
@given(st.lists(value_texts | st.text(max_size=3), max_size=30), value_texts | st.text(max_size=3))
def test_bisecting_is_comparing(stored: list[str], bound: str) -> None:
    right = classify(bound)
    by_kind: dict[Kind, list[Value]] = {kind: [] for kind in Kind}
    for text in stored:
        by_kind[classify(text).kind].append(classify(text))
    for kind, values in by_kind.items():
        where = span(right, kind)
        if where is None:
            assert all(compare(value.text, bound) == (value.text > bound) - (value.text < bound) for value in values)
            continue
        values.sort(key=lambda value: value.key)
        keys = [value.key for value in values]
        low, high = position(keys, where)
        assert [compare(value.text, bound) for value in values] == [-1] * low + [0] * (high - low) + [1] * (
            len(values) - high
        )


@pytest.mark.parametrize("bound", Kind)
@pytest.mark.parametrize("stored", Kind)
def test_which_pairs_of_kinds_bisect(bound: Kind, stored: Kind) -> None:
    sample = {Kind.QUANTITY: "1K", Kind.YEAR: "2026", Kind.DATE: "2026-11", Kind.TEXT: "x"}
    table = {
        Kind.QUANTITY: {Kind.QUANTITY, Kind.YEAR},
        Kind.YEAR: {Kind.QUANTITY, Kind.YEAR, Kind.DATE},
        Kind.DATE: {Kind.YEAR, Kind.DATE},
        Kind.TEXT: {Kind.TEXT},
    }
    assert (span(classify(sample[bound]), stored) is not None) == (stored in table[bound])


@examples
@given(value_texts)
def test_a_value_equals_itself(text: str) -> None:
    assert compare(text, text) == 0


@examples
@given(st.lists(value_texts, min_size=1))
def test_keys_of_one_kind_are_totally_ordered(texts: list[str]) -> None:
    for kind in Kind:
        keys = [value.key for value in map(classify, texts) if value.kind is kind]
        keys.sort()
        assert all(bisect_left(keys, key) <= at for at, key in enumerate(keys))
