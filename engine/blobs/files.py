"""The blocking steps of the blob store, each for a disk thread but `regular_size`. Imports disk, hashing."""

from __future__ import annotations

import os
import re
import stat
from typing import Final

from engine.blobs.hashing import Digester
from engine.disk import kill_point

SHA256: Final = re.compile("[0-9a-f]{64}")
BLOB_MODE: Final = 0o440


def advance(path: str, digester: Digester, upto: int | None) -> int:
    """Hash on to `upto`, or to the end; returns the file's size."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        digester.advance(fd, size if upto is None else upto)
    finally:
        os.close(fd)
    return size


def seal(path: str) -> None:
    """Read-only and durable."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(fd, BLOB_MODE)
        kill_point("ingest.hashed")
        os.fsync(fd)
    finally:
        os.close(fd)


def regular_size(path: str) -> int | None:
    """Bytes of a regular file, None where there is none. Instant: one lstat."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def list_blobs(root: str) -> list[str]:
    """The names of all blobs, ascending."""
    found = []
    for folder in sorted(os.listdir(root)):
        found += [name for name in os.listdir(os.path.join(root, folder)) if SHA256.fullmatch(name)]
    return sorted(found)


def sweep_folder(root: str, keep: frozenset[str]) -> list[str]:
    """Remove what belongs to none of the names in `keep`; returns the names that went."""
    removed = []
    for name in os.listdir(root):
        if name.partition(".")[0] not in keep or name.endswith(".gone"):
            os.unlink(os.path.join(root, name))
            removed.append(name)
    return sorted(removed)
