"""What lies in the folders of the blob store. In a disk thread; changes nothing.

A store of a million blobs is 256 folders: one lstat a file is what this costs.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from engine.blobs.files import SHA256

WRITABLE: Final = 0o222


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that has the name and the place of a blob."""

    size: int
    writable: bool


@dataclass(slots=True)
class Inventory:
    blobs: dict[str, Stored] = field(default_factory=dict)  # by SHA-256
    foreign: list[str] = field(default_factory=list)  # paths below the root that no blob has
    staging: Mapping[str, tuple[int, float]] = field(default_factory=dict)  # name -> bytes, last change in seconds


def take(root: str) -> Inventory:
    """`root` is the state directory."""
    found = Inventory()
    for folder in _entries(os.path.join(root, "blobs")):
        if not folder.is_dir(follow_symlinks=False):
            found.foreign.append(_below(root, folder.path))
            continue
        for entry, status in _statuses(folder.path):
            is_blob = SHA256.fullmatch(entry.name) and entry.name[:2] == folder.name
            if is_blob and stat.S_ISREG(status.st_mode):
                found.blobs[entry.name] = Stored(status.st_size, bool(status.st_mode & WRITABLE))
            else:
                found.foreign.append(_below(root, entry.path))
    found.staging = {
        entry.name: (status.st_size, max(status.st_mtime, status.st_ctime))
        for entry, status in _statuses(os.path.join(root, "staging"))
        if stat.S_ISREG(status.st_mode)
    }
    return found


def _entries(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _statuses(folder: str) -> Iterator[tuple[os.DirEntry[str], os.stat_result]]:
    """Of what is still there when its turn comes: others store, remove and rename meanwhile."""
    for entry in _entries(folder):
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        yield entry, status


def _below(root: str, path: str) -> str:
    return os.path.relpath(path, root)
