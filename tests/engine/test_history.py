"""Which rows tell of a transaction: a pure function of its changes."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from engine.history import NAMED_LIMIT, difference, entries
from engine.types import Change, Facts, ItemId, Kind, State, TagChange, TagEvent

FACTS = Facts("film", Kind.FILE, State.COMPLETE, 4, "aa", 0, False, frozenset({"movie"}))
ONE, TWO = ItemId(5000), ItemId(5001)


def changed(item: int, before: Facts, after: Facts) -> Change:
    return Change(ItemId(item), before, after)


def test_what_nobody_decided_has_no_row() -> None:
    arriving = replace(FACTS, sha256=None, state=State.QUEUED)
    for after in (replace(arriving, state=State.DOWNLOADING), replace(arriving, size=9), FACTS, arriving):
        assert entries([changed(ONE, arriving, after)], [], {}) == []
    assert entries([Change(ONE, None, FACTS), Change(ONE, FACTS, None)], [], {}) == []  # came and went at once


def test_each_kind_of_change_has_its_key() -> None:
    after = replace(FACTS, name="f", tags=frozenset({"b", "a"}), parent=TWO, trashed=True, sha256="bb")
    assert difference(FACTS, after) == {
        "add": ["a", "b"],
        "remove": ["movie"],
        "name": ["film", "f"],
        "parent": [None, TWO],
        "trashed": [False, True],
        "content": ["aa", "bb"],
    }
    assert difference(None, FACTS) == {"made": "film", "add": ["movie"]}
    assert difference(None, replace(FACTS, tags=frozenset(), trashed=True)) == {"made": "film", "trashed": True}
    assert difference(FACTS, None) == {"ended": "film"}
    assert difference(replace(FACTS, sha256=None), None) == {"dropped": "film"}
    assert difference(replace(FACTS, sha256=None), None, {"mode": 1}) == {"removed": "film", "row": {"mode": 1}}


def test_items_that_changed_alike_share_a_row_and_a_second_change_joins_the_first() -> None:
    seen = replace(FACTS, tags=frozenset({"movie", "seen"}))
    other = replace(FACTS, name="other")
    changes = [
        changed(ONE, FACTS, seen), changed(TWO, other, replace(other, tags=seen.tags)),
        changed(5002, FACTS, seen), changed(5002, seen, FACTS),
        changed(5003, FACTS, seen), changed(5003, seen, replace(seen, name="x")),
    ]  # fmt: skip
    told = entries(changes, [TagChange(TagEvent.CREATED, "seen"), TagChange(TagEvent.RENAMED, "a", "b")], {})
    assert [entry.what for entry in told] == [
        {"tag": ["created", "seen"]}, {"tag": ["renamed", "a", "b"]}, {"add": ["seen"]},
        {"add": ["seen"], "name": ["film", "x"]},
    ]  # fmt: skip
    assert told[2].items == BitMap([ONE, TWO])
    assert told[3].item == 5003


def test_few_that_came_keep_their_names_and_many_are_one_row() -> None:
    few = [Change(ItemId(number), None, replace(FACTS, name=f"n{number}")) for number in range(5000, 5003)]
    assert [entry.what["made"] for entry in entries(few, [], {})] == ["n5000", "n5001", "n5002"]
    many = [Change(ItemId(number), None, FACTS) for number in range(5000, 5001 + NAMED_LIMIT)]
    [entry] = entries(many, [], {})
    assert (entry.what, entry.items) == ({"made": True, "add": ["movie"]}, BitMap(range(5000, 5001 + NAMED_LIMIT)))
    diverse = [
        Change(ItemId(number), None, replace(FACTS, tags=frozenset({f"t{number % 50}"})))
        for number in range(5000, 5001 + NAMED_LIMIT)
    ]
    [entry] = entries(diverse, [], {})
    assert (entry.what, entry.items) == ({"made": True}, BitMap(range(5000, 5001 + NAMED_LIMIT)))


facts = st.none() | st.builds(
    Facts,
    st.sampled_from(["a", "b"]),
    st.just(Kind.FILE),
    st.just(State.COMPLETE),
    st.just(1),
    st.sampled_from([None, "aa", "bb"]),
    st.just(0),
    st.booleans(),
    st.frozensets(st.sampled_from(["x", "y"])),
)


@given(st.lists(st.tuples(st.integers(5000, 5003), facts), max_size=12))
def test_the_rows_of_a_transaction_are_those_of_its_net_change(steps: list[tuple[int, Facts | None]]) -> None:
    state: dict[int, Facts | None] = {}
    first: dict[int, Facts | None] = {}
    changes = []
    for item, after in steps:
        first.setdefault(item, None)
        changes.append(Change(ItemId(item), state.get(item), after))
        state[item] = after
    told: dict[int, dict[str, object]] = {}
    for entry in entries(changes, [], {}):
        for item in entry.items or [entry.item or 0]:
            assert item not in told
            told[item] = entry.what
    expected = {item: what for item in first if (what := difference(first[item], state[item]))}
    assert told == expected
