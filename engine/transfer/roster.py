"""Who is downloading, waiting and resting: the jobs, their queue and their arrivals. On the trio thread, all instant.

Both the service (`runner`) and the calls from above (`manager`) change it; between two awaits it is consistent: a job
is in the queue, or has a run, or rests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import trio

from engine.disk import Disk
from engine.errors import SourceFailed
from engine.ports import Blobs, Catalogue
from engine.transfer.bell import Bell
from engine.transfer.config import TransferConfig
from engine.transfer.hosts import Hosts
from engine.transfer.job import Job
from engine.transfer.live import SUFFIX
from engine.transfer.options import PIECES, read_options
from engine.transfer.pieces import read_pieces
from engine.transfer.queue import Queue
from engine.transfer.ranges import RangeMap
from engine.transfer.rate import Limit
from engine.transfer.reader import Arrival, WaitingRoom
from engine.transfer.record import Record
from engine.transfer.staged import StagedFile, open_staged
from engine.transfer.version import Version
from engine.types import Change, Download, Facts, Item, ItemId, State, TagChange

PAUSED = "This download is paused."
REMOVED = "This download was removed."


class Roster:
    """Implements `ports.Observer`."""

    def __init__(
        self,
        catalogue: Catalogue,
        blobs: Blobs,
        config: TransferConfig,
        clock_ns: Callable[[], int],
        room: WaitingRoom | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.blobs = blobs
        self.config = config
        self.clock_ns = clock_ns
        self.jobs: dict[ItemId, Job] = {}
        self.queue: Queue[ItemId] = Queue(config.max_active, config.max_per_host)
        self.hosts = Hosts(config.max_connections_per_host)
        self.limits = (Limit(config.limit_rate),) if config.limit_rate else ()
        self.bell = Bell()  # rings when the queue may have something to start
        self._room = room or WaitingRoom(config.max_waiters)
        self.disk = Disk()
        self._stopped: dict[ItemId, str] = {}  # staging names of those that were stopped and may come back

    def enlist(self, item: Item, row: Download, *, due: float = 0.0) -> Job:
        """A job for an item that is not whole: queued from `due` on, or resting as its state says."""
        arrival = Arrival(self._room, partial(self._open, item.id), present=_present(row), size=row.size)
        sources = self.catalogue.sources(item.id)
        on_demand = read_options(row.options).on_demand
        host = sources[0].host if sources else ""
        job = Job(item.id, host, arrival, retry_at_ns=row.retry_at_ns, on_demand=on_demand)
        self.jobs[item.id] = job
        self._stopped.pop(item.id, None)
        if item.state in (State.QUEUED, State.DOWNLOADING):
            self.line_up(job, due=due)
        else:
            job.is_starved = item.state is State.PAUSED and row.retry_at_ns is not None
            arrival.rest(item.error or PAUSED)
        return job

    def line_up(self, job: Job, *, due: float = 0.0) -> None:
        """Into the queue; but one that is fetched on demand waits outside of it, once it is known how long it is,
        until somebody wants to read."""
        arrival = job.arrival
        if not job.on_demand or arrival.size is None or arrival.waiters or arrival.soon(trio.current_time()):
            self.push(job, due=due)

    def push(self, job: Job, *, due: float) -> None:
        self.queue.push(job.item, job.host, due=due, now=trio.current_time())
        if job.arrival.waiters:
            self.promote(job.item)
        self.bell.ring()

    def promote(self, item: ItemId) -> None:
        """A reader waits for it: it goes first, and our own backoff is cut short. What a server asked for is not."""
        job = self.jobs.get(item)
        if job is None:
            return
        if job.on_demand and job.run is None and job.arrival.resting is None and item not in self.queue:
            self.queue.push(item, job.host)
        if item in self.queue:
            self.queue.promote(item)
            self.queue.hurry(item, job.failed_at + self.config.reader_backoff, trio.current_time())
            self.bell.ring()

    async def halt(self, job: Job) -> None:
        """Until it is neither queued nor running. It may be complete, failed or queued anew by then, but the last."""
        self.queue.remove(job.item)
        if job.run is not None:
            run = job.run
            run.scope.cancel()
            await run.ended.wait()
            self.queue.remove(job.item)

    def lay_off(self, job: Job, why: str) -> None:
        """Nothing comes of it any more; whoever waits is told."""
        job.arrival.close()
        job.arrival.rest(why)

    def strike_off(self, job: Job) -> None:
        """It is neither queued nor running, and not ours any more."""
        del self.jobs[job.item]
        self.lay_off(job, REMOVED)

    def stopped(self, job: Job, staging: str) -> None:
        """On its way to the trash. It may come back, with what it had; its bytes go when its item does."""
        self.strike_off(job)
        self._stopped[job.item] = staging

    def apply(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        """As an observer of the catalogue: the moment an item is whole, or gone, it is no download any more."""
        for change in changes:
            job = self.jobs.get(change.item)
            if change.after is None:
                if job is not None and job.run is None:
                    self.queue.remove(job.item)
                    self.strike_off(job)
                self._discard(self._stopped.pop(change.item, None))
            elif job is not None and change.after.state.whole:
                del self.jobs[job.item]
                self.queue.remove(job.item)
                job.arrival.done(partial(self._whole, change.after))

    def settle(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        """Nothing outside depends on it."""

    def record(self, row: Download) -> Record:
        return Record(self.catalogue, self.blobs, row)

    def _open(self, item: ItemId) -> StagedFile:
        row = self.catalogue.download(item)
        if row is None:
            raise SourceFailed(REMOVED)
        version = Version(row.size, row.etag, row.last_modified)
        reserve = self.config.reserve
        staged = open_staged(self.blobs, row.staging, row.ranges, version, disk=self.disk, reserve=reserve)
        staged.checked = None if read_pieces(row.options.get(PIECES)) is None else RangeMap()
        return staged

    def _whole(self, facts: Facts) -> StagedFile:
        """The blob of an item that is whole, for readers who waited and have no file open."""
        assert facts.sha256 is not None
        assert facts.size is not None
        return StagedFile.of_blob(self.blobs, facts.sha256, facts.size, disk=self.disk)

    def _discard(self, staging: str | None) -> None:
        if staging is not None:
            self.blobs.discard_staging(staging)
            self.blobs.discard_staging(staging + SUFFIX)


def _present(row: Download) -> int:
    """Bytes that are durable, without opening the file."""
    try:
        return RangeMap.parse(row.ranges).total
    except ValueError:
        return 0
