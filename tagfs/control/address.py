"""Reaching a unix socket whose path may be too long for `sun_path`, and checking who is at the other end. Any thread.

`sun_path` holds 107 bytes and a NUL (unix(7)). Linux follows `/proc/self/fd/N/NAME`, so that a folder opened by us
makes any path short; this holds for bind and for connect.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

SUN_PATH = 107


class Connected(Protocol):
    """A socket of the standard library or of trio."""

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes: ...


@contextmanager
def short(path: str) -> Iterator[bytes]:
    """A spelling of `path` that fits `sun_path`, valid inside the block. OSError when its folder cannot be opened."""
    encoded = os.fsencode(path)
    if len(encoded) <= SUN_PATH:
        yield encoded
        return
    folder, name = os.path.split(encoded)
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield b"/proc/self/fd/%d/%s" % (descriptor, name)
    finally:
        os.close(descriptor)


def peer(connection: Connected) -> tuple[int, int]:
    """(pid, uid) of the process at the other end, from the kernel (SO_PEERCRED): it cannot be forged."""
    size = struct.calcsize("3i")
    pid, uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return pid, uid


def trusted(uid: int) -> bool:
    """Whether the other end may be talked to: the same user, or root, who can do anything to us anyway."""
    return uid in (os.geteuid(), 0)
