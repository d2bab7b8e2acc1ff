"""What every part that touches files shares: the pool of disk threads, durable writes, copies, kill points.

Imports `engine.errors` alone. Functions here block and are meant for a disk thread, unless their docstring says that
they are quick enough for the trio thread.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar, TypeVarTuple

import trio

from engine.errors import StoreFull

T = TypeVar("T")
Args = TypeVarTuple("Args")

MIB: Final = 1 << 20
COPY_STEP: Final = 16 * MIB  # between two calls of a progress callback
FICLONE: Final = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_CLONE = frozenset(
    {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.EBADF, errno.EPERM, errno.ENOSYS}
)
_KILL_AT = os.environ.get("TAGFS_KILL_AT")


class Disk:
    """The threads that may wait for the disk. One for each device; its size is the number of calls under way."""

    def __init__(self, threads: int = 16) -> None:
        self._limiter = trio.CapacityLimiter(threads)

    async def run(self, function: Callable[[*Args], T], *args: *Args) -> T:
        """`function(*args)` in a disk thread. A cancelled caller still waits for its end: nothing works on behind its
        back. ENOSPC and EDQUOT become StoreFull, other OSErrors pass."""
        with full_is_store_full():
            return await trio.to_thread.run_sync(function, *args, limiter=self._limiter)

    async def run_apart(self, function: Callable[[*Args], T], *args: *Args) -> T:
        """Like `run`, but a cancelled caller leaves, and `function` goes on behind its back: it must own what it
        uses."""
        with full_is_store_full():
            return await trio.to_thread.run_sync(function, *args, limiter=self._limiter, abandon_on_cancel=True)


@contextmanager
def full_is_store_full() -> Iterator[None]:
    """The seam where "no space left on device" becomes a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StoreFull("There is no space left where the store lives.") from error
        raise


def kill_point(name: str) -> None:
    """Where tests end the process as `kill -9` would: `TAGFS_KILL_AT=<name>`. Costs one comparison. Instant."""
    if name == _KILL_AT:
        os.kill(os.getpid(), signal.SIGKILL)


def fsync_dir(path: str) -> None:
    """Make the names in a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_at(fd: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """All of `data` at `offset`. Into the page cache, hence quick enough for the trio thread in pieces of 1 MiB."""
    view = memoryview(data)
    with full_is_store_full():
        while view:
            written = os.pwrite(fd, view, offset)
            view = view[written:]
            offset += written


def read_at(fd: int, offset: int, length: int) -> bytes:
    """`length` bytes at `offset`, fewer only where the file ends."""
    parts = []
    while length > 0:
        part = os.pread(fd, length, offset)
        if not part:
            break
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def digest_at(fd: int, start: int, end: int, algorithm: str) -> str:
    """Hex digest of bytes `[start, end)`, or of fewer where the file ends."""
    hasher = hashlib.new(algorithm, usedforsecurity=False)
    for offset in range(start, end, MIB):
        hasher.update(read_at(fd, offset, min(MIB, end - offset)))
    return hasher.hexdigest()


def read_cached(fd: int, offset: int, length: int) -> bytes | None:
    """Like `read_at`, but None where the disk would have to be asked. Instant (31 µs for 128 KiB)."""
    try:
        return read_nowait(fd, offset, length)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return None
        raise


def read_nowait(fd: int, offset: int, length: int) -> bytes | None:
    """Like `read_cached`, but OSError with EOPNOTSUPP on a file system that cannot tell. After None, the kernel is
    reading what was asked for (older ones are not), so it may be there a moment later."""
    buffer = bytearray(length)
    try:
        count = os.preadv(fd, [buffer], offset, os.RWF_NOWAIT)
    except BlockingIOError:
        return None
    if count == length:
        return bytes(buffer)
    # The last pages of a file are asked for whole, so this is the common case for small files.
    return bytes(buffer[:count]) if offset + count >= os.fstat(fd).st_size else None


def own_file(path: str, flags: int) -> int:
    """An opener (see `open`) for notes in folders of ours: private, and no symlink is followed."""
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def open_regular(path: str) -> int:
    """A descriptor to read `path` from, which must be a regular file itself: no symlink, fifo or device.

    OSError with ELOOP for a symlink, EINVAL for what is no file. O_NONBLOCK: a fifo must not hang the opener.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return fd


def clone_or_copy(
    source: int, target: int, progress: Callable[[int], None] | None = None, *, limit: int | None = None
) -> int:
    """Fill the empty file `target` with all of `source`, or its first `limit` bytes: shared extents where the file
    system can, else a copy.

    `progress` hears the bytes done so far, and may raise to give up. Returns the size.
    """
    size = os.fstat(source).st_size
    if limit is not None:
        size = min(size, limit)
    try:
        fcntl.ioctl(target, FICLONE, source)
    except OSError as error:
        if error.errno not in _NO_CLONE:
            raise
        done = _copy(source, target, progress, limit)
    else:
        os.ftruncate(target, size)
        done = size
        if progress is not None:
            progress(done)
    return done


def _copy(source: int, target: int, progress: Callable[[int], None] | None, limit: int | None) -> int:
    done = 0
    in_kernel = True
    while True:
        left = COPY_STEP if limit is None else min(COPY_STEP, limit - done)
        if not left:
            return done
        if in_kernel:
            try:
                count = os.copy_file_range(source, target, left, done, done)
            except OSError as error:
                if error.errno not in _NO_CLONE:
                    raise
                in_kernel = False
                continue
        else:
            data = os.pread(source, min(MIB, left), done)
            count = len(data)
            write_at(target, data, done)
        if not count:
            return done
        done += count
        if progress is not None:
            progress(done)
