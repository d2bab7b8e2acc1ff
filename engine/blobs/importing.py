"""Bringing a file of the user's into staging: by shared extents where the file system can, else by copy.

On the trio thread, the work in a disk thread. Imports disk, errors, store.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass

import trio

from engine.blobs.store import BlobStore
from engine.disk import clone_or_copy, open_regular
from engine.errors import BadRequest


@dataclass(frozen=True, slots=True)
class Staged:
    """A copy in staging, ready for `ingest`. `size` is bytes, `mode` permission bits."""

    name: str
    size: int
    mtime_ns: int
    mode: int


async def stage_file(store: BlobStore, path: str, progress: Callable[[int], None] | None = None) -> Staged:
    """Copy the regular file `path` (a symlink is refused) to a new staging file.

    `progress` is called on the trio thread with the bytes done so far; cancellation is felt at those points and
    leaves nothing behind. BadRequest for what cannot be read or changes meanwhile, StoreFull.
    """
    name, target = store.create_staging()

    def report(done: int) -> None:
        trio.from_thread.check_cancelled()
        if progress is not None:
            trio.from_thread.run_sync(progress, done)

    try:
        return await store.disk.run(_stage, path, name, target, report)
    except BaseException:
        store.discard_staging(name)
        raise
    finally:
        os.close(target)


def _stage(path: str, name: str, target: int, report: Callable[[int], None]) -> Staged:
    try:
        source = open_regular(path)
    except OSError as error:
        raise BadRequest(f"{path!r} cannot be imported: {_reason(error)}.") from error
    try:
        before = os.fstat(source)
        size = clone_or_copy(source, target, report)
        after = os.fstat(source)
    finally:
        os.close(source)
    if (size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise BadRequest(f"{path!r} changed while it was imported.")
    return Staged(name, size, before.st_mtime_ns, before.st_mode & 0o777)


def _reason(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "it is a symbolic link"
    if error.errno == errno.EINVAL:
        return "it is not a regular file"
    return (error.strerror or str(error)).lower()
