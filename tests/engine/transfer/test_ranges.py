"""RangeMap against a set of positions."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.transfer.ranges import RangeMap

TOP = 40
INTERVALS = st.lists(st.tuples(st.integers(0, TOP), st.integers(0, TOP)), max_size=25)


def positions(intervals):
    return {n for start, end in intervals for n in range(start, end)}


@given(INTERVALS, st.integers(0, TOP), st.integers(0, TOP))
def test_is_the_set_of_positions(intervals, start, end):
    ranges, model = RangeMap(intervals), positions(intervals)
    assert positions(ranges) == model
    assert ranges.total == len(model)
    assert ranges.covers(start, end) == (set(range(start, end)) <= model)
    assert ranges.run_end(start) == next(n for n in range(start, TOP + 2) if n not in model)
    assert ranges.next_start(start) == next((n for n in range(start, TOP + 1) if n in model), None)
    assert positions(ranges.missing(start, end)) == set(range(start, end)) - model
    assert ranges.prefix == next(n for n in range(TOP + 2) if n not in model)
    assert ranges.end == max(model, default=-1) + 1


@given(INTERVALS)
def test_is_kept_in_normal_form(intervals):
    pairs = list(RangeMap(intervals))
    assert all(start < end for start, end in pairs)
    assert all(before[1] < after[0] for before, after in pairwise(pairs))


@given(INTERVALS)
def test_text_round_trip(intervals):
    ranges = RangeMap(intervals)
    assert RangeMap.parse(str(ranges)) == ranges


@given(INTERVALS)
def test_a_copy_is_independent(intervals):
    ranges = RangeMap(intervals)
    before = str(ranges)
    other = ranges.copy()
    assert (other, other.total) == (ranges, ranges.total)
    other.add(TOP + 5, TOP + 6)
    assert str(ranges) == before


@given(st.text("0123456789-, x", max_size=30))
def test_text_from_elsewhere_is_refused_or_normal(text):
    try:
        ranges = RangeMap.parse(text)
    except ValueError:
        return
    assert str(ranges) == text


@pytest.mark.parametrize("text", ["5-3", "0-5,5-9", "3-4,0-1", "0-5,", "-1-5", "0-99999999999999999999"])
def test_examples_of_refusal(text):
    with pytest.raises(ValueError, match="not a range map"):
        RangeMap.parse(text)
