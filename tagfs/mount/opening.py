"""Opening files: which content a program gets, and whether by the page cache. Trio thread.

State: the files that are open, and which opens were sent back to look their name up anew.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pyfuse3

from engine.errors import NoSuchItem
from engine.types import Item, ItemId, Kind, State
from tagfs.mount.closing import let_go, written_by
from tagfs.mount.handles import Handles
from tagfs.mount.invalidate import Invalidator
from tagfs.mount.onlookers import is_onlooker
from tagfs.mount.sentback import SentBack
from tagfs.vfs.content import ArrivingFile, BlobFile, DraftFile, KeptFile, OpenFile
from tagfs.vfs.context import Context
from tagfs.vfs.draft import Draft
from tagfs.vfs.drafts import Drafts

if TYPE_CHECKING:
    from pyfuse3 import FileInfo

WRITE = os.O_WRONLY | os.O_RDWR


class Opening:
    def __init__(self, context: Context, kernel: Invalidator) -> None:
        self.files: Handles[OpenFile] = Handles()
        self._context = context
        self._kernel = kernel
        self._sent_back = SentBack()

    async def item(self, node: int, item: ItemId, flags: int, program: int) -> FileInfo:
        """`node`: by which the kernel knows it. `program`: the thread that opens."""
        sent_from = self._sent_back.take(program)
        try:
            if sent_from is None and self._context.drafts.aliases.refuses(node):
                raise OSError(errno.ESTALE, f"item {item} has another node")
            return await self._open(node, item, flags, program)
        except (NoSuchItem, FileNotFoundError, PermissionError) as error:
            if sent_from == node:
                raise
            self._sent_back.add(program, node)
            raise OSError(errno.ESTALE, f"item {item} has no such name any more") from error

    def answer(self, opened: OpenFile, node: int | None = None) -> FileInfo:
        """`node`: of an item, whose pages may be those of another content than this one."""
        handle = pyfuse3.FileHandleT(self.files.add(opened))
        if node is not None and opened.version is not None:
            draft, drafts = opened.draft if isinstance(opened, DraftFile) else None, self._context.drafts
            if drafts.pages.needs_size(node) and not opened.direct_io:
                opened.direct_io = not self._tell_size(node, opened.size)
            elif drafts.pages.was_resized(node) and not opened.direct_io:
                self._tell_size(node, opened.size)
            if opened.direct_io:
                drafts.pages.open_direct(node, opened.version)
            else:
                contested = opened.row is not None and drafts.is_contested(opened.row.id, draft)
                use = drafts.pages.open(node, opened.version, draft, contested=contested)
                opened.direct_io, opened.keep_cache = use
            opened.node = node
        return pyfuse3.FileInfo(fh=handle, direct_io=opened.direct_io, keep_cache=opened.keep_cache)

    async def truncate(self, item: Item, size: int, handle: int | None) -> None:
        """By an open file that is written, or by path as if it were opened for that."""
        drafts = self._context.drafts
        opened = None if handle is None else self.files[handle]
        if isinstance(opened, DraftFile) and opened.writing:
            await drafts.truncate(opened.draft, size)
            return
        self._check_live(item)
        draft = await drafts.write_to(item)
        try:
            await drafts.truncate(draft, size)
        finally:
            drafts.leave(draft, writing=True)

    async def _open(self, node: int, item: ItemId, flags: int, program: int) -> FileInfo:
        written = None if flags & WRITE else self._context.drafts.being_closed(item)
        if written is not None:
            await written_by(self.files, written)
        row = self.row(item)
        if row.state is State.WRITING and self._context.drafts.readable(item) is None:
            row = await self._context.drafts.told(item)
        opened = await self._content(row, flags, program)
        opened.row = row
        await opened.prepare()
        if opened.version is not None and self._context.drafts.pages.is_taken(node, opened.version):
            await let_go(self.files, node)
        return self.answer(opened, node)

    async def _content(self, item: Item, flags: int, program: int) -> OpenFile:
        if item.kind is Kind.FOLDER:
            raise OSError(errno.ESTALE, f"item {item.id} has become a folder")
        drafts = self._context.drafts
        if flags & WRITE:
            self._check_live(item)
            draft = await drafts.write_to(item, truncate=bool(flags & os.O_TRUNC))
            return draft_file(drafts, draft, flags)
        if flags & os.O_TRUNC:  # who only reads may empty it as well, on Linux
            await self.truncate(item, 0, None)
            item = self.row(item.id)
        closed = drafts.readable(item.id)
        if closed is not None:
            drafts.enter(closed, writing=False)
            return DraftFile(drafts, closed, writing=False)
        if item.state.whole and item.sha256 is not None:
            return BlobFile(self._context, item.sha256)
        if item.state in (State.MISSING, State.WRITING):
            raise OSError(errno.EIO, f"item {item.id}: {item.error or 'its content is missing'}")
        kept = drafts.kept(item)
        if kept is not None:
            return KeptFile(kept)
        reader = self._context.transfers.reader(item.id)
        looks = is_onlooker(program, self._context.onlookers)
        return ArrivingFile(
            self._context,
            item.id,
            reader,
            wait=not flags & os.O_NONBLOCK,
            fetch=not (looks or flags & os.O_NOATIME),
            absent=errno.ENODATA if looks else errno.EAGAIN,  # on EAGAIN FFmpeg's thumbnailers try for ever
        )

    def _tell_size(self, node: int, size: int | None) -> bool:
        """Whether the kernel knows that now. Should somebody have it open, it might have to wait for what he reads."""
        pages = self._context.drafts.pages
        if size is None or not pages.is_free(node) or not self._kernel.grow(node, size):
            return False
        pages.sized(node, size)
        return True

    def row(self, item: ItemId) -> Item:
        """ENOENT for what is gone."""
        row = self._context.catalogue.item(item)
        if row is None:
            raise OSError(errno.ENOENT, f"item {item} is gone")
        return row

    def _check_live(self, item: Item) -> None:
        if item.id not in self._context.index.live:
            raise OSError(errno.EPERM, "what is in the trash cannot be changed: take it out first")


def draft_file(drafts: Drafts, draft: Draft, flags: int) -> DraftFile:
    append, mapped = bool(flags & os.O_APPEND), flags & os.O_ACCMODE == os.O_RDWR
    return DraftFile(drafts, draft, writing=True, append=append, mapped=mapped)
