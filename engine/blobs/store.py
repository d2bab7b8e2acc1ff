"""The blob store on a local file system: where content lives, and its one door in. On the trio thread, but for the
steps that go to the disk pool. Imports disk, errors, ports.

    ROOT/blobs/ab/abcdef...   whole content, mode 0440, named by its SHA-256, never opened for writing
    ROOT/staging/<name>       content in the making, mode 0600; `<name>.<word>` belongs to whoever owns `<name>`

A blob is whole and durable before anybody can know its name (a kill at any arrow leaves at most one file in staging,
or one blob that no row names):

    staging ─▶ hash ─▶ compare ─▶ fsync(file) ─▶ rename ─▶ fsync(blobs/ab), fsync(blobs) if ab is new ─▶ caller's row

Small files that come at the same time are hashed together, and placed together: where there are many, fsync of each
file, and of each folder, is one sync of their file system (`syncing`).

State: the files. In memory only what need not survive: who holds which blob, how far growing files are hashed.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

import trio

from engine import ports
from engine.blobs.files import (
    BLOB_MODE,
    SHA256,
    advance,
    advance_all,
    is_right,
    link_into,
    list_blobs,
    regular_size,
    seal,
    set_aside,
    sweep_folder,
    write_new,
)
from engine.blobs.hashing import Digester, Pass
from engine.blobs.magic import Magic
from engine.blobs.placing import Placing, place_all
from engine.blobs.syncing import Syncing
from engine.blobs.together import Together, outcome
from engine.digests import check_digests
from engine.disk import Disk, fsync_dir, full_is_store_full, kill_point
from engine.errors import BadRequest, DigestMismatch, SourceFailed, StoreFull
from engine.ports import Content, Ingested, Witness

RELIED_ON = 30 * 86_400.0  # seconds after which content is read before somebody relies on it (R13)
QUARANTINE = "quarantine"  # below the root: what is not what it should be, and may be all that is left

SMALL = 1 << 20  # bytes, of files whose hashing and syncing may wait for each other
log = logging.getLogger(__name__)

_STAGING_NAME = re.compile(r"[0-9a-z]+(\.[a-z]+)?")


class BlobStore:
    """Implements `ports.LocalBlobs`. `root` and what it needs below are made where missing."""

    def __init__(
        self, root: str | os.PathLike[str], *, disk: Disk | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.disk = disk or Disk()
        self._clock = clock
        self._magic = Magic()
        self._blobs = os.path.join(os.fspath(root), "blobs")
        self._staging = os.path.join(os.fspath(root), "staging")
        self.root = os.fspath(root)
        self._quarantine = os.path.join(self.root, QUARANTINE)
        for folder in (self.root, self._blobs, self._staging):
            if not os.path.isdir(folder):
                os.makedirs(folder, mode=0o700)
                fsync_dir(os.path.dirname(os.path.abspath(folder)))
        self._durable_folders: set[str] = set()  # of blobs/ab, those fsynced into blobs/ by this process
        self._hash_together = Together(self.disk, advance_all)
        self._place_together = Together(self.disk, self._place_all)
        self._syncing: Syncing | None = None
        self._ahead: dict[str, Digester] = {}  # staging name -> its hashed beginning
        self._doors: dict[str, trio.Lock] = {}  # sha256 -> held while that blob is being placed
        self._holds: Counter[str] = Counter()
        self.door_out = trio.Lock()  # held while a blob goes
        self._keepers = 0  # how many want all blobs to stay
        self._doubted: set[str] = set()  # found to be damaged, and not stored again since
        self._touched: dict[str, float] = {}  # sha256 -> when it was last handed to somebody who will name it in a row
        self._left: dict[str, float] = {}  # staging name -> when its file became a blob or was removed

    @asynccontextmanager
    async def syncing_together(self) -> AsyncIterator[None]:
        """While this lasts, many small files are made durable by one sync of their file system, where that can be."""
        with Syncing(self._blobs) as self._syncing:
            yield
        self._syncing = None

    # -- blobs -------------------------------------------------------------------------------------------------
    def path(self, sha256: str) -> str:
        """Where the blob of that digest is, or would be."""
        if not SHA256.fullmatch(sha256):
            raise BadRequest(f"A blob is named by 64 hexadecimal digits in lower case, this is not: {sha256!r}.")
        return os.path.join(self._blobs, sha256[:2], sha256)

    def open(self, sha256: str) -> int:
        """A read-only descriptor, which the caller closes. SourceFailed when the file is gone."""
        try:
            return os.open(self.path(sha256), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise SourceFailed(f"The content {sha256} is missing from the store.") from error

    def exists(self, sha256: str) -> bool:
        return self.size(sha256) is not None

    def size(self, sha256: str) -> int | None:
        """Bytes of the blob's file; None where there is none (also for what is no digest)."""
        if not SHA256.fullmatch(sha256):
            return None
        return regular_size(self.path(sha256))

    async def is_sound(self, sha256: str, size: int) -> bool:
        """See `ports.Blobs.is_sound`."""
        if self.size(sha256) != size or sha256 in self._doubted:
            return False
        if await self.disk.run(self._is_right, sha256):
            return True
        self.doubt(sha256)
        return False

    def is_doubted(self, sha256: str) -> bool:
        return sha256 in self._doubted

    def doubt(self, sha256: str) -> None:
        """It was read and is not what it was."""
        if sha256 not in self._doubted:
            log.error("blob %s: it is damaged, and not relied on any more", sha256)
            self._doubted.add(sha256)

    def _is_right(self, sha256: str) -> bool:
        """In a disk thread."""
        if sha256 in self._doubted:
            return False
        return is_right(self.path(sha256), sha256, since=time.time() - RELIED_ON)

    def _is_stored(self, sha256: str, size: int) -> bool:
        """In a disk thread: it is here, and can be relied on."""
        return regular_size(self.path(sha256)) == size and self._is_right(sha256)

    def hold(self, sha256: str) -> None:
        self._holds[sha256] += 1

    def release(self, sha256: str) -> None:
        self._holds[sha256] -= 1
        if self._holds[sha256] <= 0:
            del self._holds[sha256]

    def touch(self, sha256: str) -> None:
        """Somebody is about to commit a row that names this blob: gc leaves it for its grace."""
        self._touched[sha256] = self._clock()

    @asynccontextmanager
    async def keep_all(self) -> AsyncIterator[None]:
        """While this lasts no blob goes: somebody works through a list of them."""
        self._keepers += 1
        try:
            async with self.door_out:  # one that is on its way out goes first
                pass
            yield
        finally:
            self._keepers -= 1

    @property
    def keeps_all(self) -> bool:
        return self._keepers > 0

    def in_use(self, sha256: str, grace: float) -> bool:
        """Whether it is held open, or was touched in the last `grace` seconds."""
        touched = self._touched.get(sha256)
        return sha256 in self._holds or (touched is not None and self._clock() - touched < grace)

    def forget_touches(self, grace: float) -> None:
        """Drop what `in_use` and `has_left` do not look at any more."""
        oldest = self._clock() - grace
        self._touched = {sha256: when for sha256, when in self._touched.items() if when > oldest}
        self._left = {name: when for name, when in self._left.items() if when > oldest}

    def condemn(self, sha256: str) -> str | None:
        """For gc alone: take the blob out of the store at once, into a staging name that is returned (None: no such
        file). Nobody finds it any more; the caller removes it in a thread."""
        name = secrets.token_hex(16) + ".gone"
        try:
            os.rename(self.path(sha256), self.staging_path(name))
        except FileNotFoundError:
            return None
        return name

    def free(self) -> int:
        """Bytes that are free on its file system. Instant."""
        status = os.statvfs(self._blobs)
        return status.f_bavail * status.f_frsize

    async def stored(self) -> list[str]:
        """Every blob that has a file, in ascending order."""
        return await self.disk.run(list_blobs, self._blobs)

    async def quarantine(self, path: str) -> str:
        """Take a file, given by its path or by that below the root, out of the store without deleting it; the path that
        it has then, below the root. FileNotFoundError."""
        return await self.disk.run(set_aside, os.path.join(self.root, path), self._quarantine)

    def has_file(self, path: str) -> bool:
        """Whether anything has that path below the root. Instant."""
        return os.path.lexists(os.path.join(self.root, path))

    async def protect(self, sha256: str) -> None:
        """Nobody may write to the file of this blob."""
        await self.disk.run(os.chmod, self.path(sha256), BLOB_MODE)

    # -- staging -----------------------------------------------------------------------------------------------
    def create_staging(self, name: str | None = None) -> tuple[str, int]:
        """(name, fd): a new empty file below staging, or the one of that `name`, made where missing; mode 0600."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        if name is None:
            name, flags = secrets.token_hex(16), flags | os.O_EXCL
        self._left.pop(name, None)
        path = self.staging_path(name)
        with full_is_store_full():
            try:
                return name, os.open(path, flags, 0o600)
            except PermissionError:  # sealed by a process that died before the rename
                os.chmod(path, 0o600)
                return name, os.open(path, flags, 0o600)

    def staging_path(self, name: str) -> str:
        if not _STAGING_NAME.fullmatch(name):
            raise BadRequest(f"Not the name of a staging file: {name!r}.")
        return os.path.join(self._staging, name)

    def discard_staging(self, name: str) -> None:
        """Remove it; nothing to do where it is gone already."""
        self._ahead.pop(name, None)
        with suppress(FileNotFoundError):
            os.unlink(self.staging_path(name))
            self._left[name] = self._clock()

    def staged_size(self, name: str) -> int:
        """Bytes of a staging file, 0 where there is none. Instant: one lstat."""
        return regular_size(self.staging_path(name)) or 0

    def has_left(self, name: str) -> bool:
        """Whether this process made a blob of the staging file or removed it a while ago: the row that still names it
        may be about to change."""
        return name in self._left

    async def sweep(self, keep: Collection[str]) -> list[str]:
        """At the start: remove from staging all but what belongs to the names in `keep` (`<name>` and `<name>.*`).
        Returns what was removed."""
        return await self.disk.run(sweep_folder, self._staging, frozenset(keep))

    # -- the door in -------------------------------------------------------------------------------------------
    async def hash_ahead(self, staging: str, upto: int, algorithms: Collection[str]) -> None:
        """Bytes `[0, upto)` of a staging file will not change any more: hash them now, for `ingest` to go on from
        there. `algorithms` are those of the digests that ingest will be asked to compare. One call at a time a file.
        """
        wanted = frozenset(algorithms) | {"sha256"}
        digester = self._ahead.get(staging)
        if digester is None or digester.algorithms != wanted:
            digester = self._ahead[staging] = Digester(wanted)
        await self.disk.run(advance, self.staging_path(staging), digester, upto)

    async def ingest(self, staging: str, digests: Mapping[str, str], *, name: str = "") -> Ingested:
        """See `ports.Blobs.ingest`. DigestMismatch, StoreFull; OSError where the disk fails: then the staging file is
        dead and must be discarded, for a second fsync would report success for bytes that the kernel dropped."""
        expected = check_digests(digests)
        wanted = frozenset(expected) | {"sha256"}
        digester = self._ahead.pop(staging, None)
        if digester is None or digester.algorithms != wanted:
            digester = Digester(wanted)
        path = self.staging_path(staging)
        if small := os.stat(path).st_size <= SMALL:
            size = await self._hash_together((path, digester))
        else:
            size = await self.disk.run(advance, path, digester, None)
        found = digester.hexdigests()
        for algorithm, digest in expected.items():
            if found[algorithm] != digest:
                raise DigestMismatch(
                    f"The content has the {algorithm} digest {found[algorithm]}, but {digest} was promised."
                )
        sha256 = found["sha256"]
        async with self._door(sha256):
            self.touch(sha256)  # before it is looked for: gc may not take it between this and the caller's row
            self._left[staging] = self._clock()
            placing = Placing(path, self.path(sha256), size, name)
            if small:
                mime = await self._place_together(placing)
            else:
                mime = outcome(await self.disk.run(self._place_all, [placing]))
            self._doubted.discard(sha256)
        return Ingested(sha256, size, found, mime)

    def begin_pass(self, path: str, witness: Witness | None = None) -> Pass:
        return Pass(path, witness)

    async def read_ahead(self, begun: ports.Pass, upto: int) -> None:
        """See `ports.LocalBlobs.read_ahead`. OSError where the disk fails."""
        await self.disk.run(begun.advance, upto)

    async def adopt(self, begun: ports.Pass, *, heal: bool = False) -> Ingested:
        """See `ports.LocalBlobs.adopt`. DigestMismatch, StoreFull; OSError where the disk fails."""
        await self.disk.run(begun.advance, None)
        if not begun.agrees():
            raise DigestMismatch("The content is not what was promised.")
        sha256, size = begun.sha256(), begun.offset
        async with self._door(sha256):
            self.touch(sha256)  # as in ingest
            mime = await self.disk.run(partial(self._adopt, heal=heal), begun.path, sha256, size)
            self._doubted.discard(sha256)
        return Ingested(sha256, size, {"sha256": sha256}, mime)

    async def lend(self, sha256: str, path: str) -> None:
        """See `ports.LocalBlobs.lend`."""
        await self.disk.run(link_into, self.path(sha256), path, self.staging_path(secrets.token_hex(16)))

    def _adopt(self, path: str, sha256: str, size: int, *, heal: bool) -> str | None:
        """In a disk thread, one at a time for each digest. Returns what its first bytes tell."""
        target = self.path(sha256)
        temporary = self.staging_path(secrets.token_hex(16))
        is_same = regular_size(target) == size and os.path.samefile(target, path)
        if not heal and (is_same or self._is_stored(sha256, size)):
            if not is_same:
                link_into(target, path, temporary)
            self._make_durable([os.path.dirname(target)])
            return self._magic.look_at(target)
        seal(path)
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        link_into(path, target, temporary)
        kill_point("adopt.linked")
        self._make_durable([os.path.dirname(target)])
        return self._magic.look_at(target)

    def _place_all(self, files: Sequence[Placing]) -> list[str | Exception | None]:
        """In a disk thread, one at a time for each digest."""
        return place_all(files, self._is_stored, self._make_durable, self._magic.look_at, self._syncing)

    async def put_many(self, contents: Sequence[Content]) -> list[StoreFull | OSError | None]:
        """See `ports.Blobs.put_many`."""
        for content in contents:
            self.touch(content.sha256)
        async with AsyncExitStack() as doors:
            for sha256 in sorted({content.sha256 for content in contents}):  # in order: no two wait for each other
                await doors.enter_async_context(self._door(sha256))
            errors = await self.disk.run(self._put_all, list(contents))
        stored = (content.sha256 for content, error in zip(contents, errors, strict=True) if error is None)
        self._doubted.difference_update(stored)
        return errors

    def _put_all(self, contents: list[Content]) -> list[StoreFull | OSError | None]:
        """In a disk thread. Where a group fails each is tried alone, so that one failure costs no other."""
        try:
            with full_is_store_full():
                self._put_group({content.sha256: content.data for content in contents})
        except (StoreFull, OSError) as error:
            if len(contents) == 1:
                return [error]
            return [self._put_all([content])[0] for content in contents]
        return [None] * len(contents)

    def _put_group(self, contents: Mapping[str, bytes | bytearray]) -> None:
        """All are whole and durable under names of their own before the first gets its final one."""
        staged: dict[str, tuple[str, int]] = {}  # sha256 -> path, descriptor
        folders = {os.path.dirname(self.path(sha256)) for sha256 in contents}
        try:
            for sha256, data in contents.items():
                if not self._is_stored(sha256, len(data)):
                    path = self.staging_path(secrets.token_hex(16))
                    staged[sha256] = path, write_new(path, data)
            for _, fd in staged.values():
                os.fsync(fd)
            kill_point("put.fsynced")
            for folder in folders:
                os.makedirs(folder, mode=0o700, exist_ok=True)
            for sha256, (path, _) in staged.items():
                os.rename(path, self.path(sha256))
        except BaseException:
            for path, _ in staged.values():
                with suppress(FileNotFoundError):
                    os.unlink(path)
            raise
        finally:
            for _, fd in staged.values():
                os.close(fd)
        kill_point("put.renamed")
        self._make_durable(folders)
        kill_point("put.placed")

    async def looks(self, blobs: Sequence[str]) -> list[str | None]:
        """See `ports.Blobs.looks`."""
        return await self.disk.run(self._look_at_all, list(blobs))

    def _look_at_all(self, blobs: list[str]) -> list[str | None]:
        return [self._look(sha256) for sha256 in blobs]

    def _look(self, sha256: str) -> str | None:
        try:
            return self._magic.look_at(self.path(sha256))
        except FileNotFoundError:
            return None

    def _make_durable(self, folders: Collection[str]) -> None:
        """The names in them, and theirs. Also for content that was there: the process that placed it may have died
        before it got here. In a disk thread."""
        for folder in folders:
            fsync_dir(folder)
        if not self._durable_folders.issuperset(folders):
            fsync_dir(self._blobs)
            self._durable_folders.update(folders)

    @asynccontextmanager
    async def _door(self, sha256: str) -> AsyncIterator[None]:
        """One at a time for each digest, so that looking and renaming are one step."""
        lock = self._doors.setdefault(sha256, trio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked() and not lock.statistics().tasks_waiting:
                self._doors.pop(sha256, None)
