"""Where torrents write: STATE/torrents/<32 hex>/<position>. Names from outside never become paths.

Functions block and are for a disk thread, but for those that say otherwise. State: the files.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Final

from engine.disk import clone_or_copy, fsync_dir
from engine.torrents.envelope import Print

_NAME: Final = re.compile("[0-9a-f]{32}")


def new_folder_name() -> str:
    """Instant."""
    return secrets.token_hex(16)


class Folders:
    def __init__(self, root: str) -> None:
        self._root = os.path.join(root, "torrents")
        if not os.path.isdir(self._root):
            os.makedirs(self._root, mode=0o700)
            fsync_dir(root)

    @property
    def root(self) -> str:
        return self._root

    def path(self, name: str) -> str:
        """Instant."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"not the name of a torrent's folder: {name!r}")
        return os.path.join(self._root, name)

    def create(self, name: str) -> None:
        with suppress(FileExistsError):
            os.mkdir(self.path(name), 0o700)
            fsync_dir(self._root)

    def remove(self, name: str) -> None:
        """With all that is in it; blobs have a name of their own."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.path(name))

    def sweep(self, keep: Collection[str]) -> list[str]:
        """Remove what belongs to no torrent; returns the names that went."""
        gone = sorted(set(os.listdir(self._root)) - set(keep))
        for name in gone:
            path = os.path.join(self._root, name)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
        return gone


def sync(folder: str, positions: Iterable[int]) -> None:
    """Make durable what was written to these files, and to the file of pieces that belong to files nobody wants."""
    names = [str(position) for position in positions]
    names += [name for name in os.listdir(folder) if name.endswith(".parts")]
    for name in names:
        with suppress(FileNotFoundError):
            fd = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fdatasync(fd)
            finally:
                os.close(fd)
    fsync_dir(folder)


def copy_private(path: str) -> None:
    """The file is one of the store, too: go on with a copy that may be written to."""
    copy_from(path, path)


def copy_from(source: str, path: str) -> None:
    """`path` becomes a durable copy that may be written to."""
    from_fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        temporary = path + ".copy"
        target = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            clone_or_copy(from_fd, target)
            os.fdatasync(target)
        finally:
            os.close(target)
    finally:
        os.close(from_fd)
    os.rename(temporary, path)


def sizes(folder: str, positions: Iterable[int]) -> dict[int, int]:
    """Of the files that are there."""
    return {position: size for position, (_, size, _) in prints(folder, positions).items()}


def prints(folder: str, positions: Iterable[int]) -> dict[int, Print]:
    """Of the files that are there."""
    found = {}
    for position in positions:
        with suppress(FileNotFoundError):
            status = os.lstat(os.path.join(folder, str(position)))
            found[position] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return found


def changed(before: Mapping[int, Print], now: Mapping[int, Print], *, is_clean: bool) -> set[int]:
    """Positions of files that are not what they were. After a kill they may have been written to since, but not
    replaced or cut. Pure."""
    return {
        position
        for position, (inode, size, mtime) in before.items()
        if (found := now.get(position)) is None
        or found[0] != inode
        or found[1] < size
        or (is_clean and found[1:] != (size, mtime))
    }
