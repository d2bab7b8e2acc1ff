"""OrderedIds against a sorted list, and its stretches against comparing each value."""

from __future__ import annotations

from array import array

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.index.builtin import Ordered, ordered_stretches
from engine.index.ordered_ids import OrderedIds
from engine.types import Facts, Kind, State
from query.ast import Compare, Op, Range
from query.evaluate import satisfies

values = st.integers(0, 40) | st.sampled_from([999, 1_000, 1_024, 2_000, 2_047, 10**6, 2**40, 2**62])
ids = st.integers(4_096, 4_140)
bounds = st.sampled_from(["0", "1", "7", "20", "1k", "1kB", "2000", "0.5k", "1M", "1T", "-1", "1025.5", "9999"])
leaves = st.builds(
    Compare, st.just("size"), st.sampled_from([op for op in Op if op is not Op.HAS]), bounds
) | st.builds(Range, st.just("size"), bounds, bounds | st.none())


def made(pairs: list[tuple[int, int]]) -> OrderedIds:
    return OrderedIds(
        array("q", [value for value, _ in pairs]), array("I", [item for _, item in pairs]), chunk=3, part=1, stride=2
    )


def facts(size: int) -> Facts:
    return Facts("x", Kind.FILE, State.QUEUED, size, None, 0, False)


@settings(deadline=None)
@given(start=st.dictionaries(ids, values), steps=st.lists(st.tuples(ids, st.none() | values)), leaf=leaves)
def test_it_holds_what_a_sorted_list_would(
    start: dict[int, int], steps: list[tuple[int, int | None]], leaf: Compare | Range
) -> None:
    model: dict[int, int | None] = dict(start)
    ordered = made(sorted((value, item) for item, value in start.items()))
    for item, value in steps:
        ordered.put(item, model.get(item), value)
        model[item] = value
    known = {item: value for item, value in model.items() if value is not None}
    assert len(ordered) == len(known)
    assert set(ordered.between(None, None)) == set(known)
    found = set()
    for low, high in ordered_stretches(leaf) or ():
        found |= set(ordered.between(low, high))
    assert found == {item for item, value in known.items() if satisfies(leaf, str(value), now=0.0)}


def test_a_change_that_is_told_twice_does_no_harm() -> None:
    ordered = made([(7, 4_100), (9, 4_101)])
    ordered.put(4_100, 5, 7)
    ordered.put(4_100, 7, 7)
    ordered.put(4_101, 9, None)
    ordered.put(4_101, 9, None)
    assert len(ordered) == 1
    assert list(ordered.between(None, None)) == [4_100]


def test_a_key_follows_the_facts() -> None:
    key = Ordered("size", array("q"), array("I"))
    everything = Compare("size", Op.GE, "0")
    key.put(5, None, facts(7))
    key.put(6, None, facts(7))
    key.put(5, facts(7), facts(9))
    assert list(key.matching(everything)) == [5, 6]
    assert list(key.matching(Compare("size", Op.EQ, "9"))) == [5]
    key.put(5, facts(9), None)
    assert list(key.matching(everything)) == [6]
