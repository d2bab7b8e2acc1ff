"""add, add_file, status, watch, pause, resume: verbs about downloads. Trio thread."""

from __future__ import annotations

import os
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import trio

from engine.history import Cause
from engine.ports import AddRequest
from engine.soundness.scrub import Scrubber
from engine.types import Item, ItemId, State, timestamp
from tagfs import __version__
from tagfs.control.errors import Code, VerbError
from tagfs.control.verbs import Ref, Report
from tagfs.control.views import AddedView, DownloadView, ItemView, ScrubView, StatusView
from tagfs.intake.take import add_all, read_file, requests
from tagfs.service.base import Part, verb
from tagfs.service.show import download_view, item_view
from tagfs.vfs import edits

_ORDER = {State.DOWNLOADING: 0, State.WRITING: 0, State.QUEUED: 1, State.PAUSED: 2}
_LAST = 3  # failed and the rest
MIN_INTERVAL = 0.1


@dataclass(frozen=True)
class Downloads(Part):
    started: float = field(default_factory=time.monotonic)
    scrubber: Scrubber | None = None

    @verb
    async def add(
        self,
        urls: tuple[str, ...],
        *,
        tags: tuple[str, ...] = (),
        name: str | None = None,
        digests: Mapping[str, str] | None = None,
        paused: bool = False,
        options: Mapping[str, str] | None = None,
        select: str | None = None,
    ) -> ItemView:
        if not urls:
            raise VerbError(Code.BAD_REQUEST, "A download needs a URL.")
        request = AddRequest(
            urls, name=name, tags=tags, digests=digests or {}, paused=paused, options=options or {}, select=select,
            cause=Cause.COMMAND,
        )  # fmt: skip
        return item_view(self.context, await self.transfers.add(request))

    @verb
    async def add_file(
        self,
        name: str,
        content: str,
        *,
        tags: tuple[str, ...] = (),
        paused: bool = False,
        options: Mapping[str, str] | None = None,
        select: str | None = None,
    ) -> AddedView:
        try:
            data = b64decode(content, validate=True)
        except ValueError as error:
            raise VerbError(Code.BAD_REQUEST, "The content of a file travels as base64.") from error
        found = await read_file(name, data)
        wanted = requests(found, tags=tags, paused=paused, options=options, cause=Cause.COMMAND)
        if select is not None:
            wanted = [replace(request, select=select) for request in wanted]
        items = await add_all(self.catalogue, self.transfers, wanted)
        return AddedView(tuple(item_view(self.context, item) for item in items), found.faults, found.notes)

    @verb
    async def status(self, *, items: tuple[Ref, ...] = (), limit: int = 100) -> StatusView:
        wanted = [item.id for item in self.items_of(items)]
        return await self._status(wanted or await self._arriving(), limit)

    @verb
    async def watch(
        self, *, items: tuple[Ref, ...] = (), limit: int = 100, interval: float = 0.5, report: Report[StatusView]
    ) -> StatusView:
        """What ended while it was watched stays in the view, so that a follower sees how."""
        named = [item.id for item in self.items_of(items)]
        seen = dict.fromkeys(named or await self._arriving())
        while True:
            if not named:
                seen |= dict.fromkeys(await self._arriving())
            view = await self._status(list(seen), limit)
            if not self._going_on(list(seen)):
                return view
            report(view)
            await trio.sleep(max(interval, MIN_INTERVAL))

    @verb
    async def pause(self, items: tuple[Ref, ...] = (), *, all: bool = False) -> tuple[ItemView, ...]:
        rows = await self._chosen(items, all_=all)
        changed = [item for item in rows if item.state in (State.QUEUED, State.DOWNLOADING, State.SEEDING)]
        for item in changed:
            await self.transfers.pause(item.id)
        return self._views(changed)

    @verb
    async def resume(self, items: tuple[Ref, ...] = (), *, all: bool = False) -> tuple[ItemView, ...]:
        rows = await self._chosen(items, all_=all)
        changed = [item for item in rows if item.state in (State.PAUSED, State.FAILED, State.MISSING)]
        for item in changed:
            await edits.resume(self.context, item)
        return self._views(changed + [item for item in rows if await self._seeds_again(item)])

    async def _seeds_again(self, item: Item) -> bool:
        """Whether it is the one file of a torrent, whole, whose seeding was paused before its goal."""
        if item.state is not State.COMPLETE or item.parent is not None:
            return False
        await self.transfers.resume(item.id)
        return self.transfers.progress(item.id) is not None

    # -- in between --------------------------------------------------------------------------------------------

    async def _chosen(self, items: Sequence[Ref], *, all_: bool) -> list[Item]:
        if bool(items) == all_:
            raise VerbError(Code.BAD_REQUEST, "Name the items, or ask for all of them.")
        return self._rows(await self._arriving()) if all_ else self.items_of(items)

    async def _arriving(self) -> list[ItemId]:
        return await self.catalogue.arriving()

    def _rows(self, items: Sequence[ItemId]) -> list[Item]:
        return [row for row in map(self.catalogue.item, items) if row is not None]

    def _views(self, items: Sequence[Item]) -> tuple[ItemView, ...]:
        return tuple(item_view(self.context, row) for row in self._rows([item.id for item in items]))

    def _going_on(self, items: Sequence[ItemId]) -> bool:
        active = (State.QUEUED, State.DOWNLOADING, State.WRITING)
        rows = [row for row in self._rows(items) if row.state in active and row.trashed_ns is None]
        return not all(self._is_idle(row) for row in rows)

    def _is_idle(self, row: Item) -> bool:
        """Fetched on demand, and nobody reads: to wait for its end would be to wait for ever."""
        return row.state is State.QUEUED and row.size is not None and self.transfers.mode(row.id) == "on-demand"

    async def _status(self, items: Sequence[ItemId], limit: int) -> StatusView:
        rows = sorted(self._rows(items), key=lambda item: (_ORDER.get(item.state, _LAST), item.id))
        views = [download_view(self.context, item) for item in rows]
        return StatusView(
            version=__version__,
            pid=os.getpid(),
            mountpoint=self.context.mountpoint,
            state_dir=self.context.store,
            uptime=time.monotonic() - self.started,
            items=len(self.index.live),
            trashed=len(await self.catalogue.trash_list()),
            by_state=self._by_state(),
            downloads=tuple(views[:limit]),
            more=max(0, len(views) - limit),
            done=sum(view.done for view in views),
            total=_total(views),
            speed=sum(view.speed for view in views),
            degraded=tuple(self.context.degraded()),
            scrub=self._scrubbed(),
        )

    def _scrubbed(self) -> ScrubView | None:
        last = None if self.scrubber is None else self.scrubber.now
        if last is None:
            return None
        ended = None if last.ended is None else timestamp(int(last.ended * 10**9))
        return ScrubView(timestamp(int(last.began * 10**9)), ended, last.read, last.total, len(last.damaged))

    def _by_state(self) -> dict[str, int]:
        return dict(Counter({value.name: value.items for value in self.index.values("state")}))


def _total(views: Sequence[DownloadView]) -> int | None:
    totals = [view.total for view in views]
    return None if any(total is None for total in totals) else sum(total or 0 for total in totals)
