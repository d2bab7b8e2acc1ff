"""Who asks for the next request: on a pipe instead of a mount, with a loop that is like pyfuse3's."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from itertools import pairwise

import pyfuse3
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tagfs.mount import requests
from tagfs.mount.requests import SPARE, TURN, Requests


class Session:
    """Each byte is a request."""

    def __init__(self, operation: Callable[[int], Awaitable[None]]) -> None:
        self.reading, self.writing = os.pipe()
        self.operation = operation
        self.exited = False
        self.tasks: set[trio.lowlevel.Task] = set()

    async def loop(self, nursery: object, min_tasks: int, max_tasks: int) -> None:
        while not self.exited:
            if not await vars(pyfuse3)["_wait_fuse_readable"]():
                return
            self.tasks.add(trio.lowlevel.current_task())
            (request,) = os.read(self.reading, 1)
            await self.operation(request)

    def ask(self, *numbers: int) -> None:
        os.write(self.writing, bytes(numbers))

    def end(self) -> None:
        """`pyfuse3.terminate`."""
        self.exited = True
        trio.lowlevel.notify_closing(self.reading)


@asynccontextmanager
async def running(
    monkeypatch: pytest.MonkeyPatch, operation: Callable[[int], Awaitable[None]], most: int = 1000
) -> AsyncIterator[Session]:
    session = Session(operation)
    monkeypatch.setattr(pyfuse3, requests.LOOP, session.loop)
    monkeypatch.setattr(pyfuse3, "terminate", session.end)
    taking = Requests(most)
    ours: list[bool] = []

    async def run() -> None:
        ours.append(await taking.run(session.reading))

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            yield session
            taking.terminate()
    assert ours == [True]
    os.close(session.reading)
    os.close(session.writing)


async def test_what_waits_for_nothing_is_answered_by_one_task(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []

    async def operation(request: int) -> None:
        done.append(request)

    async with running(monkeypatch, operation) as session:
        for first in range(0, 100, 10):
            session.ask(*range(first, first + 10))
            await wait_all_tasks_blocked()
    assert done == list(range(100))
    assert len(session.tasks) == 1


async def test_others_get_a_turn_while_there_are_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    seen: list[int] = []

    async def operation(request: int) -> None:
        done.append(request)

    async with running(monkeypatch, operation) as session:
        await wait_all_tasks_blocked()
        session.ask(*range(200))
        while len(done) < 200:
            await trio.lowlevel.checkpoint()
            seen.append(len(done))
    steps = [after - before for before, after in pairwise(seen)]
    assert max(steps) <= 2 * TURN  # the two tasks take turns in any order


async def test_operations_that_wait_delay_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    gates = {number: trio.Event() for number in range(200)}
    done: list[int] = []

    async def operation(request: int) -> None:
        if request in gates:
            await gates[request].wait()
        done.append(request)

    async with running(monkeypatch, operation) as session:
        for number in range(200):
            session.ask(number)
        await wait_all_tasks_blocked()
        assert not done
        session.ask(255)
        await wait_all_tasks_blocked()
        assert done == [255]
        for number in range(200):  # more of them become idle than are kept
            gates[number].set()
        await wait_all_tasks_blocked()
        assert sorted(done) == [*range(200), 255]
        before = set(session.tasks)
        gates.update((number, trio.Event()) for number in range(SPARE))
        session.ask(*range(SPARE))
        await wait_all_tasks_blocked()
        assert session.tasks == before  # the idle ones work again
        session.ask(255)
        await wait_all_tasks_blocked()
        assert done.count(255) == 2
        for gate in gates.values():
            gate.set()


async def test_no_operation_inherits_what_another_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    own: ContextVar[int | None] = ContextVar("own", default=None)
    seen: list[int | None] = []

    async def operation(request: int) -> None:
        seen.append(own.get())
        token = own.set(request)
        await trio.sleep(0)
        await trio.lowlevel.checkpoint()
        own.reset(token)

    async with running(monkeypatch, operation) as session:
        session.ask(*range(50))
        while len(seen) < 50:
            await trio.lowlevel.checkpoint()
    assert seen == [None] * 50


async def test_no_more_at_once_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, begun, done = trio.Event(), 0, 0

    async def operation(request: int) -> None:
        nonlocal begun, done
        begun += 1
        await gate.wait()
        done += 1

    async with running(monkeypatch, operation, most=5) as session:
        session.ask(*range(8))
        await wait_all_tasks_blocked()
        assert (begun, done) == (5, 0)
        gate.set()
        await wait_all_tasks_blocked()
        assert (begun, done) == (8, 8)
        session.ask(1)
        await wait_all_tasks_blocked()
        assert done == 9


async def test_what_runs_at_the_end_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, done = trio.Event(), 0

    async def operation(request: int) -> None:
        nonlocal done
        await gate.wait()
        done += 1

    async with running(monkeypatch, operation) as session:
        session.ask(1, 2, 3)
        await wait_all_tasks_blocked()
        pyfuse3.terminate()
        await wait_all_tasks_blocked()
        gate.set()
    assert done == 3


async def test_an_error_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    async def operation(request: int) -> None:
        if request:
            raise ValueError
        await trio.sleep_forever()

    with pytest.RaisesGroup(pytest.RaisesGroup(ValueError)):
        async with running(monkeypatch, operation) as session:
            session.ask(0, 0, 1)
            await trio.sleep_forever()


async def test_a_cancelled_operation_says_so_where_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    async def operation(request: int) -> None:
        with trio.move_on_after(0) as scope:
            await trio.sleep_forever()
        done.append("cancelled" if scope.cancelled_caught else "not")

    async with running(monkeypatch, operation) as session:
        session.ask(1, 2)
        await wait_all_tasks_blocked(0.01)
        while len(done) < 2:
            await trio.lowlevel.checkpoint()
    assert done == ["cancelled", "cancelled"]


async def test_another_loop_takes_its_requests_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    mains: list[int] = []

    async def loop(nursery: object, min_tasks: int, max_tasks: int) -> None:
        await trio.sleep_forever()

    async def main(min_tasks: int = 1, max_tasks: int = 99) -> None:
        mains.append(max_tasks)

    monkeypatch.setattr(pyfuse3, "main", main)
    monkeypatch.setattr(requests, "_descriptor", lambda: 0)
    wait = vars(pyfuse3)["_wait_fuse_readable"]
    for strange in (loop, None):
        monkeypatch.setattr(pyfuse3, requests.LOOP, strange)
        await Requests(7).serve()
    monkeypatch.setattr(requests, "_descriptor", lambda: None)
    await Requests(8).serve()
    assert mains == [7, 7, 8]
    assert vars(pyfuse3)["_wait_fuse_readable"] is wait


def test_the_installed_pyfuse3_has_what_is_replaced() -> None:
    assert callable(vars(pyfuse3)[requests.LOOP])
    assert callable(vars(pyfuse3)[requests.WAIT])
