"""The last steps of the door in, for files that take them together: sync all, rename all, sync all folders.

For a disk thread. What goes wrong with one costs no other, and is not tried again: a second fsync would report success
for bytes that the kernel has dropped. Imports disk, errors, files, syncing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from engine.blobs.files import protect, seal
from engine.blobs.syncing import Syncing
from engine.disk import full_is_store_full, kill_point
from engine.errors import StoreFull


@dataclass(frozen=True, slots=True)
class Placing:
    """A file in staging that is to be the blob at `target`. `name` is what it is called, if anything."""

    staging: str
    target: str
    size: int
    name: str


def place_all(
    files: Sequence[Placing],
    is_stored: Callable[[str, int], bool],
    make_durable: Callable[[Collection[str]], None],
    look: Callable[[str, str], str | None],
    syncing: Syncing | None,
) -> list[str | Exception | None]:
    """What the first bytes of each tell (`look`), or what went wrong with it. No two of the same content at a time.
    `is_stored`: content (SHA-256, bytes) has come before and can be relied on; what is damaged is replaced.
    `make_durable`: the names in folders, one by one; `syncing`: those of many at once."""
    failed: dict[Placing, Exception] = {}
    stored: set[Placing] = set()

    def recognise(file: Placing) -> None:
        if is_stored(os.path.basename(file.target), file.size):
            stored.add(file)

    def rename(file: Placing) -> None:
        if file in stored:
            os.unlink(file.staging)
        else:
            os.makedirs(os.path.dirname(file.target), mode=0o700, exist_ok=True)
            os.rename(file.staging, file.target)
            kill_point("ingest.renamed")

    files_here = _each(recognise, files, failed)
    _sync([file for file in files_here if file not in stored], syncing, failed)
    files_there = _each(rename, [file for file in files_here if file not in failed], failed)
    folders = {os.path.dirname(file.target) for file in files_there}
    try:
        with full_is_store_full():
            if syncing is None or not syncing.is_worth_it(len(folders)) or not syncing.names():
                make_durable(folders)
    except (StoreFull, OSError) as error:
        failed.update(dict.fromkeys(files_there, error))
    kill_point("ingest.placed")
    told: dict[Placing, str | None] = {}

    def tell(file: Placing) -> None:
        told[file] = look(file.target, file.name)

    _each(tell, [file for file in files if file not in failed], failed)
    return [failed[file] if file in failed else told[file] for file in files]


def _sync(files: Sequence[Placing], syncing: Syncing | None, failed: dict[Placing, Exception]) -> None:
    """All at once where that can be, else one by one."""
    if syncing is not None and syncing.is_worth_it(len(files)):
        files = _each(lambda file: protect(file.staging), files, failed)
        if syncing.contents():
            files = []
    _each(lambda file: seal(file.staging), files, failed)
    kill_point("ingest.fsynced")


def _each(step: Callable[[Placing], None], files: Iterable[Placing], failed: dict[Placing, Exception]) -> list[Placing]:
    """Those that it went well with."""
    well = []
    for file in files:
        try:
            with full_is_store_full():
                step(file)
        except (StoreFull, OSError) as error:
            failed[file] = error
        else:
            well.append(file)
    return well
