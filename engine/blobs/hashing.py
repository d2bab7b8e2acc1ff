"""Several digests of one file, in steps, so that hashing can follow a file that still grows.

Pure but for reading the descriptor it is given. Runs in a disk thread; hashlib gives the GIL away.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from typing import Final

_STEP: Final = 1 << 20  # read at once; stays in the L2 cache between read and hash


class Digester:
    """The state of hashing `[0, offset)` of a file. Owned by one thread at a time."""

    def __init__(self, algorithms: Collection[str]) -> None:
        self.algorithms = frozenset(algorithms)
        self.offset = 0
        self._hashers = {name: hashlib.new(name, usedforsecurity=False) for name in sorted(self.algorithms)}

    def advance(self, fd: int, upto: int) -> None:
        """Hash on to byte `upto`. OSError where the file ends before it."""
        buffer = bytearray(min(_STEP, max(upto - self.offset, 1)))
        view = memoryview(buffer)
        while self.offset < upto:
            count = os.preadv(fd, [view[: upto - self.offset]], self.offset)
            if not count:
                raise OSError(f"the file ends at byte {self.offset}, before {upto}")
            for hasher in self._hashers.values():
                hasher.update(view[:count])
            self.offset += count

    def hexdigests(self) -> dict[str, str]:
        return {name: hasher.hexdigest() for name, hasher in self._hashers.items()}
