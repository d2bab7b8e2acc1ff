"""A file of a torrent while it arrives. Implements `ports.RangeReader`. On the trio thread.

What a reader waits for gets a deadline, which libtorrent fetches before everything else, from the quickest peers; what
somebody who reads on will want next gets a later one. A seek takes back what it leaves behind, unless somebody else
wants it. Bytes are served from the file, and only those of pieces that are complete and written (I4).
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress

import trio

from engine.disk import Disk, read_at, read_cached
from engine.errors import EngineError, NotReady, SourceFailed
from engine.torrents.folders import Folders
from engine.torrents.job import Files, Job, Waiter
from engine.transfer.reader import WaitingRoom
from engine.types import ItemId

URGENT = 7  # libtorrent's highest priority
STEP_MS = 50  # between the deadlines of pieces that follow each other
REMOVED = "This download was removed."


class TorrentReader:
    """`first` puts the torrent first in the queue, `ahead` are bytes that somebody who reads on is expected to want."""

    def __init__(
        self,
        job: Job,
        item: ItemId,
        position: int | None,
        size: int | None,
        *,
        folders: Folders,
        room: WaitingRoom,
        disk: Disk,
        ahead: int,
        first: Callable[[], None],
    ) -> None:
        self._job = job
        self._item = item
        self._position = position  # None: there is no metadata yet
        self._size = size  # as the catalogue has it, until the torrent is open
        self._folders = folders
        self._room = room
        self._disk = disk
        self._ahead = ahead
        self._first = first
        self._fd: int | None = None
        self._next = -1  # where a reader who reads on goes on
        self._asked: set[int] = set()  # pieces with a deadline for our sake

    # -- what is here ----------------------------------------------------------------------------------------------
    @property
    def size(self) -> int | None:
        found = self._found()
        return self._size if found is None else found[0].file(found[1]).size

    @property
    def present(self) -> int:
        found = self._found()
        return 0 if found is None else found[0].layout.present(found[0].file(found[1]))

    def have(self, offset: int, length: int) -> bool:
        found = self._found()
        if found is None:
            return False
        files, index = found
        file = files.file(index)
        return files.layout.covers(files.layout.span(file, offset, min(offset + length, file.size)))

    def hint(self, offset: int, length: int) -> None:
        if self._job.resting is not None:
            return
        self._first()
        found = self._found()
        if found is not None:
            files, index = found
            file = files.file(index)
            self._ask(files, files.layout.span(file, offset, min(offset + length, file.size)), ())

    async def wait_size(self, deadline: float) -> None:
        with suppress(NotReady, SourceFailed):
            while self._found() is None:
                await self._wait_for_metadata(deadline)

    async def pread(self, offset: int, length: int, deadline: float) -> bytes:
        if offset < 0 or length < 0:
            raise ValueError("a read begins at 0 or later and is not negative")
        while True:
            found = self._found()
            if found is None:
                await self._wait_for_metadata(deadline)
                continue
            files, index = found
            file = files.file(index)
            end = min(offset + length, file.size)
            if end <= offset:
                return b""
            pieces = files.layout.span(file, offset, end)
            swarm = self._job.swarm
            if index in files.done or (swarm is not None and files.layout.covers(pieces, swarm.safe)):
                self._read_on(files, index, offset, end)
                return await self._read(files, index, offset, end - offset)
            if swarm is not None and swarm.is_here and files.layout.covers(pieces):
                await self._flush(deadline)
            elif swarm is None and files.layout.covers(pieces) and self._job.resting is not None:
                return await self._read(files, index, offset, end - offset)  # it left the session in good order
            elif self._job.resting is not None:
                raise NotReady(self._job.resting)
            elif not files.is_wanted(index):
                raise NotReady("This file of its torrent is skipped.")
            else:
                self._first()
                await self._wait(files, index, pieces, deadline)

    # -- in between ------------------------------------------------------------------------------------------------
    def _found(self) -> tuple[Files, int] | None:
        files = self._job.files
        if files is None:
            return None
        if self._position is None:  # a magnet link that somebody opened before it became this
            if not files.meta.is_single:
                raise SourceFailed("This torrent is a folder, open the files in it.")
            self._position = files.meta.files[0].position
        index = files.by_position.get(self._position)
        if index is None:
            raise SourceFailed(REMOVED)
        return files, index

    async def _wait_for_metadata(self, deadline: float) -> None:
        if self._job.resting is not None:
            raise NotReady(self._job.resting)
        self._first()
        await self._until_woken(Waiter(set()), deadline)

    async def _wait(self, files: Files, index: int, pieces: range, deadline: float) -> None:
        missing = {piece for piece in pieces if not files.layout.have[piece]}
        if not missing:  # complete, but the session is on its way out or in
            await self._until_woken(Waiter({-1}), deadline)
            return
        self._ask(files, pieces, self._window(files, index, pieces.stop))
        await self._until_woken(Waiter(missing), deadline)

    async def _until_woken(self, waiter: Waiter, deadline: float) -> None:
        if self._room.free <= 0:
            raise NotReady("Too many reads wait for downloads already.")
        self._room.free -= 1
        self._job.waiters.append(waiter)
        try:
            with trio.fail_at(deadline):
                await waiter.event.wait()
        except trio.TooSlowError as error:
            raise SourceFailed("The bytes did not arrive in time.") from error
        finally:
            self._job.waiters.remove(waiter)
            self._room.free += 1

    async def _flush(self, deadline: float) -> None:
        swarm = self._job.swarm
        assert swarm is not None
        try:
            with trio.fail_at(deadline):
                await swarm.flush()
        except trio.TooSlowError as error:
            raise SourceFailed("The bytes did not arrive in time.") from error
        except EngineError:
            await trio.lowlevel.checkpoint()  # it is leaving the session: the next look says what follows

    async def _read(self, files: Files, index: int, offset: int, length: int) -> bytes:
        fd = self._open(files, index)
        data = read_cached(fd, offset, length)
        return data if data is not None else await self._disk.run(read_at, fd, offset, length)

    def _open(self, files: Files, index: int) -> int:
        """Stays open while this reader is referred to. A file that became a blob, or a copy, is the same bytes."""
        if self._fd is None:
            path = os.path.join(self._folders.path(self._job.folder), str(files.file(index).position))
            try:
                self._fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError as error:
                raise SourceFailed(REMOVED) from error
            weakref.finalize(self, os.close, self._fd)
        return self._fd

    def _read_on(self, files: Files, index: int, offset: int, end: int) -> None:
        """Whoever reads where the last read ended will want more: have it fetched before they wait."""
        reads_on, self._next = offset == self._next, end
        if reads_on and self._job.resting is None:
            last = files.layout.span(files.file(index), offset, end).stop
            self._ask(files, range(0), self._window(files, index, last))

    def _window(self, files: Files, index: int, piece: int) -> range:
        """Pieces behind `piece` that are wanted soon."""
        file = files.file(index)
        last = files.layout.pieces(file).stop
        return range(piece, min(piece + -(-self._ahead // files.meta.piece_size), last))

    def _ask(self, files: Files, now: range, soon: Iterable[int]) -> None:
        """Deadlines for these, and none of ours for others."""
        swarm = self._job.swarm
        if swarm is None or not swarm.is_here:
            return
        wanted = {piece: order for order, piece in enumerate((*now, *soon)) if not files.layout.have[piece]}
        hurried = self._job.hurried
        left = self._asked - wanted.keys()
        for piece in left:
            hurried[piece] -= 1
            if not hurried[piece]:
                del hurried[piece]
        forsaken = [p for p in left if p not in hurried and not files.layout.have[p]]
        swarm.session.no_hurry(swarm.item, forsaken)
        if forsaken and self._job.on_demand:
            swarm.session.want_pieces(swarm.item, dict.fromkeys(forsaken, 0))
        fresh = wanted.keys() - self._asked
        if fresh and self._job.on_demand:
            swarm.session.want_pieces(swarm.item, dict.fromkeys(fresh, URGENT))
            if self._job.resting is None:
                swarm.session.wake(swarm.item)
        for piece in fresh:
            hurried[piece] = hurried.get(piece, 0) + 1
        for piece in sorted(fresh):
            order = 0 if piece in now else wanted[piece] * STEP_MS
            swarm.session.hurry(swarm.item, piece, order)
        self._asked = set(wanted)

    def __del__(self) -> None:
        """Nobody reads any more: what was asked for its sake is as urgent as all the rest."""
        for piece in self._asked:
            hurried = self._job.hurried
            hurried[piece] = hurried.get(piece, 1) - 1
            if hurried[piece] <= 0:
                hurried.pop(piece, None)
                swarm = self._job.swarm
                if swarm is not None and swarm.is_here and swarm.session.has(swarm.item):
                    swarm.session.no_hurry(swarm.item, [piece])
