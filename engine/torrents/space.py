"""How much torrents may still write to the store's file system. Trio thread, all instant; imports nothing of ours.

libtorrent writes by itself, so what it wrote is counted as its pieces come, over all torrents together.
"""

from __future__ import annotations

import os
from typing import Final

STEP: Final = 8 << 20  # bytes that come before the file system is asked again


class Space:
    """`folder` is on the file system of which `reserve` bytes stay free."""

    def __init__(self, folder: str, reserve: int) -> None:
        self._folder = folder
        self._reserve = reserve
        self._unasked = 0  # bytes that may come before it is asked again

    def free(self) -> int:
        """Without the reserve; negative where that is used."""
        status = os.statvfs(self._folder)
        return status.f_bavail * status.f_frsize - self._reserve

    def took(self, count: int) -> bool:
        """`count` bytes were written. Whether more may be."""
        self._unasked -= count
        if self._unasked <= 0:
            self._unasked = min(self.free(), STEP)
        return self._unasked > 0
