"""Which pieces hold which bytes of which file, and how much of each is here. Pure; on the trio thread.

The files of a torrent lie one behind the other in one row of bytes, which is cut into pieces. In version 1 a piece may
hold the end of one file and the beginning of the next; in version 2 each file begins with a piece of its own.

State: `have`, one byte a piece, and what follows from it: `missing`, the pieces that each file still lacks.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator

from engine.sources.torrent.metadata import File, Metainfo


class Layout:
    """`index` numbers the files of `meta.files`, which are those that somebody may want."""

    def __init__(self, meta: Metainfo) -> None:
        self.meta = meta
        self.have = bytearray(meta.pieces)
        self.missing = array("q", (len(self.pieces(file)) for file in meta.files))
        self._starts = array("q", (file.offset for file in meta.files))

    def piece_bytes(self, piece: int) -> int:
        return min(self.meta.piece_size, self.meta.size - piece * self.meta.piece_size)

    def pieces(self, file: File) -> range:
        """All that hold bytes of it."""
        return self.span(file, 0, file.size)

    def span(self, file: File, start: int, end: int) -> range:
        """Those that hold bytes `[start, end)` of it."""
        if start >= end:
            return range(0)
        size = self.meta.piece_size
        return range((file.offset + start) // size, (file.offset + end - 1) // size + 1)

    def inner(self, file: File) -> range:
        """Those that hold bytes of no other file: in version 1 not the ones at its ends, unless it begins or ends
        with a piece."""
        size = self.meta.piece_size
        first = -(-file.offset // size)
        end = file.offset + file.size
        last = end // size if end % size and end != self.meta.size else -(-end // size)
        return range(first, max(first, last))

    def files_of(self, piece: int) -> Iterator[int]:
        """Indexes of the files that it holds bytes of."""
        start = piece * self.meta.piece_size
        end = start + self.piece_bytes(piece)
        index = max(bisect_right(self._starts, start) - 1, 0)
        while index > 0 and self._starts[index - 1] == self._starts[index]:
            index -= 1  # empty files begin where the next one does
        files = self.meta.files
        while index < len(files) and files[index].offset < end:
            file = files[index]
            if file.size and file.offset + file.size > start:
                yield index
            index += 1

    def came(self, piece: int) -> list[int]:
        """A piece is here; returns the files that are whole by it."""
        if self.have[piece]:
            return []
        self.have[piece] = 1
        whole = []
        for index in self.files_of(piece):
            self.missing[index] -= 1
            if not self.missing[index]:
                whole.append(index)
        return whole

    def reset(self, have: bytes) -> None:
        """All anew: these pieces are here and no others."""
        self.have[:] = have
        for index, file in enumerate(self.meta.files):
            pieces = self.pieces(file)
            self.missing[index] = self.have.count(0, pieces.start, pieces.stop) if pieces else 0

    def covers(self, pieces: range, have: bytearray | None = None) -> bool:
        """Whether all of them are here (or in another map of the same kind)."""
        return not pieces or 0 not in (self.have if have is None else have)[pieces.start : pieces.stop]

    def prefix(self, file: File, have: bytearray) -> int:
        """Bytes from its beginning that lie in pieces of that map, without a gap."""
        pieces = self.pieces(file)
        gap = have.find(0, pieces.start, pieces.stop)
        return file.size if gap < 0 else max(gap * self.meta.piece_size - file.offset, 0)

    def present(self, file: File) -> int:
        """Bytes of it that are here."""
        pieces = self.pieces(file)
        if not pieces:
            return 0
        size = self.meta.piece_size
        total = self.have.count(1, pieces.start, pieces.stop) * size
        if self.have[pieces.start]:
            total -= file.offset - pieces.start * size
        if self.have[pieces.stop - 1]:
            total -= pieces.stop * size - (file.offset + file.size)
        return total
