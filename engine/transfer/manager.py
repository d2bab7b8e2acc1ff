"""Downloads as the rest of tagfs sees them: add, read, watch, pause, resume, stop. On the trio thread.

    add ─▶ waiting ⇄ running ─▶ gone (complete)          resting: paused, failed, or out of space; still readable
              ▲         │
              └─ resume ┴─▶ resting

State: the Roster's, in memory as small as can be. What must survive is in the catalogue, and `run` begins from there.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

import trio

from engine.digests import check_digests
from engine.errors import BadRequest, NoSuchItem
from engine.formats.magnet import is_magnet
from engine.history import Cause
from engine.ports import AddRequest, Blobs, Catalogue, Edit, NewDownload, NewItem, Progress
from engine.safe_names import is_safe
from engine.sources.router import Router
from engine.sources.stream import StreamSource
from engine.sources.urls import check_url, name_of, source_of
from engine.transfer.config import TransferConfig
from engine.transfer.options import FULL, MODE, ON_DEMAND, PIECES, SIZE, check_mode, check_options
from engine.transfer.pieces import check_pieces, pieces_text
from engine.transfer.reader import ArrivingReader, WaitingRoom
from engine.transfer.record import new_staging_name
from engine.transfer.roster import PAUSED, Roster
from engine.transfer.runner import Runner
from engine.types import Blob, Download, Item, ItemId, State


class TransferManager:
    """Implements `ports.Transfers`; `run` is its service. Without a `source`, one is made of `config.http`."""

    def __init__(
        self,
        catalogue: Catalogue,
        blobs: Blobs,
        config: TransferConfig | None = None,
        source: StreamSource | None = None,
        *,
        room: WaitingRoom | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`room` is shared with whoever else has readers that wait."""
        self._catalogue = catalogue
        self._blobs = blobs
        self._config = config or TransferConfig()
        self._source = source
        self._chance = chance
        self._roster = Roster(catalogue.by(Cause.DOWNLOAD), blobs, self._config, clock_ns, room)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Download for ever. Started once what was left unfinished is known."""
        async with AsyncExitStack() as stack:
            source = self._source
            if source is None:
                source = await stack.enter_async_context(Router(self._config.http))
            stack.callback(self._catalogue.observe(self._roster))
            runner = Runner(self._roster, source, self._chance, self.resume)
            await runner.take_up()
            task_status.started()
            await runner.run()

    async def add(self, request: AddRequest) -> Item:
        """BadRequest for URLs, names, digests or options that cannot be. Content that is known to be in the store
        by the SHA-256 that the user gives is not fetched: the item is complete at once."""
        if request.torrent is not None or any(map(is_magnet, request.urls)):
            raise BadRequest("A torrent is not one stream of bytes.")
        if request.select is not None:
            raise BadRequest("Files can be selected of a torrent only.")
        if not request.urls:
            raise BadRequest("A download needs at least one URL.")
        urls = [check_url(url) for url in request.urls]
        if request.name is not None and not is_safe(request.name):
            raise BadRequest(f"{request.name!r} cannot be the name of a file.")
        digests, options = check_digests(request.digests), check_options(request.options)
        if request.pieces is not None:
            options[PIECES] = pieces_text(check_pieces(request.pieces))
        if request.size is not None:
            options[SIZE] = str(request.size)
        name = request.name or name_of(urls[0])
        new = NewItem(name=name, tags=request.tags, sources=[source_of(url) for url in urls], parent=request.folder)
        known = self._catalogue.blob(digests["sha256"]) if "sha256" in digests else None
        if known is not None and await self._is_sound(known):
            self._blobs.hold(known.sha256)
            try:
                return await self._catalogue.by(request.cause).add(replace(new, sha256=known.sha256, size=known.size))
            finally:
                self._blobs.release(known.sha256)
        download = NewDownload(new_staging_name(), digests, request.name is not None, options)
        state = State.PAUSED if request.paused else State.QUEUED
        item = await self._catalogue.by(request.cause).add(replace(new, state=state, download=download))
        row = self._catalogue.download(item.id)
        if row is not None:  # somebody may have been quick to remove it
            self._roster.enlist(item, row)
        return item

    async def _is_sound(self, blob: Blob) -> bool:
        self._blobs.hold(blob.sha256)
        try:
            return await self._blobs.is_sound(blob.sha256, blob.size)
        finally:
            self._blobs.release(blob.sha256)

    def owns(self, item: ItemId) -> bool:
        """Whether it is arriving here."""
        return item in self._roster.jobs

    def reader(self, item: ItemId) -> ArrivingReader | None:
        job = self._roster.jobs.get(item)
        if job is None:
            return None
        return ArrivingReader(job.arrival, partial(self._roster.promote, item), self._config.window)

    def progress(self, item: ItemId) -> Progress | None:
        job = self._roster.jobs.get(item)
        if job is None:
            return None
        file = job.arrival.file
        attempt = None if job.run is None or job.run.is_over else job.run.attempt
        done = job.arrival.present if file is None else file.ranges.total
        total = job.arrival.size if file is None else file.size
        if attempt is None:
            return Progress(done, total, retry_at_ns=job.retry_at_ns)
        speed = attempt.speed()
        eta = (total - done) / speed if total is not None and speed > 0 else None
        return Progress(done, total, speed, eta, attempt.connections)

    async def pause(self, item: ItemId) -> None:
        """Nothing happens to what is not arriving."""
        job = self._roster.jobs.get(item)
        if job is None:
            return
        await self._roster.halt(job)
        row = self._catalogue.download(item)
        if self._roster.jobs.get(item) is job and row is not None:  # else it was about to be complete, and is
            job.begin_afresh()
            self._roster.lay_off(job, PAUSED)
            await self._roster.record(row).paused()

    async def resume(self, item: ItemId) -> None:
        """BadRequest for what never was a download."""
        job = self._roster.jobs.get(item)
        if job is not None and job.run is not None:
            if not job.run.is_over:
                return
            await job.run.ended.wait()
        found = self._catalogue.item(item)
        if found is None:
            raise NoSuchItem(f"There is no item {item}.")
        if found.state.whole:
            return
        record = self._roster.record(await self._row_to_resume(found))
        await record.queued()
        job = self._roster.jobs.get(item)
        if job is None:
            self._roster.enlist(found._replace(state=State.QUEUED), record.row)
        elif job.run is None:
            self._roster.queue.remove(item)
            job.begin_afresh()
            self._roster.push(job, due=0.0)

    async def stop(self, item: ItemId) -> None:
        """Nothing happens to what is not arriving. `resume` takes it up again."""
        job = self._roster.jobs.get(item)
        if job is None:
            return
        await self._roster.halt(job)
        row = self._catalogue.download(item)
        if self._roster.jobs.get(item) is not job or row is None:
            return  # it was about to be complete, and is
        self._roster.stopped(job, row.staging)
        found = self._catalogue.item(item)
        if found is not None and found.state is State.DOWNLOADING:
            await self._catalogue.edit(item, Edit(state=State.QUEUED))

    def mode(self, item: ItemId) -> str | None:
        """`full` or `on-demand`; None for what is not arriving."""
        job = self._roster.jobs.get(item)
        return None if job is None else ON_DEMAND if job.on_demand else FULL

    async def set_mode(self, item: ItemId, mode: str) -> None:
        """BadRequest for what is no mode. Nothing happens to what is not arriving."""
        check_mode(mode)
        job = self._roster.jobs.get(item)
        if job is None or self.mode(item) == mode:
            return
        await self._roster.halt(job)
        row = self._catalogue.download(item)
        if self._roster.jobs.get(item) is not job or row is None:
            return  # it was about to be complete, and is
        row = replace(row, options={**row.options, MODE: mode})
        await self._catalogue.update_download(row)
        job.on_demand = mode == ON_DEMAND
        if job.arrival.resting is None:
            await self._roster.record(row).queued()
            self._roster.line_up(job)

    async def skip(self, item: ItemId) -> None:
        """BadRequest: a stream is one file."""
        raise BadRequest("Only a file in a torrent can be skipped.")

    async def _row_to_resume(self, item: Item) -> Download:
        """Its row; a new one where its content was lost (state missing) and can be fetched again."""
        row = self._catalogue.download(item.id)
        if row is not None:
            return row
        if item.state is not State.MISSING or not any(source.url for source in self._catalogue.sources(item.id)):
            raise BadRequest(f"{item.name!r} is no download.")
        digests = {} if item.sha256 is None else {"sha256": item.sha256}
        row = Download(item.id, new_staging_name(), None, None, None, "", digests, True, 0, None)
        await self._catalogue.update_download(row)
        return row
