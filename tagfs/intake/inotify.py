"""inotify(7) for one folder: which names in it were written and closed, or moved there. Trio thread.

The kernel tells when a writer is done, which no comparison of sizes and dates can; where it tells nothing (network file
systems), whoever uses this looks for themselves now and then.
"""

from __future__ import annotations

import ctypes
import os
import struct
from types import TracebackType
from typing import Final, Self

import trio

IN_CLOSE_WRITE: Final = 0x8
IN_MOVED_TO: Final = 0x80
IN_DELETE_SELF: Final = 0x400
IN_MOVE_SELF: Final = 0x800
IN_UNMOUNT: Final = 0x2000
IN_Q_OVERFLOW: Final = 0x4000
IN_IGNORED: Final = 0x8000
IN_ONLYDIR: Final = 0x1000000

_WATCHED: Final = IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
_LEFT: Final = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED
_HEAD: Final = struct.Struct("iIII")  # watch, mask, cookie, length of the name
_libc = ctypes.CDLL(None, use_errno=True)


class Inotify:
    """OSError when `folder` is none or cannot be watched."""

    def __init__(self, folder: str) -> None:
        self._fd = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), folder)
        try:
            _checked(_libc.inotify_add_watch(self._fd, os.fsencode(folder), _WATCHED), folder)
        except OSError:
            os.close(self._fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    async def names(self) -> list[str] | None:
        """Waits for names. None: too much happened to tell, look at all. FileNotFoundError once the folder is gone."""
        while True:
            await trio.lowlevel.wait_readable(self._fd)
            try:
                events = list(_events(os.read(self._fd, 1 << 16)))
            except BlockingIOError:
                continue
            if any(mask & _LEFT for mask, _ in events):
                raise FileNotFoundError("the folder is gone, or is somewhere else")
            if any(mask & IN_Q_OVERFLOW for mask, _ in events):
                return None
            return list(dict.fromkeys(name for _, name in events if name))


def _events(data: bytes) -> list[tuple[int, str]]:
    found = []
    at = 0
    while at < len(data):
        _, mask, _, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        found.append((mask, os.fsdecode(data[at : at + length].rstrip(b"\0"))))
        at += length
    return found


def _checked(result: int, folder: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), folder)
    return result
