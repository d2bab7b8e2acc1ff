"""The service that runs torrents: each in a task of its own, and what follows from its end. Trio thread.

Whatever goes wrong in one fails its item alone. What ends the daemon is only a catalogue that fails; one that
has no space is asked again.
"""

from __future__ import annotations

import logging
from contextlib import suppress

import trio

from engine.errors import EngineError, NoSuchItem, StoreFull, first_of
from engine.ports import Edit
from engine.sources.torrent.session import SessionLost
from engine.torrents.job import Job, Run
from engine.torrents.opening import recorded
from engine.torrents.roster import Roster
from engine.torrents.swarm import NoRoomLeft
from engine.torrents.work import Work
from engine.torrents.works import Works
from engine.types import Item, ItemId, Kind, State

UNEXPECTED = "The torrent stopped because of an internal error, see the log."
OVER = "This torrent is complete."

_log = logging.getLogger(__name__)


class Runner:
    def __init__(self, works: Works, roster: Roster) -> None:
        self._works = works
        self._roster = roster

    async def take_up(self) -> None:
        """All that an earlier run of the daemon left; folders of torrents that are no more are removed."""
        catalogue, folders = self._works.catalogue, self._works.folders
        known = dict(await catalogue.torrents())
        gone = await self._works.disk.run(folders.sweep, list(known.values()))
        if gone:
            _log.info("removed %d folders of torrents that are no more", len(gone))
        for item in await catalogue.items(list(known)):
            if not catalogue.is_live(item):
                self._roster.stopped[item.id] = known[item.id]
            elif item.state is not State.COMPLETE:
                row = await catalogue.torrent(item.id)
                if row is not None:
                    self._roster.enlist(item, row.folder, row.options)

    async def run(self) -> None:
        """For ever."""
        roster = self._roster
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_space)
            nursery.start_soon(self._remove_purged)
            nursery.start_soon(self._recall)
            while True:
                bell = roster.bell.next
                while (job := roster.take()) is not None:
                    job.run = Run()
                    nursery.start_soon(self._supervise, job, job.run)
                await bell.wait()

    async def _supervise(self, job: Job, run: Run) -> None:
        end: _End | None = None
        try:
            try:
                with run.scope:
                    await Work(self._works, job, self._roster.bell).run()
                    end = _End(State.COMPLETE, OVER)
            except* NoSuchItem:
                pass  # it went while it was fetched
            except* SessionLost as group:
                end = _End(State.QUEUED, str(first_of(group)))
            except* (NoRoomLeft, StoreFull) as group:
                end = _End(State.PAUSED, str(first_of(group)))
            except* EngineError as group:
                end = _End(State.FAILED, str(first_of(group)))
            except* OSError as group:
                error = first_of(group)
                end = _End(State.FAILED, f"The disk failed: {getattr(error, 'strerror', None) or error}.")
            except* Exception:
                _log.exception("item %d: the torrent stopped for a reason that nobody expected", job.item)
                end = _End(State.FAILED, UNEXPECTED)
            try:
                if end is not None:
                    await self._settle(job, end)
            except NoSuchItem:
                pass
            except StoreFull as error:  # the row says less than is so; it is taken up again when there is space
                _log.warning("item %d: %s", job.item, error)
                job.is_starved = True
                job.rest(str(error))
        finally:
            job.run = None
            job.is_seeding = False
            run.ended.set()
            self._roster.bell.ring()

    async def _settle(self, job: Job, end: _End) -> None:
        """Write down what follows. Without an end it was told to stop, and who did so says what follows."""
        if end.state is State.COMPLETE:
            await self._works.catalogue.settle_folder(job.item, State.COMPLETE)
            await self._works.catalogue.save_resume(job.item, None)
            if self._roster.jobs.get(job.item) is job:
                self._roster.strike_off(job, OVER)
                self._roster.purge(job.folder, job.run)
            return
        _log.info("item %d: %s: %s", job.item, end.state.value, end.why)
        if end.state is State.QUEUED:
            await settle_root(self._works, job.item, State.QUEUED, end.why)
            self._roster.push(job)
            return
        job.is_starved = end.state is State.PAUSED
        job.rest(end.why)
        await settle_root(self._works, job.item, end.state, end.why)

    async def _remove_purged(self) -> None:
        while True:
            bell = self._roster.bell.next
            while self._roster.purged:
                folder, run = self._roster.purged.pop()
                if run is not None:
                    await run.ended.wait()
                await self._works.disk.run(self._works.folders.remove, folder)
            await bell.wait()

    async def _recall(self) -> None:
        """How much is here of those that an earlier run of the daemon left and that do not run yet."""
        for job in list(self._roster.jobs.values()):
            row = await self._works.catalogue.torrent(job.item)
            if row is not None and job.files is None:
                with suppress(EngineError):  # it says so itself when it runs
                    job.recorded = await recorded(self._works, job, row)

    async def _watch_space(self) -> None:
        """Those that wait for space go on when there may be some, one at a time."""
        while True:
            await trio.sleep(self._works.config.space_check)
            starved = next((job for job in self._roster.jobs.values() if job.is_starved and job.run is None), None)
            if starved is not None and self._works.space.free() >= starved.missing:
                with suppress(EngineError):  # it may have gone meanwhile
                    await settle_root(self._works, starved.item, State.QUEUED, None)
                    self._roster.push(starved)


class _End:
    def __init__(self, state: State, why: str) -> None:
        self.state = state
        self.why = why


async def settle_root(works: Works, item: ItemId, state: State, why: str | None) -> None:
    """The state of a torrent's item. A single file that is whole stays so, whatever happens to its torrent."""
    row: Item | None = works.catalogue.item(item)
    if row is not None and row.kind is Kind.FILE and row.blob is not None:
        await works.catalogue.edit(item, Edit(state=State.COMPLETE))
    elif row is not None:
        await works.catalogue.settle_folder(item, state, why)
