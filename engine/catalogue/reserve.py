"""Space that is kept for the catalogue on its file system, so that on a full one `rm`, tags and the trash still work.

    catalogue.reserve, 16 MiB of real blocks ──the writer finds no space──▶ a step shorter, half of it goes to the log
                     ▲                                                          and the transaction is tried again
                     └────────────── some space is free again ◀─────────────────┘

In steps, since whatever fills the disk takes what is given up at once: it gets half a step at most, and the log has
room for some hundred small transactions. State: the length of the file. Both the writer thread and a disk thread change
it, one at a time. Imports disk alone.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from typing import Final

from engine.disk import MIB, own_file

SIZE: Final = 16 * MIB  # the log is some 4 MiB at most while it can be folded into the database
STEPS: Final = 16
SHARE: Final = 32  # of a small file system no more than this part
SUFFIX: Final = ".reserve"

_log = logging.getLogger(__name__)


class Reserve:
    """Of the database `path`; `size` 0 keeps nothing. `give_up` on the writer thread, `take_back` on a disk thread."""

    def __init__(self, path: str, size: int) -> None:
        self._path = path + SUFFIX
        self._log_path = path + "-wal"
        self._size = size
        self._lock = threading.Lock()

    def give_up(self) -> bool:
        """Make a step of space free for the log of the database. False where nothing is left to give."""
        with self._lock:
            try:
                left = self._length()
                if not left:
                    return False
                step = max(self._full_size() // STEPS, 1)
                fd = own_file(self._path, os.O_WRONLY)
                try:
                    os.ftruncate(fd, max(left - step, 0))
                finally:
                    os.close(fd)
            except OSError as error:
                _log.error("what was kept for the catalogue cannot be given up: %s", error)
                return False
            _extend(self._log_path, step // 2)
        _log.warning("the disk is full: the catalogue goes on with what was kept for it, %d KiB are left", left // 1024)
        return True

    def take_back(self) -> None:
        """Grow to the full size where twice as much is free."""
        with self._lock:
            try:
                full, left = self._full_size(), self._length()
                if left < full and self._free() >= 2 * full:
                    self._grow(left, full)
            except OSError as error:  # there is time: it is tried again
                _log.info("no space can be kept for the catalogue: %s", error)

    def _grow(self, left: int, full: int) -> None:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, full)
        except OSError:
            os.ftruncate(fd, left)
            raise
        finally:
            os.close(fd)

    def _free(self) -> int:
        status = os.statvfs(os.path.dirname(self._path))
        return status.f_bavail * status.f_frsize

    def _length(self) -> int:
        try:
            return os.lstat(self._path).st_size if self._size else 0
        except FileNotFoundError:
            return 0

    def _full_size(self) -> int:
        status = os.statvfs(os.path.dirname(self._path))
        return min(self._size, status.f_blocks * status.f_frsize // SHARE)


def _extend(path: str, count: int) -> None:
    """Give the log so many bytes more, if nobody was quicker. SQLite stops reading at what is no frame, and takes no
    locks on this file, which closing a descriptor would drop."""
    with suppress(OSError):
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.posix_fallocate(fd, os.fstat(fd).st_size, count)
        finally:
            os.close(fd)
