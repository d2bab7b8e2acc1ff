"""Files that are being written through the mount. Trio thread; hashing and fsync in threads below `Blobs`.

    create ──▶ open (n writers) ──last close──▶ sealing (hash, fsync, rename, row) ──▶ whole
                                                   └─ failed: the item says so, the staged bytes stay

The row exists from create on (state `writing`), with the name of its staging file. After a crash what had been staged
is sealed as it is and the item says that it was cut short: nothing that was written is thrown away.
State lives here and only here: `_drafts` by item, from create until the row names the blob.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import trio

from engine.errors import EngineError, StoreFull
from engine.ports import Blobs, Catalogue, Edit, NewDownload, NewItem
from engine.types import Download, Item, ItemId, Source, SourceKind, State

log = logging.getLogger(__name__)

CUT_SHORT = "tagfs stopped while this file was being written: it ends where the writing had come to"


@dataclass(slots=True)
class Draft:
    """`fd` is open until the draft is sealed; handles hold duplicates of it."""

    item: ItemId
    staging: str
    fd: int
    writers: int = 0
    mtime_ns: int | None = None  # as last set by the writer
    sealed: trio.Event = field(default_factory=trio.Event)


class Drafts:
    def __init__(self, catalogue: Catalogue, blobs: Blobs) -> None:
        self._catalogue = catalogue
        self._blobs = blobs
        self._drafts: dict[ItemId, Draft] = {}
        self._nursery: trio.Nursery | None = None

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """The service: seals what a crash left, then what is closed. On cancellation waits for what it is sealing."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for download in await self._catalogue.downloads():
                item = self._catalogue.item(download.item)
                if item is not None and item.state is State.WRITING:
                    await self._recover(item, download)
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None
                with trio.CancelScope(shield=True):
                    for draft in list(self._drafts.values()):
                        await self._seal(draft, cut_short=draft.writers > 0)

    async def create(self, name: str, tags: Collection[str], mode: int) -> Item:
        """A new, empty item that is open for nobody yet."""
        staging, fd = self._blobs.create_staging()
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
        except BaseException:
            os.close(fd)
            self._blobs.discard_staging(staging)
            raise
        self._drafts[item.id] = Draft(item.id, staging, fd)
        return item

    def get(self, item: ItemId) -> Draft | None:
        return self._drafts.get(item)

    def size(self, item: ItemId) -> int | None:
        """Bytes written so far; None when nobody is writing this item."""
        draft = self._drafts.get(item)
        return None if draft is None else os.fstat(draft.fd).st_size

    def staged(self) -> Mapping[ItemId, str]:
        return {draft.item: draft.staging for draft in self._drafts.values()}

    def open_writer(self, draft: Draft) -> int:
        """A descriptor of its own for one more writer. Paired with `close_writer`."""
        if draft.sealed.is_set() or self._drafts.get(draft.item) is not draft:
            raise OSError(errno.ESTALE, "this file has been closed by its last writer")
        draft.writers += 1
        return os.dup(draft.fd)

    def close_writer(self, draft: Draft) -> None:
        """The last one starts the sealing and does not wait for it."""
        draft.writers -= 1
        if draft.writers == 0 and self._nursery is not None:
            self._nursery.start_soon(self._seal, draft)

    def truncate(self, draft: Draft, size: int) -> None:
        os.ftruncate(draft.fd, size)
        draft.mtime_ns = None

    async def _seal(self, draft: Draft, *, cut_short: bool = False) -> None:
        """What was written becomes the content of the item."""
        if draft.sealed.is_set() or self._drafts.get(draft.item) is not draft:
            return
        mtime_ns = draft.mtime_ns or os.fstat(draft.fd).st_mtime_ns
        draft.sealed.set()
        try:
            await self._finish(draft.item, draft.staging, mtime_ns, cut_short=cut_short)
        finally:
            os.close(draft.fd)
            self._drafts.pop(draft.item, None)

    async def _finish(self, item: ItemId, staging: str, mtime_ns: int, *, cut_short: bool) -> None:
        row = self._catalogue.item(item)
        if row is None:
            self._blobs.discard_staging(staging)
            return
        try:
            blob = await self._blobs.ingest(staging, {})
            await self._catalogue.complete(
                item, blob.sha256, blob.size, digests=blob.digests, mtime_ns=mtime_ns, keep_old=False
            )
            if cut_short:
                await self._catalogue.edit(item, Edit(state=State.COMPLETE, error=CUT_SHORT))
        except (EngineError, OSError) as error:
            why = "the disk is full" if isinstance(error, StoreFull) else str(error)
            log.error("item %d: what was written cannot be stored: %s", item, why)
            await self._catalogue.edit(
                item, Edit(state=State.FAILED, error=f"what was written cannot be stored: {why}")
            )

    async def _recover(self, item: Item, download: Download) -> None:
        try:
            found = os.stat(self._blobs.staging_path(download.staging))
        except FileNotFoundError:
            log.warning("item %d: the staged content of %r is gone", item.id, item.name)
            await self._catalogue.edit(
                item.id, Edit(state=State.MISSING, error="the content was being written and is gone")
            )
            return
        mtime_ns = min(found.st_mtime_ns, time.time_ns())
        await self._finish(item.id, download.staging, mtime_ns, cut_short=True)
