"""One arriving file on disk: a sparse staging file, the map of what is in it, and the version that it belongs to.

On the trio thread: writes go to the page cache inline (a thread hop for each piece costs more than the copy), reads
come from there, and only what is cold is read in a thread. Imports disk, blobs by its port.

State: `ranges` says what may be served; the file has holes that read as zeros, so never ask the file. A StagedFile
holds one version for ever. When the remote file changes, it is marked `replaced` and a new one is made under a new
name; readers of the old one learn of it there. The descriptor closes when nobody refers to the object any more.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.disk import Disk, digest_at, read_at, read_cached, write_at
from engine.errors import StoreFull
from engine.ports import Blobs
from engine.transfer.live import SUFFIX, Live, LiveFile, place_of, read_live
from engine.transfer.ranges import RangeMap
from engine.transfer.version import Version

SPACE_STEP = 16 << 20  # bytes written between two looks at the free space


class Differs(Exception):
    """Bytes arrived that are not those which are here already. `str()` is a sentence."""


class StagingLost(Exception):
    """The disk refused: what is in the staging file cannot be trusted any more (R9). `str()` is a sentence."""


@contextmanager
def disk_failures() -> Iterator[None]:
    """The seam where errors of the disk become StagingLost."""
    try:
        yield
    except OSError as error:
        raise StagingLost(f"The disk failed: {error.strerror or error}.") from error


class StagedFile:
    """`version` is None until a server has answered. `open_live` opens the live file, which is not made before
    something is here that is not all: small files come and go without one."""

    def __init__(self, name: str, fd: int, open_live: Callable[[], int], *, disk: Disk, reserve: int) -> None:
        self.name = name
        self.fd = fd
        self.ranges = RangeMap()
        self.checked: RangeMap | None = None  # where piece hashes tell: what of it was found right by them
        self.version: Version | None = None
        self.replaced: str | None = None  # why this version is no longer the one
        self.dirty = 0  # bytes written since the last fdatasync began
        self.is_length_verified = True
        self._disk = disk
        self._reserve = reserve
        self._space_left = 0  # bytes that may be written before looking again
        self._open_live = open_live
        self._live_fd: int | None = None
        self._live: LiveFile | None = None
        weakref.finalize(self, os.close, fd)

    @classmethod
    def of_blob(cls, blobs: Blobs, sha256: str, size: int, *, disk: Disk) -> StagedFile:
        """A blob as if it had just been fetched, to be read. SourceFailed when it is gone."""
        fd = blobs.open(sha256)
        staged = cls(sha256, fd, lambda: blobs.open(sha256), disk=disk, reserve=0)
        staged.ranges.add(0, size)
        staged.version = Version(size)
        return staged

    @property
    def size(self) -> int | None:
        return self.version.size if self.version is not None else None

    @property
    def served(self) -> RangeMap:
        """What will not change any more: all that is here, or what of it was found right."""
        return self.ranges if self.checked is None else self.checked

    @property
    def is_here(self) -> bool:
        """Whether all of it has arrived."""
        return self.size is not None and self.ranges.covers(0, self.size)

    @property
    def is_complete(self) -> bool:
        """Whether all of it is here, and right as far as anybody can tell."""
        return self.size is not None and self.served.covers(0, self.size)

    def set_version(self, version: Version) -> None:
        """What the bytes from now on belong to; those that are here must be of the same one. StoreFull, StagingLost."""
        if version != self.version:
            self.version = version
            self._live = None
            with disk_failures():
                self._write_live()

    def write(self, offset: int, data: bytes | memoryview) -> int:
        """Put `data` where it is missing; what is here already must be equal (Differs). Returns how much was new.
        StoreFull, StagingLost."""
        with disk_failures():
            return self._write(offset, memoryview(data))

    def _write(self, offset: int, view: memoryview) -> int:
        end = offset + len(view)
        holes = list(self.ranges.missing(offset, end))
        if holes != [(offset, end)]:
            self._compare(offset, view, holes)
        new = sum(stop - start for start, stop in holes)
        self._require_space(new)
        for start, stop in holes:
            write_at(self.fd, view[start - offset : stop - offset], start)
            self.ranges.add(start, stop)
        self.dirty += new
        if new:
            self._write_live()
        return new

    def drop(self, start: int, end: int) -> None:
        """The bytes of `[start, end)` are wrong, and nobody was given any of them. StagingLost."""
        self.ranges.remove(start, end)
        with disk_failures():
            self._write_live()

    def trust(self, ranges: RangeMap, version: Version) -> None:
        """What an earlier process left is here."""
        self.ranges = ranges
        self.set_version(version)

    def trust_nothing(self) -> None:
        """Nothing is here. A live file that says otherwise is wiped before it can be believed."""
        if self._live_fd is not None:
            os.ftruncate(self._live_fd, 0)

    def read_live(self) -> Live | None:
        """What an earlier process left, if it can be believed."""
        return read_live(self._live_descriptor(), place_of(self.fd))

    async def read(self, offset: int, length: int) -> bytes:
        """Bytes that are here, all of them. ValueError for others."""
        if not self.served.covers(offset, offset + length):
            raise ValueError(f"bytes {offset} to {offset + length} are not here")
        data = read_cached(self.fd, offset, length)
        return data if data is not None else await self._disk.run(read_at, self.fd, offset, length)

    async def digest(self, start: int, end: int, algorithm: str) -> str:
        """Hex digest of bytes that are here. StagingLost."""
        with disk_failures():
            return await self._disk.run(digest_at, self.fd, start, end, algorithm)

    async def sync(self) -> RangeMap:
        """Make durable what is here now, and return its map. StagingLost: the kernel may have dropped the bytes that
        it could not write, and will not tell twice. When cancelled, the disk goes on."""
        ranges, dirty = self.ranges.copy(), self.dirty
        with disk_failures():
            await self._disk.run_apart(self._fdatasync)  # which refers to us, and so keeps the descriptor open
        self.dirty -= dirty
        return ranges

    def _write_live(self) -> None:
        if self.version is None or not self.ranges or (self._live is None and self.is_here):
            return
        if self._live is None:
            self._live = LiveFile(self._live_descriptor(), place_of(self.fd), self.version)
        self._live.write(self.ranges)

    def _live_descriptor(self) -> int:
        if self._live_fd is None:
            self._live_fd = self._open_live()
            weakref.finalize(self, os.close, self._live_fd)
        return self._live_fd

    def _fdatasync(self) -> None:
        os.fdatasync(self.fd)

    def _compare(self, offset: int, view: memoryview, holes: list[tuple[int, int]]) -> None:
        """What lies between the holes is here already."""
        position = offset
        for start, stop in [*holes, (offset + len(view), 0)]:
            if (
                position < start
                and read_at(self.fd, position, start - position) != view[position - offset : start - offset]
            ):
                raise Differs("The file on the server changed: its bytes are not those that came before.")
            position = stop

    def _require_space(self, size: int) -> None:
        if size > self._space_left:
            status = os.fstatvfs(self.fd)
            free = status.f_bavail * status.f_frsize - self._reserve
            if free < size:
                raise StoreFull("There is no space left where the store lives.")
            self._space_left = min(free, SPACE_STEP)
        self._space_left -= size


def open_staged(
    blobs: Blobs, name: str, ranges: str, version: Version | None, *, disk: Disk, reserve: int
) -> StagedFile:
    """The staging file of that name, made where missing, with what of it can be trusted.

    `ranges` and `version` are the durable map of the catalogue's row. The live file says more if it can be believed.
    Bytes without a version that could be recognised again are worth nothing: then the map stays empty. Quick.
    """
    _, fd = blobs.create_staging(name)
    staged = StagedFile(name, fd, lambda: blobs.create_staging(name + SUFFIX)[1], disk=disk, reserve=reserve)
    length = os.fstat(fd).st_size
    live = staged.read_live() if length else None
    for found, known in ((live.ranges, live.version) if live else (None, None), (_parse(ranges), version)):
        if found and known is not None and known.validator is not None and _fits(found, known, length):
            staged.trust(found, known)
            break
    else:
        staged.trust_nothing()
        if version is not None and version.validator is not None:
            staged.version = version  # what the first bytes will have to be of
    os.ftruncate(fd, staged.ranges.end)  # what lies behind was never vouched for, and the file may end up shorter
    return staged


def _fits(ranges: RangeMap, version: Version, length: int) -> bool:
    """A file shorter than its map, or longer than its version, is not the file that was described."""
    return ranges.end <= length and (version.size is None or length <= version.size)


def _parse(text: str) -> RangeMap | None:
    try:
        return RangeMap.parse(text)
    except ValueError:
        return None  # a row that somebody edited: begin again
