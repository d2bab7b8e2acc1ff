"""The run of one torrent, from its row to its goal. Trio thread.

    metadata? ─▶ described ─▶ opened ─▶ in the session ─▶ pieces ─▶ files become blobs ─▶ seeding ─▶ goal: over

Cancelled, it writes down where it is and leaves the session. What it raises is why it cannot go on.
"""

from __future__ import annotations

import logging
import os

import trio

from engine.errors import NoSuchItem, first_of
from engine.ports import Edit
from engine.sources.torrent.events import NoRoom
from engine.sources.torrent.params import Start
from engine.supervision import LONGEST, Restarts
from engine.torrents import describing
from engine.torrents.adopting import Adopter, DamagedFile
from engine.torrents.folders import copy_private
from engine.torrents.job import Files, Job
from engine.torrents.keeping import Keeper
from engine.torrents.opening import Opened, join_late, open_torrent
from engine.torrents.swarm import NO_ROOM, FileLost, NoRoomLeft, Swarm, SwarmFailed, WrongMetadata
from engine.torrents.works import Works
from engine.transfer.bell import Bell
from engine.types import State, Torrent

MAX_CHECKS = 3  # full checks in a row, after which the disk is not believed any more

_log = logging.getLogger(__name__)


class Work:
    """One run. `bell` rings when the torrent takes up no place any more among those that arrive."""

    def __init__(self, works: Works, job: Job, bell: Bell) -> None:
        self._works = works
        self._job = job
        self._bell = bell

    async def run(self) -> None:
        """Until the goal is reached. SwarmFailed, NoRoomLeft, BadRequest, NoSuchItem."""
        job, works = self._job, self._works
        row = await works.catalogue.torrent(job.item)
        if row is None:
            raise NoSuchItem(f"Item {job.item} is no torrent any more.")
        await self._set_state(State.DOWNLOADING, unless_whole=True)
        data = row.metadata
        if data is None:
            row, data = await self._find_metadata(row)
        row, meta = await describing.describe(works, row, data)
        for checks in range(MAX_CHECKS + 1):
            opened = await open_torrent(works, job, row, meta, believe=checks == 0)
            try:
                if await self._exchange(row, opened):
                    return
            finally:
                opened.live.close()
            await works.catalogue.save_resume(job.item, b"")  # what was believed is not: the next start hashes, too
        raise SwarmFailed("What is written to the disk is not what is read from it.")

    async def _find_metadata(self, row: Torrent) -> tuple[Torrent, bytes]:
        """Misled by a peer, it begins anew: an honest one may be quicker then."""
        restarts, trouble = Restarts(), None
        while True:
            try:
                return row, await self._fetch_metadata(row, trouble)
            except* WrongMetadata as group:
                trouble = str(first_of(group))
            await self._say(trouble)
            await trio.sleep(min(restarts.pause(trio.current_time()), LONGEST))
            row = await self._works.catalogue.torrent(self._job.item) or row

    async def _fetch_metadata(self, row: Torrent, trouble: str | None) -> bytes:
        """`trouble`: of the time before."""
        swarm = self._job.swarm = Swarm(self._works.session, self._job.item)
        swarm.trouble = trouble
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep_saying_trouble, swarm)
                data = await describing.fetch_metadata(self._works, self._job, row, swarm)
                nursery.cancel_scope.cancel()
            return data
        finally:
            with trio.move_on_after(self._works.config.stop_deadline) as scope:
                scope.shield = True
                await swarm.end()
            self._job.swarm = None

    async def _exchange(self, row: Torrent, opened: Opened) -> bool:
        """True at the goal, False when a file turned out not to hold what it should. Then the torrent leaves the
        session, for one that libtorrent checks again while it is there does not go back to its seeds."""
        job, files = self._job, opened.files
        swarm = Swarm(self._works.session, job.item)
        keeper = Keeper(self._works, job, files, swarm, opened.live)

        def came(piece: int, whole: list[int]) -> None:
            files.came(piece, whole)
            keeper.came(piece)
            job.came(piece)
            if not self._works.space.took(files.layout.piece_bytes(piece)):
                swarm.hear(NoRoom())

        def reset() -> None:
            files.recount()
            keeper.changed()
            job.wake_all()

        swarm.came, swarm.reset = came, reset
        swarm.follow(files.layout)
        job.open(files)
        job.swarm = swarm
        job.wake_all()
        if not files.is_over() and self._works.space.free() <= 0:
            raise NoRoomLeft(NO_ROOM)
        try:
            await swarm.begin(opened.start)
            self._choose_late(files, opened.start)
            await join_late(self._works, row)
            job.wake_all()  # readers could ask for nothing yet
            if opened.start.hold:
                await swarm.checked()
                keeper.changed()
                await self._go_on(files, swarm)
            return await self._until_damaged(files, swarm, keeper)
        finally:
            await keeper.last_checkpoint()
            with trio.move_on_after(self._works.config.stop_deadline) as scope:
                scope.shield = True
                await swarm.end()
            job.swarm = None  # until here it hears from the session

    async def _until_damaged(self, files: Files, swarm: Swarm, keeper: Keeper) -> bool:
        """True at the goal, False when a file turned out not to hold what it should."""
        is_damaged = False
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(Adopter(self._works, self._job, files, swarm).run)
                nursery.start_soon(keeper.run)
                await self._until_over(files, swarm)
                nursery.cancel_scope.cancel()
        except* (DamagedFile, FileLost) as group:
            is_damaged = True
            _log.info("item %d: %s: everything is hashed again", self._job.item, first_of(group))
        return not is_damaged

    async def _until_over(self, files: Files, swarm: Swarm) -> None:
        while True:
            bell = swarm.bell.next
            swarm.raise_failure()
            if files.is_over():
                if self._is_goal_reached(files, swarm):
                    return
                if not self._job.is_seeding:
                    self._job.is_seeding = True
                    self._job.wake_all()
                    self._bell.ring()
                    swarm.session.wake(swarm.item)  # one on demand may have slept through all of it
                    await self._set_state(State.SEEDING)
            elif self._job.is_seeding:  # more files are wanted
                self._job.is_seeding = False
                await self._set_state(State.DOWNLOADING)
            else:
                await self._say_trouble(swarm)
            await bell.wait()

    async def _keep_saying_trouble(self, swarm: Swarm) -> None:
        """For ever."""
        while True:
            bell = swarm.bell.next
            await self._say_trouble(swarm)
            await bell.wait()

    async def _say_trouble(self, swarm: Swarm) -> None:
        """Why nothing comes, while nobody is there: what the trackers say, or that who was there lied. Before the
        metadata has come, whoever is there. It is no failure, they are asked again."""
        await self._say(swarm.trouble if swarm.layout is None or swarm.status.peers == 0 else None)

    async def _say(self, trouble: str | None) -> None:
        item = self._works.catalogue.item(self._job.item)
        if item is not None and item.error != trouble and not item.state.whole:
            await self._works.catalogue.edit(item.id, Edit(state=item.state, error=trouble))

    def _is_goal_reached(self, files: Files, swarm: Swarm) -> bool:
        config, options = self._works.config, self._job.options
        if not config.seed or options.get("seed") == "no":
            return True
        ratio = float(options.get("seed-ratio", config.seed_ratio))
        seconds = float(options.get("seed-time", config.seed_time))
        sent = ratio > 0 and swarm.status.uploaded >= ratio * max(files.meta.size, 1)
        return sent or (seconds > 0 and swarm.status.seeding >= seconds)

    def _choose_late(self, files: Files, start: Start) -> None:
        """The session has it as it was chosen when `start` was made."""
        skipped = set(files.unwanted_positions())
        for position in skipped.symmetric_difference(start.skipped):
            self._works.session.want_file(self._job.item, position, wanted=position not in skipped)

    async def _go_on(self, files: Files, swarm: Swarm) -> None:
        """After a check, before anything is fetched: a blob that turned out to be damaged is not the file that is
        written to. Nobody writes to a file of the store."""
        folder = self._works.folders.path(self._job.folder)
        for index in sorted(files.done):
            if files.layout.missing[index]:
                position = files.file(index).position
                _log.warning("item %d: the content of file %d is damaged", files.items[index], position)
                await self._works.disk.run(copy_private, os.path.join(folder, str(position)))
                files.done.discard(index)
                files.damaged.add(index)
        files.recount()
        swarm.session.go(swarm.item, asleep=self._job.on_demand)

    async def _set_state(self, state: State, *, unless_whole: bool = False) -> None:
        item = self._works.catalogue.item(self._job.item)
        if item is None:
            raise NoSuchItem(f"There is no item {self._job.item}.")
        if unless_whole and item.state.whole:
            return
        await self._works.catalogue.settle_folder(item.id, state)
