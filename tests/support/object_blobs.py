"""A blob store without a path for any blob, as one in front of an object store would be: ports.Blobs in memory.

Staging is a local folder as everywhere; what is ingested becomes an object under its SHA-256, and `open` hands out a
descriptor of a private copy.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import trio

from engine.blobs.magic import HEAD, Magic
from engine.digests import check_digests
from engine.errors import BadRequest, DigestMismatch, SourceFailed, StoreFull
from engine.media_types import says_enough
from engine.ports import Content, Ingested


class ObjectBlobs:
    """State: the objects, and who holds which."""

    def __init__(self, folder: Path) -> None:
        self._staging = folder / "staging"
        self._staging.mkdir(parents=True)
        self.objects: dict[str, bytes] = {}
        self.magic = Magic()
        self.holds: Counter[str] = Counter()

    def open(self, sha256: str) -> int:
        if sha256 not in self.objects:
            raise SourceFailed(f"The content {sha256} is missing from the store.")
        fd = os.memfd_create(sha256)
        try:
            os.write(fd, self.objects[sha256])
            return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
        finally:
            os.close(fd)

    def exists(self, sha256: str) -> bool:
        return sha256 in self.objects

    def size(self, sha256: str) -> int | None:
        return len(self.objects[sha256]) if sha256 in self.objects else None

    async def is_sound(self, sha256: str, size: int) -> bool:
        await trio.lowlevel.checkpoint()
        return self.size(sha256) == size and not self.is_doubted(sha256)

    def is_doubted(self, sha256: str) -> bool:
        return sha256 in self.objects and hashlib.sha256(self.objects[sha256]).hexdigest() != sha256

    def create_staging(self, name: str | None = None) -> tuple[str, int]:
        name = name or secrets.token_hex(16)
        return name, os.open(self.staging_path(name), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def staging_path(self, name: str) -> str:
        if not name.replace(".", "").isalnum():
            raise BadRequest(f"Not the name of a staging file: {name!r}.")
        return os.fspath(self._staging / name)

    async def hash_ahead(self, staging: str, upto: int, algorithms: Collection[str]) -> None:
        await trio.lowlevel.checkpoint()

    async def ingest(self, staging: str, digests: Mapping[str, str], *, name: str = "") -> Ingested:
        expected = check_digests(digests)
        await trio.lowlevel.checkpoint()
        content = Path(self.staging_path(staging)).read_bytes()
        found = {name: hashlib.new(name, content).hexdigest() for name in {*expected, "sha256"}}
        if any(found[name] != digest for name, digest in expected.items()):
            raise DigestMismatch("The content is not what was promised.")
        self.objects[found["sha256"]] = content
        self.discard_staging(staging)
        return Ingested(found["sha256"], len(content), found, self._look(content, name))

    def _look(self, content: bytes, name: str) -> str | None:
        return None if name and says_enough(name, content[:HEAD]) else self.magic.look(content[:HEAD])

    async def put_many(self, contents: Sequence[Content]) -> list[StoreFull | OSError | None]:
        await trio.lowlevel.checkpoint()
        self.objects.update((content.sha256, bytes(content.data)) for content in contents)
        return [None] * len(contents)

    async def looks(self, blobs: Sequence[str]) -> list[str | None]:
        await trio.lowlevel.checkpoint()
        return [self.magic.look(self.objects[one][:HEAD]) if one in self.objects else None for one in blobs]

    def discard_staging(self, name: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self.staging_path(name))

    def hold(self, sha256: str) -> None:
        self.holds[sha256] += 1

    def release(self, sha256: str) -> None:
        self.holds[sha256] -= 1
