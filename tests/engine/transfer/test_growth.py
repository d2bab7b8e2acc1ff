"""How many connections are worth their cost: examples, and networks of known kinds."""

from hypothesis import given
from hypothesis import strategies as st

from engine.transfer.growth import FAST, STEADY, Growth

MIB = 1 << 20
GIB = 1 << 30


def grown(limit, rate_of, left=100 * GIB, looks=40):
    """The wishes, one after each look at a network that gives `rate_of(connections)`."""
    growth = Growth(limit)
    wishes = []
    for _ in range(looks):
        growth.look(growth.wish, rate_of(growth.wish), left)
        wishes.append(growth.wish)
    return wishes


def test_a_connection_that_is_held_back_gets_company_at_once():
    assert grown(16, lambda n: 20 * MIB * n, left=GIB)[0] == 16
    assert grown(5, lambda n: 20 * MIB * n, left=GIB)[0] == 5


def test_where_each_brings_its_share_all_stay():
    wishes = grown(16, lambda n: 2 * MIB * n)
    assert wishes[-1] == 16
    assert set(wishes) == {16, 8}  # one trial, and no more


def test_where_the_line_is_full_one_stays():
    assert grown(5, lambda n: 10 * MIB)[-1] == 1


def test_where_the_line_takes_two_no_more_than_needed_stay():
    assert grown(16, lambda n: MIB * min(n, 4))[-1] == 4


def test_nothing_is_tried_where_little_is_left():
    assert set(grown(5, lambda n: 10 * MIB, left=150 * MIB)) == {5}
    assert set(grown(5, lambda n: 20 * MIB, left=20 * MIB)) == {1}


def test_one_that_is_as_quick_as_this_machine_stays_alone():
    assert set(grown(16, lambda n: FAST)) == {1}
    assert grown(16, lambda n: FAST / 3)[0] == 3


def test_where_this_machine_is_busy_no_more_are_opened():
    growth = Growth(5)
    growth.look(1, 20 * MIB, 10 * GIB, busy=0.9)
    assert growth.wish == 1
    growth.look(1, 20 * MIB, 10 * GIB, busy=0.1)
    assert growth.wish == 5


def test_a_first_moment_that_was_quick_is_looked_at_again():
    growth = Growth(5)
    growth.look(1, 2 * FAST, 10 * GIB)
    assert growth.wish == 1
    growth.look(1, MIB, 10 * GIB)
    assert growth.wish == 5


def test_looks_while_connections_come_and_go_do_not_count():
    growth = Growth(4)
    growth.look(1, MIB, 100 * GIB)
    for connections in (1, 2, 3) * STEADY:
        growth.look(connections, MIB, 100 * GIB)
    assert growth.wish == 4


@given(st.lists(st.tuples(st.integers(1, 70), st.floats(0, 1e12), st.integers(0, 1 << 50))), st.integers(0, 64))
def test_never_none_and_never_too_many(looks, limit):
    growth = Growth(limit)
    for connections, rate, left in looks:
        growth.look(growth.wish if connections > 64 else connections, rate, left)
        assert 1 <= growth.wish <= max(limit, 1)
