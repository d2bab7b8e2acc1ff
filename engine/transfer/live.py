"""What a killed process leaves behind: a small file beside the staging file that says which bytes were written.

The range map in the catalogue counts only what was fsynced, so it survives a power cut. When the process alone dies,
the kernel still writes everything that was handed to it, and fetching it again would be waste. So after each piece of
data one small pwrite brings this file up to date. It is believed only while the page cache of then is the page cache
of now: same boot, same mount, same file. Everything else about it may be torn or stale, so it carries its own length
and checksum, and what does not add up counts as not there.

    magic 13 bytes | crc32 of what follows 4 | length of what follows 4 | header as JSON | NUL | start,end,... as uint64

Used on the trio thread: all calls are instant.
"""

from __future__ import annotations

import json
import os
import re
import struct
import zlib
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Final

from engine.disk import write_at
from engine.transfer.ranges import RangeMap
from engine.transfer.version import Version

SUFFIX: Final = ".live"
_MAGIC: Final = b"tagfs live 1\n"
_FRAME: Final = struct.Struct("<II")
_MOUNT: Final = re.compile(rb"mnt_id:\s*(\d+)")
_MAX: Final = 1 << 20  # bytes of a live file that could be one of ours


@dataclass(frozen=True, slots=True)
class Live:
    version: Version
    ranges: RangeMap


@dataclass(frozen=True, slots=True)
class Place:
    """Where page cache and file are the same as before: boot, mount, device and inode."""

    boot: str
    mount: str
    device: int
    inode: int


def place_of(fd: int) -> Place:
    status = os.fstat(fd)
    return Place(_boot_id(), _mount_id(fd), status.st_dev, status.st_ino)


class LiveFile:
    """Writes the state of one version of one staging file. The descriptor stays the caller's."""

    def __init__(self, fd: int, place: Place, version: Version) -> None:
        self._fd = fd
        header = [place.boot, place.mount, place.device, place.inode, version.size, version.etag, version.last_modified]
        self._head = json.dumps(header).encode() + b"\0"
        self._crc = zlib.crc32(self._head)

    def write(self, ranges: RangeMap) -> None:
        flat = list(chain.from_iterable(ranges))
        body = struct.pack(f"<{len(flat)}Q", *flat)
        frame = _FRAME.pack(zlib.crc32(body, self._crc), len(self._head) + len(body))
        write_at(self._fd, b"".join((_MAGIC, frame, self._head, body)), 0)


def read_live(fd: int, place: Place) -> Live | None:
    """The state that `LiveFile` left in `fd`; None when it is not whole, or was written in another place."""
    data = os.pread(fd, _MAX, 0)
    start = len(_MAGIC) + _FRAME.size
    if not data.startswith(_MAGIC) or len(data) < start:
        return None
    crc, length = _FRAME.unpack_from(data, len(_MAGIC))
    payload = data[start : start + length]
    if len(payload) != length or zlib.crc32(payload) != crc:
        return None
    head, _, body = payload.partition(b"\0")
    try:
        boot, mount, device, inode, size, etag, last_modified = json.loads(head)
        numbers = struct.unpack(f"<{len(body) // 8}Q", body)
    except (ValueError, struct.error):
        return None
    if Place(boot, mount, device, inode) != place:
        return None
    return Live(Version(size, etag, last_modified), RangeMap(zip(numbers[::2], numbers[1::2], strict=True)))


@cache
def _boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def _mount_id(fd: int) -> str:
    """Of the file system as it is mounted now: a disk that was pulled out and mounted again lost its page cache."""
    info = os.open(f"/proc/self/fdinfo/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        match = _MOUNT.search(os.read(info, 4096))
    finally:
        os.close(info)
    return match[1].decode() if match else ""
