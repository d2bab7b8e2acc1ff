"""Whether the store still holds what it promises: re-hash blobs. On the trio thread, the hashing in a disk thread."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from engine.blobs.hashing import Digester
from engine.blobs.store import BlobStore
from engine.disk import MIB
from engine.errors import SourceFailed

_STEP = 64 * MIB  # between two calls of the progress callback, and two chances to be cancelled


@dataclass(frozen=True, slots=True)
class Damage:
    """A blob that is not what its name says; `reason` is one sentence."""

    sha256: str
    reason: str


async def verify(
    store: BlobStore, sha256s: Iterable[str], progress: Callable[[int], None] | None = None
) -> list[Damage]:
    """Read each blob whole and compare with its name. `progress` hears the bytes read since its last call."""
    damages = []
    for sha256 in sha256s:
        reason = await _verify_one(store, sha256, progress)
        if reason is not None:
            damages.append(Damage(sha256, reason))
    return damages


async def _verify_one(store: BlobStore, sha256: str, progress: Callable[[int], None] | None) -> str | None:
    try:
        fd = store.open(sha256)
    except SourceFailed as error:
        return str(error)
    try:
        size = os.fstat(fd).st_size
        digester = Digester({"sha256"})
        while True:
            before = digester.offset
            await store.disk.run(digester.advance, fd, min(size, before + _STEP))
            if progress is not None:
                progress(digester.offset - before)
            if digester.offset >= size:
                break
    except OSError as error:
        return f"The content {sha256} cannot be read: {error.strerror or error}."
    finally:
        os.close(fd)
    found = digester.hexdigests()["sha256"]
    return None if found == sha256 else f"The content {sha256} is damaged: it hashes to {found}."
