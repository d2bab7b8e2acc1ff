"""The one door out of the blob store. On the trio thread; scans and unlinks go to threads. Imports ports, disk, errors.

A blob goes in two phases, and never while somebody holds it open:

    no row refers to it ─▶ grace ─▶ still none, not held, not touched ─▶ row gone (commit) ─▶ out of the store ─▶ unlink

The row goes first: a crash in between leaves a file without a row, which costs space; the other order would leave a
row without a file, which costs content. Files that no row ever named are left alone for the same reason: after the
catalogue came back from a backup they are the user's newest files.

On a full disk nobody waits an hour for the space of what he has just deleted: PRESSED_GRACE is enough then, since what
a row is about to name was touched, and keeps the whole grace.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Final

import trio

from engine.blobs.store import BlobStore
from engine.disk import kill_point
from engine.errors import CatalogueFailed, EngineError
from engine.ports import Catalogue

GRACE: Final = 3600.0  # seconds; longer than any step between placing a blob and committing its row
PERIOD: Final = 900.0
PRESSED_GRACE: Final = 60.0
PRESSED_PERIOD: Final = 30.0

_log = logging.getLogger(__name__)


class Collector:
    """State: when each blob without references was first seen so; lost with the process, which restarts the grace."""

    def __init__(
        self,
        catalogue: Catalogue,
        store: BlobStore,
        *,
        grace: float = GRACE,
        floor: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """The disk counts as full while fewer than `floor` bytes are free."""
        self._floor = floor
        self._catalogue = catalogue
        self._store = store
        self._grace = grace
        self._clock = clock
        self._since: dict[str, float] = {}

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Collect for ever. What fails is tried again; only a broken catalogue ends it."""
        task_status.started()
        due = self._clock()
        while True:
            try:
                if self._clock() >= due or self._is_pressed():
                    due = self._clock() + PERIOD
                    await self.collect()
            except CatalogueFailed:
                raise
            except (EngineError, OSError) as error:  # a full or failing disk: nothing is lost, only not removed yet
                _log.error("what nothing refers to could not be removed: %s", error)
            await trio.sleep(PRESSED_PERIOD)

    def _is_pressed(self) -> bool:
        return self._floor > 0 and self._store.free() < self._floor

    async def collect(self) -> list[str]:
        """One round; returns the digests of the blobs that went."""
        now = self._clock()
        grace = min(self._grace, PRESSED_GRACE) if self._is_pressed() else self._grace
        self._store.forget_touches(self._grace)
        unreferenced = {blob.sha256 for blob in await self._catalogue.unreferenced_blobs()}
        self._since = {sha256: self._since.get(sha256, now) for sha256 in unreferenced}
        gone = []
        for sha256, since in list(self._since.items()):
            if now - since >= grace and await self._remove(sha256):
                gone.append(sha256)
        return gone

    async def _remove(self, sha256: str) -> bool:
        async with self._store.door_out:
            return not self._store.keeps_all and await self._remove_one(sha256)

    async def _remove_one(self, sha256: str) -> bool:
        if self._store.in_use(sha256, self._grace) or not await self._catalogue.forget_blob(sha256):
            return False
        kill_point("gc.forgotten")
        del self._since[sha256]
        if self._store.in_use(sha256, self._grace):
            return False  # wanted again while its row went: whoever wants it makes the row anew
        name = self._store.condemn(sha256)  # no await since the test: nobody can have asked for it in between
        kill_point("gc.condemned")
        if name is not None:
            await self._store.disk.run(os.unlink, self._store.staging_path(name))
        _log.info("blob %s: removed, nothing referred to it", sha256)
        return True
