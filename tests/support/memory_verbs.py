"""All of `Verbs` over a dictionary, and a daemon of it: what the socket and the command line are tested against.

Queries are one tag, or `not TAG`. Downloads stand still unless a test moves them.
"""

from __future__ import annotations

import os
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import trio
import trio.testing

from engine.errors import BadRequest
from engine.formats.read import read
from tagfs.control.errors import Code, VerbError
from tagfs.control.server import serve
from tagfs.control.verbs import Report, Send, Spelling
from tagfs.control.views import (
    AddedView,
    BackupView,
    ChangePage,
    ChangeView,
    ContentView,
    DecidedView,
    DownloadView,
    EmptiedView,
    EventView,
    FaultView,
    ImportView,
    ItemPage,
    ItemView,
    LinesView,
    LoadedView,
    ProposalView,
    RelationView,
    RetaggedView,
    RulesView,
    RuleView,
    SavedQueryView,
    SkippedView,
    StatusView,
    SuggestionPage,
    SuggestionView,
    TagPage,
    TagView,
    TrashPage,
    TrashView,
    UndoneView,
    VerifyView,
    VersionView,
    WorkView,
)

FIRST = 4096


async def told() -> None:
    """Until a report is on its way, as it is of work that takes a while: one that nobody took goes with the result."""
    await trio.testing.wait_all_tasks_blocked()


