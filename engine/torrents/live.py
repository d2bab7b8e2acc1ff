"""What a killed process leaves behind: a small file beside a torrent's files, with the number of each piece that came
since the catalogue was last told. On the trio thread: all calls are instant.

It is not believed, only looked into: libtorrent hashes these pieces when it starts, and nothing else. So it needs no
checksum, and may be torn, old or of another boot; a number that cannot be is left out.

    piece as uint32, little-endian, each
"""

from __future__ import annotations

import os
import struct
from typing import Final

NAME: Final = "live"
_NUMBER: Final = struct.Struct("<I")
_MAX: Final = 16 << 20  # bytes of one that could be ours


class LivePieces:
    def __init__(self, folder: str) -> None:
        self._fd = os.open(
            os.path.join(folder, NAME), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )

    def read(self, pieces: int) -> set[int]:
        data = os.pread(self._fd, _MAX, 0)
        whole = len(data) - len(data) % _NUMBER.size
        return {number for (number,) in _NUMBER.iter_unpack(data[:whole]) if number < pieces}

    def note(self, piece: int) -> None:
        os.write(self._fd, _NUMBER.pack(piece))

    def forget(self) -> None:
        """The catalogue knows them all."""
        os.ftruncate(self._fd, 0)

    def close(self) -> None:
        os.close(self._fd)
