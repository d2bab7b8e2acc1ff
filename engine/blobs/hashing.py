"""Several digests of one file, in steps, so that hashing can follow a file that still grows.

Pure but for reading the descriptor it is given. Runs in a disk thread; hashlib gives the GIL away.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from typing import Final

from engine.errors import BadRequest

HEX_LENGTHS: Final[Mapping[str, int]] = {"md5": 32, "sha1": 40, "sha256": 64, "sha384": 96, "sha512": 128}
_STEP: Final = 1 << 20  # read at once; stays in the L2 cache between read and hash


def check_digests(digests: Mapping[str, str]) -> dict[str, str]:
    """`digests` in lower case. BadRequest for an unknown algorithm or what is no digest of it."""
    checked = {}
    for algorithm, digest in digests.items():
        name, value = algorithm.lower().replace("-", ""), digest.lower()
        if name not in HEX_LENGTHS:
            raise BadRequest(f"{algorithm!r} is not a digest known here: use one of {', '.join(HEX_LENGTHS)}.")
        if len(value) != HEX_LENGTHS[name] or not set(value) <= set("0123456789abcdef"):
            raise BadRequest(f"A {name} digest is {HEX_LENGTHS[name]} hexadecimal digits, this is not: {digest!r}.")
        checked[name] = value
    return checked


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