class MemoryVerbs:
    """The state is `items`, by id, and `known` tags. `calls` counts what was asked."""

    def __init__(self, store: str = "/nowhere") -> None:
        self.items: dict[int, ItemView] = {}
        self.known: set[str] = set()
        self.related: list[RelationView] = []
        self.saved: dict[str, SavedQueryView] = {}
        self.store = store
        self.calls: list[str] = []
        self.stopped = trio.Event()
        self.frames: list[StatusView] = []  # what watch reports, one after the other, before it ends
        self.happenings: list[EventView] = []  # what `events` sends, before it ends
        self.suggested: dict[int, list[str]] = {}  # by item
        self.faults: tuple[FaultView, ...] = ()
        self.history: list[ChangeView] = []  # the newest first
        self.seen_options: Mapping[str, str] = {}
        self.seen_digests: Mapping[str, str] = {}

    @staticmethod
    def frame(done: int, state: str = "downloading") -> StatusView:
        """A status with one download of 1,000 bytes."""
        download = DownloadView(FIRST, "a.iso", state, done, 1000, 0.0, None, 0, None, None, None)
        return StatusView("0.1.0", 1, "/mnt", "/state", 5.0, 1, 0, {state: 1}, (download,), 0, done, 1000, 0.0)

    def put(self, name: str, *, tags: tuple[str, ...] = (), state: str = "complete", **fields: object) -> ItemView:
        number = FIRST + len(self.items)
        item = ItemView(
            id=number, name=name, kind="file", state=state, size=1000, done=1000 if state == "complete" else 250,
            tags=tuple(sorted(tags)), sha256="ab" * 32 if state == "complete" else None,
            added="2026-11-23T10:00:00Z", mtime="2026-11-22T10:00:00Z", url=None, error=None,
        )  # fmt: skip
        self.items[number] = replace(item, **fields)  # type: ignore[arg-type]  # whatever the test names
        self.known.update(tags)
        return self.items[number]

    async def version(self) -> VersionView:
        return VersionView("0.1.0", os.getpid(), "/mnt", "/state")

    async def stop(self) -> None:
        self.stopped.set()

    async def add(
        self,
        urls: tuple[str, ...],
        *,
        tags: tuple[str, ...] = (),
        name: str | None = None,
        digests: Mapping[str, str] | None = None,
        paused: bool = False,
        options: Mapping[str, str] | None = None,
        select: str | None = None,
    ) -> ItemView:
        self.calls.append("add")
        self.seen_options, self.seen_digests = options or {}, digests or {}
        for url in urls or [""]:
            if not url.startswith(("http://", "https://")):
                raise VerbError(Code.BAD_REQUEST, f"{url} is no http or https URL.")
        state = "paused" if paused else "queued"
        return self.put(name or urls[0].rpartition("/")[2], tags=tags, state=state, url=urls[0], done=0)

    async def add_file(
        self,
        name: str,
        content: str,
        *,
        tags: tuple[str, ...] = (),
        paused: bool = False,
        options: Mapping[str, str] | None = None,
        select: str | None = None,
    ) -> AddedView:
        self.calls.append(f"add_file {name} {select}")
        try:
            found = read(name, b64decode(content))
        except BadRequest as error:
            raise VerbError(Code.BAD_REQUEST, str(error)) from error
        items = [
            self.put(wanted.name or wanted.urls[0].rpartition("/")[2], tags=tags, state="queued")
            if wanted.urls
            else self.put("a torrent", tags=tags, state="queued")
            for wanted in found.wanted
        ]
        return AddedView(tuple(items), found.faults, found.notes)

    def _downloads(self, chosen: list[ItemView]) -> tuple[DownloadView, ...]:
        return tuple(
            DownloadView(item.id, item.name, item.state, item.done, item.size, 0.0, None, 0, None, item.url, item.error)
            for item in chosen
        )

    async def status(self, *, items: tuple[str, ...] = (), limit: int = 100) -> StatusView:
        arriving = [item for item in self.items.values() if item.state != "complete"]
        chosen = self._resolve(items) if items else arriving
        states = {item.state for item in self.items.values()}
        return StatusView(
            version="0.1.0", pid=os.getpid(), mountpoint="/mnt", state_dir="/state", uptime=5.0, items=len(self.items),
            trashed=0, by_state={state: sum(i.state == state for i in self.items.values()) for state in states},
            downloads=self._downloads(chosen[:limit]), more=max(0, len(chosen) - limit),
            done=sum(item.done for item in chosen), total=sum(item.size or 0 for item in chosen), speed=0.0,
        )  # fmt: skip

    async def watch(
        self, *, items: tuple[str, ...] = (), limit: int = 100, interval: float = 0.5, report: Report[StatusView]
    ) -> StatusView:
        for frame in self.frames:
            report(frame)
            await told()
            await trio.sleep(interval)
        return self.frames[-1] if self.frames else await self.status(items=items, limit=limit)

    async def events(
        self,
        query: str | None = None,
        *,
        spelling: Spelling = Spelling.EXPRESSION,
        progress: bool = True,
        interval: float = 1.0,
        send: Send[EventView],
    ) -> None:
        self.calls.append(f"events {query} {spelling} {progress} {interval}")
        for event in self.happenings:
            await send(event)
        if self.happenings:
            raise VerbError(Code.STOPPING, "That was all.")
        await trio.sleep_forever()

    async def pause(self, items: tuple[str, ...] = (), *, all: bool = False) -> tuple[ItemView, ...]:
        return self._set_state(items, all, "paused", ("queued", "downloading"))

    async def resume(self, items: tuple[str, ...] = (), *, all: bool = False) -> tuple[ItemView, ...]:
        return self._set_state(items, all, "queued", ("paused", "failed"))

    def _set_state(self, refs: tuple[str, ...], all: bool, new: str, old: tuple[str, ...]) -> tuple[ItemView, ...]:
        chosen = [item for item in (self.items.values() if all else self._resolve(refs)) if item.state in old]
        return self._update(chosen, lambda item: replace(item, state=new))

    async def ls(
        self,
        query: str | None = None,
        *,
        spelling: Spelling = Spelling.EXPRESSION,
        trashed: bool = False,
        folder: str | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> ItemPage:
        self.calls.append(f"ls {query} {spelling} {after}")
        if query is not None and (tag := query.removeprefix("not ")) not in self.known:
            raise VerbError(Code.NOT_FOUND, f"There is no tag {tag}.")
        found = [item for item in self.items.values() if item.id > after and self._matches(item, query, trashed)]
        top = None if folder is None else self._resolve((folder,))[0].id
        found = [item for item in found if item.folder == top]
        page = tuple(found[:limit])
        return ItemPage(page, page[-1].id if len(found) > limit else None)

    def _matches(self, item: ItemView, query: str | None, trashed: bool) -> bool:
        if trashed != (item.trashed is not None):
            return False
        return query is None or (query.removeprefix("not ") in item.tags) != query.startswith("not ")

    async def show(self, items: tuple[str, ...]) -> tuple[ItemView, ...]:
        return tuple(self._resolve(items))

    async def tag(
        self, items: tuple[str, ...], *, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()
    ) -> tuple[ItemView, ...]:
        if unknown := set(remove) - self.known:
            raise VerbError(Code.NOT_FOUND, f"There is no tag {min(unknown)}.")
        self.known.update(add)
        return self._update(
            self._resolve(items), lambda item: replace(item, tags=tuple(sorted({*item.tags, *add} - {*remove})))
        )

    async def names(self, prefix: str = "", *, limit: int = 100) -> tuple[str, ...]:
        return tuple(sorted({item.name for item in self.items.values() if item.name.startswith(prefix)})[:limit])

    async def tags(
        self,
        query: str | None = None,
        *,
        spelling: Spelling = Spelling.EXPRESSION,
        after: str = "",
        limit: int = 1000,
    ) -> TagPage:
        names = sorted(name for name in self.known if name > after)
        views = [TagView(name, sum(name in item.tags for item in self.items.values())) for name in names[:limit]]
        return TagPage(tuple(views), names[limit - 1] if len(names) > limit else None)

    async def tag_create(self, names: tuple[str, ...]) -> None:
        if taken := self.known & set(names):
            raise VerbError(Code.EXISTS, f"The tag {min(taken)} exists already.")
        self.known.update(names)

    async def tag_delete(self, names: tuple[str, ...]) -> None:
        for name in names:
            if any(name in item.tags for item in self.items.values()):
                raise VerbError(Code.IN_USE, f"Items carry the tag {name}.")
        self.known -= set(names)

    async def tag_where(
        self,
        query: str,
        *,
        spelling: Spelling = Spelling.EXPRESSION,
        add: tuple[str, ...] = (),
        remove: tuple[str, ...] = (),
        dry_run: bool = False,
        report: Report[WorkView],
    ) -> RetaggedView:
        self.calls.append(f"tag_where {query} {spelling} +{','.join(add)} -{','.join(remove)} {dry_run}")
        return RetaggedView(3, 2)

    async def tag_batch(
        self, items: tuple[str, ...], edits: tuple[str, ...], which: tuple[int, ...], *, report: Report[WorkView]
    ) -> RetaggedView:
        self.calls += [f"{item} {edits[edit]}" for item, edit in zip(items, which, strict=True)]
        return RetaggedView(len(items), len(items))

    async def tag_merge(self, old: str, new: str, *, report: Report[WorkView]) -> RetaggedView:
        self.calls.append(f"tag_merge {old} {new}")
        return RetaggedView(5, 5)

    async def tag_rename(self, old: str, new: str) -> None:
        self.known = {new if name == old else name for name in self.known}
        self._update(
            list(self.items.values()),
            lambda item: replace(item, tags=tuple(sorted(new if name == old else name for name in item.tags))),
        )

    async def relations(self, tag: str | None = None) -> tuple[RelationView, ...]:
        return tuple(one for one in self.related if tag in (None, one.tag, one.other))

    async def relate(self, tag: str, relation: str, other: str) -> None:
        if missing := {tag, other} - self.known:
            raise VerbError(Code.NOT_FOUND, f"There is no tag called {min(missing)!r}.")
        self.related.append(RelationView(tag, relation, other))

    async def unrelate(self, tag: str, relation: str, other: str) -> None:
        if RelationView(tag, relation, other) not in self.related:
            raise VerbError(Code.NOT_FOUND, "Nobody said so.")
        self.related.remove(RelationView(tag, relation, other))

    async def queries(self) -> tuple[SavedQueryView, ...]:
        return tuple(self.saved[name] for name in sorted(self.saved))

    async def query_save(self, name: str, query: str, *, spelling: Spelling = Spelling.EXPRESSION) -> None:
        self.saved[name] = SavedQueryView(name, f"{spelling}:{query}", "2026-11-23T10:00:00Z")

    async def query_rename(self, old: str, new: str) -> None:
        self.saved[new] = replace(self.saved.pop(old), name=new)

    async def query_delete(self, names: tuple[str, ...]) -> None:
        for name in names:
            if name not in self.saved:
                raise VerbError(Code.NOT_FOUND, f"No query is saved as {name!r}.")
        for name in names:
            del self.saved[name]

    async def rm(self, items: tuple[str, ...], *, forever: bool = False) -> tuple[ItemView, ...]:
        chosen = self._resolve(items)
        gone = self._update(chosen, lambda item: replace(item, trashed="2026-11-23T11:00:00Z"))
        for item in chosen if forever else ():
            del self.items[item.id]
        return gone

    async def log(
        self,
        items: tuple[str, ...] = (),
        *,
        before: int | None = None,
        age: float | None = None,
        limit: int = 100,
    ) -> ChangePage:
        self.calls.append(f"log {','.join(items)} {before} {age} {limit}")
        found = [change for change in self.history if before is None or change.id < before]
        return ChangePage(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)

    async def undo(self, call: int | None = None, *, redo: bool = False) -> UndoneView:
        self.calls.append(f"undo {call} {redo}")
        if not self.history:
            raise VerbError(Code.NOT_FOUND, "There is nothing to undo.")
        number = self.history[0].call if call is None else call
        taken = tuple(change for change in self.history if change.call == number)
        self.history = [change for change in self.history if change.call != number]
        return UndoneView(number, taken, 0 if call is None else 2)

    async def trash(self, *, after: int = 0, limit: int = 1000) -> TrashPage:
        found = [item for item in self.items.values() if item.trashed is not None]
        views = [
            TrashView(item.id, item.name, item.kind, item.size or 0, 0, item.trashed or "", "album/cd 1", item.tags)
            for item in found if item.id > after
        ]  # fmt: skip
        page = tuple(views[: min(limit, 2)])
        sums = (len(found), sum(item.size or 0 for item in found), 0)
        return TrashPage(page, page[-1].id if len(views) > len(page) else None, *sums)

    async def trash_restore(self, items: tuple[str, ...]) -> tuple[ItemView, ...]:
        return self._update(self._resolve(items), lambda item: replace(item, trashed=None))

    async def trash_empty(
        self, items: tuple[str, ...] = (), *, older_than: float | None = None, keep_size: int | None = None
    ) -> EmptiedView:
        self.calls.append(f"trash_empty {','.join(items)} {older_than} {keep_size}")
        return EmptiedView(3, 3 << 30, 1 << 30 if items else 3 << 30)

    async def import_(
        self, paths: tuple[str, ...], *, tags: tuple[str, ...] = (), report: Report[WorkView]
    ) -> ImportView:
        for at, path in enumerate(paths):
            if not os.path.exists(path):
                raise VerbError(Code.NOT_FOUND, f"{path} does not exist.")
            report(WorkView("copying", path, at, len(paths), 10 * at, 10 * len(paths)))
            await told()
            self.put(os.path.basename(path), tags=tags)
        skipped = tuple(SkippedView(path, "It is special.") for path in paths if path.endswith(".sock"))
        return ImportView(len(paths), 10 * len(paths), 0, skipped, len(skipped))

    async def import_catalogue(self, path: str, *, report: Report[WorkView]) -> LoadedView:
        with open(path) as file:
            lines = file.read().splitlines()
        report(WorkView("loading", "", 1, len(lines), 0, 0))
        skipped = tuple(SkippedView(path, line) for line in lines if line == "left out")
        return LoadedView(len(lines), 2, 1, skipped, len(skipped))

    async def export(self, *, secrets: bool = False, send: Send[LinesView]) -> None:
        await send(LinesView(('{"tagfs":"catalogue"}', f'{{"secrets":"{secrets}"}}')))
        await send(LinesView(('{"tag":"a"}',)))

    async def locate(self, item: str, *, wait: bool = False, report: Report[WorkView]) -> ContentView:
        (found,) = self._resolve((item,))
        if found.state != "complete" and not wait:
            raise VerbError(Code.FAILED, f"id:{found.id} is still arriving.")
        report(WorkView("waiting", found.name, 0, 1, found.done, 1000))
        path = os.path.join(self.store, str(found.id))
        return ContentView(found.id, found.name, path, os.path.getsize(path), 1_700_000_000_123_456_789, 0o644)

    async def backup(
        self, path: str, *, copies: bool = False, prune: bool = False, report: Report[WorkView]
    ) -> BackupView:
        report(WorkView("copying", "", 0, 1, 0, 1000))
        missing = tuple(fault.sha256 or "" for fault in self.faults)
        return BackupView(3, 3000, 2 if copies else 1, 1000, missing, len(missing), 1 if prune else 0)

    async def verify(
        self, *, data: bool = False, subset: str | None = None, repair: bool = False, report: Report[WorkView]
    ) -> VerifyView:
        report(WorkView("hashing", "a blob", 0, 1, 0, 1000))
        await told()
        faults = tuple(replace(fault, mended="mended") for fault in self.faults) if repair else self.faults
        read = 1000 if data else 0
        return VerifyView(len(self.items), len(self.items), read, faults, len(faults), len(faults) * repair)

    async def suggestions(
        self,
        items: tuple[str, ...] = (),
        *,
        query: str | None = None,
        spelling: Spelling = Spelling.EXPRESSION,
        after: int = 0,
        limit: int = 1000,
    ) -> SuggestionPage:
        chosen = (
            self._resolve(items) if items else [item for item in self.items.values() if query in (None, *item.tags)]
        )
        found = [
            SuggestionView(item.id, item.name, tuple(ProposalView(tag, "name") for tag in self.suggested[item.id]))
            for item in chosen
            if self.suggested.get(item.id) and item.id > after
        ]
        return SuggestionPage(tuple(found[:2]), found[1].id if len(found) > 2 else None)

    async def suggest_decide(
        self,
        items: tuple[str, ...] = (),
        *,
        query: str | None = None,
        spelling: Spelling = Spelling.EXPRESSION,
        tags: tuple[str, ...] = (),
        accept: bool,
    ) -> DecidedView:
        page = await self.suggestions(items, query=query)
        number = 0
        for item in page.items:
            chosen = [tag for tag in self.suggested[item.id] if not tags or tag in tags]
            self.suggested[item.id] = [tag for tag in self.suggested[item.id] if tag not in chosen]
            if accept:
                [row] = self._resolve((f"id:{item.id}",))
                self._update([row], lambda row: replace(row, tags=tuple(sorted({*row.tags, *chosen}))))  # noqa: B023
            number += len(chosen)
        return DecidedView(len(page.items), number)

    async def rules(self, *, apply: bool = False, dry_run: bool = False, report: Report[WorkView]) -> RulesView:
        report(WorkView("applying", "", 1, 1, 0, 0))
        rule = RuleView(1, "type:video", ("movie",), ("year",), len(self.items))
        return RulesView((rule,), len(self.items) if apply or dry_run else 0)

    def _resolve(self, refs: tuple[str, ...]) -> list[ItemView]:
        found = []
        for ref in refs:
            number = ref.removeprefix("id:").removeprefix("~")
            wanted = [item for item in self.items.values() if item.name == ref or str(item.id) == number]
            if not wanted:
                raise VerbError(Code.NOT_FOUND, f"There is no item {ref}.")
            if len(wanted) > 1:
                ids = ", ".join(f"id:{item.id}" for item in wanted)
                raise VerbError(Code.AMBIGUOUS, f"{len(wanted)} items are called {ref}: {ids}.")
            found += wanted
        return found

    def _update(self, chosen: list[ItemView], change: Callable[[ItemView], ItemView]) -> tuple[ItemView, ...]:
        changed = tuple(change(item) for item in chosen)
        self.items.update({item.id: item for item in changed})
        return changed


@contextmanager
def served(path: str, verbs: MemoryVerbs) -> Iterator[None]:
    """A control server for `verbs` at `path`, on a thread with its own trio, for blocking clients."""
    ready = threading.Event()
    scope: list[tuple[trio.lowlevel.TrioToken, trio.CancelScope]] = []

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(serve, path, verbs)
            scope.append((trio.lowlevel.current_trio_token(), nursery.cancel_scope))
            ready.set()

    thread = threading.Thread(target=trio.run, args=(main,))
    thread.start()
    try:
        assert ready.wait(60)
        yield
    finally:
        token, cancel = scope[0]
        token.run_sync_soon(cancel.cancel)
        thread.join(60)
