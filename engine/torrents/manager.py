"""Torrents as the rest of tagfs sees them: add, read, watch, pause, resume, stop. On the trio thread.

    add ─▶ queued ─▶ running: arrives ─▶ seeds ─▶ over (goal reached: complete, out of memory)
             ▲  ▲       │
             │  └─ retry┤
             └─ resume ─┴─▶ resting: paused, failed, or out of space; still readable

An item belongs here if a torrent became it, or it is a file of one; pause and resume of a file mean its torrent, but
for a file that is skipped, which `resume` wants again and `stop` does not want any more.

State: `_jobs`. What must survive is in the catalogue, and `run` begins from there.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

import trio

from engine.errors import BadRequest, EngineError, NoSuchItem
from engine.formats.magnet import Magnet, is_magnet, magnet_uri, parse_magnet, public_magnet
from engine.ports import AddRequest, Blobs, Catalogue, Edit, NewItem, NewTorrent, Progress
from engine.safe_names import is_safe
from engine.sources.torrent.config import TorrentConfig
from engine.sources.torrent.events import Event
from engine.sources.torrent.metadata import Metainfo, read_metainfo
from engine.sources.torrent.session import TorrentSession
from engine.torrents.describing import GIVEN, SELECT, describe
from engine.torrents.folders import Folders, new_folder_name
from engine.torrents.job import ON_DEMAND, Files, Job, Run
from engine.torrents.options import check_options
from engine.torrents.reader import TorrentReader
from engine.torrents.selecting import check_select, unwanted
from engine.torrents.swarm import NoRoomLeft
from engine.torrents.work import Work
from engine.torrents.works import Works
from engine.transfer.bell import Bell
from engine.transfer.reader import WaitingRoom
from engine.types import Change, Item, ItemId, Kind, Source, SourceKind, State, TagChange

PAUSED = "This torrent is paused."
REMOVED = "This torrent was removed."
UNEXPECTED = "The torrent stopped because of an internal error, see the log."

_log = logging.getLogger(__name__)


class TorrentManager:
    """Implements `ports.Transfers` for torrents; `run` is its service. `root` is the state directory."""

    def __init__(
        self,
        catalogue: Catalogue,
        blobs: Blobs,
        root: str,
        config: TorrentConfig | None = None,
        *,
        room: WaitingRoom | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        config = config or TorrentConfig()
        self._catalogue = catalogue
        self._config = config
        self._session: TorrentSession[ItemId] = TorrentSession(config, self._hear)
        self._works = Works(catalogue, blobs, Folders(root), self._session, config, clock_ns)
        self._room = room or WaitingRoom(config.max_waiters)
        self._jobs: dict[ItemId, Job] = {}
        self._queue: deque[ItemId] = deque()
        self._arriving: set[ItemId] = set()
        self._bell = Bell()
        self._purged: list[str] = []
        self._stopped: dict[ItemId, str] = {}  # folders of those that are in the trash
        self._adding = trio.Lock()

    # -- the service -----------------------------------------------------------------------------------------------
    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """For ever. Started once what was left unfinished is known."""
        forget = self._catalogue.observe(self)
        try:
            await self._take_up()
            task_status.started()
            async with trio.open_nursery() as nursery:
                last = trio.CancelScope(shield=True)  # torrents leave the session in good order when this is cancelled
                nursery.start_soon(self._run_session, last)
                try:
                    await self._run_torrents()
                finally:
                    last.cancel()
        finally:
            forget()

    async def _run_session(self, scope: trio.CancelScope) -> None:
        with scope:
            await self._session.run()

    async def _run_torrents(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_space)
            while True:
                bell = self._bell.next
                while (job := self._next()) is not None:
                    job.run = Run()
                    nursery.start_soon(self._supervise, job, job.run)
                await self._clean_up()
                await bell.wait()

    async def _take_up(self) -> None:
        """All that an earlier run of the daemon left."""
        known = await self._catalogue.torrents()
        gone = await self._works.disk.run(self._works.folders.sweep, [folder for _, folder in known])
        if gone:
            _log.info("removed %d folders of torrents that are no more", len(gone))
        for item in await self._catalogue.items([item for item, _ in known]):
            if item.trashed_ns is not None:
                self._stopped[item.id] = dict(known)[item.id]
            elif item.state is not State.COMPLETE:
                row = await self._catalogue.torrent(item.id)
                if row is not None:
                    self._enlist(item, row.folder, row.options)

    def _enlist(self, item: Item, folder: str, options: dict[str, str] | object) -> Job:
        assert isinstance(options, dict)
        job = Job(item.id, folder, options)
        self._jobs[item.id] = job
        self._stopped.pop(item.id, None)
        if item.state in (State.PAUSED, State.FAILED):
            job.resting = item.error or PAUSED
            job.is_starved = item.state is State.PAUSED and item.error is not None
        else:
            self._push(job)
        return job

    def _push(self, job: Job) -> None:
        job.resting = None
        if job.item not in self._queue:
            self._queue.append(job.item)
        self._bell.ring()

    def _next(self) -> Job | None:
        """Seeding torrents and those that somebody reads start at once, others within the limit."""
        for item in self._queue:
            job = self._jobs[item]
            row = self._catalogue.item(item)
            seeds = row is not None and row.state.whole
            if seeds or job.waiters or len(self._arriving) < self._config.max_active:
                self._queue.remove(item)
                if not seeds:
                    self._arriving.add(item)
                return job
        return None

    async def _supervise(self, job: Job, run: Run) -> None:
        over, why, state = False, None, State.FAILED
        try:
            try:
                with run.scope:
                    await Work(self._works, job).run()
                    over = True
            except* NoSuchItem:
                pass  # it went while it was fetched
            except* NoRoomLeft as group:
                why, state = str(_first(group)), State.PAUSED
            except* EngineError as group:
                why = str(_first(group))
            except* OSError as group:
                error = _first(group)
                why = f"The disk failed: {getattr(error, 'strerror', None) or error}."
            except* Exception:
                _log.exception("item %d: the torrent stopped for a reason that nobody expected", job.item)
                why = UNEXPECTED
            with suppress(NoSuchItem):
                if over:
                    await self._over(job)
                elif why is not None:
                    _log.info("item %d: %s: %s", job.item, state.value, why)
                    job.is_starved = state is State.PAUSED
                    job.rest(why)
                    await self._settle(job.item, state, why)
        finally:
            job.run = None
            job.is_seeding = False
            self._arriving.discard(job.item)
            run.ended.set()
            self._bell.ring()

    async def _over(self, job: Job) -> None:
        """The goal is reached. What it was is known for ever; what it needed is not needed any more."""
        await self._catalogue.settle_folder(job.item, State.COMPLETE)
        await self._catalogue.save_resume(job.item, None)
        self._jobs.pop(job.item, None)
        job.rest("This torrent is complete.")
        self._purged.append(job.folder)

    async def _settle(self, item: ItemId, state: State, why: str | None) -> None:
        """A torrent whose files are all here stays whole, whatever happens to it."""
        row = self._catalogue.item(item)
        if row is not None and row.kind is Kind.FILE and row.blob is not None:
            await self._catalogue.edit(item, Edit(state=State.COMPLETE))
        elif row is not None:
            await self._catalogue.settle_folder(item, state, why)

    async def _clean_up(self) -> None:
        while self._purged:
            await self._works.disk.run(self._works.folders.remove, self._purged.pop())

    async def _watch_space(self) -> None:
        """Those that wait for space go on when there may be some, one at a time."""
        while True:
            await trio.sleep(30.0)
            starved = next((job for job in self._jobs.values() if job.is_starved), None)
            if starved is not None:
                with suppress(EngineError):
                    await self.resume(starved.item)

    def _hear(self, item: ItemId, event: Event) -> None:
        job = self._jobs.get(item)
        if job is not None and job.swarm is not None:
            job.swarm.hear(event)

    # -- ports.Transfers -------------------------------------------------------------------------------------------
    def owns(self, item: ItemId) -> bool:
        """Whether a torrent became this item, or it is a file of one that is not over."""
        return self._root(item) is not None

    async def add(self, request: AddRequest) -> Item:
        """BadRequest for what is no torrent. A torrent that is known already is not added twice: its item gets the
        tags, and the trackers and peers of the new link."""
        if request.name is not None and not is_safe(request.name):
            raise BadRequest(f"{request.name!r} cannot be the name of a file.")
        options = check_options(request.options)
        if request.select is not None:
            options[SELECT] = check_select(request.select)
        meta: Metainfo | None = None
        if request.torrent is not None:
            meta = await self._works.disk.run(read_metainfo, request.torrent, self._config)
            magnet = Magnet(meta.v1, meta.v2, name=meta.name)
            unwanted(meta, request.select, ())  # a selection of nothing is refused here, where somebody hears it
        elif len(request.urls) == 1 and is_magnet(request.urls[0]):
            magnet = parse_magnet(request.urls[0])
        else:
            raise BadRequest("A torrent is one magnet link or the content of one .torrent file.")
        async with self._adding:
            known = self._catalogue.torrent_known(magnet.v1, magnet.v2)
            if known is not None:
                return await self._add_again(known, request, magnet, meta)
            return await self._add_new(request, magnet, meta, options)

    async def _add_new(
        self, request: AddRequest, magnet: Magnet, meta: Metainfo | None, options: dict[str, str]
    ) -> Item:
        shown = magnet.name or magnet.v1 or magnet.v2 or ""
        if request.name is None:
            options[GIVEN] = shown
        public = public_magnet(magnet)
        item = await self._catalogue.add_torrent(
            NewItem(
                name=request.name or shown,
                state=State.PAUSED if request.paused else State.QUEUED,
                tags=request.tags,
                sources=[Source(SourceKind.TORRENT, magnet_uri(magnet), public, "")],
            ),
            NewTorrent(
                v1=magnet.v1,
                v2=magnet.v2,
                magnet=magnet_uri(magnet),
                folder=new_folder_name(),
                metadata=request.torrent,
                options=options,
            ),
        )
        row = await self._catalogue.torrent(item.id)
        if row is None:
            return item  # somebody was quick to remove it
        if row.metadata is not None and meta is not None:
            await describe(self._works, row, row.metadata)
        found = self._catalogue.item(item.id)
        if found is None:
            return item
        self._enlist(found, row.folder, dict(row.options))
        return found

    async def _add_again(self, item: ItemId, request: AddRequest, magnet: Magnet, meta: Metainfo | None) -> Item:
        found = self._catalogue.item(item)
        row = await self._catalogue.torrent(item)
        if found is None or row is None:
            raise NoSuchItem(f"There is no item {item}.")
        if found.trashed_ns is not None:
            await self._catalogue.restore(item)
        if request.tags:
            await self._catalogue.edit(item, Edit(add=request.tags))
        old = parse_magnet(row.magnet)
        merged = replace(
            old,
            trackers=tuple(dict.fromkeys(old.trackers + magnet.trackers + (meta.trackers if meta else ()))),
            web_seeds=tuple(dict.fromkeys(old.web_seeds + magnet.web_seeds)),
            peers=tuple(dict.fromkeys(magnet.peers + old.peers)),
        )
        if merged != old:
            await self._catalogue.set_magnet(item, magnet_uri(merged))
        job = self._jobs.get(item)
        if job is not None and job.swarm is not None and job.swarm.is_here:
            self._session.add_trackers(item, [url for url in merged.trackers if url not in old.trackers])
            self._session.connect(item, magnet.peers)
        elif found.trashed_ns is not None and not found.state.whole and not request.paused:
            await self.resume(item)
        return self._catalogue.item(item) or found

    def reader(self, item: ItemId) -> TorrentReader | None:
        root = self._root(item)
        job = self._jobs.get(root) if root is not None else None
        if job is None:
            return None
        row = self._catalogue.item(item)
        if row is None or row.kind is not Kind.FILE:
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
            first=partial(self._promote, job),
        )

    def _promote(self, job: Job) -> None:
        if job.run is None and job.resting is None and job.item in self._queue:
            self._queue.remove(job.item)
            self._queue.appendleft(job.item)
            self._bell.ring()

    def progress(self, item: ItemId) -> Progress | None:
        root = self._root(item)
        job = self._jobs.get(root) if root is not None else None
        if job is None:
            return None
        row = self._catalogue.item(item)
        if job.files is None or row is None:
            return Progress(0, None if row is None else row.size, connections=_peers(job))
        found = self._catalogue.torrent_of(item)
        if found is not None and item != root:
            return _progress_of_file(job.files, found[1])
        done, total = job.files.present, job.files.total
        speed = float(job.swarm.status.download_rate) if job.swarm is not None and not job.is_seeding else 0.0
        eta = (total - done) / speed if speed > 0 else None
        return Progress(done, total, speed, eta, _peers(job))

    async def pause(self, item: ItemId) -> None:
        """The torrent of the item. Nothing happens to one that rests, or is over."""
        job = self._job(item)
        if job is None or job.resting is not None:
            return
        await self._halt(job)
        if self._jobs.get(job.item) is job:
            job.rest(PAUSED)
            await self._settle(job.item, State.PAUSED, None)

    async def resume(self, item: ItemId) -> None:
        """The torrent of the item, and the item itself if it was not wanted. BadRequest for what is no torrent."""
        root = self._root(item)
        row = self._catalogue.item(item)
        if root is None or row is None:
            raise BadRequest(f"Item {item} is no torrent.")
        if root != item and not row.state.whole:
            await self._want(root, row)
        job = self._jobs.get(root)
        top = self._catalogue.item(root)
        if top is None or top.trashed_ns is not None:
            raise BadRequest("The torrent of this file is in the trash.")
        if job is None:
            torrent = await self._catalogue.torrent(root)
            if torrent is None:
                raise BadRequest(f"Item {item} is no torrent.")
            if top.state is State.COMPLETE and root == item:
                return
            await self._settle_queued(top)
            self._enlist(top._replace(state=State.QUEUED), torrent.folder, dict(torrent.options))
        elif job.run is None:
            await self._settle_queued(top)
            job.is_starved = False
            self._push(job)

    async def _settle_queued(self, top: Item) -> None:
        if not (top.kind is Kind.FILE and top.blob is not None):
            await self._catalogue.settle_folder(top.id, State.QUEUED)

    async def stop(self, item: ItemId) -> None:
        """Before it goes to the trash: a torrent leaves the session, a file of one is not wanted any more."""
        root = self._root(item)
        if root is not None and root != item:
            found = self._catalogue.torrent_of(item)
            if found is not None:  # its state stays, so that it is wanted again when it comes back
                self._change_wanted(root, found[1], wanted=False)
            return
        job = self._jobs.get(item)
        if job is None:
            return
        await self._halt(job)
        if self._jobs.get(item) is job:
            del self._jobs[item]
            job.rest(REMOVED)
            self._stopped[item] = job.folder
            row = self._catalogue.item(item)
            if row is not None and row.state is State.DOWNLOADING:
                await self._catalogue.settle_folder(item, State.QUEUED)

    async def skip(self, item: ItemId) -> None:
        """This file of a torrent is not wanted. BadRequest for what is no such file; whole ones stay whole."""
        found = self._catalogue.torrent_of(item)
        row = self._catalogue.item(item)
        if found is None or row is None or found[0] == item:
            raise BadRequest("Only a file in a torrent can be skipped.")
        if row.state.whole:
            return
        await self._catalogue.edit(item, Edit(state=State.SKIPPED))
        self._change_wanted(found[0], found[1], wanted=False)

    def mode(self, item: ItemId) -> str | None:
        """Of the torrent that the item belongs to."""
        job = self._job(item)
        return None if job is None else ON_DEMAND if job.on_demand else "full"

    async def set_mode(self, item: ItemId, mode: str) -> None:
        """Of the whole torrent, which begins anew with what it has."""
        check_options({"mode": mode})
        job = self._job(item)
        if job is None or self.mode(item) == mode:
            return
        await self._halt(job)
        top = self._catalogue.item(job.item)
        if self._jobs.get(job.item) is not job or top is None:
            return
        job.options = {**job.options, "mode": mode}
        await self._catalogue.set_torrent_options(job.item, job.options)
        if job.resting is None:
            await self._settle_queued(top)
            self._push(job)

    async def _want(self, root: ItemId, row: Item) -> None:
        found = self._catalogue.torrent_of(row.id)
        if found is None:
            return
        if row.state is not State.QUEUED:
            await self._catalogue.edit(row.id, Edit(state=State.QUEUED))
        self._change_wanted(root, found[1], wanted=True)

    def _change_wanted(self, root: ItemId, position: int, *, wanted: bool) -> None:
        job = self._jobs.get(root)
        if job is None or job.files is None:
            return
        index = job.files.by_position.get(position)
        if index is None:
            return
        (job.files.skipped.discard if wanted else job.files.skipped.add)(index)
        job.files.recount()
        if job.swarm is not None and job.swarm.is_here:
            self._session.want_file(root, position, wanted=wanted)
            job.swarm.bell.ring()
        job.wake_all()

    async def _halt(self, job: Job) -> None:
        with suppress(ValueError):
            self._queue.remove(job.item)
        if job.run is not None:
            run = job.run
            run.scope.cancel()
            await run.ended.wait()

    def _root(self, item: ItemId) -> ItemId | None:
        if item in self._jobs:
            return item
        found = self._catalogue.torrent_of(item)
        if found is not None:
            return found[0]
        return item if self._catalogue.is_torrent(item) else None

    def _job(self, item: ItemId) -> Job | None:
        root = self._root(item)
        return None if root is None else self._jobs.get(root)

    # -- ports.Observer --------------------------------------------------------------------------------------------
    def apply(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        """What is gone for ever needs no folder any more."""
        for change in changes:
            if change.after is not None:
                continue
            folder = self._stopped.pop(change.item, None)
            job = self._jobs.pop(change.item, None)
            if job is not None:
                with suppress(ValueError):
                    self._queue.remove(job.item)
                job.rest(REMOVED)
                folder = job.folder
                if job.run is not None:
                    job.run.scope.cancel()
            if folder is not None:
                self._purged.append(folder)
                self._bell.ring()

    async def settle(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        """Nothing outside depends on it."""


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _peers(job: Job) -> int:
    return 0 if job.swarm is None else job.swarm.status.peers


def _progress_of_file(files: Files, position: int) -> Progress | None:
    index = files.by_position.get(position)
    if index is None:
        return None
    file = files.file(index)
    return Progress(file.size if index in files.done else files.layout.present(file), file.size)
