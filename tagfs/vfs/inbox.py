"""/inbox as a whole: what was dropped, who has it open, and what becomes of it. Trio thread.

    create ──▶ writing ──last close──▶ being read ──▶ gone: its items are there
                  ▲                          └──────▶ bad: it says why, and stays until it is removed or overwritten
                  └── opened for writing once more ───────┘

A file with a name that programs give to what is not ready yet (`.x`, `x.part`) waits to be renamed. What a crash cut
short is bad, what it kept from being read is read at the next start, without what had been added of it already.

State lives here and only here, and below `inbox/` of the state directory, which `DropStore` owns.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Final

import trio

from engine.disk import write_at
from engine.errors import BadRequest, CatalogueFailed, EngineError
from engine.formats.read import MAX_BYTES
from engine.ports import Catalogue, Transfers
from query.errors import BadName
from tagfs.amounts import counted
from tagfs.escape import tame
from tagfs.intake.drops import DropStore, Record
from tagfs.intake.take import add_all, left_over, read_file, requests, span
from tagfs.vfs.faults import Faults

log = logging.getLogger(__name__)

MAX_DROPS: Final = 10_000
LAST_WORDS: Final = 3.0  # seconds for what is being added when the daemon is to end
CUT_SHORT: Final = "tagfs stopped while this file was being written: write it again"
_UNREADY: Final = (".part", ".partial", ".crdownload", ".download", ".tmp", ".swp", "~")

Path = tuple[str, ...]


@dataclass(slots=True)
class Drop:
    """A file in /inbox. `fd` is open while a handle is."""

    number: int  # its inode number, until the daemon ends
    key: str
    record: Record
    fd: int = -1
    handles: int = 0
    writers: int = 0
    reading: trio.Event | None = None  # set once it is known what becomes of it
    saving: trio.Lock = field(default_factory=trio.Lock)
    gone: bool = False
    left_ns: int | None = None  # of one that an earlier daemon left: when it was last changed
    mtime_ns: int = field(default_factory=time.time_ns)
    size: int = 0

    @property
    def state(self) -> str:
        """In the words of `user.tagfs.state`."""
        if self.record.error is not None:
            return "failed"
        return "queued" if self.reading is not None else "writing"


class Inbox:
    """`first` is the lowest inode number of a drop, `live` tells the ids of live items."""

    def __init__(
        self,
        store: DropStore,
        catalogue: Catalogue,
        transfers: Transfers,
        faults: Faults,
        *,
        first: int,
        live: Callable[[], Iterable[int]],
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._transfers = transfers
        self._faults = faults
        self._next = first
        self._live = live
        self._numbers: dict[int, Drop] = {}
        self._names: dict[tuple[Path, str], Drop] = {}
        self._nursery: trio.Nursery | None = None
        self._adding: set[trio.CancelScope] = set()
        self.changed_ns = time.time_ns()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """The service: reads what is dropped, and first what the last daemon left."""
        found = await trio.to_thread.run_sync(self._store.load)
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for key, record in found.items():
                drop = self._enter(key, record)
                status = os.stat(self._store.path(key))
                drop.size, drop.mtime_ns, drop.left_ns = status.st_size, status.st_mtime_ns, status.st_ctime_ns
                if record.error is not None:
                    self._faults.add(_sentence(drop))
                elif not record.closed:
                    await self._refuse(drop, CUT_SHORT)
                else:
                    self._begin_reading(drop)
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None
                for scope in self._adding:
                    scope.deadline = trio.current_time() + LAST_WORDS

    # -- looking -----------------------------------------------------------------------------------------------

    def numbered(self, number: int) -> Drop | None:
        """Also one that was removed and is still open."""
        return self._numbers.get(number)

    def named(self, path: Path, name: str) -> Drop | None:
        return self._names.get((path, name))

    def within(self, path: Path) -> Iterator[Drop]:
        return (drop for (where, _), drop in sorted(self._names.items()) if where == path)

    def folders(self, path: Path) -> list[str]:
        """Components below `path` on the way to something that was dropped."""
        depth = len(path)
        return sorted({where[depth] for where, _ in self._names if len(where) > depth and where[:depth] == path})

    @property
    def bad(self) -> int:
        """How many could not be taken."""
        return sum(drop.record.error is not None for drop in self._names.values())

    # -- making, removing, renaming ----------------------------------------------------------------------------

    async def create(self, path: Path, name: str) -> Drop:
        """A new, empty drop with one handle that writes. FileExistsError for a name that is there."""
        if (path, name) in self._names:
            raise FileExistsError(errno.EEXIST, f"{name!r} was dropped here already")
        if len(self._names) >= MAX_DROPS:
            raise OSError(errno.ENOSPC, f"/inbox holds at most {MAX_DROPS} files: remove those that cannot be read")
        record = Record(path, name)
        key, fd = await trio.to_thread.run_sync(self._store.create, record)
        if (path, name) in self._names:  # somebody was quicker
            os.close(fd)
            await trio.to_thread.run_sync(self._store.remove, key)
            raise FileExistsError(errno.EEXIST, f"{name!r} was dropped here already")
        drop = self._enter(key, record)
        drop.fd, drop.handles, drop.writers = fd, 1, 1
        return drop

    async def remove(self, drop: Drop) -> None:
        """Who has it open goes on. ENOENT when it was taken in meanwhile."""
        await self._settled(drop)
        if drop.gone:
            raise FileNotFoundError(errno.ENOENT, "it was taken in already")
        self._forget(drop)
        await trio.to_thread.run_sync(self._store.remove, drop.key)

    async def rename(self, drop: Drop, path: Path, name: str) -> None:
        """Onto another drop: that one goes. A file that was waiting for its name is read."""
        await self._settled(drop)
        other = self._names.get((path, name))
        if other is drop:
            return
        if other is not None and not drop.gone:
            with suppress(FileNotFoundError):  # it was taken in meanwhile
                await self.remove(other)
            await self._settled(drop)
        if drop.gone:
            raise FileNotFoundError(errno.ENOENT, "it was taken in already")
        del self._names[drop.record.path, drop.record.name]
        drop.record = replace(drop.record, path=path, name=name, error=None)
        self._names[path, name] = drop
        self.changed_ns = time.time_ns()
        await self._save(drop)
        if drop.record.closed and not drop.writers and not drop.gone:
            self._begin_reading(drop)

    # -- handles -----------------------------------------------------------------------------------------------

    async def open(self, drop: Drop, *, writing: bool, truncate: bool) -> None:
        """One more handle, paired with `close`. ESTALE when it was taken in meanwhile: the kernel looks the name up
        again then, and makes a new file if it was to."""
        if writing:
            await self._settled(drop)
        if drop.gone:
            raise OSError(errno.ESTALE, "it was taken in already")
        if drop.handles == 0:
            drop.fd = self._store.open(drop.key)
        drop.handles += 1
        drop.writers += writing  # from here on nobody reads it
        try:
            if writing and drop.record.closed:
                drop.record, drop.left_ns = replace(drop.record, closed=False, error=None), None
                await self._save(drop)
            if truncate:
                self.truncate(drop, 0)
        except OSError:
            self.close(drop, writing=writing)
            raise

    def close(self, drop: Drop, *, writing: bool) -> None:
        """The last writer has it read, and does not wait for it."""
        drop.handles -= 1
        drop.writers -= writing
        if drop.handles == 0:
            os.close(drop.fd)
            drop.fd = -1
            if drop.gone:
                self._numbers.pop(drop.number, None)
        if writing and drop.writers == 0 and not drop.gone and self._nursery is not None:  # else it is cut short
            drop.record = replace(drop.record, closed=True)
            with suppress(OSError):  # no space: `_read` tries again, and says so
                self._store.note_closed(drop.key, drop.record)
            self._begin_reading(drop)

    def write(self, drop: Drop, offset: int, data: bytes) -> int:
        if offset + len(data) > MAX_BYTES:
            raise OSError(errno.EFBIG, f"a file in /inbox has at most {MAX_BYTES >> 20} MiB")
        write_at(drop.fd, data, offset)
        drop.size, drop.mtime_ns = max(drop.size, offset + len(data)), time.time_ns()
        return len(data)

    def truncate(self, drop: Drop, size: int) -> None:
        if drop.writers == 0:
            raise OSError(errno.EPERM, "write the file anew instead of cutting it")
        if size > MAX_BYTES:
            raise OSError(errno.EFBIG, f"a file in /inbox has at most {MAX_BYTES >> 20} MiB")
        os.ftruncate(drop.fd, size)
        drop.size, drop.mtime_ns = size, time.time_ns()

    # -- reading -----------------------------------------------------------------------------------------------

    async def _settled(self, drop: Drop) -> None:
        while drop.reading is not None:
            await drop.reading.wait()

    def _begin_reading(self, drop: Drop) -> None:
        if self._nursery is not None:  # else the next start does it
            drop.reading = trio.Event()
            self._nursery.start_soon(self._read, drop, drop.reading)

    async def _read(self, drop: Drop, done: trio.Event) -> None:
        try:
            await self._save(drop)
            if not _is_unready(drop.record.name):
                await self._take(drop)
        except OSError as error:
            await self._refuse(drop, error.strerror or str(error))
        finally:
            drop.reading = None
            done.set()

    async def _take(self, drop: Drop) -> None:
        try:
            found = await read_file(drop.record.name, await trio.to_thread.run_sync(self._store.content, drop.key))
            if found.faults:
                raise BadRequest("Nothing of it was added. " + " ".join(found.faults))
            wanted = requests(found, tags=dict.fromkeys(drop.record.path))
            if drop.left_ns is not None:
                wanted = await left_over(self._catalogue, self._live(), wanted, drop.left_ns)
            with self._to_the_end():
                items = await add_all(self._catalogue, self._transfers, wanted)
                await trio.to_thread.run_sync(self._store.remove, drop.key)
                self._forget(drop)
                log.info("%s of a file in /inbox, %s", counted(len(items), "download"), span(items))
            for note in found.notes:
                self._faults.add(f"{_shown(drop)}: {note}")
        except CatalogueFailed:
            raise
        except (EngineError, BadName, OSError) as error:
            await self._refuse(drop, (error.strerror if isinstance(error, OSError) else None) or str(error))

    async def _refuse(self, drop: Drop, why: str) -> None:
        drop.record = replace(drop.record, closed=True, error=why)
        self.changed_ns = time.time_ns()
        self._faults.add(_sentence(drop))
        log.info("a file in /inbox cannot be read: %s", tame(_sentence(drop)))
        try:
            await self._save(drop)
        except OSError as error:  # the next start reads it again, and finds the reason again
            log.error("the record of a file in /inbox cannot be written: %s", error)

    @contextmanager
    def _to_the_end(self) -> Iterator[None]:
        """What is being added when the daemon is to end is not cut in the middle, unless it takes too long."""
        scope = trio.CancelScope(shield=True)
        if self._nursery is None:
            scope.deadline = trio.current_time() + LAST_WORDS
        self._adding.add(scope)
        try:
            with scope:
                yield
        finally:
            self._adding.discard(scope)

    async def _save(self, drop: Drop) -> None:
        """The record as it is by then, durably, even when the daemon is to end."""
        with trio.CancelScope(shield=True):
            async with drop.saving:
                if not drop.gone:
                    await trio.to_thread.run_sync(self._store.write, drop.key, drop.record)

    # -- the tables --------------------------------------------------------------------------------------------

    def _enter(self, key: str, record: Record) -> Drop:
        drop = Drop(self._next, key, record)
        self._next += 1
        self._numbers[drop.number] = drop
        self._names[record.path, record.name] = drop
        self.changed_ns = time.time_ns()
        return drop

    def _forget(self, drop: Drop) -> None:
        """It has no name any more; its number goes with its last handle."""
        drop.gone = True
        self._names.pop((drop.record.path, drop.record.name), None)
        if drop.handles == 0:
            self._numbers.pop(drop.number, None)
        self.changed_ns = time.time_ns()


def _is_unready(name: str) -> bool:
    return name.startswith(".") or name.lower().endswith(_UNREADY)


def _shown(drop: Drop) -> str:
    return "/".join(("/inbox", *drop.record.path, drop.record.name))


def _sentence(drop: Drop) -> str:
    return f"{_shown(drop)}: {drop.record.error}"
