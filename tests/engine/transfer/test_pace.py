"""Speeds and lost patience."""

from hypothesis import given
from hypothesis import strategies as st

from engine.transfer.pace import WINDOW, Patience, Speedometer


def test_a_steady_stream():
    meter = Speedometer()
    for tick in range(100):
        meter.count(1000, tick / 10)
    assert 9000 < meter.speed(9.9) < 11000
    assert meter.speed(9.9 + 2 * WINDOW) == 0.0


@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(0, 3)), max_size=200))
def test_memory_is_bounded_and_speed_is_sane(pieces):
    meter, now, total = Speedometer(), 0.0, 0
    for size, pause in pieces:
        now += pause
        total += size
        meter.count(size, now)
        assert 0 <= meter.speed(now) <= total * 4
        assert len(meter._steps) <= 22


def test_patience_ends_with_a_poor_window_only():
    patience = Patience(100, 60, 0)
    assert not any(patience.is_lost(10, tick) for tick in range(1, 60))
    assert patience.is_lost(10, 60)
    assert not any(patience.is_lost(200, tick) for tick in range(61, 200))
