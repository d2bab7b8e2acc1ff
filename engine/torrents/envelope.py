"""What the catalogue keeps of a torrent's pieces for the next start, with a length and a checksum of its own (R11):
libtorrent takes one in three damaged notes for good. Pure.

    magic 16 bytes | crc32 of what follows 4 | header length 4 | header as JSON | one bit a piece | libtorrent's notes

The bits count only what was synced before this was written: perhaps too few, never too many (R7).
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_MAGIC: Final = b"tagfs torrent 1\n"
_NUMBER: Final = struct.Struct("<I")

Print = tuple[int, int, int]  # of a file: inode, size, mtime in nanoseconds


@dataclass(frozen=True, slots=True)
class Resume:
    """`have` is one byte a piece. `prints` are of the files that were not whole, by position; `is_clean`: nothing was
    written since they were taken."""

    have: bytes
    notes: bytes | None = None
    prints: Mapping[int, Print] = field(default_factory=dict)
    is_clean: bool = False


def seal(resume: Resume) -> bytes:
    header = {
        "pieces": len(resume.have),
        "prints": [[position, *found] for position, found in resume.prints.items()],
        "clean": resume.is_clean,
        "notes": resume.notes is not None,
    }
    head = json.dumps(header, separators=(",", ":")).encode()
    body = _NUMBER.pack(len(head)) + head + _bits(resume.have) + (resume.notes or b"")
    return _MAGIC + _NUMBER.pack(zlib.crc32(body)) + body


def unseal(data: bytes, pieces: int) -> Resume | None:
    """None for what is damaged, or is of another torrent."""
    start = len(_MAGIC) + _NUMBER.size
    if not data.startswith(_MAGIC) or len(data) < start + _NUMBER.size:
        return None
    if zlib.crc32(data[start:]) != _NUMBER.unpack_from(data, len(_MAGIC))[0]:
        return None
    length = _NUMBER.unpack_from(data, start)[0]
    body = data[start + _NUMBER.size :]
    header = json.loads(body[:length])
    if header["pieces"] != pieces:
        return None
    middle = length + (pieces + 7) // 8
    return Resume(
        have=_bytes(body[length:middle], pieces),
        notes=body[middle:] if header["notes"] else None,
        prints={position: (inode, size, mtime) for position, inode, size, mtime in header["prints"]},
        is_clean=header["clean"],
    )


def _bits(have: bytes) -> bytes:
    """Eight pieces a byte, the first in the highest bit."""
    if not have:
        return b""
    number = int(have.translate(_DIGITS).decode("ascii"), 2) << (-len(have) % 8)
    return number.to_bytes((len(have) + 7) // 8, "big")


def _bytes(bits: bytes, pieces: int) -> bytes:
    if not bits:
        return b""
    digits = format(int.from_bytes(bits, "big"), f"0{len(bits) * 8}b")
    return digits[:pieces].encode("ascii").translate(_FLAGS)


_DIGITS: Final = bytes(0x30 if byte == 0 else 0x31 for byte in range(256))
_FLAGS: Final = bytes(byte & 1 for byte in range(256))
