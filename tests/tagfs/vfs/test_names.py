"""Names in listings: unique, legal, and leading back to their item, whatever items are called (F1)."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.types import FIRST_ITEM_ID, Item, ItemId, Kind, State
from tagfs.vfs.names import NAME_MAX, is_certain, is_tilde_name, show, tilde_ids, tilde_name
from tagfs.vfs.nodes.items import find
from tests.support.world import World

AWKWARD = (
    "f", "f.txt", f"f~{FIRST_ITEM_ID}", f"f~{FIRST_ITEM_ID}.txt", f"f~{FIRST_ITEM_ID + 1}~.txt", "~", "~1", "f~",
    "...", ".f", "f.", "..f", " ", "-", "-rf", "+", "@@", ".tags", "new\nline", "\x1b[31m", "\x7f", "\u202egpj.exe",
    "é", "e\u0301", "F", "\udcff\udc80", "a,b", "x" * 255, "x" * 250 + ".mkv", "é" * 127, "." + "x" * 254,
    "a." + "x" * 253, "日" * 85, "日" * 83 + ".txt", "f\udcff" + "é" * 126,
)  # fmt: skip

raw = st.binary(min_size=1, max_size=255).map(lambda data: data.replace(b"/", b"_").replace(b"\0", b"_"))
short = st.text("f~.0149", min_size=1, max_size=12)
file_names = st.one_of(st.sampled_from(AWKWARD), raw.map(os.fsdecode), short).filter(
    lambda name: name not in (".", "..")
)
catalogues = st.lists(file_names, max_size=12)


def items(names: list[str]) -> list[Item]:
    return [
        Item(
            id=ItemId(FIRST_ITEM_ID + number), name=name, kind=Kind.FILE, state=State.COMPLETE, size=0, sha256=None,
            blob=None, mtime_ns=0, added_ns=0, mode=0o644, target=None, error=None, trashed_ns=None, tag_count=0,
        )
        for number, name in enumerate(names)
    ]  # fmt: skip


def lookup(rows: list[Item], name: str) -> ItemId | None:
    by_id = {row.id: row for row in rows}
    context: Any = SimpleNamespace(catalogue=SimpleNamespace(item=by_id.get))
    return find(context, name, [row.id for row in rows if row.name == name], lambda item: True)


@given(catalogues, st.sets(st.one_of(file_names, st.just(f"f~{FIRST_ITEM_ID + 1}"))))
@example(["f", "f", f"f~{FIRST_ITEM_ID + 1}"], set())
@example(["f", "f"], {f"f~{FIRST_ITEM_ID + 1}"})
@example(["x" * 255] * 3, set())
def test_listed_names_are_unique_legal_and_lead_back(names: list[str], hidden: set[str]) -> None:
    rows = items(names)
    listed = list(show(rows, lambda name: name in hidden))
    assert [row for _, row in listed] == rows
    shown = [name for name, _ in listed]
    assert len(set(shown)) == len(shown)
    for name, row in listed:
        assert 1 <= len(os.fsencode(name)) <= NAME_MAX
        assert "/" not in name
        assert name not in hidden
        assert lookup(rows, name) == row.id


@given(catalogues)
def test_the_older_keeps_the_plain_name(names: list[str]) -> None:
    rows = items(names)
    for name, row in show(rows, lambda _: False):
        oldest = min(other.id for other in rows if other.name == row.name)
        assert (name == row.name) == (row.id == oldest)


@given(file_names, st.integers(FIRST_ITEM_ID, 2**32 - 1), st.integers(0, 3))
def test_a_tilde_name_tells_its_item(name: str, number: int, extra: int) -> None:
    item = ItemId(number)
    shown = tilde_name(name, item, extra)
    assert len(os.fsencode(shown)) <= NAME_MAX
    assert (item, extra) in list(tilde_ids(shown))
    assert is_tilde_name(shown, name, item)
    assert os.path.splitext(shown)[1] in (os.path.splitext(name)[1], "") or len(os.fsencode(name)) > 200


@given(catalogues)
def test_adding_an_item_renames_nobody(names: list[str]) -> None:
    """Beyond the rule of the collisions: what is called like a listed tilde name pushes that one aside."""
    rows = items([*names, "new"])
    before = {row.id: name for name, row in show(rows[:-1], lambda _: False)}
    after = {row.id: name for name, row in show(rows, lambda _: False)}
    for row in rows[:-1]:
        assert after[row.id] == before[row.id]


@pytest.mark.parametrize("name", ["film.mkv", "film~4711.mkv", "~", "a-b", "é", "+", ".tags", "x" * 255, "\udcff"])
def test_certain_names(name: str) -> None:
    assert is_certain(name)


@pytest.mark.parametrize("name", ["-a", "a,b", "year:2000", "e\u0301", "film~4711~.mkv", "f~5~"])
def test_uncertain_names(name: str) -> None:
    assert not is_certain(name)


@pytest.mark.parametrize("name", AWKWARD)
async def test_every_name_can_be_listed_and_found_in_a_query(world: World, name: str) -> None:
    first, second = await world.item(name, "a"), await world.item(name, "a", content=b"2")
    directory = await world.directory("tags/a")
    for entry in (await directory.snapshot()).entries:
        assert await directory.lookup(entry.name) == entry.node, entry.name
    assert await world.names("tags/a") != []
    assert {entry.attr.ino for entry in (await directory.snapshot()).entries} == {first.id, second.id}
