"""Tells observers and callers about commits, in commit order. Imports writer's Job; on the trio thread.

A group of commits arrives as a list of jobs. For all of them in order: every observer applies (instant, memory).
Then for each job at once: every observer settles (kernel caches), and the caller wakes. The next group is applied
without waiting for that, so a slow settle delays its own caller only.

Callers do not run any of this themselves: one that is cancelled while it waits loses the answer, never the event.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import trio

from engine.catalogue.writer import Job
from engine.ports import Observer


class Delivery:
    """State: the observers, and the groups not delivered yet (bounded by the callers that wait for them)."""

    def __init__(self) -> None:
        self._observers: tuple[Observer, ...] = ()
        self._send, self._receive = trio.open_memory_channel[list[Job]](inf)

    def observe(self, observer: Observer) -> Callable[[], None]:
        entry = (observer,)
        self._observers += entry

        def forget() -> None:
            self._observers = tuple(one for one in self._observers if one is not observer)

        return forget

    def deliver(self, group: list[Job]) -> None:
        self._send.send_nowait(group)

    def close(self) -> None:
        """`run` ends when it has delivered what is here."""
        self._send.close()

    async def run(self) -> None:
        async with trio.open_nursery() as settling:
            async for group in self._receive:
                for job in group:
                    self._apply(job)
                for job in group:
                    if self._observers and (job.changes or job.tags):
                        settling.start_soon(self._settle, job, self._observers)
                    else:
                        job.done.set()

    def _apply(self, job: Job) -> None:
        if job.arrived is not None and job.error is None:
            job.arrived(job.result)
        if job.changes or job.tags:
            for observer in self._observers:
                observer.apply(job.changes, job.tags)

    async def _settle(self, job: Job, observers: tuple[Observer, ...]) -> None:
        try:
            # One after the other: only one has to wait for anything, and a task for each costs more than they do.
            for observer in observers:
                await observer.settle(job.changes, job.tags)
        finally:
            job.done.set()
