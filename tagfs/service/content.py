"""import, locate, verify: verbs that move or read content. Long: they report, and are cancelled with their client."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import trio

from engine.blobs.importing import stage_file
from engine.blobs.verify import verify
from engine.errors import BadRequest
from engine.ports import NewItem
from engine.types import Item, Kind, Source, SourceKind, State
from tagfs.control.errors import Code, VerbError
from tagfs.control.verbs import Ref, Report
from tagfs.control.views import ContentView, FaultView, ImportView, SkippedView, VerifyView, WorkView
from tagfs.service.base import Part, verb

MAX_LISTED = 1000
BATCH = 200  # items committed together: some hundred an fsync is where group commit stops to pay
POLL = 0.2  # seconds between two looks at an arriving item


@dataclass(slots=True)
class Found:
    """What `import` is to bring in."""

    files: list[tuple[str, int]] = field(default_factory=list)  # path, size
    skipped: list[SkippedView] = field(default_factory=list)


class Content(Part):
    @verb
    async def import_(
        self, paths: tuple[str, ...], *, tags: tuple[str, ...] = (), report: Report[WorkView]
    ) -> ImportView:
        report(WorkView("scanning", "", 0, 0, 0, 0))
        found = await trio.to_thread.run_sync(_scan, paths, self.context.mountpoint)
        total = sum(size for _, size in found.files)
        items = shared = done = 0
        batch: list[NewItem] = []
        for path, size in found.files:
            base = done

            def progress(copied: int, path: str = path, base: int = base, items: int = items) -> None:
                report(WorkView("copying", path, items, len(found.files), base + copied, total))

            try:
                new, known = await self._bring_in(path, tags, progress)
            except BadRequest as error:
                found.skipped.append(SkippedView(path, str(error)))
                continue
            shared += known
            done += size
            items += 1
            batch.append(new)
            if len(batch) >= BATCH:
                await self.catalogue.add_many(batch)
                batch = []
        await self.catalogue.add_many(batch)
        return ImportView(items, done, shared, tuple(found.skipped[:MAX_LISTED]), len(found.skipped))

    async def _bring_in(self, path: str, tags: Sequence[str], progress: Callable[[int], None]) -> tuple[NewItem, bool]:
        """Its content is in the store when this returns; the row is the caller's to commit."""
        staged = await stage_file(self.store, path, progress)
        blob = await self.store.ingest(staged.name, {})
        known = self.catalogue.blob(blob.sha256) is not None
        new = NewItem(
            name=os.path.basename(path),
            tags=tags,
            size=blob.size,
            sha256=blob.sha256,
            mtime_ns=staged.mtime_ns,
            mode=staged.mode,
            sources=[Source(SourceKind.IMPORT, "", "", "")],
        )
        return new, known

    @verb
    async def locate(self, item: Ref, *, wait: bool = False, report: Report[WorkView]) -> ContentView:
        [row] = self.items_of([item])
        while not row.state.whole:
            if not wait or row.state in (State.PAUSED, State.FAILED, State.MISSING):
                raise VerbError(Code.FAILED, f"{row.name!r} is {row.state.value}: {row.error or 'not all is here'}.")
            self._put_first(row)
            await trio.sleep(POLL)
            again = self.catalogue.item(row.id)
            if again is None:
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

    @verb
    async def verify(self, *, data: bool = False, report: Report[WorkView]) -> VerifyView:
        report(WorkView("scanning", "", 0, 0, 0, 0))
        faults = [FaultView("catalogue", None, None, None, sentence) for sentence in await self.catalogue.check()]
        blobs = await self.catalogue.blobs()
        stored = frozenset(await self.store.stored())
        whole: list[str] = []
        for blob in blobs:
            size = self.store.size(blob.sha256) if blob.sha256 in stored else None
            if size is None:
                faults.append(self._fault("missing", blob.sha256, "the content is missing from the store"))
            elif size != blob.size:
                why = f"the content has {size} bytes instead of {blob.size}"
                faults.append(self._fault("size", blob.sha256, why))
            else:
                whole.append(blob.sha256)
        known = {blob.sha256 for blob in blobs}
        for sha256 in sorted(stored - known):
            why = "no item uses this content, and the catalogue does not know it; it only costs space"
            faults.append(FaultView("orphan", None, None, sha256, why))
        read = await self._verify_data(whole, faults, report) if data else 0
        live = len(self.index.live)
        return VerifyView(live, len(blobs), read, tuple(faults[:MAX_LISTED]), len(faults))

    async def _verify_data(self, whole: Sequence[str], faults: list[FaultView], report: Report[WorkView]) -> int:
        total = sum(self.store.size(sha256) or 0 for sha256 in whole)
        read = 0

        for number, sha256 in enumerate(whole):

            def progress(more: int, number: int = number, sha256: str = sha256) -> None:
                nonlocal read
                read += more
                report(WorkView("hashing", sha256, number, len(whole), read, total))

            damages = await verify(self.store, [sha256], progress)
            faults.extend(self._fault("damaged", damage.sha256, damage.reason) for damage in damages)
        return read

    def _fault(self, kind: str, sha256: str, why: str) -> FaultView:
        return FaultView(kind, None, None, sha256, why)


def _scan(paths: Sequence[str], mountpoint: str) -> Found:
    """In a worker thread. Directories are walked; symlinks and special files below them are left out, with a reason."""
    found = Found()
    for path in paths:
        if _below(path, mountpoint):
            found.skipped.append(SkippedView(path, "It is in the mount already."))
            continue
        try:
            status = os.stat(path)
        except OSError as error:
            raise VerbError(Code.NOT_FOUND, f"{path!r} cannot be imported: {error.strerror}.") from error
        if stat.S_ISDIR(status.st_mode):
            _walk(path, mountpoint, found)
        else:  # a symlink that was named means its target
            _take(os.path.realpath(path), found)
    return found


def _walk(top: str, mountpoint: str, found: Found) -> None:
    def unreadable(error: OSError) -> None:
        found.skipped.append(SkippedView(error.filename, f"It cannot be read: {error.strerror}."))

    for folder, folders, files in os.walk(top, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not _below(os.path.join(folder, name), mountpoint))
        for name in sorted(files):
            _take(os.path.join(folder, name), found)


def _take(path: str, found: Found) -> None:
    try:
        status = os.lstat(path)
    except OSError as error:
        found.skipped.append(SkippedView(path, f"It cannot be read: {error.strerror}."))
        return
    if stat.S_ISREG(status.st_mode):
        found.files.append((path, status.st_size))
    else:
        kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "no regular file"
        found.skipped.append(SkippedView(path, f"It is {kind}."))


def _below(path: str, mountpoint: str) -> bool:
    """Whether a path is the mount or in it, told by text: the daemon never looks into its own mount."""
    real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    return real == mountpoint or real.startswith(mountpoint.rstrip("/") + "/")
