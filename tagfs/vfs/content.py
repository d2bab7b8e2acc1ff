"""Open files. One class a kind of content; the mount only knows `OpenFile`. Trio thread, unless a method says
otherwise."""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from typing import Final

import trio

from engine.disk import read_at, read_nowait
from engine.errors import NotReady, SourceFailed
from engine.ports import RangeReader
from engine.types import Item, ItemId, State
from tagfs.vfs.context import Context
from tagfs.vfs.draft import Draft, Version
from tagfs.vfs.drafts import Drafts

SIZE_PATIENCE: Final = 10.0  # seconds that an open waits for a server to say how large the file is
LOOKS: Final = 8  # into the page cache, before a thread is asked


class OpenFile(ABC):
    """`direct_io`: the kernel keeps no pages (the size is not known); `keep_cache`: pages from before are still
    right. Of an item, `version` and `pages.Pages` decide both."""

    direct_io = False
    keep_cache = False
    version: Version | None = None
    node: int | None = None  # of the item: whose pages `version` is for
    closing = False  # a program has closed it; the kernel may still have it
    released: trio.Event | None = None  # for who waits until the kernel has not
    row: Item | None = None  # of the item as it was opened: what stat shows should it be ended meanwhile

    @property
    def size(self) -> int | None:
        """How large it is now; None where nobody knows, or nobody is to."""
        return None

    async def prepare(self) -> None:  # noqa: B027 - most files need nothing
        """Once, before the open is answered."""

    @abstractmethod
    async def read(self, offset: int, size: int) -> bytes:
        """Exactly what was asked for, shorter only at the end of the file."""

    async def write(self, offset: int, data: bytes) -> int:
        raise OSError(errno.EBADF, "this file is not open for writing")

    async def fsync(self, *, data_only: bool) -> None:  # noqa: B027 - nothing written, nothing to do
        """What was written so far survives a power cut."""

    @abstractmethod
    async def close(self) -> None: ...


class BlobFile(OpenFile):
    """Whole content. It never changes, so the kernel may keep every page."""

    keep_cache = True

    def __init__(self, context: Context, sha256: str) -> None:
        self._blobs = context.blobs
        self._sha256 = sha256
        self.version = Version(sha256)
        self._fd = context.blobs.open(sha256)
        context.blobs.hold(sha256)

    @property
    def size(self) -> int:
        return os.fstat(self._fd).st_size

    async def read(self, offset: int, size: int) -> bytes:
        return await read_local(self._fd, offset, size)

    async def close(self) -> None:
        os.close(self._fd)
        self._blobs.release(self._sha256)


class ArrivingFile(OpenFile):
    """What is here is served, the rest is waited for; once the item is whole, its blob serves.

    `wait`: False for O_NONBLOCK; `fetch`: False for O_NOATIME and for onlookers, who start nothing (`mount.onlookers`).
    `absent` is what they hear of what is not here, instead of EAGAIN.
    """

    def __init__(
        self,
        context: Context,
        item: ItemId,
        reader: RangeReader | None,
        *,
        wait: bool,
        fetch: bool,
        absent: int = errno.EAGAIN,
    ) -> None:
        self._context = context
        self._item = item
        self._reader = reader
        self._wait = wait
        self._fetch = fetch
        self._absent = absent
        self._whole: BlobFile | None = None
        self.version = Version(("arriving", item), settles=True)

    @property
    def size(self) -> int | None:
        return None if self._reader is None else self._reader.size

    async def prepare(self) -> None:
        """Wait a while for the size: who opens a link that was made a moment ago and looks for its end (`unzip`,
        players) would take it for empty. Nobody waits to see what a listing shows."""
        if self._reader is not None and self._reader.size is None and self._wait and self._fetch:
            patience = min(self._context.read_patience, SIZE_PATIENCE)
            await self._reader.wait_size(trio.current_time() + patience)
        self.direct_io = self.size is None

    async def read(self, offset: int, size: int) -> bytes:
        if self._whole is None:
            row = self._context.catalogue.item(self._item)
            if row is not None and row.state.whole and row.sha256 is not None:
                self._whole = BlobFile(self._context, row.sha256)
        if self._whole is not None:
            return await self._whole.read(offset, size)
        try:
            return await self._read_arriving(offset, size)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                raise OSError(self._absent, error.strerror) from error
            raise

    async def _read_arriving(self, offset: int, size: int) -> bytes:
        reader = self._reader or self._context.transfers.reader(self._item)
        if reader is None:
            raise self._not_arriving()
        self._reader = reader
        here = reader.have(offset, size)
        if not here and not (self._wait and self._fetch):
            raise OSError(errno.EAGAIN, "this part is not here yet")
        if not here:
            reader.hint(offset, size)
        patience = trio.current_time() + self._context.read_patience
        try:
            return await reader.pread(offset, size, patience)
        except NotReady as error:
            raise OSError(errno.EAGAIN, f"item {self._item}: {error}") from error
        except SourceFailed as error:
            row = self._context.catalogue.item(self._item)
            failed = row is not None and row.state is State.FAILED
            raise OSError(errno.EAGAIN if failed else errno.EIO, f"item {self._item}: {error}") from error

    def _not_arriving(self) -> OSError:
        row = self._context.catalogue.item(self._item)
        if row is None or row.trashed_ns is not None:
            return OSError(errno.EIO, f"item {self._item} was removed while it was read")
        if row.state is State.MISSING:
            return OSError(errno.EIO, f"item {self._item}: {row.error or 'its content is missing'}")
        return OSError(errno.EAGAIN, f"item {self._item} is {row.state.value}: {row.error or 'it is not fetched now'}")

    async def close(self) -> None:
        if self._whole is not None:
            await self._whole.close()


