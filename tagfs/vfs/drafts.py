"""Files that are being written through the mount: who has them open, and when the writing is over. Trio thread.

    create ──────────────────▶ open (n writers) ──last close──▶ closed, being sealed (`sealing.py`) ──▶ whole
    open for writing, later ──▶   "  over the old content        └─ failed: the item says so, the staged bytes stay

The row exists from create on (state `writing`), with the name of its staging file. New content for an item that has
some is copied when it is first changed, and has a row of its own from then on; the item keeps what it has until the new
content is sealed. What was closed can be written to again at once: by a further draft that builds on it.

After a crash what had been staged is sealed as it is and the item says that it was cut short; over old content only if
its writers had closed or synced it, else it goes to the trash. Nothing that was written is thrown away.
State lives here and only here: `_chains` by item, from create or open until the row names the blob.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Final

import trio

from engine.disk import clone_or_copy, full_is_store_full, kill_point, write_at
from engine.errors import BadRequest, Busy, NoSuchItem
from engine.ports import Blobs, Catalogue, Edit, NewDownload, NewItem, Replaced, Transfers
from engine.types import Item, ItemId, Source, SourceKind, State
from tagfs.vfs import gathering
from tagfs.vfs.aliases import Aliases
from tagfs.vfs.draft import Draft, Version, is_superseded, open_one, readable, shown
from tagfs.vfs.keeping import Keeping
from tagfs.vfs.pages import Pages
from tagfs.vfs.recovery import Recovery
from tagfs.vfs.sealing import Sealer, Superseded

# For what is being sealed when the daemon is to end. What takes longer is done at the next start.
LAST_WORDS: Final = 3.0  # seconds
SPACE_CHECK: Final = 2.0  # seconds between two looks for space, where something waits for it
ROOM: Final = 4 << 20  # bytes; sealing needs next to nothing, but a folder and a row
SEALING_AT_ONCE: Final = gathering.MOST  # a group; it is the pool of disk threads that bounds how many files are open


class Drafts:
    def __init__(self, catalogue: Catalogue, blobs: Blobs, transfers: Transfers) -> None:
        self._catalogue = catalogue
        self._blobs = blobs
        self._transfers = transfers
        self._sealer = Sealer(catalogue, blobs)
        self._chains: dict[ItemId, list[Draft]] = {}
        self._staged: dict[str, Draft] = {}  # by staging name: those that are started
        self._moving = 0  # rows are being made or moved
        self._moved: list[ItemId] = []  # contents are being moved between these
        self._doors: dict[ItemId, trio.Lock] = {}  # held while a draft is begun
        self._keeping = Keeping()
        self._recovery = Recovery(catalogue, self._sealer)
        self.overwritten: Callable[[ItemId], None] = lambda _item: None  # hears of each first write over old content
        self.aliases = Aliases()
        self.pages = Pages(self._sha256_of, self.aliases.nodes)
        self._gathering = gathering.Gathering()
        self._sealing = trio.Semaphore(SEALING_AT_ONCE)
        self._ending = trio.Event()
        self._nursery: trio.Nursery | None = None

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """The service: seals what a crash left, then what is closed. When cancelled it goes on with what it is sealing
        for LAST_WORDS."""
        async with trio.open_nursery() as nursery:
            scope = await nursery.start(self._keep_sealing)
            try:
                await self._recovery.run()
                task_status.started()
                await self._watch_space()
            finally:
                self._ending.set()
                scope.deadline = trio.current_time() + LAST_WORDS

    async def _keep_sealing(self, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
        with trio.CancelScope(shield=True) as scope:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                task_status.started(scope)
                await self._ending.wait()
        self._nursery = None

    # -- making ------------------------------------------------------------------------------------------------

    async def create(self, name: str, tags: Collection[str], mode: int, *, parent: ItemId | None = None) -> Draft:
        """A new, empty item, open for writing for its creator, who must `leave` it. `parent`: the folder it is in."""
        staging, fd = self._blobs.create_staging()
        draft = self._staged[staging] = Draft(staging, fd, Version(staging), frozenset(tags))
        self._moving += 1
        try:
            item = await self._catalogue.add(
                NewItem(
                    name=name,
                    state=State.WRITING,
                    tags=tags,
                    mode=mode,
                    sources=[Source(SourceKind.MOUNT, "", "", "")],
                    download=NewDownload(staging, name_fixed=True),
                    parent=parent,
                )
            )
        except BaseException as error:
            del self._staged[staging]
            os.close(fd)
            if isinstance(error, Exception):  # when cancelled the row may be there: the next start finds out
                self._blobs.discard_staging(staging)
            raise
        finally:
            self._moving -= 1
        self._adopt(item.id, draft)
        return draft

    def _adopt(self, item: ItemId, draft: Draft) -> None:
        draft.item = item
        chain = self._chains.setdefault(item, [])
        if draft not in chain:
            chain.append(draft)

    async def write_to(self, item: Item, *, truncate: bool = False) -> Draft:
        """An open draft of an item that has content, or had been closed by its last writer, with one more writer, who
        must `leave` it. Busy where a download brings the content, NoSuchItem where another item took it."""
        async with self._door(item.id):
            chain = self._chain(item.id)
            draft = open_one(chain)
            if draft is None:
                row = self._catalogue.item(item.id)  # what was closed when the caller looked may be stored by now
                if row is None:
                    raise NoSuchItem(f"item {item.id} is gone")
                if row.state is State.WRITING and not chain:
                    row = await self.told(item.id)
                    chain = self._chain(item.id)
                draft = self._begin(row, chain[-1] if chain else None, truncate=truncate)
            else:
                self.enter(draft, writing=True)
            if truncate:
                try:
                    await self.truncate(draft, 0)
                except BaseException:
                    self.leave(draft, writing=True)
                    raise
        return draft

    def _begin(self, item: Item, below: Draft | None, *, truncate: bool) -> Draft:
        """An untouched draft, which reads from what is below it."""
        kept, sha256 = self.kept(item), None
        if below is not None:
            fd, base, size, loses = self._sealer.open(below.staging), below.version, below.size, below.loses
        elif kept is not None:
            fd, base, size, loses = os.open(kept, os.O_RDONLY | os.O_CLOEXEC), Version(kept), item.size or 0, True
        elif item.state is State.MISSING and truncate:
            fd, base, size, loses = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), Version(object()), 0, False
        elif item.sha256 is not None and (item.state.whole or item.state is State.MISSING):
            fd, base, size, loses = self._blobs.open(item.sha256), Version(item.sha256), item.size or 0, False
            sha256 = item.sha256
            self._blobs.hold(sha256)
        else:
            raise Busy(f"{item.name!r} is still arriving: it can be changed once it is here")
        draft = Draft("", fd, Version(object()), item=item.id, over=True, base=base, base_size=size, loses=loses)
        draft.base_sha256 = sha256
        self._chains.setdefault(item.id, []).append(draft)
        return draft

    async def touch(self, draft: Draft, upto: int | None = None) -> None:
        """Before it is first changed: a file of its own, with the bytes of what it builds on up to there (None: all),
        and a row that says so. StoreFull."""
        if draft.staging:
            return
        async with draft.starting:
            if self._is_started(draft):
                return  # another one was quicker
            staging, fd = self._blobs.create_staging()
            try:
                with full_is_store_full():
                    if upto != 0:
                        await trio.to_thread.run_sync(partial(clone_or_copy, draft.fd, fd, limit=upto))
                assert draft.item is not None
                kill_point("draft.copied")
                await self._catalogue.start_draft(draft.item, staging)
            except BaseException as error:
                os.close(fd)
                if isinstance(error, Exception):
                    self._blobs.discard_staging(staging)
                raise
            kill_point("draft.started")
            draft.base_fd, draft.fd, draft.staging = draft.fd, fd, staging
            self._staged[staging] = draft
            self.overwritten(draft.item)

    @staticmethod
    def _is_started(draft: Draft) -> bool:
        return draft.started

    # -- looking -----------------------------------------------------------------------------------------------

    def _chain(self, item: ItemId) -> Sequence[Draft]:
        """Others may find a draft before `create` has returned, and by the item that it has just been moved to: then
        rows say whose a staged file is. They are not asked about any other item: from the commit of a sealing on none
        of them has the draft, while the item's own row may still be the one that was read before it was told
        (`catalogue/recent.py`), and whoever opened the item would be sent back to what it had. Of an item that is being
        moved such a draft is its own until we are told."""
        chain = self._chains.get(item, [])
        if not self._moving or (chain and item not in self._moved):
            return chain
        found = [self._staged[name] for name in self._catalogue.staged(item) if name in self._staged]
        for draft in found:
            if draft.item is None:
                self._adopt(item, draft)
        known = [draft for draft in chain if draft.started]
        untold = [one for one in known if one not in found and self._catalogue.holder(one.staging) is None]
        found = [*untold, *found]  # the oldest is stored first
        return chain if found == known else found

    def get(self, item: ItemId) -> Draft | None:
        """The newest draft of an item that is being written or sealed, untouched ones left out."""
        return shown(self._chain(item)) if self._chains or self._moving else None

    def any(self) -> bool:
        """Whether any item may have one."""
        return bool(self._chains or self._moving)

    def readable(self, item: ItemId) -> Draft | None:
        """What a reader gets who opens the item now; None: the content that the row names."""
        return readable(self._chain(item))

    def being_closed(self, item: ItemId) -> Draft | None:
        """What readers get as soon as the kernel has let go of it: all its programs have closed it."""
        draft = open_one(self._chain(item))
        return draft if draft is not None and draft.over and draft.flushed == draft.writers else None

    def is_contested(self, item: ItemId, draft: Draft | None) -> bool:
        """Whether others than the users of `draft` (None: of the blob) write to the item now."""
        writing = open_one(self._chain(item))
        return writing is not None and writing is not draft

    async def told(self, item: ItemId) -> Item:
        """The row, for whom it says that the item is being written, and nobody is known to: between a commit and our
        being told of it, it may be of before (docs/concurrency.md). What is told of a write comes after all before it.
        NoSuchItem."""
        return await self._catalogue.edit(item, Edit())

    def size(self, item: ItemId) -> int | None:
        """Bytes written so far; None when nobody is writing this item."""
        draft = self.get(item)
        return None if draft is None else draft.length()

    def is_blank(self, item: ItemId) -> bool:
        """Whether it is new, still open for writing, and nothing has been written."""
        draft = self.get(item)
        return draft is not None and not draft.closed and not os.fstat(draft.fd).st_size

    def mtime_ns(self, item: ItemId) -> int | None:
        """When it was last written, or as the writer has set it; None when nobody is writing this item."""
        draft = self.get(item)
        return None if draft is None else draft.changed_ns()

    def is_whole(self, item: ItemId) -> bool:
        """Whether the row says what the content is: nothing that writers have closed is left to be stored."""
        return readable(self._chain(item)) is None

    # -- handles -----------------------------------------------------------------------------------------------

    def enter(self, draft: Draft, *, writing: bool) -> None:
        """One more handle. Paired with `leave`. A closed draft takes no writers."""
        if writing and draft.closed:
            raise BadRequest("this file has been closed by its last writer")
        if draft.handles == 0:
            draft.fd = self._sealer.open(draft.staging)
        draft.handles += 1
        draft.writers += writing

    def flushed(self, draft: Draft) -> None:
        """One more of its writers was closed by its program. Of the last one the program may know before we hear that
        nobody has it open any more: a crash in between must not undo what close(2) has promised."""
        draft.flushed += 1
        if draft.over and draft.started and draft.flushed == draft.writers:
            self._sealer.mark_flushed(draft.staging)

    def reopened(self, draft: Draft) -> None:
        """Not closed after all: somebody has a copy of the descriptor, and goes on to write."""
        draft.flushed -= 1
        if draft.over and draft.started:
            self._sealer.unmark_flushed(draft.staging)

    def leave(self, draft: Draft, *, writing: bool) -> None:
        """The last writer starts the sealing and does not wait for it."""
        draft.handles -= 1
        draft.writers -= writing
        if writing and draft.writers == 0:
            self._close(draft)
        if draft.handles == 0:
            os.close(draft.fd)
            if draft.base_fd is not None:
                os.close(draft.base_fd)
                draft.base_fd = None

    def _close(self, draft: Draft) -> None:
        if draft.base_sha256 is not None:
            self._blobs.release(draft.base_sha256)
        if not draft.started:
            assert draft.base is not None
            draft.version.key = draft.base.key  # whoever uses its pages uses those of what it builds on
            self._finish(draft)
            return
        draft.mtime_ns, draft.size = draft.changed_ns(), os.fstat(draft.fd).st_size
        draft.closed = True
        if not draft.interrupted:
            self._sealer.mark_closed(draft.staging)
        if self._nursery is None or self._ending.is_set() or (draft.interrupted and draft.over):
            self._finish(draft)  # the next start does the rest
        else:
            self._nursery.start_soon(self._seal, draft)

    async def write(self, draft: Draft, offset: int | None, data: bytes) -> None:
        """Into the page cache, on the loop: a thread for each write costs more (docs/performance.md). None: at the
        end."""
        await self.touch(draft)
        offset = draft.length() if offset is None else offset
        draft.loses = draft.loses or offset < draft.base_size
        draft.mtime_ns = None
        write_at(draft.fd, data, offset)

    async def truncate(self, draft: Draft, size: int) -> None:
        """A closed draft keeps its size: BadRequest."""
        if draft.closed:
            raise BadRequest("this file has been closed by its last writer")
        await self.touch(draft, size)
        draft.loses = draft.loses or size < draft.base_size
        os.ftruncate(draft.fd, size)
        draft.mtime_ns = None

    async def sync(self, draft: Draft, *, data_only: bool) -> None:
        """What was written so far, and that it is to be the item's content, survives a power cut. After a failure the
        kernel has dropped the bytes and a second fsync would report success (R9): so no sealing may follow."""
        if not draft.started or draft.closed:
            return
        sync = partial(self._sealer.sync, draft.fd, draft.staging, data_only=data_only, first=not draft.synced)
        try:
            await trio.to_thread.run_sync(sync)
        except OSError as error:
            draft.broken = f"the disk failed while it was being written: {error.strerror}"
            raise
        draft.synced = True

    def interrupt(self) -> None:
        """The daemon ends: whoever still writes is cut off, and the items will say so."""
        for chain in self._chains.values():
            for draft in chain:
                draft.interrupted = draft.writers > draft.flushed

    # -- taking the place of another item's content ------------------------------------------------------------

    async def replace(self, target: ItemId, source: ItemId) -> Replaced:
        """See ports.Catalogue.replace: `mv source target`. Who has either of them open goes on with what he has."""
        for draft in [*self._chain(target), *self._chain(source)]:
            await self._start(draft)  # an untouched one has no row that would move
        row = self._catalogue.item(target)
        if row is not None and row.state is State.SEEDING and self._catalogue.is_torrent(target):
            await self._transfers.stop(target)
        kill_point("replace.begun")
        self.pages.changing(target)
        for draft in self._chain(source):  # as `flushed` does: from here on they are over something
            if not draft.closed and draft.flushed == draft.writers:
                self._sealer.mark_flushed(draft.staging)
        self._moving += 1
        self._moved += (target, source)
        try:
            replaced = await self._catalogue.replace(target, source)
        finally:
            self._moving -= 1
            self._moved.remove(target)
            self._moved.remove(source)
        over, by = self._chains.pop(target, []), self._chains.pop(source, [])
        for draft in over:
            draft.displaced = True
        self._move(over, replaced.kept)
        self._move(by, target)
        self.aliases.replaced(source, target)
        self.pages.sealed(target)
        self.pages.resized(target)
        return replaced

    async def _start(self, draft: Draft) -> None:
        """As one of its writers: the last of the others must not close what is copied from, and somebody has to see to
        it that it is stored."""
        if draft.started or not draft.handles:
            return
        self.enter(draft, writing=True)
        try:
            await self.touch(draft)
        finally:
            self.leave(draft, writing=True)

    @contextmanager
    def changing(self, items: Iterable[ItemId]) -> Iterator[None]:
        """While their rows come to name other contents without a draft: by an undo."""
        concerned = list(items)
        for item in concerned:
            self.pages.changing(item)
        try:
            yield
        finally:
            for item in concerned:
                if not self._chain(item):  # else the end of that says so
                    self.pages.sealed(item)
                self.pages.resized(item)

    def _move(self, chain: list[Draft], item: ItemId | None) -> None:
        if chain and item is not None:
            self._chains[item] = chain
            for draft in chain:
                draft.item = item

    # -- sealing -----------------------------------------------------------------------------------------------

    async def _seal(self, draft: Draft) -> None:
        draft.failed = False
        try:
            await self._gathering.wait()
            async with self._sealing:
                if self._is_superseded(draft):
                    return  # whoever seals the later one ends this one
                sealed = await self._seal_one(draft)
        except Superseded:
            return
        finally:
            draft.sealed.set()
        if sealed is not None:
            draft.version.key = sealed.sha256
            self.pages.sealed(_item(draft))
            for other in self._until(draft):
                other.superseded = other is not draft
                if other.superseded:  # the files of this one went when it was sealed
                    self._sealer.drop(other.staging)
                self._finish(other)
        elif self._stays(draft):
            draft.failed = True  # it goes on to be what readers get
        else:
            self._finish(draft)

    def _stays(self, draft: Draft) -> bool:
        """It could not be stored, is there to be read, and no row says so: the item has other content, or there was no
        space for that either."""
        if draft.broken is not None or self._sealer.kept(draft.staging) is None:
            return False
        row = self._catalogue.item(_item(draft))
        return draft.over or (row is not None and row.state is State.WRITING)

    async def _seal_one(self, draft: Draft) -> Item | None:
        assert draft.item is not None
        row = self._catalogue.item(draft.item)
        if draft.broken is not None:
            await self._sealer.renew(draft.staging)
            if draft.over and row is not None:
                await self._sealer.strand(row, draft.staging, draft.broken)
            else:
                await self._sealer.fail(draft.item, draft.staging, draft.broken)
            return None
        if row is not None and row.state is State.SEEDING and self._catalogue.is_torrent(draft.item):
            await self._transfers.stop(draft.item)
        self.pages.changing(draft.item)
        return await self._sealer.seal(
            draft.staging,
            draft.changed_ns,
            item=lambda: _item(draft),
            keep_old=partial(self._keeps_old, draft),
            is_superseded=partial(self._is_superseded, draft),
            cut_short=draft.interrupted,
        )

    def _is_superseded(self, draft: Draft) -> bool:
        return draft.superseded or is_superseded(draft, self._chains.get(_item(draft), []))

    def _until(self, draft: Draft) -> Sequence[Draft]:
        chain = self._chains.get(_item(draft), [])
        return chain[: chain.index(draft) + 1] if draft in chain else [draft]

    def _keeps_old(self, draft: Draft) -> bool:
        """Whether the content that this one replaces goes to the trash. What was only appended to is still there."""
        if not draft.over:
            return False
        item = _item(draft)
        if self._catalogue.torrent_of(item) is not None or self._catalogue.is_torrent(item):
            return True  # the torrent goes on with it
        return draft.loses and self._keeping.is_due(item)

    def _finish(self, draft: Draft) -> None:
        draft.sealed.set()
        self._staged.pop(draft.staging, None)
        chain = self._chains.get(draft.item, []) if draft.item is not None else []
        if draft in chain:
            chain.remove(draft)
            if not chain and draft.item is not None:
                del self._chains[draft.item]

    # -- what could not be stored ------------------------------------------------------------------------------

    def kept(self, item: Item) -> str | None:
        """The path of the bytes of a new item that failed to be stored; None for every other item."""
        return self._recovery.kept(item)

    async def retry(self, item: Item) -> bool:
        """Store once more what could not be stored; False for an item that is none of these."""
        failed = next((draft for draft in reversed(self._chain(item.id)) if draft.failed), None)
        if failed is not None:
            await self._seal(failed)
            return True
        return await self._recovery.retry(item)

    async def _watch_space(self) -> None:
        """For ever: what found no space is stored once there is some."""
        while True:
            await trio.sleep(SPACE_CHECK)
            starved = self._sealer.starved
            if starved and self._free() >= ROOM:
                item = self._catalogue.item(starved.pop())
                if item is not None:
                    await self.retry(item)

    def _free(self) -> int:
        status = os.statvfs(os.path.dirname(self._blobs.staging_path("0")))
        return status.f_bavail * status.f_frsize

    # -- in between --------------------------------------------------------------------------------------------

    def _sha256_of(self, node: int) -> str | None:
        row = self._catalogue.item(self.aliases.item(node) or ItemId(node))
        return None if row is None else row.sha256

    @asynccontextmanager
    async def _door(self, item: ItemId) -> AsyncIterator[None]:
        """One at a time begins a draft of an item."""
        lock = self._doors.setdefault(item, trio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked() and not lock.statistics().tasks_waiting:
                self._doors.pop(item, None)


def _item(draft: Draft) -> ItemId:
    assert draft.item is not None
    return draft.item
