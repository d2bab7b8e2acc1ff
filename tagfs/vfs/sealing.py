"""From staged bytes to content: what follows the last close, and what the next start makes of a crash in between.

    last close ──▶ marker ──▶ hash ──▶ fsync, rename (`ingest`) ──▶ row names the blob ──▶ marker goes
                     │                                      │
           crash: staging and marker               crash: marker alone

The marker is a hard link to the staged file, `<staging>.closed<boot>`. It tells a file that its writers had closed from
one that a crash cut short, and it is a second way to the bytes between the rename and the row. The name of the boot is
in it since a power cut may take what the page cache held: then nobody knows whether the end is there, and we say so.

State: none but the files in staging. Trio thread; hashing and fsync in threads below `Blobs`.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable
from typing import Final

import trio

from engine.errors import CatalogueFailed, EngineError, NoSuchItem
from engine.ports import Blobs, Catalogue, Edit, Ingested
from engine.types import Item, ItemId, State

log = logging.getLogger(__name__)

CUT_SHORT: Final = "tagfs stopped while this file was being written: it ends where the writing had come to"
GONE: Final = "the content was being written when tagfs stopped, and it is gone"
_HASH_STEP: Final = 256 << 20  # bytes between two chances to be cancelled
PAUSES: Final = (0.1, 0.3, 1.0, 3.0, 10.0)  # seconds
_TOO_MANY: Final = frozenset({errno.EMFILE, errno.ENFILE})
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK})


class Sealer:
    def __init__(self, catalogue: Catalogue, blobs: Blobs) -> None:
        self._catalogue = catalogue
        self._blobs = blobs
        self._closed_now = f".closed{_boot()}"

    def mark_closed(self, staging: str) -> None:
        """All writers have closed it. Instant: the name of a file, which nobody waits to see on the disk."""
        try:
            os.link(self._blobs.staging_path(staging), self._blobs.staging_path(staging + self._closed_now))
        except OSError as error:
            if error.errno not in _NO_LINKS:  # without a marker a crash would only be reported too gloomily
                log.warning("the staged file %s cannot be marked as closed: %s", staging, error)

    async def seal(self, item: ItemId, staging: str, mtime_ns: Callable[[], int], *, cut_short: bool) -> None:
        """The staged bytes become the content of `item`. What goes wrong is written into its row, and the bytes stay;
        CatalogueFailed alone is raised. Cancelled, it leaves everything to the next start.

        `mtime_ns` is asked at the end, since somebody may set it while this hashes."""
        try:
            blob = await self._ingest(item, staging)
            await self._catalogue.complete(
                item,
                blob.sha256,
                blob.size,
                digests=blob.digests,
                mtime_ns=mtime_ns(),
                keep_old=False,
                mime=blob.mime,
            )
            if cut_short:
                await self._catalogue.edit(item, Edit(state=State.COMPLETE, error=CUT_SHORT))
        except CatalogueFailed:
            raise
        except NoSuchItem:  # ended for good meanwhile
            self._drop(staging)
        except (EngineError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else None
            await self.fail(item, staging, why or str(error))
        else:
            self._drop(staging)

    async def _ingest(self, item: ItemId, staging: str) -> Ingested:
        """With patience where files that others have open are all that is in the way."""
        for pause in (*PAUSES, None):
            try:
                size = os.stat(self._blobs.staging_path(staging)).st_size
                for upto in range(_HASH_STEP, size, _HASH_STEP):
                    await self._blobs.hash_ahead(staging, upto, ())
                if self._catalogue.item(item) is None:
                    raise NoSuchItem(f"item {item} is gone")
                return await self._blobs.ingest(staging, {})
            except OSError as error:
                if error.errno not in _TOO_MANY or pause is None:
                    raise
                await trio.sleep(pause)
        raise AssertionError

    async def fail(self, item: ItemId, staging: str, why: str) -> None:
        """The bytes stay in staging, to be read there (`kept`) and tried again."""
        log.error("item %d: what was written cannot be stored: %s", item, why)
        path = self._path(staging)
        size = None if path is None else os.stat(path).st_size
        sentence = f"what was written cannot be stored: {why}"
        try:
            await self._catalogue.edit(item, Edit(state=State.FAILED, error=sentence, size=size))
        except NoSuchItem:
            self._drop(staging)

    async def recover(self, item: Item, staging: str) -> None:
        """At the start, for an item that was being written or sealed, or could not be."""
        path = self._path(staging)
        if path is None:
            log.warning("item %d: the staged content of %r is gone", item.id, item.name)
            await self._catalogue.edit(item.id, Edit(state=State.MISSING, error=GONE))
            return
        name = os.path.basename(path)
        placed = name != staging
        whole = placed or item.state is State.FAILED or self._closed_in_this_boot(staging)
        mtime_ns = min(os.stat(path).st_mtime_ns, time.time_ns())
        await self.seal(item.id, name, lambda: mtime_ns, cut_short=not whole)

    def kept(self, staging: str) -> str | None:
        """The path of bytes that could not be stored, None when they are gone."""
        return self._path(staging)

    def open(self, staging: str) -> int:
        """A descriptor to read what is being sealed, wherever it is by now. The caller closes it."""
        path = self._path(staging)
        if path is None:
            raise FileNotFoundError(errno.ENOENT, "the staged content is gone")
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)

    # -- files in staging --------------------------------------------------------------------------------------

    def _path(self, staging: str) -> str | None:
        """The staged file, or its marker where it was renamed into the store already."""
        folder = os.path.dirname(self._blobs.staging_path(staging))
        found = self._blobs.staging_path(staging)
        if os.path.exists(found):
            return found
        markers = self._markers(staging)
        return os.path.join(folder, markers[0]) if markers else None

    def _closed_in_this_boot(self, staging: str) -> bool:
        return os.path.exists(self._blobs.staging_path(staging + self._closed_now))

    def _markers(self, staging: str) -> list[str]:
        stem = staging.partition(".")[0]
        folder = os.path.dirname(self._blobs.staging_path(stem))
        return [name for name in os.listdir(folder) if name.startswith(f"{stem}.closed")]

    def _drop(self, staging: str) -> None:
        """Nothing in staging belongs to this item any more."""
        stem = staging.partition(".")[0]
        self._blobs.discard_staging(stem)
        self._blobs.discard_staging(stem + self._closed_now)
        if staging not in (stem, stem + self._closed_now):
            self._blobs.discard_staging(staging)


def _boot() -> str:
    """Of this boot of the machine, as 8 letters (names in staging end in letters)."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return "".join(chr(ord("a") + int(digit, 16)) for digit in file.read(8))
    except OSError:
        return "unknown"
