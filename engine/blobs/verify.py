"""Whether a blob still is what its name says: read it whole and hash. Trio thread, the hashing in a disk thread."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from engine.blobs.hashing import Digester
from engine.blobs.store import BlobStore
from engine.disk import MIB
from engine.errors import SourceFailed

STEP = 64 * MIB  # between two calls of `read`, and two chances to be cancelled


@dataclass(frozen=True, slots=True)
class Damage:
    """A blob that is not what its name says; `reason` is one sentence."""

    sha256: str
    reason: str
    unreadable: bool = False


async def damage_of(
    store: BlobStore, sha256: str, read: Callable[[int], Awaitable[None]] | None = None, *, step: int = STEP
) -> Damage | None:
    """None where it is right. `read` hears of each `step` bytes, and may take its time."""
    try:
        fd = store.open(sha256)
    except SourceFailed as error:
        return Damage(sha256, str(error), unreadable=True)
    except OSError as error:
        return _unreadable(sha256, error)
    try:
        size = os.fstat(fd).st_size
        digester = Digester({"sha256"})
        while True:
            before = digester.offset
            await store.disk.run(digester.advance, fd, min(size, before + step))
            if read is not None:
                await read(digester.offset - before)
            if digester.offset >= size:
                break
    except OSError as error:
        return _unreadable(sha256, error)
    finally:
        os.close(fd)
    found = digester.hexdigests()["sha256"]
    return None if found == sha256 else Damage(sha256, f"The content {sha256} is damaged: it hashes to {found}.")


def _unreadable(sha256: str, error: OSError) -> Damage:
    return Damage(sha256, f"The content {sha256} cannot be read: {error.strerror or error}.", unreadable=True)
