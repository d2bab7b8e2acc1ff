"""Which torrents run, wait and rest. On the trio thread, all instant but `halt`.

Both the service (`runner`) and the calls from above (`manager`, `adding`, `choosing`) change it; between two awaits it
is consistent: a job is in the queue, or has a run, or rests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.ports import Catalogue
from engine.torrents.job import Job, Run
from engine.transfer.bell import Bell
from engine.types import Change, Item, ItemId, State, TagChange

PAUSED = "This torrent is paused."
REMOVED = "This torrent was removed."


class Roster:
    """Implements `ports.Observer`. `purged` are folders that nobody needs any more, each with the run that may still
    be on its way out of it."""

    def __init__(self, catalogue: Catalogue, max_active: int) -> None:
        self._catalogue = catalogue
        self._max_active = max_active
        self.jobs: dict[ItemId, Job] = {}
        self.queue: dict[ItemId, None] = {}  # in order
        self.stopped: dict[ItemId, str] = {}  # folders of those that are in the trash and may come back
        self.purged: list[tuple[str, Run | None]] = []
        self.bell = Bell()  # rings when there may be something to start or to remove

    def root(self, item: ItemId) -> ItemId | None:
        """The item of the torrent that this item belongs to."""
        if item in self.jobs:
            return item
        found = self._catalogue.torrent_of(item)
        if found is not None:
            return found[0]
        return item if self._catalogue.is_torrent(item) else None

    def job(self, item: ItemId) -> Job | None:
        root = self.root(item)
        return None if root is None else self.jobs.get(root)

    def enlist(self, item: Item, folder: str, options: Mapping[str, str]) -> Job:
        """A job for a torrent: queued, or resting as its state says."""
        job = self.jobs[item.id] = Job(item.id, folder, options)
        self.stopped.pop(item.id, None)
        if item.state in (State.PAUSED, State.FAILED):
            job.resting = item.error or PAUSED
            job.is_starved = item.state is State.PAUSED and item.error is not None
        else:
            self.push(job)
        return job

    def push(self, job: Job) -> None:
        job.resting, job.is_starved = None, False
        self.queue[job.item] = None
        self.bell.ring()

    def promote(self, job: Job) -> None:
        """Somebody reads it: it goes first."""
        if job.item in self.queue:
            self.queue = {job.item: None, **self.queue}
            self.bell.ring()

    def take(self) -> Job | None:
        """The next to start: what seeds and what somebody reads at once, others within the limit. Those that have found
        nobody yet do not count, or eight dead links would stop everything."""
        arriving = sum(job.is_arriving for job in self.jobs.values())
        for item in self.queue:
            job = self.jobs[item]
            row = self._catalogue.item(item)
            if (row is not None and row.state.whole) or job.waiters or arriving < self._max_active:
                del self.queue[item]
                return job
        return None

    async def halt(self, job: Job) -> None:
        """Until it is neither queued nor running. It may be over or failed by then."""
        self.queue.pop(job.item, None)
        if job.run is not None:
            run = job.run
            run.scope.cancel()
            await run.ended.wait()
            self.queue.pop(job.item, None)

    def strike_off(self, job: Job, why: str) -> None:
        """It is not ours any more, or not in this form; whoever waits is told."""
        del self.jobs[job.item]
        self.queue.pop(job.item, None)
        job.rest(why)

    def purge(self, folder: str, run: Run | None) -> None:
        self.purged.append((folder, run))
        self.bell.ring()

    def apply(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        """As an observer of the catalogue: what is gone for ever needs no folder any more."""
        for change in changes:
            if change.after is not None:
                continue
            folder = self.stopped.pop(change.item, None)
            if folder is not None:
                self.purge(folder, None)
            job = self.jobs.get(change.item)
            if job is not None:
                self.strike_off(job, REMOVED)
                if job.run is not None:
                    job.run.scope.cancel()
                self.purge(job.folder, job.run)

    def settle(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        """Nothing outside depends on it."""
