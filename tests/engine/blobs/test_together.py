"""Small files that come at the same time are hashed and placed together, and one that fails costs no other."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from engine.blobs import placing
from engine.blobs.store import BlobStore
from engine.blobs.together import LANES, MOST, Together
from engine.disk import Disk


class Gate:
    """A function that waits in its thread until it may go on, and tells which groups it was given."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.may_go = threading.Event()

    def __call__(self, group: Sequence[int]) -> list[int | Exception]:
        self.groups.append(list(group))
        assert self.may_go.wait(60)
        return [number * 2 if number >= 0 else ValueError(number) for number in group]


async def gather(together: Together[int, int], numbers: Sequence[int]) -> dict[int, int | Exception]:
    found: dict[int, int | Exception] = {}

    async def call(number: int) -> None:
        try:
            found[number] = await together(number)
        except ValueError as error:
            found[number] = error

    async with trio.open_nursery() as nursery:
        for number in numbers:
            nursery.start_soon(call, number)
    return found


async def run(gate: Gate, numbers: Sequence[int]) -> dict[int, int | Exception]:
    found: dict[int, int | Exception] = {}
    together = Together(Disk(), gate)

    async def all_of_them() -> None:
        found.update(await gather(together, numbers))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(all_of_them)
        await trio.testing.wait_all_tasks_blocked()
        gate.may_go.set()
    return found


async def test_who_comes_while_others_are_under_way_goes_with_the_next() -> None:
    gate = Gate()
    found = await run(gate, range(20))
    assert found == {number: number * 2 for number in range(20)}
    assert sorted(map(len, gate.groups)) == [1] * LANES + [20 - LANES]


async def test_groups_are_bounded() -> None:
    gate = Gate()
    await run(gate, range(2 * MOST + LANES))
    assert sorted(map(len, gate.groups)) == [1] * LANES + [MOST] * 2


async def test_each_gets_what_came_of_its_own() -> None:
    found = await run(Gate(), [1, 2, -3, 4, -5])
    assert [found[number] for number in (1, 2, 4)] == [2, 4, 8]
    assert all(isinstance(found[number], ValueError) for number in (-3, -5))


async def test_who_is_cancelled_waits_and_the_others_go_on() -> None:
    gate = Gate()
    together = Together(Disk(), gate)
    ended: list[int] = []

    async def call(number: int, scope: trio.CancelScope) -> None:
        with scope:
            assert await together(number) == number * 2
        ended.append(number)

    scopes = [trio.CancelScope() for _ in range(6)]
    async with trio.open_nursery() as nursery:
        for number, scope in enumerate(scopes):
            nursery.start_soon(call, number, scope)
            await trio.testing.wait_all_tasks_blocked()
        scopes[0].cancel()
        scopes[LANES].cancel()  # which is to take the next group
        await trio.testing.wait_all_tasks_blocked()
        assert ended == []
        gate.may_go.set()
    assert sorted(ended) == list(range(6))


async def test_no_lane_is_lost_when_several_groups_end_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their ends come in one turn of the loop, before any of those who wait has had one."""
    ends: list[trio.Event] = []

    async def run_until_told(function: object, group: Sequence[int]) -> list[int]:
        ends.append(trio.Event())
        await ends[-1].wait()
        return list(group)

    disk = Disk()
    monkeypatch.setattr(disk, "run", run_until_told)
    together: Together[int, int] = Together(disk, list)
    for _ in range(3):
        async with trio.open_nursery() as nursery:
            for number in range(LANES + 2):
                nursery.start_soon(together, number)
                await trio.testing.wait_all_tasks_blocked()
            assert len(ends) == LANES  # are under way
            for end in ends:
                end.set()
            await trio.testing.wait_all_tasks_blocked()
            assert len(ends) == LANES + 1  # those that waited
            ends[-1].set()
        ends.clear()


async def test_a_file_that_cannot_be_synced_costs_no_other_and_is_not_synced_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel has dropped its bytes: a second fsync would report success."""
    store, seal, tried = BlobStore(tmp_path), placing.seal, []
    contents = [b"content %d" % number for number in range(10)]
    names = []
    for content in contents:
        name, fd = store.create_staging()
        os.write(fd, content)
        os.close(fd)
        names.append(name)

    def fail_once(path: str) -> None:
        tried.append(path)
        if path == store.staging_path(names[7]) and tried.count(path) == 1:
            raise OSError(errno.EIO, "Input/output error")
        seal(path)

    monkeypatch.setattr(placing, "seal", fail_once)
    failed: list[str] = []

    async def ingest(name: str) -> None:
        try:
            done = await store.ingest(name, {})
        except OSError as error:
            assert error.errno == errno.EIO
            failed.append(name)
        else:
            assert store.exists(done.sha256)

    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(ingest, name)
    assert failed == [names[7]]
    assert len(tried) == 10
    assert Path(store.staging_path(names[7])).read_bytes() == contents[7]
    assert len(await store.stored()) == 9
