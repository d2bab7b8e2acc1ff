"""log and undo over a whole world below the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from engine.errors import BadRequest
from engine.history import Cause
from engine.ports import AddRequest
from engine.types import Change, TagChange
from tagfs.control.errors import Code
from tagfs.control.views import ChangeView
from tagfs.intake.take import add_all
from tagfs.service.verbs import Service
from tagfs.vfs import edits
from tagfs.vfs.draft import Version
from tagfs.vfs.pages import Use
from tests.support.world import World
from tests.tagfs.service.test_items import refused


@pytest.fixture
def service(world: World) -> Service:
    commands = replace(world.context, catalogue=world.catalogue.by(Cause.COMMAND))
    return Service(commands, world.store)


async def told(service: Service, *items: str) -> list[ChangeView]:
    return list((await service.log(items)).changes)


async def test_a_change_is_told_with_who_and_what(world: World, service: Service) -> None:
    item = await world.item("film.mkv", "movie")
    await service.tag((f"id:{item.id}",), add=("seen",), remove=("movie",))
    change, made_tag, made, *_ = await told(service)
    assert (change.cause, change.what) == ("command", {"add": ("seen",), "remove": ("movie",)})
    assert (change.count, [(one.id, one.name) for one in change.items]) == (1, [(item.id, "film.mkv")])
    assert made_tag.what == {"tag": ("created", "seen")} and made_tag.call == change.call
    assert (made.cause, made.what) == ("mount", {"made": ("film.mkv",), "add": ("movie",)})
    await service.rm((f"id:{item.id}",), forever=True)
    ended, trashed, *_ = await told(service, f"id:{item.id}")
    assert (ended.what, trashed.what) == ({"ended": ("film.mkv",)}, {"trash": ("in",)})
    assert [one.name for one in ended.items] == ["film.mkv"] and [one.name for one in trashed.items] == [None]


async def test_pages_and_ages(world: World, service: Service) -> None:
    items = [await world.item(f"f{number}") for number in range(4)]
    everything = await told(service)
    page = await service.log(limit=3)
    assert page.changes == tuple(everything[:3])
    rest = await service.log(before=page.next, limit=3)
    assert (rest.changes, rest.next) == (tuple(everything[3:]), None)
    assert await told(service, "f1", f"id:{items[3].id}") == [everything[0], everything[2]]
    assert (await service.log(age=3600.0)).changes == tuple(everything)
    assert (await service.log(age=-60.0)).changes == ()
    with refused(Code.BAD_REQUEST):
        await service.log(limit=0)
    with refused(Code.NOT_FOUND):
        await service.log(("nothing",))


async def test_undo_and_redo_are_seen_on_every_path(world: World, service: Service) -> None:
    item = await world.item("f", "a")
    await edits.unlink(world.context, await world.directory("tags/a"), "f")
    assert await world.names("tags/a") == []
    world.kernel.clear()
    undone = await service.undo()
    assert [change.what for change in undone.changes] == [{"remove": ("a",)}]
    assert await world.names("tags/a") == ["f"]
    last = (await told(service))[0]
    assert (last.cause, last.undoes) == ("undo", undone.call)
    assert [change.undone for change in await told(service, f"id:{item.id}")][:2] == [None, last.call]
    await service.undo(redo=True)
    assert await world.names("tags/a") == []
    with refused(Code.FAILED, "undone already"):
        await service.undo(last.call)
    with refused(Code.NOT_FOUND, "no change 999"):
        await service.undo(999)
    with refused(Code.NOT_FOUND, "nothing to redo"):
        await service.undo(redo=True)


async def test_pages_of_the_old_content_are_not_kept_by_who_opens_between_commit_and_word_of_it(
    world: World, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row names the other content before the observers hear of it."""
    item, other = await world.item("f", content=b"one"), await world.item("g", content=b"two")
    await world.drafts.replace(item.id, other.id)
    pages = world.drafts.pages
    old, new = Version(other.sha256), Version(item.sha256)
    uses: list[Use] = []

    def apply(changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        now = world.catalogue.item(item.id)
        assert now is not None and now.sha256 == item.sha256
        uses.append(pages.open(item.id, new))

    pages.open(item.id, old)
    pages.close(item.id, old, direct=False)
    with monkeypatch.context() as patch:
        patch.setattr(world.views, "apply", apply)
        await service.undo()
    pages.close(item.id, new, direct=False)
    assert uses == [Use(direct_io=False, keep_cache=False)]
    assert pages.open(item.id, Version(item.sha256)) == Use(direct_io=False, keep_cache=True)


async def test_an_added_download_is_taken_back_and_given_again(world: World, service: Service) -> None:
    added = await service.add(("http://127.0.0.1:9/x",), tags=("a",))
    await world.context.transfers.add(AddRequest(["http://127.0.0.1:9/y"], cause=Cause.RULE))
    undone = await service.undo()
    assert [change.what["made"] for change in undone.changes if "made" in change.what] == [("x",)]
    assert await world.names("trash") == ["x"]
    await service.undo(redo=True)
    assert (await world.names("trash"), await world.names("tags/a")) == ([], ["x"])
    assert added.id in world.index.live
    await service.undo()
    with refused(Code.NOT_FOUND, "nothing to undo"):
        await service.undo()


async def test_what_a_failed_list_left_behind_does_not_stop_undo(world: World, service: Service) -> None:
    item = await world.item("f")
    good, bad = (AddRequest([f"http://127.0.0.1:9/{name}"], cause=Cause.COMMAND) for name in "xy")
    with pytest.raises(BadRequest):
        await add_all(world.catalogue, world.context.transfers, [good, replace(bad, options={"no-such": "option"})])
    assert (await told(service))[0].what == {"ended": ("x",)}
    while item.id in world.index.live:
        await service.undo()
