"""One sync of a whole file system in place of one for each of many files or folders. For disk threads. Imports disk.

A sync of one file makes the file system write its log, and the disk its cache: 0.4 ms where nothing else is to do, be
the file ever so small. `syncfs` does that once for all, and then waits for whatever else is to be written there. So it
is asked where many are to be synced and little is to be written on this machine.

It is trusted where it is known to do for all what fsync does for one: on ext4 and XFS it writes contents and the log,
and empties the disk's cache; since Linux 5.8 it reports what failed to be written. Should it fail, each file is synced
by itself, which fails for those whose bytes are lost (R9: that is the first fsync of each). And it is not asked again:
a failure is told once, and it may have been of a file that comes with a later group.
"""

from __future__ import annotations

import ctypes
import logging
import os
import re
from threading import Lock
from typing import Final

from engine.disk import MIB

log = logging.getLogger(__name__)

FEW: Final = 8  # files or folders that are rather synced one by one
MUCH: Final = 64 * MIB  # to be written, by anybody, that nobody is to wait for
KINDS: Final = frozenset({"ext4", "xfs"})
SINCE: Final = (5, 8)
_WAITING: Final = re.compile(r"^(?:Dirty|Writeback): +(\d+) kB$", re.MULTILINE)
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Syncing:
    """Of the file system that `folder` is on, as a context.

    State: a descriptor that is older than what is to be synced, for the kernel reports to each what failed since it was
    opened. None where syncs of all are not trusted, or not any more. `_lock`: who came second would not be told."""

    def __init__(self, folder: str) -> None:
        self._lock = Lock()
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        self._fd = os.open(folder, flags) if can_sync_all(folder) else None

    def __enter__(self) -> Syncing:
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def is_worth_it(self, count: int) -> bool:
        """For so many files or folders, and as much as is to be written now."""
        return self._fd is not None and count >= FEW and waiting() <= MUCH

    def contents(self) -> bool:
        """Sync all. Whether the contents and modes of all files are durable."""
        return self._all()

    def names(self) -> bool:
        """Sync all. Whether the names in all folders are durable."""
        return self._all()

    def _all(self) -> bool:
        with self._lock:
            if self._fd is None:
                return False
            try:
                syncfs(self._fd)
            except OSError as error:
                log.error("the disk of the store fails, each file is synced by itself from now on: %s", error)
                self._end()
                return False
            return True


def syncfs(fd: int) -> None:
    if _LIBC.syncfs(fd):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def can_sync_all(folder: str) -> bool:
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return release is not None and tuple(map(int, release.groups())) >= SINCE and kind_of(folder) in KINDS


def kind_of(folder: str) -> str | None:
    """Of the file system, by its device; None for those that hide it, as Btrfs does."""
    device = os.stat(folder).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split(" ") for line in file]
    except OSError:
        return None
    return next((line[line.index("-") + 1] for line in lines if line[2] == wanted), None)


def waiting() -> int:
    """Bytes that are to be written to all disks of this machine. 30 µs."""
    with open("/proc/meminfo", encoding="ascii") as file:
        return sum(int(kilobytes) for kilobytes in _WAITING.findall(file.read())) << 10
