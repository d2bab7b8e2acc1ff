"""Files that are being written through the mount: who has them open, and when the writing is over. Trio thread.

    create ──▶ open (n writers) ──last close──▶ closed, being sealed (`sealing.py`) ──▶ whole
                                                   └─ failed: the item says so, the staged bytes stay

The row exists from create on (state `writing`), with the name of its staging file. After a crash what had been staged
is sealed as it is and the item says that it was cut short: nothing that was written is thrown away.
State lives here and only here: `_drafts` by item, from create until the row names the blob.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import trio

from engine.errors import BadRequest
from engine.ports import Blobs, Catalogue, NewDownload, NewItem
from engine.types import Item, ItemId, Source, SourceKind, State
from tagfs.vfs.sealing import Sealer

# For what is being sealed when the daemon is to end. What takes longer is done at the next start.
LAST_WORDS: Final = 3.0  # seconds
SEALING_AT_ONCE: Final = 16  # as many as there are disk threads; more would only hold more files open


@dataclass(slots=True)
class Draft:
    """`fd` serves all handles; it is closed while a closed draft has none, so that a thousand files that wait for being
    sealed hold none open."""

    staging: str
    fd: int
    tags: frozenset[str] = frozenset()  # stated by the path that it was made at
    item: ItemId | None = None  # None until the row is there
    handles: int = 1  # its creator's
    writers: int = 1
    mtime_ns: int | None = None  # as last set by a writer; None: that of the staging file
    closed: bool = False  # by all writers: its bytes do not change any more
    size: int = 0  # when closed
    interrupted: bool = False  # not by its writers, but by the end of the daemon
    broken: str | None = None  # why what was written cannot be trusted
    sealed: trio.Event = field(default_factory=trio.Event)


class Drafts:
    def __init__(self, catalogue: Catalogue, blobs: Blobs) -> None:
        self._catalogue = catalogue
        self._blobs = blobs
        self._sealer = Sealer(catalogue, blobs)
        self._drafts: dict[ItemId, Draft] = {}
        self._born: dict[str, Draft] = {}  # by staging name, while their row is being made
        self._sealing = trio.Semaphore(SEALING_AT_ONCE)
        self._ending = trio.Event()
        self._nursery: trio.Nursery | None = None

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """The service: seals what a crash left, then what is closed. When cancelled it goes on with what it is sealing
        for LAST_WORDS."""
        async with trio.open_nursery() as nursery:
            scope = await nursery.start(self._keep_sealing)
            try:
                await self._recover()
                task_status.started()
                await trio.sleep_forever()
            finally:
                self._ending.set()
                scope.deadline = trio.current_time() + LAST_WORDS

    async def _keep_sealing(self, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
        with trio.CancelScope(shield=True) as scope:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                task_status.started(scope)
                await self._ending.wait()
        self._nursery = None

    # -- making ------------------------------------------------------------------------------------------------

    async def create(self, name: str, tags: Collection[str], mode: int) -> Draft:
        """A new, empty item, open for writing for its creator, who must `leave` it."""
        staging, fd = self._blobs.create_staging()
        draft = self._born[staging] = Draft(staging, fd, frozenset(tags))
        try:
            item = await self._catalogue.add(
                NewItem(
                    name=name,
                    state=State.WRITING,
                    tags=tags,
                    mode=mode,
                    sources=[Source(SourceKind.MOUNT, "", "", "")],
                    download=NewDownload(staging, name_fixed=True),
                )
            )
        except BaseException as error:
            os.close(fd)
            if isinstance(error, Exception):  # when cancelled the row may be there: the next start finds out
                self._blobs.discard_staging(staging)
            raise
        finally:
            del self._born[staging]
        self._adopt(item.id, draft)
        return draft

    def _adopt(self, item: ItemId, draft: Draft) -> None:
        draft.item = item
        self._drafts[item] = draft

    # -- looking -----------------------------------------------------------------------------------------------

    def get(self, item: ItemId) -> Draft | None:
        """The draft of an item that is being written or sealed. Others may find it before `create` has returned."""
        draft = self._drafts.get(item)
        if draft is None and self._born:
            row = self._catalogue.download(item)
            draft = None if row is None else self._born.get(row.staging)
            if draft is not None:
                self._adopt(item, draft)
        return draft

    def size(self, item: ItemId) -> int | None:
        """Bytes written so far; None when nobody is writing this item."""
        draft = self.get(item)
        if draft is None:
            return None
        return draft.size if draft.closed else os.fstat(draft.fd).st_size

    def mtime_ns(self, item: ItemId) -> int | None:
        """When it was last written, or as the writer has set it; None when nobody is writing this item."""
        draft = self.get(item)
        return None if draft is None else _mtime_ns(draft)

    # -- handles -----------------------------------------------------------------------------------------------

    def enter(self, draft: Draft, *, writing: bool) -> None:
        """One more handle. Paired with `leave`. A closed draft takes no writers."""
        if writing and draft.closed:
            raise BadRequest("this file has been closed by its last writer")
        if draft.handles == 0:
            draft.fd = self._sealer.open(draft.staging)
        draft.handles += 1
        draft.writers += writing

    def leave(self, draft: Draft, *, writing: bool) -> None:
        """The last writer starts the sealing and does not wait for it."""
        draft.handles -= 1
        draft.writers -= writing
        if writing and draft.writers == 0:
            draft.mtime_ns, draft.size = _mtime_ns(draft), os.fstat(draft.fd).st_size
            draft.closed = True
            if not draft.interrupted:
                self._sealer.mark_closed(draft.staging)
            if self._nursery is None or self._ending.is_set():
                self._finish(draft)  # the next start does the rest
            else:
                self._nursery.start_soon(self._seal, draft)
        if draft.handles == 0:
            os.close(draft.fd)

    def truncate(self, draft: Draft, size: int) -> None:
        """A closed draft keeps its size: BadRequest."""
        if draft.closed:
            raise BadRequest("this file has been closed by its last writer")
        os.ftruncate(draft.fd, size)
        draft.mtime_ns = None

    def interrupt(self) -> None:
        """The daemon ends: whoever still writes is cut off, and the items will say so."""
        for draft in self._drafts.values():
            draft.interrupted = draft.writers > 0

    # -- sealing -----------------------------------------------------------------------------------------------

    async def _seal(self, draft: Draft) -> None:
        assert draft.item is not None
        try:
            async with self._sealing:
                if draft.broken is not None:
                    await self._sealer.fail(draft.item, draft.staging, draft.broken)
                else:
                    cut_short = draft.interrupted
                    await self._sealer.seal(draft.item, draft.staging, partial(_mtime_ns, draft), cut_short=cut_short)
        finally:
            self._finish(draft)

    def _finish(self, draft: Draft) -> None:
        draft.sealed.set()
        if draft.item is not None:
            self._drafts.pop(draft.item, None)

    # -- what could not be stored ------------------------------------------------------------------------------

    def kept(self, item: Item) -> str | None:
        """The path of the bytes of an item that failed to be stored; None for every other item."""
        if item.state is not State.FAILED or not self._is_written(item.id):
            return None
        row = self._catalogue.download(item.id)
        return None if row is None else self._sealer.kept(row.staging)

    async def retry(self, item: Item) -> bool:
        """Store once more what could not be stored; False for an item that is none of these."""
        row = self._catalogue.download(item.id)
        if row is None or self.kept(item) is None:
            return False
        await self._sealer.recover(item, row.staging)
        return True

    async def _recover(self) -> None:
        """In the trash, too: what is written there is still somebody's."""
        live = await self._catalogue.items([row.item for row in await self._catalogue.downloads()])
        for item in [*live, *await self._catalogue.trash_list()]:
            row = self._catalogue.download(item.id)
            failed = item.state is State.FAILED and self._is_written(item.id)
            if row is not None and (item.state is State.WRITING or failed):
                await self._sealer.recover(item, row.staging)

    def _is_written(self, item: ItemId) -> bool:
        return any(source.kind is SourceKind.MOUNT for source in self._catalogue.sources(item))


def _mtime_ns(draft: Draft) -> int:
    return os.fstat(draft.fd).st_mtime_ns if draft.mtime_ns is None else draft.mtime_ns
