"""Making the kernel forget: waited for, but never for ever. The kernel's part is played by the test."""

from __future__ import annotations

import errno
import threading
from collections.abc import AsyncIterator, Callable
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager

import pyfuse3
import pytest
import trio
import trio.testing

from tagfs.mount import invalidate
from tagfs.mount.invalidate import Invalidator
from tagfs.mount.passing import Passing

Told = list[tuple[int, bytes]]


class Kernel:
    """`locked` directories block whoever wants to change a name in them, until they are let go."""

    def __init__(self) -> None:
        self.told: Told = []
        self.inodes: list[int] = []
        self.locked: dict[int, threading.Event] = {}
        self.waiting = threading.Semaphore(0)
        self.blocked: set[int] = set()  # threads
        self.error: int | None = None

    def invalidate_entry(self, parent: int, name: bytes) -> None:
        if parent in self.locked:
            self.blocked.add(threading.get_native_id())
            self.waiting.release()
            assert self.locked[parent].wait(60)
            self.blocked.discard(threading.get_native_id())
        self.told.append((parent, name))
        if self.error is not None:
            raise OSError(self.error, "said the kernel")

    def invalidate_inode(self, inode: int, attr_only: bool) -> None:
        assert attr_only
        self.inodes.append(inode)
        if self.error is not None:
            raise OSError(self.error, "said the kernel")


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr(pyfuse3, "invalidate_entry", kernel.invalidate_entry)
    monkeypatch.setattr(pyfuse3, "invalidate_inode", kernel.invalidate_inode)
    monkeypatch.setattr(invalidate, "_waits_for_lock", kernel.blocked.__contains__)
    monkeypatch.setattr(invalidate, "LONGEST", 60)
    return kernel


@pytest.fixture
async def invalidator(kernel: Kernel, nursery: trio.Nursery) -> AsyncIterator[Invalidator]:
    invalidator = Invalidator()
    await nursery.start(invalidator.run)
    invalidator.open()
    yield invalidator
    for lock in kernel.locked.values():
        lock.set()


async def test_all_is_forgotten_when_the_call_returns(invalidator: Invalidator, kernel: Kernel) -> None:
    names = [(parent, f"f{number}") for parent in range(300) for number in range(5)]
    await invalidator.forget(names, [1, 2])
    assert sorted(kernel.told) == sorted((parent, name.encode()) for parent, name in names)
    assert kernel.inodes == [1, 2]
    assert invalidator.late == 0


async def test_names_that_are_not_utf_8(invalidator: Invalidator, kernel: Kernel) -> None:
    await invalidator.forget([(1, "\udcff"), (1, "é")], [])
    assert kernel.told == [(1, b"\xff"), (1, "é".encode())]


async def test_a_busy_directory_holds_up_nobody_but_itself(invalidator: Invalidator, kernel: Kernel) -> None:
    kernel.locked[7] = threading.Event()
    await invalidator.forget([(7, "f"), *((parent, "g") for parent in range(100, 200))], [])
    assert len(kernel.told) == 100
    assert invalidator.late == 1
    kernel.locked[7].set()
    await until(lambda: (7, b"f") in kernel.told)


