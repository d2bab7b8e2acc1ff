"""Takes requests of the kernel and runs their operations: pyfuse3's loop with another way of waiting. Trio thread.

pyfuse3 takes three turns of trio for each request: a lock, the descriptor, and another task that takes the lock next.
An operation that waits for nothing needs none of them, and most do not wait:

    a worker asks for a request ──▶ one is there already: it goes on at once, TURN times before others get a turn
                                └─▶ none: it waits for the descriptor; only one worker does, the `asker`
    an operation of the asker begins to wait ──▶ an idle worker, or one more, becomes the asker

For that `_wait_fuse_readable` of pyfuse3, which its `_session_loop` looks up by name, is replaced by `_next`. Neither
is promised, so nothing is taken on trust: where the loop does not ask us first, pyfuse3's own `main` runs
(docs/decisions/0025).
"""

from __future__ import annotations

import logging
import os
import select
import types
from collections.abc import Coroutine, Generator
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Final

import pyfuse3
import trio

log = logging.getLogger(__name__)

LOOP: Final = "_session_loop"
WAIT: Final = "_wait_fuse_readable"
TURN: Final = 8  # requests that are answered before other tasks get a turn: up to half a millisecond
SPARE: Final = 64  # idle workers that are kept
# Tasks up to which the loop begins another one by itself. It counts those that end, but not those that we begin.
NO_MORE: Final = -(2**31)


def _descriptor() -> int | None:
    """Of the session: the only one of the device that this process has open."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # that of the listing itself is closed by then
            if os.readlink(f"/proc/self/fd/{name}") == "/dev/fuse":
                found.append(int(name))
    return found[0] if len(found) == 1 else None


class Worker:
    """A task that answers one request after the other."""

    def __init__(self) -> None:
        self.in_a_row = 0
        self.idle: trio.lowlevel.Task | None = None
        self.dismissed = False


class Requests:
    """State: the workers, and which of them asks for the next request. At most `most` operations run at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._descriptor = -1
        self._poll = select.poll()
        self._nursery: trio.Nursery | None = None
        # Of all workers: one that is begun while an operation waits is no part of that, and inherits nothing of it.
        self._context = copy_context()
        self._asker: Worker | None = None
        self._running: Worker | None = None  # whose step runs
        self._asked = False
        self._idle: list[Worker] = []
        self._number = 0
        self._ended = False

    async def serve(self) -> None:
        """Answer the kernel until the session ends. `pyfuse3.init` came before."""
        descriptor = _descriptor()
        if descriptor is None or not await self.run(descriptor):
            log.warning("pyfuse3 has another loop than this version knows: requests take longer")
            await pyfuse3.main(max_tasks=self._most)

    def terminate(self) -> None:
        """Take no more requests; `serve` ends with the operations that run."""
        self._end()
        pyfuse3.terminate()

    async def run(self, descriptor: int) -> bool:
        """Until the session, which has this descriptor, ends. False when pyfuse3 does not ask us for requests; none
        was taken then."""
        loop, wait = getattr(pyfuse3, LOOP, None), getattr(pyfuse3, WAIT, None)
        if loop is None or wait is None:
            return False
        self._descriptor = descriptor
        self._poll.register(descriptor, select.POLLIN)
        setattr(pyfuse3, WAIT, self._next)
        try:
            async with trio.open_nursery() as self._nursery:
                self._begin()
        finally:
            self._nursery = None
            setattr(pyfuse3, WAIT, wait)
        return self._asked

    def _begin(self) -> None:
        assert self._nursery is not None
        self._number += 1
        self._asker = Worker()
        self._context.run(self._nursery.start_soon, self._work, self._asker)

    async def _work(self, worker: Worker) -> None:
        await self._steps(worker, getattr(pyfuse3, LOOP)(None, 1, NO_MORE))
        self._number -= 1
        if not worker.dismissed:
            self._end()

    @types.coroutine
    def _steps(self, worker: Worker, loop: Coroutine[Any, Any, None]) -> Generator[Any, Any, None]:
        """Run the loop in this task, and see when it waits."""
        step, argument = loop.send, None
        while True:
            self._running = worker
            try:
                waits_for = step(argument)
            except StopIteration:
                return
            if not self._asked:
                loop.close()
                return
            if self._asker is worker and worker.in_a_row:  # not for a request
                self._appoint()
            try:
                step, argument = loop.send, (yield waits_for)
            except BaseException as error:  # to where it waits
                step, argument = loop.throw, error

    def _appoint(self) -> None:
        """Another worker becomes the asker; the first that has nothing to do, if there are too many."""
        self._asker = None
        if self._idle:
            self._asker = worker = self._idle.pop()
            assert worker.idle is not None
            trio.lowlevel.reschedule(worker.idle)
        elif self._number < self._most:
            self._begin()

    def _end(self) -> None:
        self._ended = True
        for worker in self._idle:
            assert worker.idle is not None
            trio.lowlevel.reschedule(worker.idle)
        self._idle.clear()

    async def _next(self) -> bool:
        """Called by the loop of the worker that runs: True when a request can be read, False when it is to end."""
        self._asked = True
        worker = self._running
        assert worker is not None
        if self._asker is None:
            self._asker = worker
        elif self._asker is not worker and not await self._rest(worker):
            return False
        if worker.in_a_row == TURN:
            worker.in_a_row = 0
            await trio.lowlevel.checkpoint()
        # Looked at right before it is read: a request whose caller is killed goes, and to read none would block.
        while not self._ended and not self._poll.poll(0):
            worker.in_a_row = 0
            try:
                await trio.lowlevel.wait_readable(self._descriptor)
            except trio.ClosedResourceError:
                self._end()
        worker.in_a_row += 1
        return not self._ended

    async def _rest(self, worker: Worker) -> bool:
        """Until this worker is the asker, or there is nothing to ask for any more."""
        if self._ended or len(self._idle) >= SPARE:
            worker.dismissed = not self._ended
            return False
        worker.in_a_row = 0
        worker.idle = trio.lowlevel.current_task()
        self._idle.append(worker)

        def abort(_: object) -> trio.lowlevel.Abort:
            self._idle.remove(worker)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
        worker.idle = None
        return not self._ended
