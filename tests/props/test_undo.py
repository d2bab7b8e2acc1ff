"""Undo of any number of the last changes gives back what was before them, and redo what was after; whatever was done.

Items that were made since are in the trash then instead. An item whose content was given to another one, as by
`mv tmp f`, is no more: the way back ends at the last change to it alone, and nothing is done there.

    TAGFS_EXAMPLES=5000 pytest --timeout 0 tests/props/test_undo.py

TAGFS_EXAMPLES sets the number of examples (40 by default, for a quick run).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any
from unittest.mock import patch

import pytest
import trio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from engine.catalogue import SqliteCatalogue, open_catalogue
from engine.catalogue.writes import bulk
from engine.errors import Changed, EngineError
from engine.index import BitmapIndex
from engine.ports import Edit, FolderFile, Move, NewDownload, NewItem, Retagging
from engine.types import Facts, ItemId, Kind, Source, SourceKind, State
from tests.support.catalogue import sha, whole

EXAMPLES = int(os.environ.get("TAGFS_EXAMPLES", "40"))

TAGS = ("a", "b", "year:2000")
NAMES = ("x", "y", "\udcff")
CONTENTS = ("1", "22", "333", "")

Row = tuple[str, frozenset[str], int | None, bool, str | None, int | None, bool]
Write = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Seen:
    """All that undo promises to restore."""

    items: dict[ItemId, Row]
    tags: frozenset[str]


tag_sets = st.frozensets(st.sampled_from(TAGS))
which = st.integers(0, 30)
names = st.sampled_from(NAMES)
contents = st.sampled_from(CONTENTS)
content_steps = st.one_of(
    st.tuples(st.just("complete"), which, contents, st.booleans()),
    st.tuples(st.just("draft"), which, contents, st.booleans()),
    st.tuples(st.just("two_drafts"), which, contents, contents),
    st.tuples(st.just("save_over"), which, which),
    st.tuples(st.just("save_over_anew"), which, names, contents),
    st.tuples(st.just("save_over_written"), which, contents),
)
place_steps = st.one_of(
    st.tuples(st.just("mkdir"), names, st.none() | which),
    st.tuples(st.just("move"), which, st.none() | which, st.none() | names),
    st.tuples(st.just("move_over"), which, which),
    st.tuples(st.just("move_over_empty"), which, which),
    st.tuples(st.just("rmdir"), which, st.booleans()),
    st.tuples(st.just("exchange"), which, which),
    st.tuples(st.just("trash"), which),
    st.tuples(st.just("restore"), which, st.none() | names),
    st.tuples(st.just("unpack"), which),
)
tag_steps = st.one_of(
    st.tuples(st.just("edit"), which, st.none() | names, tag_sets, tag_sets, st.none() | tag_sets),
    st.tuples(st.just("edit_many"), st.lists(which, max_size=4), tag_sets, tag_sets),
    st.tuples(st.just("retag_many"), st.lists(which, max_size=5), tag_sets, tag_sets),
    st.tuples(st.just("create_tag"), st.sampled_from(TAGS)),
    st.tuples(st.just("remove_tag"), st.sampled_from(TAGS)),
    st.tuples(st.just("merge_tag"), st.sampled_from(TAGS), st.sampled_from(TAGS)),
    st.tuples(st.just("rename_tag"), st.sampled_from(TAGS), st.sampled_from(TAGS)),
)
adding_steps = st.one_of(
    st.tuples(st.just("add"), names, tag_sets, contents, st.none() | which),
    st.tuples(st.just("add_many"), tag_sets),
    st.tuples(st.just("add_bare"), names),
)
steps = st.one_of(content_steps, place_steps, tag_steps, adding_steps)
# Nearly all steps find something that they can be done to.
START = (
    ("add", "x", frozenset({"a"}), "1", None),
    ("add", "y", frozenset({"a", "b"}), "22", None),
    ("mkdir", "y", None),
)


class Run:
    def __init__(self, catalogue: SqliteCatalogue, index: BitmapIndex) -> None:
        self.catalogue = catalogue
        self.index = index
        self.ids: list[ItemId] = []
        self.stagings = (f"s{number}" for number in count())

    async def call(self) -> int:
        records = await self.catalogue.log(limit=1)
        return records[0].call if records else 0

    def see(self) -> Seen:
        items: dict[ItemId, Row] = {}
        for item in count(4096):
            facts, row = self.catalogue.facts(ItemId(item)), self.catalogue.item(ItemId(item))
            if facts is None or row is None:
                if item > max(items, default=4096) + 20:  # each step makes and drops a few at most
                    break
            else:
                items[row.id] = (
                    facts.name, facts.tags, facts.parent, facts.trashed, facts.sha256,
                    row.size if facts.sha256 else None, facts.live,
                )  # fmt: skip
        self.ids = list(items)
        return Seen(items, frozenset(tag.name for tag in self.index.tag_list()))

    def writes(self, kind: str, *arguments: Any) -> Iterator[Write]:
        """What a step means where the catalogue is now."""
        catalogue = self.catalogue
        if kind == "add":
            name, tags, content, place = arguments
            new = replace(whole(name, *tags, content=content), parent=self.folder(place))
            yield partial(catalogue.add, new)
        elif kind == "add_many":
            yield partial(catalogue.add_many, [whole(f"m{n}", *arguments[0]) for n in range(3)])
        elif kind == "add_bare":
            yield partial(catalogue.add, NewItem(arguments[0], state=State.QUEUED))
        elif kind == "mkdir":
            name, place = arguments
            yield partial(catalogue.add, NewItem(name, kind=Kind.FOLDER, parent=self.folder(place)))
        elif kind.endswith("_tag"):
            yield partial(getattr(catalogue, kind), *arguments)
        elif kind == "retag_many":
            chosen, add, remove = arguments
            items = BitMap([self.ids[place % len(self.ids)] for place in chosen])
            yield partial(self.retag, Retagging(dict.fromkeys(add, items), dict.fromkeys(remove - add, items)))
        elif kind == "edit_many":
            chosen, add, remove = arguments
            yield partial(
                catalogue.edit_many,
                [(self.ids[place % len(self.ids)], Edit(add=add, remove=remove)) for place in chosen],
            )
        elif kind in ("complete", "draft", "two_drafts", "save_over", "save_over_anew", "save_over_written"):
            yield from self.of_content(kind, *arguments)
        elif kind == "restore":
            trashed = self.those(lambda facts: facts.trashed)
            if trashed:
                yield partial(catalogue.restore, trashed[arguments[0] % len(trashed)], arguments[1])
        else:
            yield from self.of_place(kind, self.ids[arguments[0] % len(self.ids)], *arguments[1:])

    def of_content(self, kind: str, place: int, *arguments: Any) -> Iterator[Write]:
        catalogue = self.catalogue
        files = self.those(lambda facts: facts.live and facts.kind is Kind.FILE and facts.sha256 is not None)
        if not files:
            return
        item = files[place % len(files)]

        def content(text: str, keep_old: bool = True) -> tuple[str, int, dict[str, Any]]:
            return sha(text), len(text), {"digests": {}, "mtime_ns": None, "keep_old": keep_old}

        if kind == "complete":
            sha256, size, more = content(*arguments)
            yield partial(catalogue.complete, item, sha256, size, **more)
        elif kind in ("draft", "two_drafts"):
            texts = [arguments] if kind == "draft" else [(text,) for text in arguments]
            started = [next(self.stagings) for _ in texts]
            for staging in started:
                yield partial(catalogue.start_draft, item, staging)
            for staging, text in zip(started, texts, strict=True):
                sha256, size, more = content(*text)
                yield partial(catalogue.seal, staging, sha256, size, **more)
        elif kind == "save_over":
            yield partial(catalogue.replace, item, files[arguments[0] % len(files)])
        elif kind == "save_over_anew":
            name, text = arguments
            yield partial(catalogue.add, whole(name, "b", content=text))
            yield partial(catalogue.replace, item, self.ids[-1])
        else:
            staging = next(self.stagings)
            new = NewItem(
                "tmp",
                state=State.WRITING,
                sources=[Source(SourceKind.MOUNT, "", "", "")],
                download=NewDownload(staging),
            )
            yield partial(catalogue.add, new)
            yield partial(catalogue.replace, item, self.ids[-1])
            sha256, size, more = content(*arguments)
            yield partial(catalogue.seal, staging, sha256, size, **more)

    def of_place(self, kind: str, item: ItemId, *arguments: Any) -> Iterator[Write]:
        catalogue = self.catalogue
        if kind == "rmdir":
            yield from self.rmdir(item, *arguments)
        elif kind == "move_over_empty":
            folders = self.those(lambda facts: facts.kind is Kind.FOLDER)
            for other in [folders[arguments[0] % len(folders)]] if folders else []:
                yield from self.of_place("move_over", item, self.ids.index(other))
        elif kind == "move":
            place, name = arguments
            yield partial(catalogue.move, [Move(item, self.folder(place), Edit(name=name))])
        elif kind in ("exchange", "move_over"):
            other = self.ids[arguments[0] % len(self.ids)]
            one, two = (catalogue.facts(number) for number in (item, other))
            if one is None or two is None or item == other:
                return
            to = Move(item, two.parent, Edit(name=two.name))
            if kind == "exchange":
                yield partial(catalogue.move, [to, Move(other, one.parent, Edit(name=one.name))])
            else:
                yield partial(catalogue.move, [to], trashed=[other])
        elif kind == "unpack":
            yield partial(catalogue.unpack, item, [FolderFile(("d", "1"), 1), FolderFile(("2",), 1)])
        elif kind == "edit":
            name, add, remove, tags = arguments
            yield partial(catalogue.edit, item, Edit(name=name, add=add, remove=remove, tags=tags))
        else:
            yield partial(getattr(catalogue, kind), item, *arguments)

    def rmdir(self, item: ItemId, emptied: bool) -> Iterator[Write]:
        """Of some folder, which may be emptied before by the same program or by another one."""
        folders = self.those(lambda facts: facts.live and facts.kind is Kind.FOLDER)
        if not folders:
            return
        folder = folders[item % len(folders)]
        held = self.those(lambda facts: facts.live and facts.parent == folder) if emptied else []
        for inner in held:
            yield partial(self.catalogue.trash, inner)
        yield partial(self.catalogue.remove_folder, folder, along=held[1:])

    async def retag(self, wanted: Retagging) -> None:
        async def choose() -> Retagging:
            return wanted

        await self.catalogue.retag_many(choose)

    def those(self, are: Callable[[Facts], bool]) -> list[ItemId]:
        return [item for item in self.ids if (facts := self.catalogue.facts(item)) is not None and are(facts)]

    def folder(self, place: int | None) -> ItemId | None:
        """One that there is, most often; None is the top."""
        folders = self.those(lambda facts: facts.kind is Kind.FOLDER)
        return folders[place % len(folders)] if folders and place is not None else None

    async def counts(self, before: int) -> bool:
        """Whether there is something to undo since. The first content of an item is no change of it, and what never had
        content is no loss."""
        call = await self.call()
        records = await self.catalogue.log(limit=100)
        return call != before and any("dropped" not in record.what for record in records if record.call == call)

    async def concerns_only(self, call: int, gone: set[ItemId]) -> bool:
        """Whether one of the rows of `call` is about items that are no more, and about no others."""
        records = [record for record in await self.catalogue.log(limit=10_000) if record.call == call]
        return any(record.items and not record.items - BitMap(gone) for record in records)


def agrees(now: Seen, then: Seen, gone: set[ItemId]) -> None:
    for item, row in now.items.items():
        if item in then.items:
            assert row == then.items[item], item
        else:
            assert not row[-1], item
    assert then.items.keys() - now.items.keys() <= gone
    assert now.tags == then.tags


async def play(plan: list[tuple[Any, ...]]) -> None:
    folder = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=folder) as path:
        async with open_catalogue(os.path.join(path, "c")) as catalogue:
            run = Run(catalogue, await BitmapIndex.open(catalogue))
            seen = [run.see()]
            gone: set[ItemId] = set()
            for step in [*START, *plan]:
                for write in run.writes(*step):
                    before, there = await run.call(), set(run.ids)
                    try:
                        await write()
                    except EngineError:
                        assert await run.call() == before
                        assert run.see() == seen[-1]
                        break
                    if await run.counts(before):
                        seen.append(run.see())
                    else:
                        seen[-1] = run.see()
                    gone |= there - set(run.ids)
            undone = 0
            while (call := await catalogue.undoable()) is not None:
                try:
                    await catalogue.undo(call)
                except Changed:
                    assert await run.concerns_only(call, gone)
                    assert await catalogue.undoable() == call
                    agrees(run.see(), seen[-1 - undone], gone)
                    break
                undone += 1
                agrees(run.see(), seen[-1 - undone], gone)
            else:
                assert undone == len(seen) - 1
            assert await catalogue.check() == []
            while (call := await catalogue.undoable(redo=True)) is not None:
                await catalogue.undo(call)
                undone -= 1
                agrees(run.see(), seen[-1 - undone], gone)
            assert undone == 0
            assert await catalogue.check() == []


@pytest.mark.parametrize("few", [bulk.FEW, 0])
@given(plan=st.lists(steps, min_size=1, max_size=12))
@example(plan=[("move", 0, 0, None), ("trash", 2), ("edit", 0, "y", frozenset(), frozenset(), None)])
@example(plan=[("trash", 2), ("restore", 0, None), ("add", "x", frozenset(), "1", 0)])
@example(plan=[("move", 0, 0, None), ("save_over_written", 0, "1"), ("complete", 0, "1", False), ("restore", 0, None)])
@settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
def test_undo_and_redo_are_exact(few: int, plan: list[tuple[Any, ...]]) -> None:
    """With few of 0 whatever changes tags of several items is told and journaled as sets, also by an undo."""
    with patch.object(bulk, "FEW", few):
        trio.run(play, plan)
