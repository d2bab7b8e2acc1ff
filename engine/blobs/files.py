"""The blocking steps of the blob store, each for a disk thread but `regular_size`. Imports disk, hashing."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import Final

from engine.blobs.hashing import Digester
from engine.disk import clone_or_copy, fsync_dir, kill_point, write_at

SHA256: Final = re.compile("[0-9a-f]{64}")
BLOB_MODE: Final = 0o440
_NO_LINK: Final = frozenset({errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP, errno.EXDEV})


def advance(path: str, digester: Digester, upto: int | None) -> int:
    """Hash on to `upto`, or to the end; returns the file's size."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        digester.advance(fd, size if upto is None else upto)
    finally:
        os.close(fd)
    return size


def advance_all(files: Sequence[tuple[str, Digester]]) -> list[int | Exception]:
    """Hash each to its end; its size, or what went wrong with it."""
    found: list[int | Exception] = []
    for path, digester in files:
        try:
            found.append(advance(path, digester, None))
        except OSError as error:
            found.append(error)
    return found


def is_right(path: str, sha256: str, *, since: float) -> bool:
    """Whether a blob may be relied on: written after `since` (seconds since the epoch), or read and found to be right.
    One that cannot be read may not."""
    try:
        if os.lstat(path).st_mtime >= since:
            return True
        digester = Digester({"sha256"})
        advance(path, digester, None)
    except OSError:
        return False
    return digester.hexdigests()["sha256"] == sha256


def link_into(path: str, target: str, temporary: str) -> None:
    """`path` under a second name, which is replaced where it is there; a copy where the file system has no links left
    to give. All three are on one file system, and `path` is sealed."""
    with suppress(FileNotFoundError):
        os.unlink(temporary)
    try:
        os.link(path, temporary, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        copy_sealed(path, temporary)
    os.rename(temporary, target)
    with suppress(FileNotFoundError):  # renaming one name of a file to another of its names does nothing
        os.unlink(temporary)


def copy_sealed(path: str, target: str) -> None:
    """A private copy (shared extents where there can be), durable and read-only."""
    source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        copy = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            clone_or_copy(source, copy)
        finally:
            os.close(copy)
    finally:
        os.close(source)
    seal(target)


def protect(path: str) -> None:
    """Read-only."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(fd, BLOB_MODE)
    finally:
        os.close(fd)


def seal(path: str) -> None:
    """Read-only and durable."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(fd, BLOB_MODE)
        kill_point("ingest.hashed")
        os.fsync(fd)
    finally:
        os.close(fd)


def write_new(path: str, data: bytes | bytearray) -> int:
    """A new file of that content, read-only, not durable yet; returns its descriptor."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        write_at(fd, data, 0)
        os.fchmod(fd, BLOB_MODE)
    except BaseException:
        os.close(fd)
        os.unlink(path)
        raise
    return fd


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


def set_aside(path: str, folder: str) -> str:
    """Move a file to a name of its own in `folder`, durably; `FOLDER/NAME` of that. FileNotFoundError."""
    if not os.path.isdir(folder):
        os.makedirs(folder, mode=0o700)
        fsync_dir(os.path.dirname(folder))
    name = os.path.basename(path)
    for number in count():
        target = os.path.join(folder, f"{name}.{number}" if number else name)
        if not os.path.lexists(target):
            break
    os.rename(path, target)
    fsync_dir(folder)
    fsync_dir(os.path.dirname(path))
    return os.path.join(os.path.basename(folder), os.path.basename(target))


def sweep_folder(root: str, keep: frozenset[str]) -> list[str]:
    """Remove what belongs to none of the names in `keep`; returns the names that went."""
    removed = []
    for name in os.listdir(root):
        if name.partition(".")[0] not in keep or name.endswith(".gone"):
            os.unlink(os.path.join(root, name))
            removed.append(name)
    return sorted(removed)
