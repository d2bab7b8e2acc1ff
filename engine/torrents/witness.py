"""Whether the bytes that become a blob are those that the torrent names. Implements `ports.Witness`; in a disk thread.

A file that libtorrent calls finished may not be in the file system yet, or may have been changed there by somebody
else. So what is stored is compared once more in the pass that hashes it anyway: version 2 by the file's pieces root,
version 1 by the pieces that hold no other file's bytes.
"""

from __future__ import annotations

import hashlib
from typing import Final

BLOCK: Final = 16384
_EMPTY: Final = bytes(32)


class MerkleWitness:
    """BEP 52: leaves are SHA-256 of 16 KiB, the row of leaves is filled up to a power of two with zeros."""

    def __init__(self, root: str | None = None) -> None:
        self._root = root
        self._leaves = bytearray()
        self._rest = b""

    def update(self, data: memoryview) -> None:
        start = 0
        if self._rest:
            start = BLOCK - len(self._rest)
            self._rest += bytes(data[:start])
            if len(self._rest) < BLOCK:
                return
            self._leaves += hashlib.sha256(self._rest).digest()
            self._rest = b""
        while len(data) - start >= BLOCK:
            self._leaves += hashlib.sha256(data[start : start + BLOCK]).digest()
            start += BLOCK
        self._rest = bytes(data[start:])

    def root(self) -> str | None:
        """Hex; None for an empty file, which has none."""
        if self._rest:
            self._leaves += hashlib.sha256(self._rest).digest()
            self._rest = b""
        row = [bytes(self._leaves[start : start + 32]) for start in range(0, len(self._leaves), 32)]
        if not row:
            return None
        pad = _EMPTY
        while len(row) > 1:
            if len(row) % 2:
                row.append(pad)
            row = [hashlib.sha256(row[index] + row[index + 1]).digest() for index in range(0, len(row), 2)]
            pad = hashlib.sha256(pad + pad).digest()
        return row[0].hex()

    def agrees(self) -> bool:
        return self._root is None or self.root() == self._root


class PieceWitness:
    """`hashes` are the SHA-1 of the pieces that begin at `start` bytes into the file, one behind the other; the last
    may be shorter where the file ends."""

    def __init__(self, start: int, size: int, hashes: bytes) -> None:
        self._skip = start
        self._size = size
        self._hashes = hashes
        self._found = bytearray()
        self._hasher = hashlib.sha1(usedforsecurity=False)
        self._filled = 0

    def update(self, data: memoryview) -> None:
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        while data and len(self._found) < len(self._hashes):
            part = data[: self._size - self._filled]
            self._hasher.update(part)
            self._filled += len(part)
            data = data[len(part) :]
            if self._filled == self._size:
                self._end_piece()

    def agrees(self) -> bool:
        if self._filled and len(self._found) < len(self._hashes):
            self._end_piece()
        return self._found == self._hashes

    def _end_piece(self) -> None:
        self._found += self._hasher.digest()
        self._hasher = hashlib.sha1(usedforsecurity=False)
        self._filled = 0
