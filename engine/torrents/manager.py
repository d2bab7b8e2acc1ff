"""Torrents as the rest of tagfs sees them: add, read, watch, pause, resume, stop. On the trio thread.

    add ─▶ queued ─▶ running: arrives ─▶ seeds ─▶ over (goal reached: complete, out of memory)
             ▲  ▲       │
             │  └─ retry┤
             └─ resume ─┴─▶ resting: paused, failed, or out of space; still readable

An item belongs here if a torrent became it, or it is a file of one. Pause and resume of a file mean its torrent;
`resume` also wants the file again if it was skipped, and `stop` of a file does not want it any more.

State: the Roster's, in memory. What must survive is in the catalogue, and `run` begins from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import trio

from engine.errors import BadRequest
from engine.history import Cause
from engine.ports import AddRequest, Catalogue, LocalBlobs, Progress
from engine.sources.torrent.config import TorrentConfig
from engine.sources.torrent.events import Event
from engine.sources.torrent.session import TorrentSession
from engine.torrents.adding import Adder
from engine.torrents.choosing import Chooser
from engine.torrents.folders import Folders
from engine.torrents.job import Files, Job
from engine.torrents.reader import TorrentReader
from engine.torrents.roster import PAUSED, REMOVED, Roster
from engine.torrents.runner import Runner, settle_root
from engine.torrents.space import Space
from engine.torrents.works import Works
from engine.transfer.reader import WaitingRoom
from engine.types import Item, ItemId, Kind, State


class TorrentManager:
    """Implements `ports.Transfers` for torrents; `run` is its service. `root` is the state directory."""

    def __init__(
        self,
        catalogue: Catalogue,
        blobs: LocalBlobs,
        root: str,
        config: TorrentConfig | None = None,
        *,
        room: WaitingRoom | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`room` is shared with whoever else has readers that wait."""
        self._catalogue = catalogue
        self._config = config or TorrentConfig()
        self._room = room or WaitingRoom(self._config.max_waiters)
        self._session: TorrentSession[ItemId] = TorrentSession(self._config, self._hear)
        folders = Folders(root)
        space = Space(folders.root, self._config.reserve)
        self._works = Works(catalogue.by(Cause.DOWNLOAD), blobs, folders, self._session, self._config, clock_ns, space)
        self._roster = Roster(catalogue, self._config.max_active)
        self._chooser = Chooser(self._works, self._roster)
        self._adder = Adder(self._works, self._roster, self._chooser)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """For ever. Started once what was left unfinished is known."""
        forget = self._catalogue.observe(self._roster)
        runner = Runner(self._works, self._roster)
        try:
            await runner.take_up()
            task_status.started()
            async with trio.open_nursery() as nursery:
                last = trio.CancelScope(shield=True)  # torrents leave the session in good order when this is cancelled
                nursery.start_soon(self._run_session, last)
                try:
                    await runner.run()
                finally:
                    last.cancel()
        finally:
            forget()

    async def _run_session(self, scope: trio.CancelScope) -> None:
        with scope:
            await self._session.run()

    @property
    def lost(self) -> str | None:
        """Why no torrent runs now, as a sentence; None where nothing is wrong."""
        return self._session.lost

    def _hear(self, item: ItemId, event: Event) -> None:
        job = self._roster.jobs.get(item)
        if job is not None and job.swarm is not None:
            job.swarm.hear(event)

    # -- ports.Transfers -------------------------------------------------------------------------------------------
    def owns(self, item: ItemId) -> bool:
        """Whether a torrent became this item, or it is a file of one."""
        return self._roster.root(item) is not None

    async def add(self, request: AddRequest) -> Item:
        """BadRequest for what is no torrent. A torrent that is known already is not added twice: its item gets the
        tags, and the trackers and peers of the new link."""
        item, starts = await self._adder.add(request)
        if starts:
            await self.resume(item.id)
        return self._catalogue.item(item.id) or item

    def reader(self, item: ItemId) -> TorrentReader | None:
        job = self._roster.job(item)
        row = self._catalogue.item(item)
        if job is None or row is None or row.kind is not Kind.FILE:
            return None
        found = self._catalogue.torrent_of(item)
        return TorrentReader(
            job,
            item,
            None if found is None else found[1],
            row.size,
            folders=self._works.folders,
            room=self._room,
            disk=self._works.disk,
            ahead=self._config.ahead,
            first=partial(self._roster.promote, job),
        )

    def progress(self, item: ItemId) -> Progress | None:
        job = self._roster.job(item)
        if job is None:
            return None
        peers = 0 if job.swarm is None else job.swarm.status.peers
        row = self._catalogue.item(item)
        if job.files is None and job.recorded is not None and item == job.item:
            return Progress(*job.recorded, connections=peers)
        if job.files is None or row is None:
            return Progress(0, None if row is None else row.size, connections=peers)
        found = self._catalogue.torrent_of(item)
        if found is not None and item != job.item:
            return _progress_of_file(job.files, found[1])
        return _progress_of_all(job, job.files, peers)

    async def pause(self, item: ItemId) -> None:
        """The torrent of the item. Nothing happens to one that rests, or is over."""
        job = self._roster.job(item)
        if job is None or job.resting is not None:
            return
        await self._roster.halt(job)
        if self._roster.jobs.get(job.item) is job:
            job.rest(PAUSED)
            await settle_root(self._works, job.item, State.PAUSED, None)

    async def resume(self, item: ItemId) -> None:
        """The torrent of the item, and the item itself if it was not wanted. BadRequest for what is no torrent."""
        root = self._roster.root(item)
        row = self._catalogue.item(item)
        top = None if root is None else self._catalogue.item(root)
        if root is None or row is None or top is None:
            raise BadRequest(f"Item {item} is no torrent.")
        if not self._catalogue.is_live(top):
            raise BadRequest("The torrent of this file is in the trash.")
        if root != item and not row.state.whole:
            await self._chooser.want(root, row)
        job = self._roster.jobs.get(root)
        if job is None:
            torrent = await self._catalogue.torrent(root)
            over = top.state is State.COMPLETE and root == item
            if torrent is not None and not (over and torrent.resume is None):  # without notes its goal was reached
                await self._queue(top)
                self._roster.enlist(top._replace(state=State.QUEUED), torrent.folder, torrent.options)
        elif job.run is None:
            await self._queue(top)
            self._roster.push(job)

    async def stop(self, item: ItemId) -> None:
        """Before it goes to the trash: a torrent leaves the session, a file of one is not wanted any more."""
        root = self._roster.root(item)
        if root is not None and root != item:
            found = self._catalogue.torrent_of(item)
            if found is not None:  # its state stays, so that it is wanted again when it comes back
                self._chooser.change(root, found[1], wanted=False)
            return
        job = self._roster.jobs.get(item)
        if job is None:
            return
        await self._roster.halt(job)
        if self._roster.jobs.get(item) is job:
            self._roster.strike_off(job, REMOVED)
            self._roster.stopped[item] = job.folder
            row = self._catalogue.item(item)
            if row is not None and row.state is State.DOWNLOADING:
                await self._catalogue.settle_folder(item, State.QUEUED)

    async def skip(self, item: ItemId) -> None:
        await self._chooser.skip(item)

    def mode(self, item: ItemId) -> str | None:
        """Of the torrent that the item belongs to."""
        job = self._roster.job(item)
        return None if job is None else job.mode

    async def set_mode(self, item: ItemId, mode: str) -> None:
        """Of the whole torrent, which begins anew with what it has."""
        await self._chooser.set_mode(item, mode)

    async def _queue(self, top: Item) -> None:
        """A single file that is whole stays so."""
        if not (top.kind is Kind.FILE and top.blob is not None):
            await self._catalogue.settle_folder(top.id, State.QUEUED)


def _progress_of_all(job: Job, files: Files, peers: int) -> Progress:
    speed = float(job.swarm.status.download_rate) if job.swarm is not None and not job.is_seeding else 0.0
    eta = (files.total - files.present) / speed if speed > 0 else None
    return Progress(files.present, files.total, speed, eta, peers)


def _progress_of_file(files: Files, position: int) -> Progress | None:
    index = files.by_position.get(position)
    if index is None:
        return None
    file = files.file(index)
    return Progress(file.size if index in files.done else files.layout.present(file), file.size)
