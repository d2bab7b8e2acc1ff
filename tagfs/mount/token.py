"""Many entries into the answer to a readdir at once, where pyfuse3 takes one a call. Trio thread.

`pyfuse3.readdir_reply` costs 0.5 µs an entry, half of what a listing that is kept costs in all. The buffer that it
fills is reached through the fields of `ReaddirToken`, a C struct that pyfuse3 does not promise. So nothing is taken on
trust: a token that has not the size of ours, or whose fields are not as they must be after the entries that pyfuse3
itself has put there, is not touched, and the entries go the slow way (docs/decisions/0024).
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final, Self

from tagfs.mount.packed import NUMBER

# More than the kernel asks for: its largest request has 256 pages, or a megabyte.
_MOST: Final = 16 << 20


class _Fields(ctypes.Structure):
    """cdef class ReaddirToken: fuse_req_t req; char *buf_start; char *buf; size_t size."""

    _fields_ = (
        ("head", ctypes.c_ssize_t * 2),  # of any object: references, type
        ("req", ctypes.c_void_p),
        ("start", ctypes.c_void_p),
        ("next", ctypes.c_void_p),
        ("room", ctypes.c_size_t),
    )


class Room:
    """What is left of the buffer of a token. Not to be kept beyond the answer."""

    __slots__ = ("_fields",)

    def __init__(self, fields: _Fields) -> None:
        self._fields = fields

    @classmethod
    def of(cls, token: object, used: int) -> Self | None:
        """`used`: the bytes that pyfuse3 has put there so far, at least one entry. None where the token is not as we
        know it."""
        if sys.implementation.name != "cpython" or type(token).__basicsize__ != ctypes.sizeof(_Fields):
            return None
        fields = _Fields.from_address(id(token))
        if not (fields.start and fields.next) or used <= 0:
            return None
        if fields.next - fields.start != used or fields.room > _MOST:
            return None
        return cls(fields)

    @property
    def left(self) -> int:
        return int(self._fields.room)

    def put(self, entries: bytes | bytearray) -> None:
        """At most as many bytes as are left."""
        size = len(entries)
        assert size <= self._fields.room
        ctypes.memmove(self._fields.next, bytes(entries), size)
        self._fields.next += size
        self._fields.room -= size

    def renumber(self, size: int, node_id: int, number: int) -> None:
        """Let readdir show `number` for the last entry, of `size` bytes, which pyfuse3 shows by its node id."""
        if size <= self._fields.next - self._fields.start:
            shown = ctypes.c_uint64.from_address(self._fields.next - size + NUMBER)
            if shown.value == node_id:
                shown.value = number
