"""Digests of one file, in steps, so that hashing can follow a file that still grows.

Nothing but reading the file. Runs in a disk thread; hashlib gives the GIL away.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from typing import Final

from engine.ports import Witness

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


class Pass:
    """Implements `ports.Pass`. Owned by one thread at a time."""

    def __init__(self, path: str, witness: Witness | None) -> None:
        self.path = path
        self.offset = 0
        self._witness = witness
        self._hasher = hashlib.sha256()

    def advance(self, upto: int | None) -> None:
        view = memoryview(bytearray(_STEP))
        fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            while upto is None or self.offset < upto:
                wanted = _STEP if upto is None else min(_STEP, upto - self.offset)
                count = os.preadv(fd, [view[:wanted]], self.offset)
                if not count:
                    return
                self._hasher.update(view[:count])
                if self._witness is not None:
                    self._witness.update(view[:count])
                self.offset += count
        finally:
            os.close(fd)

    def sha256(self) -> str:
        return self._hasher.hexdigest()

    def agrees(self) -> bool:
        return self._witness is None or self._witness.agrees()
