"""A second copy of everything that is stored, as of one moment, while everything goes on. Trio thread; the copying in
disk threads.

    DIR/tagfs-backup.json   says what this is; written before anything, and again at the end
    DIR/catalogue.sqlite    ◀─ rename ── catalogue.sqlite.new, once all that it names is here
    DIR/blobs/ab/...        as in the store: content never changes, so what is here already is not copied again

So the folder is a whole backup at each moment after the first: of then, or of now. What is arriving or being written is
not in it; downloads begin anew after a restore. State: none.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Final

from engine.blobs import BlobStore
from engine.blobs.files import copy_sealed, list_blobs, regular_size
from engine.disk import fsync_dir, kill_point, own_file
from engine.errors import BadRequest, Busy
from engine.ports import Catalogue
from engine.types import Blob, timestamp

MANIFEST: Final = "tagfs-backup.json"
CATALOGUE: Final = "catalogue.sqlite"
VERSION: Final = 1
AT_ONCE: Final = 64  # contents that are copied in one call to a thread


@dataclass(frozen=True, slots=True)
class Manifest:
    tagfs: str = "backup"
    version: int = VERSION
    whole: bool = False
    at: str = ""
    blobs: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a backup. `missing` contents are named by the catalogue and not in the store as they should be."""

    blobs: int
    bytes: int
    copied: int
    copied_bytes: int
    missing: Sequence[str]
    removed: int


@dataclass(frozen=True, slots=True)
class Step:
    blobs: int
    blobs_total: int
    bytes: int
    bytes_total: int


async def back_up(
    catalogue: Catalogue,
    store: BlobStore,
    target: str,
    told: Callable[[Step], None],
    *,
    now_ns: int,
    copies: bool = False,
    prune: bool = False,
) -> Made:
    """To the folder `target`, which is made, or holds an earlier one. Content gets a second name there where that is on
    the same file system, and is copied elsewhere, or with `copies`. With `prune` content goes from there that the
    catalogue does not name any more. BadRequest for a folder that holds something else, Busy while another backup
    writes there, StoreFull, OSError."""
    with await store.disk.run(_own, target):
        async with store.keep_all():  # what the copy names must not go before it is copied
            return await _fill(catalogue, store, target, told, now_ns=now_ns, copies=copies, prune=prune)


async def _fill(
    catalogue: Catalogue,
    store: BlobStore,
    target: str,
    told: Callable[[Step], None],
    *,
    now_ns: int,
    copies: bool,
    prune: bool,
) -> Made:
    beside = os.path.join(target, CATALOGUE + ".new")
    blobs = await catalogue.snapshot(beside)
    total = sum(blob.size for blob in blobs)
    done = copied = copied_bytes = read = 0
    missing: list[str] = []
    for group in _groups(blobs):
        told(Step(done, len(blobs), read, total))
        found = await store.disk.run(_copy_all, group, store, target, copies)
        for blob, what in zip(group, found, strict=True):
            done, read = done + 1, read + blob.size
            copied += what == "copied"
            copied_bytes += blob.size * (what == "copied")
            if what == "missing":
                missing.append(blob.sha256)
    kill_point("backup.copied")
    manifest = Manifest(whole=True, at=timestamp(now_ns), blobs=len(blobs) - len(missing), bytes=total)
    await store.disk.run(_finish, target, beside, manifest)
    removed = await store.disk.run(_prune, target, frozenset(blob.sha256 for blob in blobs)) if prune else 0
    return Made(len(blobs), total, copied, copied_bytes, missing, removed)


def _groups(blobs: Iterable[Blob]) -> Iterator[list[Blob]]:
    iterator = iter(blobs)
    while group := list(islice(iterator, AT_ONCE)):
        yield group


# -- in disk threads ---------------------------------------------------------------------------------------------------


class _Owned:
    """A folder that no other backup writes to, until the block ends."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _own(target: str) -> _Owned:
    with suppress(FileExistsError):
        os.mkdir(target, 0o700)
        fsync_dir(os.path.dirname(target))
    fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.exists(os.path.join(target, MANIFEST)):
            if os.listdir(target):
                raise BadRequest(f"{target} is not empty, and holds no backup of tagfs.")
            _write(os.path.join(target, MANIFEST), Manifest())
        os.chmod(target, 0o700)
    except BlockingIOError:
        os.close(fd)
        raise Busy(f"Another backup writes to {target} now.") from None
    except BaseException:
        os.close(fd)
        raise
    return _Owned(fd)


def _copy_all(blobs: Sequence[Blob], store: BlobStore, target: str, copies: bool) -> list[str]:
    """What became of each: there, copied or missing. Their names are durable."""
    folders = set()
    found = []
    for blob in blobs:
        folder = os.path.join(target, "blobs", blob.sha256[:2])
        path = os.path.join(folder, blob.sha256)
        if regular_size(path) == blob.size:
            found.append("there")
        elif store.size(blob.sha256) != blob.size:
            found.append("missing")
        else:
            if not os.path.isdir(folder):
                os.makedirs(folder, mode=0o700, exist_ok=True)
                folders.add(os.path.dirname(folder))
            _copy(store.path(blob.sha256), path, copies=copies)
            folders.add(folder)
            found.append("copied")
    for folder in folders:
        fsync_dir(folder)
    return found


def _copy(path: str, target: str, *, copies: bool) -> None:
    beside = f"{target}.part"
    with suppress(FileNotFoundError):
        os.unlink(beside)
    if copies or not _link(path, beside):
        copy_sealed(path, beside)
    os.rename(beside, target)


def _link(path: str, target: str) -> bool:
    """A second name of the file, if it can have one there."""
    try:
        os.link(path, target, follow_symlinks=False)
    except OSError:  # another file system, or one without links: copying says what else is wrong
        return False
    return True


def _finish(target: str, beside: str, manifest: Manifest) -> None:
    os.rename(beside, os.path.join(target, CATALOGUE))
    fsync_dir(target)
    _write(os.path.join(target, MANIFEST), manifest)


def _prune(target: str, named: frozenset[str]) -> int:
    root = os.path.join(target, "blobs")
    gone = [sha256 for sha256 in list_blobs(root) if sha256 not in named] if os.path.isdir(root) else []
    for sha256 in gone:
        os.unlink(os.path.join(root, sha256[:2], sha256))
    return len(gone)


def _write(path: str, manifest: Manifest) -> None:
    with open(f"{path}.new", "w", encoding="ascii", opener=own_file) as file:
        json.dump(asdict(manifest), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)
    fsync_dir(os.path.dirname(path))
