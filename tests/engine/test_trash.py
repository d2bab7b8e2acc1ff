"""What of the trash may go, and what that frees: against counting by hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.trash import HELD_NS, Heap, Thing, expired
from engine.types import ItemId

HOUR_NS = 3600 * 10**9
SIZES = {1: 100, 2: 10, 3: 1, 4: 0}

heaps = st.builds(
    lambda blobs, used: Heap(
        [Thing(ItemId(5000 + place), place * HOUR_NS, held) for place, held in enumerate(blobs)], SIZES, used
    ),
    st.lists(st.frozensets(st.sampled_from(sorted(SIZES)), max_size=3), max_size=8),
    st.frozensets(st.sampled_from(sorted(SIZES)), max_size=2),
)


def needed(heap: Heap, gone: frozenset[int] = frozenset()) -> int:
    """Bytes that only the trash needs, without `gone`."""
    held = {blob for thing in heap.things if thing.item not in gone for blob in thing.blobs}
    return sum(SIZES[blob] for blob in held if blob not in heap.used)


@given(heaps, st.sets(st.integers(5000, 5007)))
def test_what_is_freed_is_what_is_needed_no_more(heap: Heap, gone: set[int]) -> None:
    assert heap.freed(gone) == needed(heap) - needed(heap, frozenset(gone))
    assert heap.freed_alone(heap.things) == [heap.freed({thing.item}) for thing in heap.things]


@given(heaps, st.integers(0, 120), st.none() | st.integers(0, 8))
def test_the_oldest_go_until_the_rest_is_small_enough(heap: Heap, keep: int, held: int | None) -> None:
    gone = heap.excess(keep, before_ns=None if held is None else held * HOUR_NS)
    may_go = [thing.item for thing in heap.things if held is None or thing.trashed_ns < held * HOUR_NS]
    assert set(gone) <= set(may_go)
    rest = needed(heap, frozenset(gone))
    assert rest <= keep or rest == needed(heap, frozenset(may_go))  # as far as it may
    if gone:
        assert needed(heap, frozenset(gone[:-1])) > keep  # and no further
    for thing in heap.things:  # what stays among the older ones could free nothing
        if gone and thing.item < gone[-1] and thing.item not in gone:
            assert all(blob in heap.used or SIZES[blob] == 0 for blob in thing.blobs)


@given(heaps, st.none() | st.integers(0, 8), st.none() | st.integers(0, 120))
def test_nothing_goes_by_itself_within_the_first_hour(heap: Heap, hours: int | None, max_size: int | None) -> None:
    now_ns = 6 * HOUR_NS
    gone = expired(heap, now_ns=now_ns, max_age=None if hours is None else hours * 3600.0, max_size=max_size)
    assert len(set(gone)) == len(gone)
    for thing in heap.things:
        age_ns = now_ns - thing.trashed_ns
        if age_ns <= HELD_NS:
            assert thing.item not in gone
        elif hours is not None and age_ns > hours * HOUR_NS:
            assert thing.item in gone
    if hours is None and max_size is None:
        assert gone == []
