"""Undo of any number of the last changes gives back what was before them, and redo what was after; whatever was done.

Items that were made since are in the trash then instead.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from engine.catalogue import SqliteCatalogue, open_catalogue
from engine.catalogue.writes import bulk
from engine.errors import EngineError
from engine.index import BitmapIndex
from engine.ports import Edit, FolderFile, Move, NewItem, Retagging
from engine.types import ItemId, Kind, State
from tests.support.catalogue import sha, whole

TAGS = ("a", "b", "year:2000")
NAMES = ("x", "y", "\udcff")

Row = tuple[str, frozenset[str], int | None, bool, str | None, bool]


@dataclass(frozen=True)
class Seen:
    """All that undo promises to restore."""

    items: dict[ItemId, Row]
    tags: frozenset[str]


tag_sets = st.frozensets(st.sampled_from(TAGS))
which = st.integers(0, 30)
steps = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(NAMES), tag_sets, st.sampled_from(["1", "2", "3"])),
    st.tuples(st.just("add_many"), tag_sets),
    st.tuples(st.just("add_bare"), st.sampled_from(NAMES)),
    st.tuples(st.just("unpack"), which),
    st.tuples(st.just("mkdir"), st.sampled_from(NAMES), st.none() | which),
    st.tuples(st.just("move"), which, st.none() | which, st.none() | st.sampled_from(NAMES)),
    st.tuples(st.just("exchange"), which, which),
    st.tuples(st.just("edit"), which, st.none() | st.sampled_from(NAMES), tag_sets, tag_sets, st.none() | tag_sets),
    st.tuples(st.just("edit_many"), st.lists(which, max_size=4), tag_sets, tag_sets),
    st.tuples(st.just("complete"), which, st.sampled_from(["1", "2", "3", ""])),
    st.tuples(st.just("trash"), which),
    st.tuples(st.just("restore"), which, st.none() | st.sampled_from(NAMES)),
    st.tuples(st.just("create_tag"), st.sampled_from(TAGS)),
    st.tuples(st.just("remove_tag"), st.sampled_from(TAGS)),
    st.tuples(st.just("merge_tag"), st.sampled_from(TAGS), st.sampled_from(TAGS)),
    st.tuples(st.just("retag_many"), st.lists(which, max_size=5), tag_sets, tag_sets),
    st.tuples(st.just("rename_tag"), st.sampled_from(TAGS), st.sampled_from(TAGS)),
)


class Run:
    def __init__(self, catalogue: SqliteCatalogue, index: BitmapIndex) -> None:
        self.catalogue = catalogue
        self.index = index
        self.ids: list[ItemId] = []

    async def call(self) -> int:
        records = await self.catalogue.log(limit=1)
        return records[0].call if records else 0

    def see(self) -> Seen:
        items = {}
        number = 4096
        while (facts := self.catalogue.facts(ItemId(number))) is not None:
            items[ItemId(number)] = (facts.name, facts.tags, facts.parent, facts.trashed, facts.sha256, facts.live)
            number += 1
        self.ids = list(items)
        return Seen(items, frozenset(tag.name for tag in self.index.tag_list()))

    def write(self, kind: str, *arguments: Any) -> Callable[[], Awaitable[object]] | None:
        """What a step means where the catalogue is now."""
        if kind == "add":
            name, tags, content = arguments
            return partial(self.catalogue.add, whole(name, *tags, content=content))
        if kind == "add_many":
            return partial(self.catalogue.add_many, [whole(f"m{n}", *arguments[0]) for n in range(3)])
        if kind == "add_bare":
            return partial(self.catalogue.add, NewItem(arguments[0], state=State.QUEUED))
        if kind.endswith("_tag"):
            return partial(getattr(self.catalogue, kind), *arguments)
        if not self.ids:
            return None
        if kind == "retag_many":
            chosen, add, remove = arguments
            items = BitMap([self.ids[place % len(self.ids)] for place in chosen])
            return partial(self.retag, Retagging(dict.fromkeys(add, items), dict.fromkeys(remove - add, items)))
        if kind == "edit_many":
            chosen, add, remove = arguments
            edits = [(self.ids[place % len(self.ids)], Edit(add=add, remove=remove)) for place in chosen]
            return partial(self.catalogue.edit_many, edits)
        item = self.ids[arguments[0] % len(self.ids)] if isinstance(arguments[0], int) else self.ids[0]
        if kind == "mkdir":
            name, place = arguments
            return partial(self.catalogue.add, NewItem(name, kind=Kind.FOLDER, parent=self.folder(place)))
        if kind == "move":
            _, place, name = arguments
            return partial(self.catalogue.move, [Move(item, self.folder(place), Edit(name=name))])
        if kind == "exchange":
            other = self.ids[arguments[1] % len(self.ids)]
            one, two = (self.catalogue.facts(number) for number in (item, other))
            if one is None or two is None or item == other:
                return None
            moves = [Move(item, two.parent, Edit(name=two.name)), Move(other, one.parent, Edit(name=one.name))]
            return partial(self.catalogue.move, moves)
        if kind == "unpack":
            return partial(self.catalogue.unpack, item, [FolderFile(("d", "1"), 1), FolderFile(("2",), 1)])
        if kind == "edit":
            name, add, remove, tags = arguments[1:]
            return partial(self.catalogue.edit, item, Edit(name=name, add=add, remove=remove, tags=tags))
        if kind == "complete":
            text = arguments[1]
            row = self.catalogue.item(item)
            if row is None or row.kind is not Kind.FILE or row.sha256 is None:
                return None
            return partial(
                self.catalogue.complete, item, sha(text), len(text), digests={}, mtime_ns=None, keep_old=True
            )
        return partial(getattr(self.catalogue, kind), item, *arguments[1:])

    async def retag(self, wanted: Retagging) -> None:
        async def choose() -> Retagging:
            return wanted

        await self.catalogue.retag_many(choose)

    def folder(self, place: int | None) -> ItemId | None:
        """One that there is, most often; None is the top."""
        folders = [item for item in self.ids if (facts := self.catalogue.facts(item)) and facts.kind is Kind.FOLDER]
        return folders[place % len(folders)] if folders and place is not None else None


def agrees(now: Seen, then: Seen) -> None:
    for item, row in now.items.items():
        if item in then.items:
            assert row == then.items[item], item
        else:
            assert not row[-1], item
    assert now.tags == then.tags


async def play(plan: list[tuple[Any, ...]]) -> None:
    folder = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=folder) as path:
        async with open_catalogue(os.path.join(path, "c")) as catalogue:
            run = Run(catalogue, await BitmapIndex.open(catalogue))
            seen = [run.see()]
            for step in plan:
                write, before = run.write(*step), await run.call()
                if write is not None:
                    try:
                        await write()
                    except EngineError:
                        assert await run.call() == before
                if await run.call() != before:
                    seen.append(run.see())
            undone = 0
            while (call := await catalogue.undoable()) is not None:
                await catalogue.undo(call)
                undone += 1
                agrees(run.see(), seen[-1 - undone])
            assert undone == len(seen) - 1
            assert await catalogue.check() == []
            while (call := await catalogue.undoable(redo=True)) is not None:
                await catalogue.undo(call)
                undone -= 1
                agrees(run.see(), seen[-1 - undone])
            assert undone == 0
            assert await catalogue.check() == []


@pytest.mark.parametrize("few", [bulk.FEW, 0])
@given(plan=st.lists(steps, max_size=12))
@settings(deadline=None, max_examples=25)
def test_undo_and_redo_are_exact(few: int, plan: list[tuple[Any, ...]]) -> None:
    """With few of 0 whatever changes tags of several items is told and journaled as sets, also by an undo."""
    with patch.object(bulk, "FEW", few):
        trio.run(play, plan)
