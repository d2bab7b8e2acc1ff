"""The trash: what it costs, out of it, and gone for good."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest

from engine.clock import Ages
from engine.history import Cause
from engine.types import ItemId
from tagfs.config.settings import History, Trash
from tagfs.control.errors import Code
from tagfs.control.views import EmptiedView
from tagfs.service.verbs import Service
from tagfs.upkeep import Upkeep, end
from tests.support.world import World
from tests.tagfs.service.test_items import refused


@pytest.fixture
def service(world: World) -> Service:
    return Service(replace(world.context, catalogue=world.catalogue.by(Cause.COMMAND)), world.store)


async def trashed(world: World, name: str, content: bytes, *tags: str) -> ItemId:
    item = await world.item(name, *tags, content=content)
    await world.catalogue.trash(item.id)
    return item.id


async def test_content_is_counted_once_and_what_others_use_frees_nothing(world: World, service: Service) -> None:
    await world.item("live", content=b"shared")
    shared = await trashed(world, "shared", b"shared")
    twins = [await trashed(world, "twin", b"twins!!") for _ in range(2)]
    alone = await trashed(world, "alone", b"alone", "a")
    page = await service.trash()
    assert {view.id: (view.size, view.frees) for view in page.items} == {
        shared: (6, 0), twins[0]: (7, 0), twins[1]: (7, 0), alone: (5, 5),
    }  # fmt: skip
    assert (page.total, page.size, page.frees, page.next) == (4, 18, 12, None)
    assert page.items[-1].tags == ("a",)
    first = await service.trash(limit=3)
    assert first.next == twins[1]
    assert (await service.trash(after=twins[1], limit=3)).items == page.items[3:]
    assert await service.trash_empty((f"id:{shared}", "alone")) == EmptiedView(2, 11, 5)
    assert await service.trash_empty() == EmptiedView(2, 7, 7)
    assert (await service.trash()).total == 0


async def test_a_folder_costs_what_is_in_it_and_a_file_of_one_says_where_it_was(world: World, service: Service) -> None:
    folder = await world.folder("album", {"cd/1": b"111", "cd/2": b"22"})
    [view] = (await service.ls(folder="album")).items
    [one, _] = (await service.ls(folder=f"id:{view.id}")).items
    await world.catalogue.trash(ItemId(one.id))
    [listed] = (await service.trash()).items
    assert (listed.name, listed.folder, listed.size) == ("1", "album/cd", 3)
    await service.rm(("album",))
    [listed] = (await service.trash()).items
    assert (listed.id, listed.kind, listed.folder, listed.size) == (folder.id, "folder", "", 5)


async def test_what_is_named_comes_back_or_nothing_does(world: World, service: Service) -> None:
    item = await trashed(world, "x", b"1", "a")
    twins = [await trashed(world, "twin.txt", text) for text in (b"2", b"3")]
    live = await world.item("live")
    for ref, code in (("twin.txt", Code.AMBIGUOUS), (f"id:{live.id}", Code.NOT_FOUND), ("live", Code.NOT_FOUND)):
        with refused(code):
            await service.trash_restore(("x", ref))
    assert await world.names("tags/a") == []
    assert [view.id for view in await service.trash_restore(("x", f"twin~{twins[1]}.txt"))] == [item, twins[1]]
    assert await world.names("tags/a") == ["x"]
    assert [view.id for view in (await service.trash()).items] == [twins[0]]


async def test_emptied_by_age_and_by_size(world: World, service: Service) -> None:
    old, young = [await trashed(world, name, name.encode() * 10) for name in ("a", "b")]
    assert await service.trash_empty(older_than=3600.0) == EmptiedView(0, 0, 0)
    assert await service.trash_empty(keep_size=10) == EmptiedView(1, 10, 10)
    assert world.catalogue.item(old) is None
    assert await service.trash_empty(older_than=-60.0, keep_size=1000) == EmptiedView(1, 10, 10)
    assert world.catalogue.item(young) is None
    with refused(Code.BAD_REQUEST):
        await service.trash_empty(("x",), keep_size=1)


async def test_what_is_taken_out_while_the_trash_is_emptied_stays(world: World) -> None:
    kept, gone = [await trashed(world, name, name.encode()) for name in ("kept", "gone")]

    class Racing:
        async def purge(self, items: Collection[int]) -> None:
            await world.catalogue.restore(kept)
            await world.catalogue.purge(items)

        def __getattr__(self, name: str) -> object:
            return getattr(world.catalogue, name)

    await end(Racing(), [kept, gone])
    assert (world.catalogue.item(kept).trashed_ns, world.catalogue.item(gone)) == (None, None)


async def test_what_the_config_file_says_goes_by_itself(world: World) -> None:
    item = await trashed(world, "a", b"0123456789")
    row = world.catalogue.item(item)
    assert row is not None and row.trashed_ns is not None
    now = row.trashed_ns / 10**9

    async def after(hours: float, trash: Trash) -> bool:
        await Upkeep(world.catalogue, History(), trash, ages=Ages(lambda: now + hours * 3600)).once()
        return world.catalogue.item(item) is None

    assert not await after(10_000, Trash())
    assert not await after(0.5, Trash(max_age="1min", max_size="1"))
    assert not await after(2, Trash(max_age="3h", max_size="10"))
    assert await after(4, Trash(max_age="3h"))
    [record] = await world.catalogue.log(item, limit=1)
    assert (record.cause, record.what) == (Cause.UPKEEP, {"ended": "a"})


async def test_the_history_is_cut_by_age_and_number(world: World) -> None:
    items = [await world.item(f"i{number}") for number in range(6)]
    await Upkeep(world.catalogue, History(max_changes=3), Trash()).once()
    assert [list(record.items) for record in await world.catalogue.log()] == [[item.id] for item in items[:2:-1]]
    await Upkeep(world.catalogue, History(keep="1s"), Trash(), ages=Ages(lambda: 2**33)).once()
    assert len(await world.catalogue.log()) == 1
