"""Services that fail begin anew, not too often, and are said to be degraded as long as it counts."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from engine.errors import CatalogueFailed
from engine.supervision import LONGEST, MOST, PERIOD, REST, Restarts, Supervisor


def test_pauses_double_and_too_many_failures_are_a_long_rest() -> None:
    restarts = Restarts()
    assert [restarts.pause(0.0) for _ in range(MOST)] == [1, 2, 4, 8, 16]
    assert restarts.pause(1.0) == REST
    assert restarts.pause(2.0) == REST
    assert restarts.pause(2.0 + PERIOD) == 1


def test_no_pause_but_the_rest_is_longer_than_said() -> None:
    restarts = Restarts()
    assert max(restarts.pause(float(at)) for at in range(0, 10_000, 100)) <= LONGEST


class Service:
    """Fails `failures` times, each in another way: before and after it said that it is there."""

    def __init__(self, failures: int) -> None:
        self.begun = 0
        self.failures = failures

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        self.begun += 1
        if self.begun <= self.failures and self.begun % 2:
            raise ValueError("before")
        task_status.started()
        if self.begun <= self.failures:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                raise ValueError("afterwards")
        await trio.sleep_forever()


async def test_it_begins_anew_and_is_forgiven(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    service, supervisor = Service(3), Supervisor()
    await nursery.start(supervisor.keep, "the watch", lambda: service.run)
    await trio.testing.wait_all_tasks_blocked()
    assert list(supervisor.degraded) == ["the watch"]
    assert "ValueError" in supervisor.degraded["the watch"]
    await trio.sleep(1 + 2 + 4 + 1)
    assert service.begun == 4
    assert supervisor.degraded
    await trio.sleep(PERIOD)
    assert not supervisor.degraded
    assert service.begun == 4
    assert len(caplog.records) == 3


async def test_one_that_always_fails_rests_and_is_tried_again(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    service, supervisor = Service(10**9), Supervisor()
    await nursery.start(supervisor.keep, "the watch", lambda: service.run)
    await trio.sleep(REST - 1)
    assert service.begun == MOST + 1
    assert "3600 s" in supervisor.degraded["the watch"]
    await trio.sleep(100)
    assert service.begun > MOST + 1


async def test_one_that_ends_has_ended(nursery: trio.Nursery) -> None:
    async def run(task_status: trio.TaskStatus[None]) -> None:
        task_status.started()

    supervisor = Supervisor()
    with trio.fail_after(60):
        await supervisor.keep("once", lambda: run)
    assert not supervisor.degraded


async def test_a_catalogue_that_failed_is_no_matter_for_it() -> None:
    async def run(task_status: trio.TaskStatus[None]) -> None:
        raise CatalogueFailed("The disk is gone.")

    with pytest.RaisesGroup(CatalogueFailed, flatten_subgroups=True):
        await Supervisor().keep("it", lambda: run)
