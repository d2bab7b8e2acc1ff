"""The last steps of the door in, for files that take them together: sync all, rename all, sync each folder once.

For a disk thread. What goes wrong with one costs no other, and is not tried again: a second fsync would report success
for bytes that the kernel has dropped. Imports disk, errors, files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from engine.blobs.files import seal
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
) -> list[str | Exception | None]:
    """What the first bytes of each tell (`look`), or what went wrong with it. No two of the same content at a time.
    `is_stored`: content (SHA-256, bytes) has come before and can be relied on; what is damaged is replaced."""
    failed: dict[Placing, Exception] = {}
    stored: set[Placing] = set()

    def prepare(file: Placing) -> None:
        if is_stored(os.path.basename(file.target), file.size):
            stored.add(file)
        else:
            seal(file.staging)
            kill_point("ingest.fsynced")

    def rename(file: Placing) -> None:
        if file in stored:
            os.unlink(file.staging)
        else:
            os.makedirs(os.path.dirname(file.target), mode=0o700, exist_ok=True)
            os.rename(file.staging, file.target)
            kill_point("ingest.renamed")

    files_there = _each(rename, _each(prepare, files, failed), failed)
    folders = {os.path.dirname(file.target) for file in files_there}
    try:
        with full_is_store_full():
            make_durable(folders)
    except (StoreFull, OSError) as error:
        failed.update(dict.fromkeys(files_there, error))
    kill_point("ingest.placed")
    told: dict[Placing, str | None] = {}

    def tell(file: Placing) -> None:
        told[file] = look(file.target, file.name)

    _each(tell, [file for file in files if file not in failed], failed)
    return [failed[file] if file in failed else told[file] for file in files]


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
