"""Entries of a listing as the kernel takes them, made once and kept: bytes, and where each ends. Pure.

    struct fuse_direntplus (include/uapi/linux/fuse.h), the kernel's ABI: each padded to 8 bytes

    | node id, generation, timeouts | attributes            | number, next, length, type | name ... | padding
      40 bytes                        88                      24

An entry whose node id is 0 is shown, and the kernel links nothing: it keeps what it knows of that name.
"""

from __future__ import annotations

import stat
import struct
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, islice
from typing import Final

from tagfs.vfs.attr import BLOCK, Attr
from tagfs.vfs.lines import Lines

_ENTRY: Final = struct.Struct("=QQQQIIQQQqqqIIIIIIIIIIQQII")
_HEAD: Final = _ENTRY.size
NUMBER: Final = 128  # where the number is that readdir shows
_BLOCK_SIZE: Final = 4096  # st_blksize, as pyfuse3 has it
_SECOND: Final = 10**9
_PADDING: Final = tuple(b"\0" * (-(_HEAD + length) & 7) for length in range(8))  # by the length of the name
_FILE: Final = stat.S_IFREG >> 12


def size_of(name: bytes) -> int:
    """Bytes of an entry."""
    return (_HEAD + len(name) + 7) & ~7


def pack(  # noqa: PLR0917 - 100,000 at a time, and names cost half a microsecond
    name: bytes, attr: Attr, next_id: int, mode: int, owner: tuple[int, int], name_valid: int, attr_valid: int
) -> bytes:
    """Of what has a node id of its own, `attr.ino`. The kernel may keep the name and the attributes for so many
    seconds."""
    ino, _, size, blocks, nlink, mtime_ns, ctime_ns, _ = attr
    mtime, mtime_rest = divmod(mtime_ns, _SECOND)
    ctime, ctime_rest = divmod(ctime_ns, _SECOND)
    length = len(name)
    head = _ENTRY.pack(
        ino, 0, name_valid, attr_valid, 0, 0,
        ino, size, blocks, mtime, mtime, ctime, mtime_rest, mtime_rest, ctime_rest, mode, nlink, *owner, 0,
        _BLOCK_SIZE, 0,
        ino, next_id, length, stat.S_IFMT(mode) >> 12,
    )  # fmt: skip
    return head + name + b"\0" * (-(_HEAD + length) & 7)


def pack_files(  # noqa: PLR0917 - as `pack`
    lines: Lines, numbers: range, mask: int, owner: tuple[int, int], name_valid: Sequence[int], attr_valid: int
) -> list[bytes]:
    """The same of lines that are whole files, in half the time; `mask` is that of their modes."""
    columns = (lines.names, lines.ids, lines.modes, lines.sizes, lines.links, lines.mtimes_ns, lines.ctimes_ns)
    rows = zip(name_valid, *(column[numbers.start : numbers.stop] for column in columns), strict=True)
    head, padding = _ENTRY.pack, _PADDING
    packed: list[bytes] = []
    for next_id, (valid, name, ino, mode, size, links, mtime_ns, ctime_ns) in enumerate(rows, numbers.start + 1):
        mtime, mtime_rest = divmod(mtime_ns, _SECOND)
        ctime, ctime_rest = divmod(ctime_ns, _SECOND)
        length = len(name)
        start = head(
            ino, 0, valid, attr_valid, 0, 0,
            ino, size, -(-size // BLOCK), mtime, mtime, ctime, mtime_rest, mtime_rest, ctime_rest, mode & mask, links,
            *owner, 0, _BLOCK_SIZE, 0,
            ino, next_id, length, _FILE,
        )  # fmt: skip
        packed.append(start + name + padding[length & 7])
    return packed


class Packed:
    """The first entries of a listing. `add` one after the other; those that have no bytes here are left out by `skip`.

    State: all bytes, where those of each entry end, and the numbers of those left out, ascending."""

    __slots__ = ("_bytes", "_ends", "_left_out")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("Q")
        self._left_out: list[int] = []

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, entry: bytes) -> None:
        self._bytes += entry
        self._ends.append(len(self._bytes))

    def extend(self, entries: Sequence[bytes]) -> None:
        start = len(self._bytes)
        self._bytes += b"".join(entries)
        self._ends.extend(islice(accumulate(map(len, entries), initial=start), 1, None))

    def skip(self) -> None:
        self._left_out.append(len(self._ends))
        self._ends.append(len(self._bytes))

    def take(self, start: int, room: int, *, known: bool) -> tuple[bytes | bytearray, int]:
        """The entries from number `start` on as far as they are here and fit into `room` bytes, up to the next one that
        was left out; and the number of the first that is not among them. `known`: with node ids of 0."""
        left_out = bisect_right(self._left_out, start - 1)
        end = self._left_out[left_out] if left_out < len(self._left_out) else len(self._ends)
        first = self._ends[start - 1] if start else 0
        stop = bisect_right(self._ends, first + room, start, end)
        if stop <= start:
            return b"", start
        piece = self._bytes[first : self._ends[stop - 1]]
        if known:
            words = memoryview(piece).cast("Q")
            words[0] = 0
            for at in self._ends[start : stop - 1]:
                words[(at - first) >> 3] = 0
            words.release()
        return piece, stop
