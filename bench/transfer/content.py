"""The large file that all contenders fetch, made once and made another by a few bytes: a store that knows content would
not fetch the same one twice."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

MIB = 1 << 20


def fill(path: Path, mib: int) -> None:
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))


def renew(path: Path) -> None:
    """Other content of the same size, on disk: with another ETag and another SHA-256."""
    with path.open("r+b") as file:
        file.write(os.urandom(MIB))
        os.fsync(file.fileno())


def hashing(path: Path) -> float:
    """CPU seconds of one SHA-256 over it, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    buffer = bytearray(MIB)
    spent = 0.0
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            started = time.thread_time()
            digest.update(memoryview(buffer)[:count])
            spent += time.thread_time() - started
    return spent
