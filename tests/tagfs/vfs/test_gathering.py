"""Who comes alone waits for nobody; who comes in a stream goes on in groups, and nobody waits for long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
import trio
import trio.testing

from tagfs.vfs.gathering import LONGEST, MOST, QUIET, Gathering


async def gather(arrivals: Sequence[float], gathering: Gathering | None = None) -> list[tuple[float, float]]:
    """When each came and when it went, in seconds from now."""
    gathering, began = gathering or Gathering(), trio.current_time()
    stays: list[tuple[float, float]] = []

    async def one(at: float) -> None:
        await trio.sleep_until(began + at)
        await gathering.wait()
        stays.append((at, trio.current_time() - began))

    async with trio.open_nursery() as nursery:
        for at in arrivals:
            nursery.start_soon(one, at)
    return sorted(stays)


def groups(stays: Sequence[tuple[float, float]]) -> list[int]:
    """How many went at the same moment."""
    counted = Counter(round(went, 6) for _, went in stays)
    return [counted[moment] for moment in sorted(counted)]


async def test_who_comes_alone_goes_at_once(autojump_clock: trio.testing.MockClock) -> None:
    stays = await gather([0, LONGEST, 3 * LONGEST])
    assert stays == [(at, pytest.approx(at)) for at, _ in stays]


async def test_who_comes_after_another_waits_until_nobody_follows(autojump_clock: trio.testing.MockClock) -> None:
    stays = await gather([0, QUIET / 2, QUIET])
    assert groups(stays) == [1, 2]
    assert stays[-1][1] == pytest.approx(2 * QUIET)


async def test_a_stream_goes_in_groups_and_nobody_waits_for_long(autojump_clock: trio.testing.MockClock) -> None:
    step = QUIET / 4
    stays = await gather([step * number for number in range(200)])
    assert all(went - came <= LONGEST + 1e-6 for came, went in stays)
    assert max(groups(stays)) == pytest.approx(LONGEST / step, abs=2)
    assert len(groups(stays)) <= 2 + 200 * step / LONGEST


async def test_so_many_do_not_wait_for_more(autojump_clock: trio.testing.MockClock) -> None:
    stays = await gather([0.0] * (1 + MOST))
    assert all(went == pytest.approx(0) for _, went in stays)
    stays = await gather([0.0] * MOST)
    assert max(went for _, went in stays) == pytest.approx(QUIET)


async def test_those_who_wait_go_when_the_first_is_cancelled(autojump_clock: trio.testing.MockClock) -> None:
    gathering = Gathering()
    await gathering.wait()
    first = trio.CancelScope()

    async def leave() -> None:
        with first:
            await gathering.wait()

    with trio.fail_after(QUIET / 2):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(leave)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(gathering.wait)
            await trio.testing.wait_all_tasks_blocked()
            first.cancel()
    assert first.cancelled_caught
    assert await gather([0], gathering) == [(0, pytest.approx(QUIET))]  # who comes next gathers anew
