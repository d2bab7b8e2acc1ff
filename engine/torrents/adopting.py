"""Files of a torrent that are whole become blobs, one by one, while the rest arrives. Trio thread; hashing in threads.

    all pieces here ─▶ flushed ─▶ hashed, and compared once more ─▶ synced ─▶ a second name in blobs/ ─▶ row

A large file is hashed while it arrives, as far as it is here without a gap, so that little is left for its end.
libtorrent goes on to seed from its own name of the same file, which nobody writes to any more.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field

import trio

from engine.errors import DigestMismatch
from engine.ports import Arrived, Pass, Witness
from engine.sources.torrent.metadata import File
from engine.torrents.job import Files, Job
from engine.torrents.swarm import Swarm
from engine.torrents.witness import MerkleWitness, PieceWitness
from engine.torrents.works import Works

BATCH = 200  # files that become blobs in one transaction
AT_ONCE = 4  # files hashed at once
STEP = 32 << 20  # bytes that make hashing ahead worth a flush
ROOT = "btv2root"  # name of the digest that a version 2 pieces root is kept under

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Begun:
    """A file that is being hashed while it arrives; `checks` as they were counted then. `reading` is held while the
    pass is in a thread."""

    made: Pass
    checks: int
    reading: trio.Lock = field(default_factory=trio.Lock)


class DamagedFile(Exception):
    """A file that was complete does not hold what it should."""


class Adopter:
    """Of one run. `run` in a task; DamagedFile comes out of it, perhaps in a group."""

    def __init__(self, works: Works, job: Job, files: Files, swarm: Swarm) -> None:
        self._works = works
        self._job = job
        self._files = files
        self._swarm = swarm
        self._limit = trio.Semaphore(AT_ONCE)
        self._begun: dict[int, Begun] = {}

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read_ahead)
            await self._adopt_all()

    async def _read_ahead(self) -> None:
        seen = 0
        while True:
            bell = self._swarm.bell.next
            if self._files.present - seen >= STEP:
                seen = self._files.present
                await self._swarm.flush()
                for index, file in enumerate(self._files.meta.files):
                    if file.size > STEP and self._files.is_wanted(index) and index not in self._files.done:
                        await self._read_on(index, file)
            await bell.wait()

    async def _read_on(self, index: int, file: File) -> None:
        upto = self._files.layout.prefix(file, self._swarm.safe)
        begun = self._begun[index] = self._pass(index, file)
        if upto - begun.made.offset >= STEP:
            async with begun.reading:
                try:
                    await self._works.blobs.read_ahead(begun.made, upto)
                except FileNotFoundError as error:
                    raise DamagedFile(f"file {file.position} is gone") from error

    def _pass(self, index: int, file: File) -> Begun:
        """The one that was begun, if what it has read still counts; else a fresh one."""
        begun = self._begun.pop(index, None)
        if begun is not None and begun.checks == self._swarm.checks:
            return begun
        path = os.path.join(self._works.folders.path(self._job.folder), str(file.position))
        return Begun(self._works.blobs.begin_pass(path, witness_of(self._files, file)), self._swarm.checks)

    async def _adopt_all(self) -> None:
        while True:
            bell = self._swarm.bell.next
            if self._files.ready:
                await self._adopt_some()
            else:
                await bell.wait()

    async def _adopt_some(self) -> None:
        """The next ones; none is left half done when this returns."""
        files = self._files
        batch = files.take_ready(BATCH)
        arrived: dict[int, Arrived] = {}
        try:
            await self._swarm.flush()
            async with trio.open_nursery() as nursery:
                for index in batch:
                    await self._limit.acquire()
                    nursery.start_soon(self._adopt, index, arrived)
            with trio.CancelScope(shield=True):
                await self._works.catalogue.complete_many(list(arrived.values()))
                files.became_blobs(arrived)
        finally:
            for index in batch:
                files.offer(index)
        self._job.wake_all()
        self._swarm.bell.ring()

    async def _adopt(self, index: int, arrived: dict[int, Arrived]) -> None:
        file = self._files.file(index)
        try:
            begun = self._pass(index, file)
            if file.size == 0:
                await self._works.disk.run(_touch, begun.made.path)
            async with begun.reading:
                done = await self._works.blobs.adopt(begun.made, heal=index in self._files.damaged)
        except DigestMismatch as error:
            raise DamagedFile(f"file {file.position} is not what the torrent says") from error
        except FileNotFoundError as error:
            raise DamagedFile(f"file {file.position} is gone") from error
        finally:
            self._limit.release()
        if done.size != file.size:
            raise DamagedFile(f"file {file.position} has {done.size} bytes and not {file.size}")
        digests = {} if file.root is None else {ROOT: file.root}
        arrived[index] = Arrived(self._files.items[index], done.sha256, done.size, digests, mime=done.mime)


def witness_of(files: Files, file: File) -> Witness | None:
    if file.root is not None:
        return MerkleWitness(file.root)
    inner = files.layout.inner(file)
    if not inner or not files.meta.hashes:
        return None
    hashes = files.meta.hashes[inner.start * 20 : inner.stop * 20]
    return PieceWitness(inner.start * files.meta.piece_size - file.offset, files.meta.piece_size, hashes)


def _touch(path: str) -> None:
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
