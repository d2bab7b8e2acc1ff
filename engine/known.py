"""Content that is in the store already, found by the digests that somebody promises. On the trio thread, hashing in a
disk thread. Imports ports and disk.

Digests are recorded when content comes in, but only those that were asked for then. So where one is promised that
nobody has recorded, the few blobs of the same size are hashed, and what that gives is recorded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from engine.disk import Disk, digest_at
from engine.errors import SourceFailed
from engine.ports import Blobs, Catalogue
from engine.types import Blob

# Collisions of these are not known: content may be taken for fetched on the strength of such a digest.
STRONG: Final = ("sha256", "sha512", "sha384")
CANDIDATES: Final = 10  # blobs of one size that are hashed: files of equal size and different content are rarely large


def recorded(catalogue: Catalogue, blobs: Blobs, digests: Mapping[str, str], size: int | None) -> Blob | None:
    """The blob that is known to have one of these digests, if it is in the store with its full size (R13). Instant."""
    for algorithm in STRONG:
        if algorithm in digests:
            blob = catalogue.blob_by_digest(algorithm, digests[algorithm])
            if blob is None or blobs.size(blob.sha256) != blob.size or size not in (None, blob.size):
                continue
            if not blobs.is_doubted(blob.sha256):
                return blob
    return None


async def known(
    catalogue: Catalogue, blobs: Blobs, disk: Disk, digests: Mapping[str, str], size: int | None
) -> Blob | None:
    """The blob that has one of these digests. OSError where the disk fails."""
    found = recorded(catalogue, blobs, digests, size)
    algorithm = _unrecorded(digests)
    if found is not None or algorithm is None or size is None:
        return found
    for blob in catalogue.blobs_of_size(size)[:CANDIDATES]:
        if not await blobs.is_sound(blob.sha256, size):
            continue
        try:
            fd = blobs.open(blob.sha256)
        except SourceFailed:
            continue  # collected meanwhile
        try:
            digest = await disk.run(digest_at, fd, 0, size, algorithm)
        finally:
            os.close(fd)
        await catalogue.add_digests(blob.sha256, {algorithm: digest})
        if digest == digests[algorithm]:
            return blob
    return None


def _unrecorded(digests: Mapping[str, str]) -> str | None:
    """An algorithm to hash blobs with. Where their SHA-256 is promised, that would tell nothing: it is their name."""
    return None if "sha256" in digests else next((name for name in STRONG if name in digests), None)
