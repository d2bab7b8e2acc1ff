"""The catalogue as the rest of the engine sees it: ports.Catalogue over SQLite. On the trio thread.

    point read ──▶ own connection, at once          (points, recent)
    scan       ──▶ a reader thread                  (scans, verify, feed)
    write      ──▶ a job for the writer thread      (writes) ──▶ delivery ──▶ observers ──▶ the caller goes on

State: the jobs that somebody waits for, and whether the service still runs. All else is in the database.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import closing
from copy import copy
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Concatenate, ParamSpec, TypeVar

import trio
from peewee import DatabaseError, SqliteDatabase
from pyroaring import BitMap

from engine.catalogue import columns, dump, feed, journal, pages, points, scans, snapshot, verify
from engine.catalogue.database import open_reader, prepare, raw, translate
from engine.catalogue.delivery import Delivery
from engine.catalogue.pages import Keeper
from engine.catalogue.readers import Readers
from engine.catalogue.recent import Recent
from engine.catalogue.reserve import Reserve
from engine.catalogue.transaction import Transaction
from engine.catalogue.writer import Job, Writer
from engine.catalogue.writes import (
    bulk,
    content,
    drafts,
    edits,
    folders,
    items,
    loading,
    mending,
    places,
    relations,
    saved,
    suggesting,
    tagging,
    torrents,
    undo,
)
from engine.columns import Columns
from engine.errors import CatalogueFailed, EngineError
from engine.history import Cause, Record, Undone
from engine.loaded import Loading, Numbered
from engine.ports import (
    Arrived,
    Edit,
    FolderFile,
    Look,
    Move,
    NewItem,
    NewTorrent,
    Observer,
    Opening,
    Replaced,
    Retagging,
    TorrentFiles,
)
from engine.trash import Heap
from engine.types import Blob, Download, Facts, Item, ItemId, SavedQuery, Source, State, Torrent
from query.ast import Compare, Range
from query.relations import Relation

P = ParamSpec("P")
T = TypeVar("T")

# Up to here a listing costs the loop less than two trips to a thread (7 µs a row against 120 µs and more).
FEW = 50

DUMPED = 500  # lines a trip to a thread
RESERVE_CHECK = 2.0  # seconds


@dataclass(slots=True)
class _Service:
    """Why it does not run any more; one for all that write through it, whatever their cause."""

    ended: CatalogueFailed | None = None


class SqliteCatalogue:
    """Made by `engine.catalogue.open_catalogue`, which also runs it."""

    def __init__(self, path: str, clock: Callable[[], int], reserve: int = 0) -> None:
        """`clock` gives nanoseconds since the epoch, on the writer thread; `reserve` bytes are kept for a full disk.
        EngineError if `path` cannot be used."""
        prepare(path)
        self._path = path
        self._points: SqliteDatabase = open_reader(path)
        self._connection = raw(self._points)
        self._readers = Readers(path)
        self._delivery = Delivery()
        self._token = trio.lowlevel.current_trio_token()
        self._reserve = Reserve(path, reserve)
        self._writer = Writer(path, clock, self._hand_over, self._reserve)
        self._keeper = Keeper()
        self._recent = Recent(self._connection, lambda: self._writer.commits)
        self._pending: set[Job] = set()
        self._cause = Cause.MOUNT
        self._service = _Service()

    def by(self, cause: Cause) -> SqliteCatalogue:
        """See ports.Catalogue.by. Shares everything with this one but the name under which it writes."""
        other = copy(self)
        other._cause = cause
        return other

    # -- service ---------------------------------------------------------------------------------------------------
    async def serve(self) -> None:
        """Commit and deliver until `stop`. CatalogueFailed when the database fails; nobody is left waiting then.

        Cancellation does not end it: what is cancelled above may still have something to write on its way out.
        """
        failure: CatalogueFailed | None = None
        with trio.CancelScope(shield=True):
            try:
                async with trio.open_nursery() as nursery:
                    await nursery.start(self._deliver)
                    try:
                        await trio.to_thread.run_sync(self._writer.run, limiter=trio.CapacityLimiter(1))
                    except CatalogueFailed as error:
                        failure = error
                    self._delivery.close()
            finally:
                self._service.ended = failure or CatalogueFailed("the catalogue is closed")
                for job in self._pending:
                    if not job.done.is_set():
                        job.error = self._service.ended
                        job.done.set()
        if failure is not None:
            raise failure

    async def keep_reserve(self) -> None:
        """For ever: what was given up on a full disk is taken back once there is space."""
        while True:
            await trio.to_thread.run_sync(self._reserve.take_back)
            await trio.sleep(RESERVE_CHECK)

    async def keep_pages(self) -> None:
        """For ever: pages of tags that had to be read from their taggings are kept for the next start."""

        async def write(some: Sequence[pages.Page]) -> None:
            # Tried once: the reserve is not for what can be done without.
            await self._perform(Job(lambda transaction: pages.keep(transaction, some), once=True))

        await self._keeper.run(write)

    async def _deliver(self, task_status: trio.TaskStatus[None]) -> None:
        try:
            await self._delivery.run(task_status)
        finally:
            self._writer.stop()  # an observer that raises ends the service, and the thread ends by this alone

    def stop(self) -> None:
        self._writer.stop()

    def close(self) -> None:
        """After `serve` has ended. May take as long as an fsync."""
        self._readers.close()
        self._points.close()
        self._writer.close()

    def _hand_over(self, group: list[Job]) -> None:
        """On the writer thread."""
        self._token.run_sync_soon(self._arrive, group)

    def _arrive(self, group: list[Job]) -> None:
        for job in group:
            if job.about_tags and job.error is None:
                self._recent.changed(job.result, job.commit)
        self._delivery.deliver(group)

    async def _write(self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        job = Job(lambda transaction: verb(transaction, *args, **kwargs), cause=self._cause)
        await self._perform(job)
        result: T = job.result
        return result

    async def _perform(self, job: Job) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._service.ended is not None:
            raise self._service.ended
        self._pending.add(job)
        try:
            self._writer.submit(job)
            await job.done.wait()
        finally:
            self._pending.discard(job)
        if job.error is not None:
            raise job.error

    # -- point reads -----------------------------------------------------------------------------------------------
    def item(self, item: ItemId) -> Item | None:
        return self._recent.read(points.item, item)

    def named(self, name: str) -> Sequence[ItemId]:
        return self._recent.read(points.named, name)

    def names(self, prefix: str, limit: int) -> Sequence[str]:
        return points.names(self._connection, prefix, limit)

    def trashed(self, name: str) -> Sequence[ItemId]:
        return self._recent.read(points.trashed, name)

    def tags(self, item: ItemId) -> tuple[str, ...]:
        return tuple(self._recent.read(points.tags, item))

    def facts(self, item: ItemId) -> Facts | None:
        return self._recent.read(points.facts, item)

    def is_live(self, item: Item) -> bool:
        if item.trashed_ns is not None:
            return False
        return item.parent is None or not points.buried(self._connection, item.parent)

    def xattrs(self, item: ItemId) -> Mapping[str, bytes]:
        return points.xattrs(self._connection, item)

    def sources(self, item: ItemId) -> Sequence[Source]:
        return points.sources(self._connection, item)

    def download(self, item: ItemId) -> Download | None:
        return points.download(self._connection, item)

    def staged(self, item: ItemId) -> Sequence[str]:
        return points.staged(self._connection, item)

    def holder(self, staging: str) -> ItemId | None:
        found = points.holder(self._connection, staging)
        return None if found is None else found[0]

    def blob(self, sha256: str) -> Blob | None:
        return points.blob(self._connection, sha256)

    def blob_by_digest(self, algorithm: str, hexdigest: str) -> Blob | None:
        return points.blob_by_digest(self._connection, algorithm, hexdigest)

    def blobs_of_size(self, size: int) -> Sequence[Blob]:
        return points.blobs_of_size(self._connection, size)

    def child(self, folder: ItemId, name: str) -> ItemId | None:
        return points.child(self._connection, folder, name)

    def digest_of(self, sha256: str, algorithm: str) -> str | None:
        return points.digest_of(self._connection, sha256, algorithm)

    def torrent_of(self, item: ItemId) -> tuple[ItemId, int] | None:
        return points.torrent_of(self._connection, item)

    def suggestions(self, item: ItemId) -> Sequence[tuple[str, str]]:
        return points.suggestions(self._connection, item)

    def is_torrent(self, item: ItemId) -> bool:
        return points.is_torrent(self._connection, item)

    def torrent_known(self, v1: str | None, v2: str | None) -> ItemId | None:
        return points.torrent_known(self._connection, v1, v2)

    def has_namesake(self, folder: ItemId, name: str, item: ItemId) -> bool:
        return points.has_namesake(self._connection, folder, name, item)

    def holds(self, folder: ItemId) -> bool:
        return points.holds(self._connection, folder)

    def ancestors(self, item: ItemId) -> Sequence[ItemId]:
        return points.ancestors(self._connection, item)

    def saved_query(self, name: str) -> SavedQuery | None:
        return points.saved_query(self._connection, name)

    # -- scans -----------------------------------------------------------------------------------------------------
    async def items(self, ids: Collection[int]) -> list[Item]:
        if len(ids) <= FEW:
            await trio.lowlevel.checkpoint()
            return scans.items(self._points, ids)
        return await self._readers.run(lambda database: scans.items(database, ids))

    async def columns(self, ids: Sequence[int]) -> list[Columns]:
        if len(ids) <= FEW:
            await trio.lowlevel.checkpoint()
            return [columns.columns(ids, self._points)]
        pieces = [ids[first : first + columns.AT_ONCE] for first in range(0, len(ids), columns.AT_ONCE)]
        return await self._readers.map(columns.columns, pieces)

    async def children(self, folder: ItemId, *, after: int = 0, limit: int | None = None) -> list[Item]:
        return await self._readers.run(lambda database: scans.children(database, folder, after, limit))

    async def saved_queries(self) -> list[SavedQuery]:
        return await self._readers.run(scans.saved_queries)

    async def arriving(self) -> list[ItemId]:
        return await self._readers.run(scans.arriving)

    async def torrent(self, item: ItemId) -> Torrent | None:
        return await self._readers.run(lambda database: scans.torrent(database, item))

    async def torrents(self) -> list[tuple[ItemId, str]]:
        return await self._readers.run(scans.torrents)

    async def torrent_files(self, torrent: ItemId) -> list[tuple[int, Item]]:
        return await self._readers.run(lambda database: scans.torrent_files(database, torrent))

    async def trash_list(self) -> list[Item]:
        return await self._readers.run(scans.trash_list)

    async def trash_heap(self) -> Heap:
        return await self._readers.run(scans.trash_heap)

    async def downloads(self) -> list[Download]:
        return await self._readers.run(scans.downloads)

    async def drafts(self) -> list[tuple[ItemId, str]]:
        return await self._readers.run(scans.drafts)

    async def blobs(self) -> list[Blob]:
        return await self._readers.run(scans.blobs)

    async def unreferenced_blobs(self) -> list[Blob]:
        return await self._readers.run(scans.unreferenced_blobs)

    async def log(
        self, item: ItemId | None = None, *, before: int | None = None, since_ns: int = 0, limit: int = 100
    ) -> list[Record]:
        return await self._readers.run(lambda database: journal.log(database, item, before, since_ns, limit))

    async def holders(self, blobs: Collection[str]) -> list[Item]:
        return await self._readers.run(lambda database: scans.holders(database, blobs))

    async def lost(self) -> list[Item]:
        return await self._readers.run(scans.lost)

    async def to_look_at(self, after: int, limit: int) -> list[ItemId]:
        return await self._readers.run(lambda database: scans.to_look_at(database, after, limit))

    async def suggested(self, after: int, limit: int) -> list[ItemId]:
        return await self._readers.run(lambda database: scans.suggested(database, after, limit))

    async def blobs_to_look_at(self, after: int, limit: int) -> list[Blob]:
        return await self._readers.run(lambda database: scans.blobs_to_look_at(database, after, limit))

    async def call(self, call: int) -> list[Record]:
        return await self._readers.run(lambda database: journal.rows_of(raw(database), call))

    async def undone(self, calls: Collection[int]) -> Mapping[int, int]:
        return await self._readers.run(lambda database: journal.undone(raw(database), calls))

    async def undoable(self, *, redo: bool = False) -> int | None:
        find = journal.redoable if redo else journal.undoable
        return await self._readers.run(lambda database: find(raw(database)))

    async def dump(self, put: Callable[[Sequence[str]], Awaitable[None]], *, secrets: bool = False) -> None:
        database = open_reader(self._path)
        try:
            with closing(dump.lines(raw(database), secrets=secrets)) as lines:
                while chunk := await trio.to_thread.run_sync(lambda: list(islice(lines, DUMPED))):
                    await put(chunk)
        finally:
            database.close()

    async def snapshot(self, target: str) -> list[Blob]:
        try:
            return await trio.to_thread.run_sync(snapshot.copy_to, self._path, target)
        except (sqlite3.Error, DatabaseError) as error:
            raise translate(error) or EngineError(f"the catalogue cannot be copied: {error}") from error

    async def check(self) -> list[str]:
        return await self._readers.run(verify.check)

    # -- writes ----------------------------------------------------------------------------------------------------
    async def add(self, new: NewItem) -> Item:
        return await self._write(items.add, new)

    async def add_many(self, new: Sequence[NewItem]) -> list[Item]:
        return await self._write(items.add_many, list(new))

    async def load(self, lines: Sequence[Numbered], so_far: Loading) -> None:
        found = list(lines)
        await self._perform(Job(lambda within: loading.load(within, found, so_far), cause=self._cause, once=True))

    async def edit(self, item: ItemId, edit: Edit) -> Item:
        about_tags = edits.is_about_tags(edit)
        job = Job(lambda within: edits.edit(within, item, edit), cause=self._cause, about_tags=about_tags)
        await self._perform(job)
        row: Item = job.result
        return row

    async def edit_many(self, edits_: Sequence[tuple[ItemId, Edit]]) -> None:
        await self._write(edits.edit_many, list(edits_))

    async def complete(
        self,
        item: ItemId,
        sha256: str,
        size: int,
        *,
        digests: Mapping[str, str],
        mtime_ns: int | None,
        keep_old: bool,
        mime: str | None = None,
    ) -> Item:
        return await self._write(
            content.complete, item, sha256, size, digests=dict(digests), mtime_ns=mtime_ns, keep_old=keep_old, mime=mime
        )

    async def start_draft(self, item: ItemId, staging: str) -> None:
        await self._write(drafts.start, item, staging)

    async def drop_draft(self, staging: str) -> None:
        await self._write(drafts.drop, staging)

    async def seal(
        self,
        staging: str,
        sha256: str,
        size: int,
        *,
        digests: Mapping[str, str],
        mtime_ns: int | None,
        keep_old: bool,
        mime: str | None = None,
    ) -> Item:
        return await self._write(
            drafts.seal, staging, sha256, size, digests=dict(digests), mtime_ns=mtime_ns, keep_old=keep_old, mime=mime
        )

    async def strand(
        self, staging: str, sha256: str, size: int, *, digests: Mapping[str, str], why: str, mime: str | None = None
    ) -> ItemId | None:
        return await self._write(drafts.strand, staging, sha256, size, digests=dict(digests), why=why, mime=mime)

    async def replace(self, target: ItemId, source: ItemId) -> Replaced:
        return await self._write(drafts.replace, target, source)

    async def unpack(self, item: ItemId, files: Sequence[FolderFile]) -> list[ItemId]:
        return await self._write(folders.unpack, item, list(files))

    async def add_digests(self, sha256: str, digests: Mapping[str, str]) -> None:
        await self._write(content.add_digests, sha256, dict(digests))

    async def set_media_types(self, found: Mapping[str, str]) -> None:
        await self._write(content.set_media_types, dict(found))

    async def note_looks(self, looks: Sequence[Look], *, dry_run: bool = False) -> int:
        return await self._write(suggesting.note_looks, list(looks), dry_run=dry_run)

    async def decide(self, items_: Collection[ItemId], tags: Collection[str] | None, *, accept: bool) -> int:
        chosen = None if tags is None else list(tags)
        return await self._write(suggesting.decide, list(items_), chosen, accept=accept)

    async def add_torrent(self, new: NewItem, torrent: NewTorrent) -> Item:
        return await self._write(torrents.add_torrent, new, torrent)

    async def describe_torrent(self, item: ItemId, found: TorrentFiles) -> list[ItemId]:
        return await self._write(torrents.describe_torrent, item, found)

    async def save_resume(self, item: ItemId, resume: bytes | None) -> None:
        await self._write(torrents.save_resume, item, resume)

    async def set_magnet(self, item: ItemId, magnet: str) -> None:
        await self._write(torrents.set_magnet, item, magnet)

    async def set_torrent_options(self, item: ItemId, options: Mapping[str, str]) -> None:
        await self._write(torrents.set_options, item, dict(options))

    async def complete_many(self, arrived: Sequence[Arrived]) -> None:
        await self._write(content.complete_many, list(arrived))

    async def settle_folder(self, item: ItemId, state: State, error: str | None = None) -> None:
        await self._write(torrents.settle_folder, item, state, error)

    async def update_download(self, download: Download) -> None:
        await self._write(content.update_download, download)

    async def trash(self, item: ItemId, *, along: Collection[ItemId] | None = None) -> Item:
        return await self._write(items.trash, item, along)

    async def restore(self, item: ItemId, name: str | None = None) -> Item:
        return await self._write(items.restore, item, name)

    async def purge(self, items_: Collection[ItemId]) -> None:
        await self._write(items.purge, list(items_))

    async def move(self, moves: Sequence[Move], *, trashed: Collection[ItemId] = ()) -> None:
        await self._write(places.move, list(moves), list(trashed))

    async def remove_folder(self, item: ItemId, *, along: Collection[ItemId] | None = None) -> None:
        await self._write(places.remove_folder, item, along)

    async def discard(self, item: ItemId) -> None:
        await self._write(items.discard, item)

    async def forget_blob(self, sha256: str) -> bool:
        return await self._write(content.forget_blob, sha256)

    async def lose_content(self, sha256: str, why: str) -> list[ItemId]:
        return await self._write(mending.lose, sha256, why)

    async def find_content(self, sha256: str, size: int) -> list[ItemId]:
        return await self._write(mending.find, sha256, size)

    async def set_blob_size(self, sha256: str, size: int) -> None:
        await self._write(mending.set_blob_size, sha256, size)

    async def mend(self) -> None:
        await self._write(mending.mend)

    async def undo(self, call: int) -> Undone:
        return await self._write(undo.undo, call)

    async def cut_history(self, before_ns: int | None, keep_rows: int) -> bool:
        return await self._write(journal.cut, before_ns, keep_rows)

    async def retag_many(
        self,
        choose: Callable[[], Awaitable[Retagging]],
        *,
        dry_run: bool = False,
        report: Callable[[int, int], None] | None = None,
    ) -> int:
        def retag(transaction: Transaction) -> int:
            wanted = trio.from_thread.run(self._in_turn, choose)
            return bulk.retag_many(transaction, wanted, dry_run=dry_run, report=self._reporting(report))

        job = Job(retag, alone=True, cause=self._cause)
        await self._perform(job)
        changed: int = job.result
        return changed

    async def merge_tag(self, old: str, new: str, *, report: Callable[[int, int], None] | None = None) -> int:
        return await self._write(bulk.merge_tag, old, new, report=self._reporting(report))

    async def _in_turn(self, choose: Callable[[], Awaitable[T]]) -> T:
        """For the writer thread, which waits: `choose` when all that was handed to delivery has been applied."""
        applied = trio.Event()
        self._delivery.deliver([Job(lambda _: None, lambda _: applied.set())])
        await applied.wait()
        return await choose()

    def _reporting(self, report: Callable[[int, int], None] | None) -> Callable[[int, int], None]:
        """To be called on the writer thread."""

        def tell(done: int, total: int) -> None:
            if report is not None:
                self._token.run_sync_soon(partial(report, done, total))

        return tell

    async def create_tag(self, name: str) -> None:
        await self._write(tagging.create_tag, name)

    async def remove_tag(self, name: str) -> None:
        await self._write(tagging.remove_tag, name)

    async def rename_tag(self, old: str, new: str) -> None:
        await self._write(tagging.rename_tag, old, new)

    async def relate(self, relation: Relation) -> None:
        await self._write(relations.relate, relation)

    async def unrelate(self, relation: Relation) -> None:
        await self._write(relations.unrelate, relation)

    async def save_query(self, name: str, text: str) -> None:
        await self._write(saved.save, name, text)

    async def rename_query(self, old: str, new: str) -> None:
        await self._write(saved.rename, old, new)

    async def forget_query(self, name: str) -> None:
        await self._write(saved.forget, name)

    # -- observers -------------------------------------------------------------------------------------------------
    def observe(self, observer: Observer) -> Callable[[], None]:
        return self._delivery.observe(observer)

    def has_told_all(self) -> bool:
        return self._delivery.groups == self._writer.groups

    # -- feed of the index -----------------------------------------------------------------------------------------
    async def follow(self, observer: Observer, start: Callable[[Opening], None]) -> Callable[[], None]:
        def arrived(opening: Opening) -> None:
            start(opening)
            leave.append(self.observe(observer))

        leave: list[Callable[[], None]] = []
        job = Job(feed.opening, arrived)
        try:
            await self._perform(job)
        except trio.Cancelled:
            job.arrived = None  # nobody would ever call `leave`
            raise
        return leave[0]

    async def reread(self, arrived: Callable[[Opening], None]) -> None:
        await self._perform(Job(feed.opening, arrived))

    async def reread_tag(self, tag: int, arrived: Callable[[BitMap], None]) -> None:
        await self._perform(Job(lambda transaction: feed.carriers(transaction, tag), arrived))

    async def tagged(self, tags: Collection[int]) -> Mapping[int, BitMap]:
        found, worth = await self._readers.run(lambda database: feed.tagged(database, tags))
        self._keeper.want(worth)
        return found

    async def valued(self, key: str) -> Mapping[str, BitMap]:
        return await self._readers.run(lambda database: feed.valued(database, key))

    async def ordered(self, key: str) -> tuple[array[int], array[int]]:
        return await self._readers.run(lambda database: feed.ordered(database, key))

    async def search(self, leaf: Compare | Range) -> BitMap:
        return await self._readers.run(lambda database: feed.search(database, leaf))
