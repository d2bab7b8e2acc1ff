"""From staged bytes to content: what follows the last close, and what the next start makes of a crash in between.

    last close ──▶ marker ──▶ hash ──▶ fsync, rename (`ingest`) ──▶ row names the blob ──▶ markers go
                     │                                      │
           crash: staging and marker               crash: marker alone

A marker is a hard link to the staged file; it tells what is known of it, and it is a second way to the bytes between
the rename and the row:

    <staging>.closed<boot>  its writers had closed it. The boot is in it since a power cut may take what the page cache
                            held: then nobody knows whether the end is there, and we say so
    <staging>.flushed<boot> its writers had closed it, unless one has a copy of its descriptor: what there is is to be
                            the item's, and may be cut short
    <staging>.synced        a writer had called fsync: the bytes are on the disk, and are to be the item's
    <staging>.recovered     the next start has begun to make something of it

What a crash leaves of a new item is its content, and the item says that it was cut short. What it leaves of new content
for an item that had some is that only if its writers had closed or synced it; else it becomes an item in the trash.

State: none but the files in staging. Trio thread; hashing and fsync in threads below `Blobs`.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import trio

from engine.disk import fsync_dir, kill_point
from engine.errors import CatalogueFailed, EngineError, NoSuchItem, StoreFull
from engine.ports import Blobs, Catalogue, Edit, Ingested
from engine.types import Item, ItemId, State
from tagfs.vfs.renewing import renew

log = logging.getLogger(__name__)

CUT_SHORT: Final = "tagfs stopped while this file was being written: it ends where the writing had come to"
STRANDED: Final = "tagfs stopped while this was being written over the file of this name, which kept what it had"
GONE: Final = "the content was being written when tagfs stopped, and it is gone"
_SYNCED: Final = ".synced"
_RECOVERED: Final = ".recovered"
_HASH_STEP: Final = 256 << 20  # bytes between two chances to be cancelled
PAUSES: Final = (0.1, 0.3, 1.0, 3.0, 10.0)  # seconds
_TOO_MANY: Final = frozenset({errno.EMFILE, errno.ENFILE})
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK})


class Superseded(Exception):
    """Later content of the same item is here, so that this one need not be stored."""


class Sealer:
    def __init__(self, catalogue: Catalogue, blobs: Blobs) -> None:
        self._catalogue = catalogue
        self._blobs = blobs
        self.starved: set[ItemId] = set()  # whose content found no space
        self._closed_now = f".closed{_boot()}"
        self._flushed_now = f".flushed{_boot()}"

    # -- markers -----------------------------------------------------------------------------------------------

    def mark_closed(self, staging: str) -> None:
        """All writers have closed it. Instant: the name of a file, which nobody waits to see on the disk."""
        self._mark(staging, self._closed_now)

    def mark_flushed(self, staging: str) -> None:
        """All writers have closed it, and the kernel has not said yet that it is the last time. Instant."""
        self._mark(staging, self._flushed_now)

    def unmark_flushed(self, staging: str) -> None:
        """Instant."""
        self._blobs.discard_staging(staging + self._flushed_now)

    def sync(self, fd: int, staging: str, *, data_only: bool, first: bool) -> None:
        """In a disk thread: what was written so far survives a power cut, and so does what is to become of it."""
        (os.fdatasync if data_only else os.fsync)(fd)
        kill_point("draft.synced")
        if first:
            self._link(staging, _SYNCED)
            fsync_dir(os.path.dirname(self._blobs.staging_path(staging)))
            # An XFS that has failed meanwhile denies that for files alone: 38 of 21,949 names were promised and lost.
            os.fdatasync(fd)

    def _mark(self, staging: str, word: str) -> None:
        try:
            self._link(staging, word)
        except OSError as error:  # without a marker a crash would only be reported too gloomily
            log.warning("the staged file %s cannot be marked as%s: %s", staging, word.replace(".", " "), error)

    def _link(self, staging: str, word: str) -> None:
        """OSError where the disk refuses; where there are no links there are no markers."""
        try:
            os.link(self._blobs.staging_path(staging), self._blobs.staging_path(staging + word))
        except FileExistsError:
            return
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise

    # -- sealing -----------------------------------------------------------------------------------------------

    async def seal(
        self,
        staging: str,
        mtime_ns: Callable[[], int],
        *,
        item: Callable[[], ItemId],
        keep_old: Callable[[], bool],
        is_superseded: Callable[[], bool] = lambda: False,
        cut_short: bool = False,
    ) -> Item | None:
        """The staged bytes become the content of the item that they belong to; the item as it is then. None where it
        is gone, or where what goes wrong was written into its row, and the bytes stay. Raises CatalogueFailed and
        Superseded alone. Cancelled, it leaves everything to the next start.

        The functions are asked late, since somebody may write to a later draft, set a date or move the item while this
        hashes."""
        try:
            blob = await self._ingest(item, staging, is_superseded)
            sealed = await self._catalogue.seal(
                _stem(staging),
                blob.sha256,
                blob.size,
                digests=blob.digests,
                mtime_ns=mtime_ns(),
                keep_old=keep_old(),
                mime=blob.mime,
            )
            if cut_short:
                sealed = await self._catalogue.edit(sealed.id, Edit(state=State.COMPLETE, error=CUT_SHORT))
        except (CatalogueFailed, Superseded):
            raise
        except NoSuchItem:  # ended for good meanwhile
            self.drop(staging)
        except (EngineError, OSError) as error:
            if is_superseded():  # and what was staged may be gone with that
                raise Superseded from error
            why = error.strerror if isinstance(error, OSError) else None
            if isinstance(error, OSError) and error.errno == errno.EIO:
                await self.renew(staging)
            if isinstance(error, StoreFull):
                self.starved.add(item())
            await self.fail(item(), staging, why or str(error))
        else:
            kill_point("draft.sealed")
            self.drop(staging)
            return sealed
        return None

    async def _ingest(self, item: Callable[[], ItemId], staging: str, is_superseded: Callable[[], bool]) -> Ingested:
        """With patience where files that others have open are all that is in the way."""
        found = self._path(staging)  # a marker, where it was renamed into the store already, but no row names it
        staging = staging if found is None else os.path.basename(found)
        for pause in (*PAUSES, None):
            try:
                size = os.stat(self._blobs.staging_path(staging)).st_size
                for upto in range(_HASH_STEP, size, _HASH_STEP):
                    await self._blobs.hash_ahead(staging, upto, ())
                    if is_superseded():
                        raise Superseded
                row = self._catalogue.item(item()) or self._moved_to(staging)
                if row is None:
                    raise NoSuchItem(f"item {item()} is gone")
                return await self._blobs.ingest(staging, {}, name=row.name)
            except OSError as error:
                if error.errno not in _TOO_MANY or pause is None:
                    raise
                await trio.sleep(pause)
        raise AssertionError

    def _moved_to(self, staging: str) -> Item | None:
        """The item that has it by the rows, which know of a `mv` over a file before those are told who asked for it."""
        holder = self._catalogue.holder(_stem(staging))
        return None if holder is None else self._catalogue.item(holder)

    async def renew(self, staging: str) -> None:
        """The disk has failed to write it: from now on it is another file, which was never synced (R9)."""
        path = self._path(staging)
        if path is None:
            return
        stem = _stem(staging)
        others = [found for name in self._markers(stem) if (found := self._blobs.staging_path(name)) != path]
        try:
            await trio.to_thread.run_sync(renew, path, self._blobs.staging_path(f"{stem}.again"), others)
        except OSError as error:
            log.error("the staged file %s cannot be written anew: %s", staging, error)

    async def fail(self, item: ItemId, staging: str, why: str) -> None:
        """The bytes stay in staging, to be read there (`kept`) and tried again. An item that has content keeps it, and
        says what is wrong."""
        item = self._catalogue.holder(_stem(staging)) or item
        log.error("item %d: what was written cannot be stored: %s", item, why)
        path = self._path(staging)
        size = None if path is None else os.stat(path).st_size
        sentence = f"what was written cannot be stored: {why}"
        row = self._catalogue.item(item)
        edit = Edit(state=State.FAILED, error=sentence, size=size)
        if row is not None and row.state.whole:
            edit = Edit(state=row.state, error=sentence)
        try:
            await self._catalogue.edit(item, edit)
        except NoSuchItem:
            self.drop(staging)
        except StoreFull as error:  # the bytes are staged: they are stored when there is space, or at the next start
            self.starved.add(item)
            log.error("item %d: nor can that be noted, it is tried again when there is space: %s", item, error)

    # -- the next start ----------------------------------------------------------------------------------------

    async def recover(self, item: Item, staging: str) -> None:
        """For an item that was being written for the first time, or whose content was sealed, or could not be."""
        path = self._path(staging)
        if path is None:
            log.warning("item %d: the staged content of %r is gone", item.id, item.name)
            await self._catalogue.edit(item.id, Edit(state=State.MISSING, error=GONE))
            return
        whole = self._is_finished(staging) or item.state is State.FAILED
        await self._seal_found(item, path, cut_short=not whole)

    async def recover_draft(self, item: Item, staging: str) -> None:
        """For new content of an item that has some."""
        path = self._path(staging)
        if path is None:
            log.warning("item %d: the new content of %r that was being written is gone", item.id, item.name)
            await self._catalogue.drop_draft(staging)
        elif self._is_finished(staging):
            await self._seal_found(item, path, cut_short=False)
        elif {staging + _SYNCED, staging + self._flushed_now}.intersection(self._markers(staging)):
            await self._seal_found(item, path, cut_short=True)
        else:
            await self.strand(item, staging, STRANDED)

    async def _seal_found(self, item: Item, path: str, *, cut_short: bool) -> None:
        name = os.path.basename(path)
        if "." not in name and not self._markers(name):
            self._mark(name, _RECOVERED)
        mtime_ns = min(os.stat(path).st_mtime_ns, time.time_ns())
        await self.seal(name, lambda: mtime_ns, item=lambda: item.id, keep_old=lambda: True, cut_short=cut_short)

    async def strand(self, item: Item, staging: str, why: str) -> None:
        """What nobody has finished becomes an item in the trash."""
        path = self._path(staging)
        if path is None:
            return
        self._mark(staging, _RECOVERED)
        name = os.path.basename(path)
        try:
            blob = await self._blobs.ingest(name, {})
            kept = await self._catalogue.strand(
                staging, blob.sha256, blob.size, digests=blob.digests, why=why, mime=blob.mime
            )
        except CatalogueFailed:
            raise
        except NoSuchItem:
            self.drop(name)
        except (EngineError, OSError) as error:
            await self.fail(item.id, staging, (error.strerror if isinstance(error, OSError) else None) or str(error))
        else:
            if kept is not None:
                log.info("item %d: what was written over %r is in the trash, as item %d", item.id, item.name, kept)
            self.drop(name)

    def kept(self, staging: str) -> str | None:
        """The path of bytes that could not be stored, None when they are gone."""
        return self._path(staging)

    def open(self, staging: str) -> int:
        """A descriptor to read what is being sealed, wherever it is by now. The caller closes it."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        with suppress(FileNotFoundError):  # a thread may be renaming it into the store
            return os.open(self._blobs.staging_path(staging), flags)
        for marker in self._markers(staging):
            return os.open(self._blobs.staging_path(marker), flags)
        raise OSError(errno.EIO, "the staged content is gone")

    # -- files in staging --------------------------------------------------------------------------------------

    def _path(self, staging: str) -> str | None:
        """The staged file, or a marker where it was renamed into the store already."""
        folder = os.path.dirname(self._blobs.staging_path(staging))
        found = self._blobs.staging_path(staging)
        if os.path.exists(found):
            return found
        markers = self._markers(staging)
        return os.path.join(folder, markers[0]) if markers else None

    def _is_finished(self, staging: str) -> bool:
        """Its writers had closed it, and its bytes are known to be there: the machine has not gone down since, or all
        of it was on the disk already when it was renamed."""
        if os.path.exists(self._blobs.staging_path(staging + self._closed_now)):
            return True
        is_closed = any(name.partition(".")[2].startswith("closed") for name in self._markers(staging))
        return is_closed and not os.path.exists(self._blobs.staging_path(staging))

    def _markers(self, staging: str) -> list[str]:
        stem = _stem(staging)
        folder = os.path.dirname(self._blobs.staging_path(stem))
        return sorted(name for name in os.listdir(folder) if name.startswith(f"{stem}."))

    def drop(self, staging: str) -> None:
        """Nothing in staging belongs to this item any more."""
        stem = _stem(staging)
        markers = (self._closed_now, self._flushed_now, _SYNCED, _RECOVERED)
        for name in {stem, staging, *(stem + marker for marker in markers)}:
            self._blobs.discard_staging(name)


def _stem(staging: str) -> str:
    """The name that rows have, of a staged file or one of its markers."""
    return staging.partition(".")[0]


def _boot() -> str:
    """Of this boot of the machine, as 8 letters (names in staging end in letters)."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return "".join(chr(ord("a") + int(digit, 16)) for digit in file.read(8))
    except OSError:
        return "unknown"