async def test_threads_that_have_not_begun_yet_are_waited_for(
    invalidator: Invalidator, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine, where one of them is locked before the others run at all."""
    monkeypatch.setattr(invalidate, "PATIENCE", 0.001)
    kernel.locked[7] = threading.Event()
    begun, work, looks = threading.Event(), invalidate.Batch.work, 0

    def work_later(batch: invalidate.Batch) -> None:
        if kernel.waiting.acquire(blocking=False):
            kernel.waiting.release()
            assert begun.wait(60)
        work(batch)

    def is_held_up(batch: invalidate.Batch, *, room: bool, busy: AbstractSet[int]) -> bool:
        nonlocal looks
        looks += 1
        if looks == 20:
            begun.set()
        return held_up(batch, room=room, busy=busy)

    held_up = invalidate.Batch.is_held_up
    monkeypatch.setattr(invalidate.Batch, "work", work_later)
    monkeypatch.setattr(invalidate.Batch, "is_held_up", is_held_up)
    await invalidator.forget([(7, "f"), *((parent, "g") for parent in range(100, 200))], [])
    assert len(kernel.told) == 100
    assert invalidator.late == 1


async def test_a_thread_that_waits_for_no_lock_is_waited_for(
    invalidator: Invalidator, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a busy machine, where it is not its turn for longer than the patience; and beside one that is locked."""
    monkeypatch.setattr(invalidate, "PATIENCE", 0.01)
    slow, looks = threading.Event(), 0

    def tell_slowly(parent: int, name: bytes) -> None:
        if parent == 1:
            assert slow.wait(60)
        kernel.invalidate_entry(parent, name)

    def look(thread: int) -> bool:
        nonlocal looks
        looks += 1
        if looks == 20:
            slow.set()
        return thread in kernel.blocked

    kernel.locked[7] = threading.Event()
    monkeypatch.setattr(pyfuse3, "invalidate_entry", tell_slowly)
    monkeypatch.setattr(invalidate, "_waits_for_lock", look)
    await invalidator.forget([(1, f"f{number}") for number in range(8)], [])
    assert (len(kernel.told), invalidator.late) == (8, 0)
    slow.clear()
    looks = 0
    await invalidator.forget([(1, "g"), (7, "g")], [])
    assert kernel.told[8:] == [(1, b"g")]
    assert invalidator.late == 1


async def test_nobody_waits_for_ever_whatever_the_reason(
    invalidator: Invalidator, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invalidate, "LONGEST", 0.2)
    monkeypatch.setattr(invalidate, "_waits_for_lock", lambda thread: False)
    kernel.locked[7] = threading.Event()
    await invalidator.forget([(7, "f")], [])
    assert (kernel.told, invalidator.late) == ([], 1)


def test_who_runs_and_who_is_gone_wait_for_no_lock() -> None:
    assert not invalidate._waits_for_lock(threading.get_native_id())
    assert not invalidate._waits_for_lock(2**22 + 1)  # nobody


async def test_what_an_operation_holds_is_forgotten_after_it(invalidator: Invalidator, kernel: Kernel) -> None:
    with invalidator.holding(1, 2):
        await invalidator.forget([(1, "f"), (2, "g"), (3, "h"), (1, "f")], [9])
        assert kernel.told == [(3, b"h")]
        with invalidator.holding(1):
            await invalidator.forget([(1, "i")], [])
        await trio.testing.wait_all_tasks_blocked()
        assert kernel.told == [(3, b"h")]  # the outer one still holds it
    await until(lambda: len(kernel.told) == 4)
    assert sorted(kernel.told) == [(1, b"f"), (1, b"i"), (2, b"g"), (3, b"h")]


async def test_nobody_walks_by_until_what_an_operation_held_is_forgotten(kernel: Kernel, nursery: trio.Nursery) -> None:
    passing = Passing()
    invalidator = Invalidator(passing=passing)
    await nursery.start(invalidator.run)
    invalidator.open()
    kernel.locked[1] = threading.Event()
    with invalidator.holding(1, 2, guard=True):
        assert passing.unsure == {1: 1, 2: 1}
        await invalidator.forget([(1, "year:1990..")], [])
    assert passing.unsure == {1: 1}
    with invalidator.holding(1):  # one that changes nothing of the kind
        pass
    await trio.to_thread.run_sync(kernel.waiting.acquire)
    assert passing.unsure == {1: 1}
    kernel.locked[1].set()
    await until(lambda: not passing.unsure)
    assert kernel.told == [(1, b"year:1990..")]


async def test_what_another_operation_holds_is_waited_for(
    invalidator: Invalidator, kernel: Kernel, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else who has changed something would still see it as it was, as long as that one runs."""
    monkeypatch.setattr(invalidate, "PATIENCE", 60)
    kernel.locked[1] = threading.Event()
    told = trio.Event()

    async def change() -> None:
        await invalidator.forget([(1, "f")], [])
        told.set()

    nursery.start_soon(change)  # a call of the socket
    with invalidator.holding(1):
        await trio.to_thread.run_sync(kernel.waiting.acquire)
        assert not told.is_set()
    kernel.locked[1].set()
    await told.wait()
    assert kernel.told == [(1, b"f")]


async def test_an_operation_that_waits_for_nobody_is_waited_for_and_who_waits_himself_is_not(
    invalidator: Invalidator, kernel: Kernel, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock of the first goes when the disk has written what it changes; that of the second might never go."""
    monkeypatch.setattr(invalidate, "PATIENCE", 0.001)
    kernel.locked = {1: threading.Event(), 2: threading.Event()}
    told = trio.Event()

    async def change() -> None:
        await invalidator.forget([(1, "f")], [])
        told.set()

    async def let_go() -> None:
        await told.wait()
        kernel.locked[2].set()

    nursery.start_soon(change)  # a call of the socket
    nursery.start_soon(let_go)
    with invalidator.holding(1):
        await trio.to_thread.run_sync(kernel.waiting.acquire)
        with trio.move_on_after(0.1) as patience:
            await told.wait()
        assert patience.cancelled_caught and not told.is_set()
        monkeypatch.setattr(invalidate, "_waits_for_lock", set(kernel.blocked).__contains__)
        await invalidator.forget([(2, "g")], [])
    assert kernel.told == [(2, b"g")]
    assert invalidator.late == 1


async def test_what_an_operation_has_started_outlives_it(
    invalidator: Invalidator, kernel: Kernel, nursery: trio.Nursery
) -> None:
    go_on, done = trio.Event(), trio.Event()

    async def work() -> None:
        await go_on.wait()
        await invalidator.forget([(1, "f")], [])
        done.set()

    with invalidator.holding(1):
        nursery.start_soon(work)
    with invalidator.holding(1):  # another one there
        go_on.set()
        await done.wait()
        assert kernel.told == [(1, b"f")]


async def test_an_operation_that_fails_lets_go(invalidator: Invalidator, kernel: Kernel) -> None:
    holding: AbstractContextManager[None] = invalidator.holding(1)
    with pytest.raises(OSError, match="refused"), holding:
        await invalidator.forget([(1, "f")], [])
        raise OSError("refused")
    await until(lambda: kernel.told == [(1, b"f")])
    await invalidator.forget([(1, "g")], [])
    assert kernel.told[-1] == (1, b"g")


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENOTCONN, errno.ENODEV, errno.EBADF])
async def test_what_the_kernel_does_not_have_is_no_error(
    invalidator: Invalidator, kernel: Kernel, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    kernel.error = number
    await invalidator.forget([(1, "f")], [1])
    assert not caplog.records


async def test_what_the_kernel_refuses_is_said(
    invalidator: Invalidator, kernel: Kernel, caplog: pytest.LogCaptureFixture
) -> None:
    kernel.error = errno.EPERM
    await invalidator.forget([(1, "f")], [1])
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


async def test_nothing_is_said_before_the_kernel_has_introduced_itself_or_after_the_end(kernel: Kernel) -> None:
    invalidator = Invalidator()
    await invalidator.forget([(1, "f")], [1])
    async with trio.open_nursery() as nursery:
        await nursery.start(invalidator.run)
        await invalidator.forget([(1, "f")], [1])
        invalidator.open()
        nursery.cancel_scope.cancel()
    await invalidator.forget([(1, "f")], [1])
    with invalidator.holding(1):
        pass
    assert not kernel.told
    assert not kernel.inodes


async def test_a_busy_directory_does_not_keep_the_daemon_from_ending(kernel: Kernel) -> None:
    kernel.locked[7] = threading.Event()
    invalidator = Invalidator()
    async with trio.open_nursery() as nursery:
        await nursery.start(invalidator.run)
        invalidator.open()
        await invalidator.forget([(7, "f")], [])
        nursery.cancel_scope.cancel()
    kernel.locked[7].set()


async def until(condition: Callable[[], bool]) -> None:
    """What is waited for happens in a thread."""
    with trio.fail_after(60):
        while not condition():
            await trio.sleep(0.001)
