"""What follows from a failure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadRequest
from engine.sources.stream import Fault
from engine.transfer.config import TransferConfig
from engine.transfer.options import Location, check_options, read_options, with_place
from engine.transfer.outcome import Again, Lost, Retry, backoff, what_next

CONFIG = TransferConfig(retries=5, backoff_first=1.0, backoff_max=60.0)


def decide(fault=Fault.PASSING, *, attempts=0, stubborn=0, mirrors=False, jitter=1.0, **fields):
    failure = Again("why", fault, **fields)
    return what_next(failure, attempts=attempts, stubborn=stubborn, mirrors_left=mirrors, jitter=jitter, config=CONFIG)


def test_passing_faults_are_tried_again_so_often():
    assert [decide(attempts=n) for n in range(5)] == [Retry(2.0**n, n + 1, gate=False) for n in range(5)]
    assert decide(attempts=5) == Lost()


def test_progress_starts_the_count_anew():
    assert decide(attempts=5, progressed=True) == Retry(1.0, 1, gate=False)


def test_stubborn_faults_get_one_more_try_and_final_ones_none():
    assert isinstance(decide(Fault.STUBBORN), Retry)
    assert decide(Fault.STUBBORN, stubborn=1) == Lost()
    assert decide(Fault.FINAL) == Lost()


def test_another_mirror_is_tried_at_once():
    assert decide(Fault.FINAL, mirrors=True) == Retry(0.0, 1, gate=False)


def test_what_the_server_asks_for_is_done():
    assert decide(retry_after=100.0, jitter=0.0) == Retry(100.0, 1, gate=True)
    assert decide(retry_after=100.0, jitter=1.0).delay == pytest.approx(110.0)


@given(st.integers(1, 10**6), st.floats(0, 1, exclude_max=True))
def test_backoff_is_bounded(attempts, jitter):
    assert 0.5 <= backoff(attempts, jitter, CONFIG) <= 60.0


def test_options():
    given_ = {"header.X-A": "b", "any-type": "yes"}
    assert check_options(given_) == given_
    assert read_options(check_options({"split": "7", "max-connections": "2"})).split == 7
    options = read_options(with_place(given_, "http://m/x", Location("http://h/x", True)))
    assert (options.headers, options.any_type, options.location) == ({"X-A": "b"}, True, Location("http://h/x", True))
    assert options.home == "http://m/x"
    assert with_place(with_place(given_, "v", Location("u", False)), None, None) == given_


@pytest.mark.parametrize(
    "options",
    [
        {"x": "y"},
        {"location": "http://10.0.0.1/"},
        {"any-type": "maybe"},
        {"split": "0"},
        {"split": "65"},
        {"split": "-1"},
        {"max-connections": "many"},
        {"header.": "x"},
        {"header.A": "b\r\nC: d"},
    ],
)
def test_options_that_are_refused(options):
    with pytest.raises(BadRequest):
        check_options(options)
