"""Who walks by a directory waits until names in it are forgotten, and who may have locked it does not."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tagfs.mount import passing
from tagfs.mount.passing import BRIEFLY, WALKING, Passing


@pytest.fixture
def walkers(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The threads that are known to walk."""
    found: set[int] = set()
    monkeypatch.setattr(passing, "is_walking", found.__contains__)
    return found


async def test_who_walks_waits_until_it_is_done(
    walkers: set[int], nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    walkers.add(5)
    way, done, passed = Passing(), trio.Event(), trio.Event()

    async def walk() -> None:
        await way.walk(2, 5)
        passed.set()

    way.shut(2, done)
    nursery.start_soon(walk)
    await trio.sleep(WALKING / 2)
    assert not passed.is_set()
    done.set()
    with trio.fail_after(WALKING / 4):
        await passed.wait()
    way.open(2, done)
    assert not way.unsure


async def test_it_waits_for_all_that_is_under_way(
    walkers: set[int], nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    walkers.add(5)
    way, first, second, passed = Passing(), trio.Event(), trio.Event(), trio.Event()

    async def walk() -> None:
        await way.walk(2, 5)
        passed.set()

    way.shut(2, first)
    way.shut(2, second)
    nursery.start_soon(walk)
    second.set()
    way.open(2, second)
    await trio.sleep(WALKING / 2)
    assert not passed.is_set()
    assert way.unsure == {2: 1}
    first.set()
    with trio.fail_after(WALKING / 4):
        await passed.wait()


async def test_who_may_have_locked_it_waits_briefly(walkers: set[int], autojump_clock: trio.testing.MockClock) -> None:
    way = Passing()
    way.shut(2, trio.Event())
    begun = trio.current_time()
    await way.walk(2, 6)
    assert BRIEFLY <= trio.current_time() - begun < 2 * BRIEFLY


async def test_nobody_waits_for_ever(walkers: set[int], autojump_clock: trio.testing.MockClock) -> None:
    walkers.add(5)
    way = Passing()
    way.shut(2, trio.Event())
    begun = trio.current_time()
    await way.walk(2, 5)
    assert WALKING <= trio.current_time() - begun < 2 * WALKING


async def test_elsewhere_and_while_the_operation_runs_nobody_waits(
    walkers: set[int], autojump_clock: trio.testing.MockClock
) -> None:
    walkers.add(5)
    way = Passing()
    way.shut(3, trio.Event())
    begun = trio.current_time()
    with way.guarding((2, 7)):
        assert way.unsure == {2: 1, 3: 1, 7: 1}
        await way.walk(2, 5)
    assert trio.current_time() == begun
    assert way.unsure == {3: 1}
