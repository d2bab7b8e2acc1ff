"""What is known of a torrent's pieces, written down for the next start. Trio thread; syncing in threads.

    flushed ─▶ files synced ─▶ row ─▶ live file emptied

The row counts only what was synced before (R7). What came since is in the live file.
"""

from __future__ import annotations

from contextlib import suppress

import trio

from engine.disk import kill_point
from engine.errors import EngineError
from engine.torrents import folders
from engine.torrents.envelope import Resume, seal
from engine.torrents.job import Files, Job
from engine.torrents.live import LivePieces
from engine.torrents.swarm import Swarm
from engine.torrents.works import Works


class Keeper:
    """Of one run."""

    def __init__(self, works: Works, job: Job, files: Files, swarm: Swarm, live: LivePieces) -> None:
        self._works = works
        self._job = job
        self._files = files
        self._swarm = swarm
        self._live = live
        self._dirty = 0  # bytes that came since the last checkpoint
        self._touched: set[int] = set()  # indexes of the files that they are in
        self._saving = trio.Lock()

    def came(self, piece: int) -> None:
        """Instant."""
        self._live.note(piece)
        self._dirty += self._files.layout.piece_bytes(piece)
        self._touched.update(self._files.layout.files_of(piece))

    def changed(self) -> None:
        """Something else than a piece is to be written down. Instant."""
        self._dirty = max(self._dirty, 1)

    async def run(self) -> None:
        """For ever."""
        config = self._works.config
        while True:
            while not self._dirty:
                await self._swarm.bell.next.wait()
            with trio.move_on_after(config.checkpoint_seconds):
                while self._dirty < config.checkpoint_bytes:
                    await self._swarm.bell.next.wait()
            await self.checkpoint()

    async def checkpoint(self, *, is_last: bool = False) -> None:
        async with self._saving:
            self._dirty, touched = 0, self._touched
            self._touched = set()
            if is_last:
                self._swarm.halt()
                await self._swarm.flush(anyway=True)  # pieces whose hash is under way are complete by then
            await self._swarm.flush()
            have = bytes(self._swarm.safe)
            folder = self._works.folders.path(self._job.folder)
            files = self._files
            positions = [files.file(index).position for index in touched if index not in files.done]
            await self._works.disk.run(folders.sync, folder, positions)
            kill_point("pieces.synced")
            notes = await self._swarm.save()
            if is_last:
                await self._swarm.end()
            begun = [
                file.position
                for index, file in enumerate(files.meta.files)
                if index not in files.done
                and file.size
                and files.layout.missing[index] < len(files.layout.pieces(file))
            ]
            prints = await self._works.disk.run(folders.prints, folder, begun)
            sealed = await self._works.disk.run(seal, Resume(have, notes, prints, is_last))
            await self._works.catalogue.save_resume(self._job.item, sealed)
            kill_point("pieces.kept")
            if not self._dirty:
                self._live.forget()

    async def last_checkpoint(self) -> None:
        """Before letting go, within a deadline: what is not written down is hashed by the next start."""
        with trio.move_on_after(self._works.config.stop_deadline) as scope:
            scope.shield = True
            with suppress(EngineError, OSError):  # the torrent failed, and says so itself
                await self.checkpoint(is_last=True)
