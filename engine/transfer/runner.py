"""The service that makes the queue move: an attempt for whoever is next, and what follows from its end. Trio thread.

Each attempt is a task of its own, and whatever goes wrong in it fails its item alone. What ends the daemon is only a
catalogue that does not take the answer.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial

import trio

from engine.errors import EngineError, NoSuchItem, StoreFull
from engine.ports import Edit
from engine.sources.answer import Answer
from engine.sources.stream import Fault, StreamSource
from engine.transfer.attempt import Attempt
from engine.transfer.bell import Bell
from engine.transfer.job import Job, Run
from engine.transfer.landing import Landing
from engine.transfer.outcome import Again, Idle, Lost, NoSpace, Outcome, Retry, what_next
from engine.transfer.quick import Quick
from engine.transfer.record import Record
from engine.transfer.roster import Roster
from engine.types import ItemId, State

MARK_AFTER = 0.25  # seconds
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
        self._began = Bell()  # rings when a download becomes active
        self._landing = Landing(roster.catalogue, roster.blobs)
        self._quick = Quick(
            source, self._landing, roster.hosts, self._free, private=roster.config.http.private_redirects
        )

    async def take_up(self) -> None:
        """Enlist all that an earlier run of the daemon left, but what is in the trash with a folder."""
        roster = self._roster
        rows = {row.item: row for row in await roster.catalogue.downloads()}
        found = await roster.catalogue.items(list(rows))
        items = [item for item in found if roster.catalogue.is_live(item)]
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
            nursery.start_soon(self._landing.run)
            nursery.start_soon(self._mark_started)
            while True:
                bell, now = roster.bell.next, trio.current_time()
                while (item := roster.queue.take(now)) is not None:
                    job = roster.jobs[item]
                    job.run = Run()
                    nursery.start_soon(self._supervise, job, job.run)
                    self._began.ring()
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
            except* StoreFull as group:
                outcome = NoSpace(str(group.exceptions[0]))
            except* Exception:
                _log.exception("item %d: the download stopped for a reason that nobody expected", job.item)
                outcome = Again(UNEXPECTED, Fault.FINAL)
            run.is_over = True
            self._give_place_back(job, run)
            try:
                await self._settle(job, outcome)
            except NoSuchItem:
                pass
            except StoreFull as error:  # the row says less than is so; it is taken up again when there is space
                _log.warning("item %d: %s", job.item, error)
                if self._roster.jobs.get(job.item) is job:
                    self._roster.queue.remove(job.item)
                    job.is_starved = True
                    self._roster.lay_off(job, str(error))
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
        source = self._source
        async with AsyncExitStack() as stack:
            if self._is_untouched(job, record):
                run.asking = record, trio.current_time()
                found = await self._quick.fetch(
                    record, job.arrival, job.rotated(record.urls)[0], partial(self._arrived, job, run)
                )
                run.asking = None
                if not isinstance(found, Answer):
                    return found
                stack.push_async_callback(found.close)
                source = found
            await record.started()
            run.attempt = self._attempt_at(job, record, source)
            return await run.attempt.run()

    def _attempt_at(self, job: Job, record: Record, source: StreamSource) -> Attempt:
        roster = self._roster
        return Attempt(
            record,
            job.arrival,
            urls=job.rotated(record.urls),
            source=source,
            blobs=roster.blobs,
            hosts=roster.hosts,
            disk=roster.disk,
            limits=roster.limits,
            config=roster.config,
            clock_ns=roster.clock_ns,
        )

    def _is_untouched(self, job: Job, record: Record) -> bool:
        """Whether nothing of it is here, on disk neither, nor known to be in the store, and it may come at once."""
        row = record.row
        return (
            job.arrival.is_untouched
            and record.pieces is None
            and not record.options.on_demand
            and not record.options.public_only
            and not record.options.max_download
            and not self._roster.limits
            and record.location is None
            and not os.path.exists(self._roster.blobs.staging_path(row.staging))
            and record.known_content(row.digests, None) is None
        )

    def _arrived(self, job: Job, run: Run) -> None:
        """Nothing is wanted of the network any more: another one may have its place, unless too much is on its way."""
        run.asking = None
        if self._landing.has_room:
            self._give_place_back(job, run)

    def _give_place_back(self, job: Job, run: Run) -> None:
        if run.has_place:
            run.has_place = False
            self._roster.queue.release(job.item)
            self._roster.bell.ring()

    async def _mark_started(self) -> None:
        """Those whose first answer is long in coming count as downloading from then on. For the others, that write
        would cost more than the download."""
        roster = self._roster
        while True:
            while not roster.queue.active:
                await self._began.next.wait()
            await trio.sleep(MARK_AFTER)
            for job in [roster.jobs[item] for item in roster.queue.active if item in roster.jobs]:
                run, now = job.run, trio.current_time()
                if run is not None and run.asking is not None and run.asking[1] + MARK_AFTER <= now:
                    record, run.asking = run.asking[0], None
                    with suppress(NoSuchItem, StoreFull):
                        await record.started()

    async def _settle(self, job: Job, outcome: Outcome | None) -> None:
        """Write down what follows, and bring the job to where it belongs. Without an outcome it was told to stop."""
        roster = self._roster
        if roster.jobs.get(job.item) is not job:
            return  # whole
        row = roster.catalogue.download(job.item)
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
