"""Listings kept as columns show what their rows would, whatever the items are and are called."""

from __future__ import annotations

from array import array
from types import SimpleNamespace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from engine.columns import Columns
from engine.ports import Edit, NewItem
from engine.types import Kind, State
from tagfs.vfs.lines import Lines
from tagfs.vfs.names import is_certain, is_tidy
from tagfs.vfs.nodes.items import entries, read_lines
from tagfs.vfs.nodes.steps import Steps
from tests.support.world import World
from tests.tagfs.vfs.test_names import AWKWARD, file_names

TAGS = ("f", "é", "-rf", "year:2000", "~1")


class Made(Steps):
    """In a catalogue that has these tags and no others; what parses is not the matter here."""

    def __init__(self) -> None:
        context: Any = SimpleNamespace(index=SimpleNamespace(has_tag=TAGS.__contains__))
        super().__init__(context)

    def is_step(self, path: tuple[str, ...], name: str) -> bool:
        return name in TAGS or name.startswith("-") or ":" in name or path == ("year:",)


@given(st.lists(st.one_of(file_names, st.sampled_from(TAGS)), min_size=1, max_size=8), st.sampled_from(["a", "year:"]))
@example([".tags", "f"], "a")
@example(["plain.txt", "+"], "a")
def test_many_names_are_hidden_as_each_of_them(names: list[str], above: str) -> None:
    hiding = Made().hiding((above,))
    assert hiding.among("/".join(names)) == {name for name in names if hiding(name)}


@given(st.lists(file_names, min_size=1, max_size=4))
def test_names_that_are_tidy_are_certain(names: list[str]) -> None:
    if is_tidy("/".join(names)):
        assert all(map(is_certain, names))


async def awkward(world: World) -> None:
    """Items of each kind and state that a listing may have, some of one name."""
    for name in AWKWARD:
        await world.item(name, "a", content=b"x" * len(name))
    for name in ("f", "f.txt", "\udcff\udc80", "-", "e\u0301"):
        await world.item(name, "a", "b", "c", content=name.encode("utf-8", "surrogateescape"))
    await world.link("f", "../somewhere", "a")
    await world.folder("f", {"in.txt": b"in"}, "a")
    await world.catalogue.add(NewItem("arrives", tags=["a"], state=State.QUEUED, size=4711))
    early = await world.item("early", "a")
    await world.catalogue.edit(early.id, Edit(mtime_ns=-1, mode=0o400))
    await world.catalogue.create_tag("f.txt")


async def test_lines_are_the_entries_of_the_rows(world: World) -> None:
    await awkward(world)
    written = await world.item("written", "a")
    draft = await world.drafts.write_to(written)
    world.drafts.enter(draft, writing=True)
    await world.drafts.write(draft, 0, b"longer than it was")
    hiding = Steps(world.context).hiding(("a",))
    ids = world.index.live
    rows = await world.catalogue.items(list(ids))
    assert {row.kind for row in rows} == set(Kind)
    for hides in (hiding, None):
        lines = await read_lines(world.context, ids)
        lines.name(hides)
        expected = entries(world.context, rows, hides or (lambda _: False))
        assert list(lines) == expected
        assert lines[3:5] == expected[3:5]
        assert lines.uncertain == {n for n, entry in enumerate(expected) if not is_certain(entry.name)}
    world.drafts.leave(draft, writing=True)


def test_no_lines() -> None:
    lines = Lines()
    nothing = array("q")
    lines.add(Columns(array("I"), b"", nothing, nothing, nothing, nothing, nothing, {}), {})
    lines.name(None)
    assert list(lines) == []
