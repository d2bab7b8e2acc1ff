"""Limits of speed: the bucket by a clock of its own, and downloads that keep to it."""

import os

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadRequest
from engine.sources.stream import MOST_PIECE
from engine.transfer.rate import BURST, LEAST_PIECE, Bucket, Limit, piece
from tests.support.nginx import nginx
from tests.support.transfers import rig

SIZE = 300_000
RATE = 500_000  # bytes a second


@given(
    st.integers(1, 10**9),
    st.lists(st.tuples(st.integers(0, 2 << 20), st.floats(0, 5)), min_size=1, max_size=30),
)
def test_no_more_comes_than_the_rate_and_one_burst(rate, received):
    """Everybody waits as told, and a little longer at will."""
    now, total = 100.0, 0
    bucket = Bucket(rate, now)
    for count, pause in received:
        total += count
        now += bucket.take(count, now) + pause
        assert total <= rate * (now - 100.0 + BURST) * 1.000001 + 1


@given(st.integers(1, 10**9), st.integers(1, 100))
def test_who_takes_what_the_rate_allows_loses_no_time(rate, pieces):
    bucket, now = Bucket(rate, 0.0), 0.0
    for _ in range(pieces):
        now += bucket.take(rate, now)
    assert now == pytest.approx(pieces - BURST, rel=1e-6, abs=1e-6)


async def test_those_that_share_a_limit_get_equal_parts(autojump_clock):
    limit, got = Limit(1000), [0, 0, 0]

    async def receive(number):
        while True:
            got[number] += 100
            await limit.spend(100)

    with trio.move_on_after(60):
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(receive, number)
    assert max(got) - min(got) <= 100
    assert sum(got) == pytest.approx(60_000, abs=1000)


def test_pieces_are_small_where_the_limit_is():
    assert piece([]) == MOST_PIECE
    assert piece([Limit(10**12)]) == MOST_PIECE
    assert piece([Limit(800_000), Limit(10**12)]) == 100_000
    assert piece([Limit(10)]) == LEAST_PIECE


@pytest.mark.parametrize("whose", ["one's own", "of all"])
async def test_a_download_keeps_to_its_limit(tmp_path, whose):
    contents = [os.urandom(SIZE) for _ in range(2)]
    (tmp_path / "served").mkdir()
    for number, content in enumerate(contents):
        (tmp_path / f"served/{number}").write_bytes(content)
    config = {"limit_rate": RATE} if whose == "of all" else {}
    options = {} if config else {"max-download": str(RATE)}
    with nginx(tmp_path / "nginx", tmp_path / "served") as server:
        async with rig(tmp_path / "state", **config) as here:
            started = trio.current_time()
            items = [await here.add(server.url(str(number)), options=options) for number in range(2)]
            for item, content in zip(items, contents, strict=True):
                await here.until(item)
                assert here.content(item) == content
            took = trio.current_time() - started
    together = 2 * SIZE if config else SIZE
    assert took >= together / RATE - BURST - MOST_PIECE / 8 / RATE  # the last piece is not waited for
    assert len(server.log()) == 2


@pytest.mark.parametrize("value", ["fast", "-1", "1.5", "", "9" * 16])
async def test_what_is_no_rate(tmp_path, value):
    async with rig(tmp_path, run=False) as here:
        with pytest.raises(BadRequest, match="max-download"):
            await here.add("http://127.0.0.1/x", options={"max-download": value})
