"""Bringing files of the user's in: a large one into staging, by shared extents where the file system can, else by copy;
small ones by reading them, to be made durable together.

On the trio thread, the work in a disk thread. Imports disk, errors, store.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import trio

from engine.blobs.store import BlobStore
from engine.disk import clone_or_copy, open_regular
from engine.errors import BadRequest
from engine.ports import Content

SMALL: Final = 1 << 16  # bytes: below, a sync costs more than reading and writing
RUN: Final = 128  # small files that are made durable together


@dataclass(frozen=True, slots=True)
class Staged:
    """A copy in staging, ready for `ingest`. `size` is bytes, `mode` permission bits."""

    name: str
    size: int
    mtime_ns: int
    mode: int


@dataclass(frozen=True, slots=True)
class Small:
    """A small file, read whole. `mode` are permission bits."""

    path: str
    content: Content
    mtime_ns: int
    mode: int


def runs(files: Iterable[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    """`files` (path, bytes) in their order, small ones that follow each other as one run of bounded size."""
    run: list[tuple[str, int]] = []
    for path, size in files:
        if size > SMALL:
            if run:
                yield run
            run = []
            yield [(path, size)]
            continue
        run.append((path, size))
        if len(run) == RUN:
            yield run
            run = []
    if run:
        yield run


def read_small(paths: Sequence[str]) -> list[Small | BadRequest]:
    """The files, or why one is left out. In a disk thread."""
    found: list[Small | BadRequest] = []
    for path in paths:
        try:
            found.append(_read(path))
        except BadRequest as error:
            found.append(error)
    return found


def _read(path: str) -> Small:
    try:
        source = open_regular(path)
    except OSError as error:
        raise BadRequest(f"{path!r} cannot be imported: {_reason(error)}.") from error
    with open(source, "rb", buffering=0) as file:
        before = os.fstat(source)
        data = file.read(before.st_size + 1)
        after = os.fstat(source)
    if (len(data), after.st_size, after.st_mtime_ns) != (before.st_size, before.st_size, before.st_mtime_ns):
        raise BadRequest(f"{path!r} changed while it was imported.")
    return Small(path, Content(sha256(data).hexdigest(), data), before.st_mtime_ns, before.st_mode & 0o777)


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
