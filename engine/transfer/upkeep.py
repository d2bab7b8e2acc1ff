"""What goes on beside the connections of one staged file: it is made durable and hashed while it grows. Trio thread.

Two reasons to sync early and often: the range map in the catalogue may only count what was synced, and a process that
leaves more dirty pages than the disk keeps up with is stopped by the kernel in the middle of its next write, with
everything else that lives on its event loop.
"""

from __future__ import annotations

import logging
from typing import Final

import trio

from engine.disk import kill_point
from engine.errors import StoreFull
from engine.ports import Blobs
from engine.transfer.bell import Bell
from engine.transfer.config import TransferConfig
from engine.transfer.record import Record
from engine.transfer.staged import StagedFile, StagingLost, disk_failures

HASH_STEP: Final = 16 << 20  # bytes at the beginning of the file that make a step of hashing
DIRTY_LIMIT: Final = 4  # checkpoints' worth of bytes that may be dirty before connections wait

_log = logging.getLogger(__name__)


class Upkeep:
    """Of one file, while it is fetched. `run` in a task; StagingLost and StoreFull come out of it."""

    def __init__(self, file: StagedFile, record: Record, blobs: Blobs, config: TransferConfig) -> None:
        self._file = file
        self._record = record
        self._blobs = blobs
        self._config = config
        self._hashed = 0
        self._written = Bell()
        self._synced = Bell()

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._hash_ahead)
            while True:
                await self._until_due()
                await self.checkpoint()

    def wrote(self) -> None:
        """Bytes were written. Instant."""
        if self._file.dirty >= self._config.checkpoint_bytes or self._file.served.prefix - self._hashed >= HASH_STEP:
            self._written.ring()

    async def room(self) -> bool:
        """Wait while too much is dirty; returns whether that was so."""
        waited = False
        while self._file.dirty >= DIRTY_LIMIT * self._config.checkpoint_bytes:
            waited = True
            await self._synced.next.wait()
        return waited

    async def checkpoint(self) -> None:
        """Sync, then write down what is durable now."""
        if self._file.dirty and self._file.version is not None:
            ranges = await self._file.sync()
            kill_point("checkpoint.synced")
            await self._record.checkpoint(ranges, self._file.version)
            kill_point("checkpoint.kept")
            self._synced.ring()

    async def last_checkpoint(self) -> None:
        """Before letting go. Best effort within its deadline: a crash of the machine would cost some bytes more."""
        with trio.move_on_after(self._config.stop_deadline) as scope:
            scope.shield = True
            try:
                await self.checkpoint()
                if self._file.version is not None:
                    await self._record.noted(self._file.version)
            except (StagingLost, StoreFull) as error:
                _log.info("item %d: the last checkpoint failed: %s", self._record.item, error)

    async def _until_due(self) -> None:
        with trio.move_on_after(self._config.checkpoint_seconds):
            while self._file.dirty < self._config.checkpoint_bytes:
                await self._written.next.wait()

    async def _hash_ahead(self) -> None:
        while True:
            upto = self._file.served.prefix
            if upto - self._hashed >= HASH_STEP:
                with disk_failures():
                    await self._blobs.hash_ahead(self._file.name, upto, self._record.row.digests)
                self._hashed = upto
            else:
                await self._written.next.wait()
