"""import, export, locate: verbs that move or read content. Long: they report, and are cancelled with their client."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

import trio

from engine.blobs import importing
from engine.blobs.importing import Small, read_small, runs, stage_file
from engine.blobs.magic import HEAD
from engine.errors import BadRequest, EngineError
from engine.media_types import says_enough
from engine.ports import NewItem
from engine.types import Item, Kind, Source, SourceKind, State
from query.names import check_own_tag
from tagfs.control.errors import Code, VerbError
from tagfs.control.verbs import Ref, Report, Send
from tagfs.control.views import ContentView, ImportView, LinesView, SkippedView, WorkView
from tagfs.daemon.mountinfo import FSTYPE, mounts
from tagfs.service.base import Part, verb
from tagfs.service.scan import scan

T = TypeVar("T")

MAX_LISTED = 1000
LANES = 4  # runs of files that are brought in side by side: the disk syncs several at once
FROM_IMPORT = Source(SourceKind.IMPORT, "", "", "")
BATCH = 200  # items committed together: some hundred an fsync is where group commit stops to pay
POLL = 0.2  # seconds between two looks at an arriving item


@dataclass(slots=True)
class Brought:
    """What became of a run of files that ends with the file `last`."""

    last: str
    items: list[NewItem] = field(default_factory=list)
    skipped: list[SkippedView] = field(default_factory=list)
    error: Exception | None = None


def _imported(file: Small, mime: str | None, tags: Sequence[str]) -> NewItem:
    return NewItem(
        name=os.path.basename(file.path),
        tags=tags,
        size=len(file.content.data),
        sha256=file.content.sha256,
        mime=mime,
        mtime_ns=file.mtime_ns,
        mode=file.mode,
        sources=[FROM_IMPORT],
    )


def batched(runs: Iterable[T], count: int) -> Iterator[list[T]]:
    """As itertools.batched, which Python 3.11 does not have."""
    iterator = iter(runs)
    while taken := list(islice(iterator, count)):
        yield taken


class Content(Part):
    @verb
    async def import_(
        self, paths: tuple[str, ...], *, tags: tuple[str, ...] = (), report: Report[WorkView]
    ) -> ImportView:
        own = [check_own_tag(tag) for tag in tags]
        report(WorkView("scanning", "", 0, 0, 0, 0))
        found = await trio.to_thread.run_sync(scan, paths, self._forbidden())
        total = sum(size for _, size in found.files)
        items = shared = done = 0
        batch: list[NewItem] = []
        known: set[str] = set()  # digests that were stored a moment ago

        def take(new: NewItem) -> None:
            nonlocal items, shared, done
            assert new.sha256 is not None and new.size is not None
            shared += new.sha256 in known or self.catalogue.blob(new.sha256) is not None
            known.add(new.sha256)
            done += new.size
            items += 1
            batch.append(new)

        moving: dict[str, int] = {}  # bytes of large files that are on their way

        def copied(path: str, more: int) -> None:
            moving[path] = more
            report(WorkView("copying", path, items, len(found.files), done + sum(moving.values()), total))

        try:
            for lanes in batched(runs(found.files), LANES):
                for brought in await self._bring_in_all(lanes, own, copied):
                    for new in brought.items:
                        take(new)
                    found.skipped += brought.skipped
                    if brought.error is not None:
                        raise brought.error
                    moving.clear()
                    copied(brought.last, 0)
                    await trio.lowlevel.checkpoint()
                if len(batch) >= BATCH:
                    await self._add(batch)
        finally:  # out of space or cancelled: what was copied is kept
            await self._add(batch)
        return ImportView(items, done, shared, tuple(found.skipped[:MAX_LISTED]), len(found.skipped))

    async def _bring_in_all(
        self, lanes: Sequence[Sequence[tuple[str, int]]], tags: Sequence[str], copied: Callable[[str, int], None]
    ) -> list[Brought]:
        """What became of each run of files, side by side; no error is raised, and those of others are no loss."""
        brought = [Brought(run[-1][0]) for run in lanes]
        async with trio.open_nursery() as nursery:
            for run, one in zip(lanes, brought, strict=True):
                if run[0][1] > importing.SMALL:
                    nursery.start_soon(self._bring_in_large, run[0][0], tags, copied, one)
                else:
                    nursery.start_soon(self._bring_in_small, [path for path, _ in run], tags, one)
        return brought

    async def _bring_in_large(
        self, path: str, tags: Sequence[str], copied: Callable[[str, int], None], brought: Brought
    ) -> None:
        try:
            brought.items.append(await self._bring_in(path, tags, lambda more: copied(path, more)))
        except BadRequest as error:
            brought.skipped.append(SkippedView(path, str(error)))
        except (EngineError, OSError) as error:
            brought.error = error

    async def _bring_in_small(self, paths: Sequence[str], tags: Sequence[str], brought: Brought) -> None:
        files: list[Small] = []
        try:
            for path, found in zip(paths, await self.store.disk.run(read_small, paths), strict=True):
                if isinstance(found, BadRequest):
                    brought.skipped.append(SkippedView(path, str(found)))
                else:
                    files.append(found)
            with trio.CancelScope(shield=True):  # short; what is in the store gets its row
                errors = await self.store.put_many([file.content for file in files])
                kept = [file for file, error in zip(files, errors, strict=True) if error is None]
                looks = await self._looks(kept)
        except (EngineError, OSError) as error:
            brought.error = error
            return
        brought.error = next(filter(None, errors), None)
        brought.items += [_imported(file, mime, tags) for file, mime in zip(kept, looks, strict=True)]

    async def _looks(self, files: Sequence[Small]) -> list[str | None]:
        """What each is; None where its name says enough, until somebody has time for a look."""
        unsaid = [file.content.sha256 for file in files if not says_enough(file.path, file.content.data[:HEAD])]
        found = dict(zip(unsaid, await self.store.looks(unsaid), strict=True)) if unsaid else {}
        return [found.get(file.content.sha256) for file in files]

    def _forbidden(self) -> dict[str, str]:
        """Folders that `import` does not enter, and why."""
        mounted = {mount.mountpoint: "It is on a tagfs mount." for mount in mounts() if mount.fstype == FSTYPE}
        ours = {self.context.mountpoint: "It is in the mount already."}
        return mounted | ours | {os.path.realpath(self.context.store): "It is the store itself."}

    async def _add(self, batch: list[NewItem]) -> None:
        with trio.CancelScope(shield=True):
            await self.catalogue.add_many(batch)
        batch.clear()

    async def _bring_in(self, path: str, tags: Sequence[str], progress: Callable[[int], None]) -> NewItem:
        """Its content is in the store when this returns; the row is the caller's to commit."""
        staged = await stage_file(self.store, path, progress)
        try:
            blob = await self.store.ingest(staged.name, {}, name=path)
        except BaseException:
            self.store.discard_staging(staged.name)
            raise
        return NewItem(
            name=os.path.basename(path),
            tags=tags,
            size=blob.size,
            sha256=blob.sha256,
            mime=blob.mime,
            mtime_ns=staged.mtime_ns,
            mode=staged.mode,
            sources=[FROM_IMPORT],
        )

    @verb
    async def export(self, *, secrets: bool = False, send: Send[LinesView]) -> None:
        async def put(lines: Sequence[str]) -> None:
            await send(LinesView(tuple(lines)))

        await self.catalogue.dump(put, secrets=secrets)

    @verb
    async def locate(self, item: Ref, *, wait: bool = False, report: Report[WorkView]) -> ContentView:
        [row] = self.items_of([item])
        while (
            row.state.whole
            and (draft := self.context.drafts.readable(row.id)) is not None
            and not draft.sealed.is_set()
        ):
            await draft.sealed.wait()  # what was closed last is what a reader gets, and it is not stored yet
            row = self.catalogue.item(row.id) or row
        while not row.state.whole:
            if not wait or row.state in (State.PAUSED, State.FAILED, State.MISSING):
                why = (row.error or "not all is here").removesuffix(".")
                raise VerbError(Code.FAILED, f"{row.name!r} is {row.state.value}: {why}.")
            self._put_first(row)
            await trio.sleep(POLL)
            again = self.catalogue.item(row.id)
            if again is None or again.trashed_ns is not None:
                raise VerbError(Code.NOT_FOUND, f"{row.name!r} is gone.")
            row = again
            self._report_waiting(row, report)
        if row.kind is not Kind.FILE or row.sha256 is None:
            raise VerbError(Code.FAILED, f"{row.name!r} is a {row.kind.value}: it has no content of its own.")
        return ContentView(row.id, row.name, self.store.path(row.sha256), row.size or 0, row.mtime_ns, row.mode)

    def _put_first(self, row: Item) -> None:
        reader = self.transfers.reader(row.id)
        if reader is not None:
            reader.hint(0, 1)

    def _report_waiting(self, row: Item, report: Report[WorkView]) -> None:
        progress = self.transfers.progress(row.id)
        if progress is not None:
            report(WorkView("waiting", row.name, 0, 1, progress.done, progress.total or 0))