class DraftFile(OpenFile):
    """A file being written, seen by its writers and by those who read it before it is sealed. Made by whoever has
    entered the draft; `close` leaves it.

    `append`: each write goes to the end of the draft. The kernel says where it takes that to be, but it has one size
    for all contents: a read of the old one that ends early sets it back to that, and who goes on to write to what `mv`
    has replaced gets the size of that. `mapped`: it may be mapped shared as well; while it has the page cache, what
    comes may be pages, and goes where the kernel says."""

    def __init__(
        self, drafts: Drafts, draft: Draft, *, writing: bool, append: bool = False, mapped: bool = False
    ) -> None:
        self._drafts = drafts
        self._draft = draft
        self._writing = writing
        self._append = append
        self._mapped = mapped
        self._flushed = False  # its program has closed it and, as far as we know, has no copy of the descriptor
        self.version = draft.version

    @property
    def item(self) -> ItemId:
        assert self._draft.item is not None
        return self._draft.item

    @property
    def size(self) -> int:
        return self._draft.length()

    @property
    def draft(self) -> Draft:
        return self._draft

    @property
    def writing(self) -> bool:
        return self._writing

    async def read(self, offset: int, size: int) -> bytes:
        return await read_local(self._draft.fd, offset, size)

    async def write(self, offset: int, data: bytes) -> int:
        if not self._writing:
            return await super().write(offset, data)
        if self._flushed:
            self._flushed = False
            self._drafts.reopened(self._draft)
        at_end = self._append and (self.direct_io or not self._mapped or self._draft.displaced)
        await self._drafts.write(self._draft, None if at_end else offset, data)
        return len(data)

    async def fsync(self, *, data_only: bool) -> None:
        await self._drafts.sync(self._draft, data_only=data_only)

    def flush(self) -> None:
        """The program has called close(2), and gets its answer when this returns."""
        if self._writing and not self._flushed:
            self._flushed = True
            self._drafts.flushed(self._draft)

    async def close(self) -> None:
        if self._flushed:
            self._draft.flushed -= 1
        self._drafts.leave(self._draft, writing=self._writing)


class KeptFile(OpenFile):
    """What could not be stored, as it lies in staging."""

    def __init__(self, path: str) -> None:
        self.version = Version(path)
        self._fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)

    async def read(self, offset: int, size: int) -> bytes:
        return await read_local(self._fd, offset, size)

    async def close(self) -> None:
        os.close(self._fd)


class TextFile(OpenFile):
    """A text as of the open."""

    direct_io = True

    def __init__(self, text: str) -> None:
        self._data = text.encode("utf-8", "backslashreplace")

    async def read(self, offset: int, size: int) -> bytes:
        return self._data[offset : offset + size]

    async def close(self) -> None:
        self._data = b""


async def read_local(fd: int, offset: int, size: int) -> bytes:
    """`size` bytes at `offset`, fewer only at the end of the file; from the page cache at once, else in a thread.

    A look at what is not in the page cache has the kernel begin to read it. A quick disk is done with it some turns of
    the loop later: 50 µs for 4 KiB, a turn takes 10; the way to a thread and back costs 150."""
    try:
        for _ in range(LOOKS):
            cached = read_nowait(fd, offset, size)
            if cached is not None:
                return cached
            await trio.lowlevel.checkpoint()
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
    return await trio.to_thread.run_sync(read_at, fd, offset, size)
