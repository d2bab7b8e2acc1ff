"""The service that makes the queue move: an attempt for whoever is next, and what follows from its end. Trio thread.

Each attempt is a task of its own, and whatever goes wrong in it fails its item alone. What ends the daemon is only a
catalogue that does not take the answer.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio

from engine.errors import EngineError, NoSuchItem
from engine.ports import Edit
from engine.sources.stream import Fault, StreamSource
from engine.transfer.attempt import Attempt
from engine.transfer.job import Job, Run
from engine.transfer.outcome import Again, Idle, Lost, NoSpace, Outcome, Retry, what_next
from engine.transfer.roster import Roster
from engine.types import ItemId, State

UNEXPECTED = "The download stopped because of an internal error, see the log."

_log = logging.getLogger(__name__)


class Runner:
    """`chance` gives numbers in [0, 1) for jitter; `resume` puts a resting item back into the queue."""

    def __init__(
        self,
        roster: Roster,
        source: StreamSource,
        chance: Callable[[], float],
        resume: Callable[[ItemId], Awaitable[None]],
    ) -> None:
        self._roster = roster
        self._source = source
        self._chance = chance
        self._resume = resume

    async def take_up(self) -> None:
        """Enlist all that an earlier run of the daemon left."""
        roster = self._roster
        rows = {row.item: row for row in await roster.catalogue.downloads()}
        items = await roster.catalogue.items(list(rows))
        interrupted = [item.id for item in items if item.state is State.DOWNLOADING]
        await roster.catalogue.edit_many([(item, Edit(state=State.QUEUED)) for item in interrupted])
        now, now_ns = trio.current_time(), roster.clock_ns()
        for item in items:
            if item.id not in roster.jobs:
                row = rows[item.id]
                # Whatever the clock did since: nobody waits longer than a failure would make them.
                wait = 0.0 if row.retry_at_ns is None else (row.retry_at_ns - now_ns) / 1e9
                roster.enlist(item, row, due=now + min(max(wait, 0.0), roster.config.backoff_max))

    async def run(self) -> None:
        """For ever."""
        roster = self._roster
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_space)
            while True:
                bell, now = roster.bell.next, trio.current_time()
                while (item := roster.queue.take(now)) is not None:
                    job = roster.jobs[item]
                    job.run = Run()
                    nursery.start_soon(self._supervise, job, job.run)
                due = roster.queue.next_due(now)
                with trio.move_on_at(float("inf") if due is None else due):
                    await bell.wait()

    async def _supervise(self, job: Job, run: Run) -> None:
        outcome: Outcome | None = None
        try:
            try:
                with run.scope:
                    outcome = await self._attempt(job, run)
            except* NoSuchItem:
                pass  # it went while it was fetched
            except* Exception:
                _log.exception("item %d: the download stopped for a reason that nobody expected", job.item)
                outcome = Again(UNEXPECTED, Fault.FINAL)
            run.is_over = True
            self._roster.queue.release(job.item)
            with suppress(NoSuchItem):
                await self._settle(job, outcome)
        finally:
            job.run = None
            run.ended.set()
            self._roster.bell.ring()

    async def _attempt(self, job: Job, run: Run) -> Outcome:
        roster = self._roster
        row = roster.catalogue.download(job.item)
        if row is None:
            raise NoSuchItem(f"Item {job.item} is no download any more.")
        record = roster.record(row)
        await record.started()
        run.attempt = Attempt(
            record,
            job.arrival,
            urls=job.rotated(record.urls),
            source=self._source,
            blobs=roster.blobs,
            hosts=roster.hosts,
            config=roster.config,
            clock_ns=roster.clock_ns,
        )
        return await run.attempt.run()

    async def _settle(self, job: Job, outcome: Outcome | None) -> None:
        """Write down what follows, and bring the job to where it belongs. Without an outcome it was told to stop."""
        roster = self._roster
        row = roster.catalogue.download(job.item)
        if roster.jobs.get(job.item) is not job:
            return  # whole
        if row is None:
            roster.strike_off(job)
            return
        job.arrival.close()
        match outcome:
            case Again() as failure:
                await self._failed(job, failure, roster.record(row).urls, row.attempts)
            case Idle():
                await roster.record(row).queued()
                roster.line_up(job)
            case NoSpace(why):
                _log.info("item %d: %s", job.item, why)
                job.is_starved = True
                roster.lay_off(job, why)
                await roster.record(row).starved(why, roster.clock_ns())

    async def _failed(self, job: Job, failure: Again, urls: list[str], attempts: int) -> None:
        roster = self._roster
        row = roster.catalogue.download(job.item)
        assert row is not None
        record = roster.record(row)
        mirrors_left = job.blame_mirror(failure, attempts + 1, len(urls))
        step = what_next(
            failure,
            attempts=attempts,
            stubborn=job.stubborn,
            mirrors_left=mirrors_left,
            jitter=self._chance(),
            config=roster.config,
        )
        match step:
            case Retry(delay, attempts, gate):
                _log.info("item %d: again in %.1f s: %s", job.item, delay, failure.why)
                job.stubborn += failure.fault is Fault.STUBBORN
                job.failed_at = trio.current_time()
                job.retry_at_ns = roster.clock_ns() + int(delay * 1e9)
                if gate:
                    roster.queue.close_host(job.host, job.failed_at + delay)
                await record.later(failure.why, attempts, job.retry_at_ns)
                roster.push(job, due=job.failed_at + delay)
            case Lost():
                _log.info("item %d: failed: %s", job.item, failure.why)
                job.retry_at_ns = None
                roster.lay_off(job, failure.why)
                await record.failed(failure.why)

    async def _watch_space(self) -> None:
        """Those that wait for space go on when there is some, one at a time."""
        roster = self._roster
        while True:
            await trio.sleep(roster.config.space_check)
            starved = next((job for job in roster.jobs.values() if job.is_starved), None)
            if starved is not None and self._free() >= (starved.arrival.size or 0) - starved.arrival.present:
                with suppress(EngineError):  # it may have gone meanwhile
                    await self._resume(starved.item)

    def _free(self) -> int:
        status = os.statvfs(os.path.dirname(self._roster.blobs.staging_path("0")))
        return status.f_bavail * status.f_frsize - self._roster.config.reserve
