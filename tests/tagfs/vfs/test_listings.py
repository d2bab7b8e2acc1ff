"""Listings that something overtakes while they are made, shown or kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from engine.columns import Columns
from engine.ports import Edit
from engine.types import FIRST_ITEM_ID, ItemId
from tagfs.mount.inodes import Inodes
from tagfs.vfs import listings, numbers
from tagfs.vfs.nodes.query import QueryDirectory
from tagfs.vfs.nodes.tags import TagsRoot
from tests.support.world import World


async def known(world: World, path: str) -> QueryDirectory:
    """A query directory that the kernel has looked up, so that it is followed."""
    tags = world.context.nodes[numbers.TAGS]
    assert isinstance(tags, TagsRoot)
    node = await world.directory(path)
    assert isinstance(node, QueryDirectory)
    Inodes(world.context, tags).hand_out(node)
    return node


def modes(snapshot: Any) -> list[int]:
    return [entry.attr.mode & 0o777 for entry in snapshot.entries]


class SlowRows:
    """`catalogue.columns` with a change between the reading of the rows and the answer, as often as `times`."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch, edit: Edit, times: int) -> None:
        self.columns = world.catalogue.columns
        self.world, self.edit, self.left, self.calls = world, edit, times, 0
        monkeypatch.setattr(world.catalogue, "columns", self)

    async def __call__(self, ids: Sequence[int]) -> list[Columns]:
        found = await self.columns(ids)
        self.calls += 1
        if self.left:
            self.left -= 1
            await self.world.catalogue.edit(ItemId(found[0].ids[0]), self.edit)
        return found


@pytest.mark.parametrize("edit", [Edit(mode=0o600), Edit(name="renamed"), Edit(add=["b"]), Edit(set_xattrs={"x": b""})])
async def test_what_changes_while_the_rows_are_read_is_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch, edit: Edit
) -> None:
    """A chmod changes no membership, and was missed: the listing was kept, and shown to the kernel for a day."""
    await world.item("f", "a")
    directory = await known(world, "tags/a")
    rows = SlowRows(world, monkeypatch, edit, times=1)
    snapshot = await directory.snapshot()
    assert rows.calls == 2
    assert not snapshot.stale()
    row = world.catalogue.item(FIRST_ITEM_ID)
    assert row is not None
    assert [entry.name for entry in snapshot.entries] == [row.name]
    assert modes(snapshot) == [row.mode]
    assert await directory.snapshot() is snapshot


async def test_a_listing_that_never_settles_is_shown_and_not_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.item("f", "a")
    directory = await known(world, "tags/a")
    SlowRows(world, monkeypatch, Edit(mode=0o600), times=100)
    snapshot = await directory.snapshot()
    assert snapshot.stale()
    assert len(snapshot.entries) == 1
    assert await directory.snapshot() is not snapshot


async def test_a_listing_that_is_shown_is_followed_although_it_is_not_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too long to be kept, or crowded out: whoever is reading it in pieces must not hand on stale attributes."""
    monkeypatch.setattr(listings, "CACHED_ENTRIES", 0)
    item = await world.item("f", "a")
    directory = await known(world, "tags/a")
    snapshot = await directory.snapshot()
    assert not snapshot.stale()
    await world.catalogue.edit(item.id, Edit(mode=0o600))
    assert snapshot.stale()


async def test_the_least_used_goes_when_room_is_needed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listings, "CACHED_ENTRIES", 4)
    for number in range(2):
        await world.item(f"f{number}", "a", "b", "c")
    a, b, c = [await known(world, f"tags/{tag}") for tag in "abc"]
    kept = [await directory.snapshot() for directory in (a, b)]
    assert await a.snapshot() is kept[0]
    await c.snapshot()
    assert await a.snapshot() is kept[0]
    assert await b.snapshot() is not kept[1]


async def test_a_tag_that_comes_or_goes_hides_and_shows_items_of_its_name(world: World) -> None:
    item = await world.item("x", "a")
    directory = await known(world, "tags/a")
    other = await known(world, "tags/a/@")
    assert [entry.name for entry in (await directory.snapshot()).entries] == ["x"]
    await world.catalogue.create_tag("x")
    assert [entry.name for entry in (await directory.snapshot()).entries] == [f"x~{item.id}"]
    assert [entry.name for entry in (await other.snapshot()).entries] == ["x"]
    await world.catalogue.rename_tag("x", "y")
    assert [entry.name for entry in (await directory.snapshot()).entries] == ["x"]
    await world.catalogue.rename_tag("y", "x")
    assert [entry.name for entry in (await directory.snapshot()).entries] == [f"x~{item.id}"]
    await world.catalogue.remove_tag("x")
    assert [entry.name for entry in (await directory.snapshot()).entries] == ["x"]


async def test_an_unrelated_change_keeps_the_listing(world: World) -> None:
    """Or nothing would ever be cached."""
    await world.item("f", "a")
    directory = await known(world, "tags/a")
    snapshot = await directory.snapshot()
    other = await world.item("g", "b", "new")
    await world.catalogue.edit(other.id, Edit(mode=0o600, add=["c"]))
    assert await directory.snapshot() is snapshot
    assert not snapshot.stale()


async def test_ages_are_never_kept(world: World) -> None:
    await world.item("f", "a")
    directory = await known(world, "tags/added:1h")
    snapshot = await directory.snapshot()
    assert len(snapshot.entries) == 1
    assert snapshot.stale()
    assert not directory.keeps


async def test_facets_stand_beside_the_items_and_are_never_kept(world: World) -> None:
    object.__setattr__(world.context, "facets", True)
    await world.item("f", "a", "b", "year:2000")
    await world.item("b", "a")
    directory = await known(world, "tags/a")
    snapshot = await directory.snapshot()
    assert [entry.name for entry in snapshot.entries] == ["b", "year:2000", "f", f"b~{FIRST_ITEM_ID + 1}"]
    assert snapshot.stale()


async def test_the_trash_prefers_the_same_item_in_listing_and_lookup(world: World) -> None:
    """The listing began with the one that was removed last, the lookup with the oldest: rm hit the wrong one."""
    first, second = await world.item("f", content=b"1"), await world.item("f", content=b"2")
    await world.catalogue.trash(first.id)
    await world.catalogue.trash(second.id)
    trash = await world.directory("trash")
    for entry in (await trash.snapshot()).entries:
        assert await trash.lookup(entry.name) == entry.node
