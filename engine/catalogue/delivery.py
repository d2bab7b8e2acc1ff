"""Tells observers and callers about commits, in commit order. Imports writer's Job; on the trio thread.

A group of commits arrives as a list of jobs. For all of them in order: every observer applies (instant, memory).
Then for each job at once: every observer settles (kernel caches), and the caller wakes. The next group is applied
without waiting for that, so a slow settle delays its own caller only.

All of that happens in the turn of the loop in which the group arrives; a task is made only for a job whose settling has
to wait for somebody. Each turn costs some 20 µs and each task as much, of the 250 that a small change costs the loop.

Callers do not run any of this themselves: one that is cancelled while it waits loses the answer, never the event.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio

from engine.catalogue.writer import Job
from engine.ports import Observer


class Delivery:
    """State: the observers, and why one of them failed. `run` is its service."""

    def __init__(self) -> None:
        self._observers: tuple[Observer, ...] = ()
        self._settling: trio.Nursery | None = None
        self._ended = trio.Event()
        self._failure: Exception | None = None
        self.groups = 0  # that were delivered

    def observe(self, observer: Observer) -> Callable[[], None]:
        entry = (observer,)
        self._observers += entry

        def forget() -> None:
            self._observers = tuple(one for one in self._observers if one is not observer)

        return forget

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until `close`, and until all has settled; or until an observer fails, with its error."""
        async with trio.open_nursery() as self._settling:
            task_status.started()
            await self._ended.wait()
            if self._failure is not None:
                raise self._failure

    def close(self) -> None:
        """No group follows."""
        self._ended.set()

    def deliver(self, group: list[Job]) -> None:
        """While `run` runs. Never raises, since it is called by trio itself."""
        self.groups += 1
        if self._failure is not None:
            return
        try:
            for job in group:
                self._apply(job)
            for job in group:
                job.context.run(self._settle, job)
        except Exception as error:
            self._failure = error
            self._ended.set()

    def _apply(self, job: Job) -> None:
        if job.arrived is not None and job.error is None:
            job.arrived(job.result)
        if job.changes or job.tags:
            for observer in self._observers:
                observer.apply(job.changes, job.tags)

    def _settle(self, job: Job) -> None:
        waits: list[Awaitable[None]] = []
        if job.changes or job.tags:
            settled = (observer.settle(job.changes, job.tags) for observer in self._observers)
            waits = [wait for wait in settled if wait is not None]
        if waits:
            assert self._settling is not None
            self._settling.start_soon(self._wait, job, waits)
        else:
            job.done.set()

    @staticmethod
    async def _wait(job: Job, waits: Sequence[Awaitable[None]]) -> None:
        try:
            # One after the other: only one has to wait for anything, and a task for each costs more than they do.
            for wait in waits:
                await wait
        finally:
            job.done.set()
