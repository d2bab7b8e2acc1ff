"""Content by its SHA-256."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.errors import StoreFull


@dataclass(frozen=True, slots=True)
class Ingested:
    sha256: str
    size: int
    digests: Mapping[str, str]  # every algorithm that was checked, lower-case hex
    mime: str | None = None  # what the first bytes tell; empty: nothing; None: nobody has looked


class Witness(Protocol):
    """Sees content while it is hashed, and says afterwards whether it is what somebody promised. In a disk thread."""

    def update(self, data: memoryview) -> None: ...
    def agrees(self) -> bool: ...


class Pass(Protocol):
    """One reading of a file from its beginning, in steps: for its SHA-256, and for a witness of the same bytes."""

    @property
    def path(self) -> str: ...
    @property
    def offset(self) -> int:
        """Bytes that were read."""

    def advance(self, upto: int | None) -> None:
        """In a disk thread: read on to there, or to the end."""

    def sha256(self) -> str: ...
    def agrees(self) -> bool:
        """What the witness says; true without one."""


@dataclass(frozen=True, slots=True)
class Content:
    """Small content in memory, with the SHA-256 that it has."""

    sha256: str
    data: bytes | bytearray


class Blobs(Protocol):
    """Content by SHA-256, wherever it is kept. Content in the store never changes.

    What is in the making lies in staging, a local folder whatever the store is: it is written in pieces, read while it
    grows, and must survive a restart."""

    def open(self, sha256: str) -> int:
        """A read-only file descriptor, which the caller closes. SourceFailed when the content is gone."""

    def exists(self, sha256: str) -> bool: ...
    def size(self, sha256: str) -> int | None:
        """Bytes of the blob; None where there is none."""

    async def is_sound(self, sha256: str, size: int) -> bool:
        """Before somebody relies on content that is there (R13): it has its size, and is what it was. What has been
        there for long is read for that; what is found to be damaged `is_doubted` from then on. OSError."""

    def is_doubted(self, sha256: str) -> bool:
        """It was found to be damaged: who can have the content from elsewhere stores it again, which heals it."""

    def create_staging(self, name: str | None = None) -> tuple[str, int]:
        """(name, fd) of a new empty file below staging, or of the existing one of that `name`; mode 0600."""

    def staging_path(self, name: str) -> str: ...
    async def hash_ahead(self, staging: str, upto: int, algorithms: Collection[str]) -> None:
        """A hint: bytes `[0, upto)` will not change any more, `ingest` may be spared hashing them."""

    async def ingest(self, staging: str, digests: Mapping[str, str], *, name: str = "") -> Ingested:
        """The one door in: hash, compare with `digests` (DigestMismatch), make durable under its name. `name` is what
        the content is called; where that says enough nobody looks at it yet (`media_types.says_enough`).

        Afterwards the caller commits the row that names the blob. Content that is there already is not stored twice.
        The staging name is gone on success and untouched on failure."""

    async def put_many(self, contents: Sequence[Content]) -> list[StoreFull | OSError | None]:
        """The same door for small contents in memory, which are made durable together. Returns what went wrong with
        each; None: it is in the store, whole and durable."""

    async def looks(self, blobs: Sequence[str]) -> list[str | None]:
        """What the first bytes of each of these blobs tell it to be, a MIME type; empty: nothing; None: there is no
        such blob, or nobody can tell."""

    def discard_staging(self, name: str) -> None:
        """Nothing to do where it is gone already."""

    def hold(self, sha256: str) -> None:
        """Somebody has it open: gc leaves it. Paired with `release`."""

    def release(self, sha256: str) -> None: ...


class LocalBlobs(Blobs, Protocol):
    """Content in files of a local file system, which programs that read and write files by path can share: torrents."""

    def path(self, sha256: str) -> str: ...
    def begin_pass(self, path: str, witness: Witness | None = None) -> Pass:
        """For `adopt`. Instant: the file is opened when it is read."""

    async def read_ahead(self, begun: Pass, upto: int) -> None:
        """Bytes `[0, upto)` will not change any more: read them now, for `adopt` to be spared that. One call at a time
        a pass."""

    async def adopt(self, begun: Pass, *, heal: bool = False) -> Ingested:
        """The door in for a file that goes on to be used where it is, on the same file system: hashed, synced, made
        read-only and given a second name in the store, not copied. Nobody may write to it any more. Where the store
        has the content already, the path becomes a name of that; with `heal` the blob becomes a name of the path, since
        it was found to be damaged. DigestMismatch if the witness does not agree."""

    async def lend(self, sha256: str, path: str) -> None:
        """The blob under a second name, read-only, for who reads files by path; `path` is replaced."""
