"""tag_where, tag_batch, tag_merge: one transaction each, exact at its place in the order of commits."""

from __future__ import annotations

import pytest
import trio
from pyroaring import BitMap

from engine.catalogue.writes import bulk
from engine.ports import Edit, NewItem
from engine.types import Change, ItemId, Kind
from tagfs.control.errors import Code
from tagfs.control.verbs import Spelling
from tagfs.control.views import RetaggedView
from tagfs.service.verbs import Service
from tests.support.catalogue import Recorder
from tests.support.world import World
from tests.tagfs.service.conftest import Reports
from tests.tagfs.service.test_events import following
from tests.tagfs.service.test_items import refused


async def links(world: World, count: int, *tags: str) -> BitMap:
    """Items without content, which are quick to make."""
    new = [NewItem(f"l{number}", kind=Kind.SYMLINK, target="/x", tags=tags) for number in range(count)]
    return BitMap([item.id for item in await world.catalogue.add_many(new)])


async def members(world: World, service: Service, query: str) -> BitMap:
    return world.index.evaluate(await service.prepared(query, Spelling.EXPRESSION), now=0.0)


def tags_got(change: Change) -> frozenset[str]:
    assert change.before is not None and change.after is not None
    return change.after.tags - change.before.tags


@pytest.mark.parametrize("count", [3, 2_500])
async def test_where(world: World, service: Service, report: Reports, count: int) -> None:
    both, one = await links(world, count, "a", "old"), await links(world, 5, "a")
    await links(world, 5, "other")
    asked = {"add": ("new", "a"), "remove": ("old",), "report": report}
    assert await service.tag_where("a", dry_run=True, **asked) == RetaggedView(count + 5, count + 5)
    assert not world.index.has_tag("new")
    assert await service.tag_where("a", **asked) == RetaggedView(count + 5, count + 5)
    assert await members(world, service, "new") == both | one
    assert not await members(world, service, "old")
    assert await service.tag_where("a", **asked) == RetaggedView(count + 5, 0)
    if count > bulk.FEW:
        assert report[-1].items_done == report[-1].items_total == 2 * count + 5


async def test_where_is_about_what_ls_lists(world: World, service: Service, report: Reports) -> None:
    folder = await world.folder("D", {"f": b"1", "g": b"2"}, "a")
    assert await service.tag_where("a", add=("b",), report=report) == RetaggedView(1, 1)
    assert world.catalogue.tags(folder.id) == ("a", "b")
    assert [item.name for item in (await service.ls("b")).items] == ["D"]


async def test_where_refuses_what_it_cannot_do(world: World, service: Service, report: Reports) -> None:
    await links(world, 1, "a")
    with refused(Code.BAD_REQUEST, "Which tags"):
        await service.tag_where("a", report=report)
    with refused(Code.NOT_FOUND, "'no'"):
        await service.tag_where("a", remove=("no",), report=report)
    with refused(Code.NOT_FOUND, "'nothing'"):
        await service.tag_where("nothing", add=("b",), report=report)
    with refused(Code.BAD_REQUEST):
        await service.tag_where("a", add=("size:1",), report=report)
    assert not world.index.has_tag("b")


@pytest.mark.parametrize("few", [0, 1_000])
async def test_nothing_comes_between_the_question_and_the_change(
    world: World, service: Service, report: Reports, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of commits, exactly those get the tag that match at that moment, whatever else is written."""
    monkeypatch.setattr(bulk, "FEW", few)
    items = await links(world, 300, "a")
    await world.catalogue.create_tag("out")
    seen = Recorder()
    world.catalogue.observe(seen)

    async def leave(item: int) -> None:
        await world.catalogue.edit(ItemId(item), Edit(add=["out"]))

    async with trio.open_nursery() as nursery:
        for item in items:
            nursery.start_soon(leave, item)
        nursery.start_soon(lambda: service.tag_where("a and not out", add=("in",), report=report))
    out, got = BitMap(), None
    for changes, tags in seen.applied:
        gained = BitMap([change.item for change in changes if "in" in tags_got(change)])
        for tag in tags:
            gained |= tag.gained
        if gained:
            assert got is None
            got = gained
            assert got == items - out
        out.update(change.item for change in changes if "out" in tags_got(change))
    assert got is not None or out == items


@pytest.mark.parametrize("count", [3, 2_500])
async def test_merge(world: World, service: Service, report: Reports, count: int) -> None:
    old, both, new = await links(world, count, "o"), await links(world, 7, "o", "n"), await links(world, 2, "n")
    assert await service.tag_merge("o", "n", report=report) == RetaggedView(count + 7, count + 7)
    assert await members(world, service, "n") == old | both | new
    assert not world.index.has_tag("o")
    assert [(tag.name, tag.items) for tag in (await service.tags()).tags] == [("n", count + 9)]
    assert await world.catalogue.check() == []
    with refused(Code.NOT_FOUND, "'o'"):
        await service.tag_merge("o", "n", report=report)
    with refused(Code.BAD_REQUEST, "itself"):
        await service.tag_merge("n", "n", report=report)


async def test_batch_is_done_in_the_order_of_its_lines(world: World, service: Service, report: Reports) -> None:
    first, second = await links(world, 2, "a")
    refs = (f"id:{first}", f"id:{second}", "l0", f"~{first}")
    edits = ("+b,-a", "+c", "-b,+a")
    await world.catalogue.create_tag("b")
    assert await service.tag_batch(refs, edits, (0, 1, 1, 2), report=report) == RetaggedView(2, 2)
    assert world.catalogue.tags(ItemId(first)) == ("a", "c")
    assert world.catalogue.tags(ItemId(second)) == ("a", "c")


@pytest.mark.parametrize(
    ("refs", "edits", "code", "text"),
    [
        (("l0", "nobody"), ("+b", "+b"), Code.NOT_FOUND, "Line 2: There is no item called 'nobody'. Nothing"),
        (("l0", "l1"), ("+b", "-no"), Code.NOT_FOUND, "Line 2: There is no tag called 'no'. Nothing"),
        (("l0", "l1"), ("+b", "c"), Code.BAD_REQUEST, "Line 2: A change is +TAG or -TAG, not 'c'. Nothing"),
        (("l0", "l1"), ("+b", "+size:1"), Code.BAD_REQUEST, "Line 2: "),
        (("l0", "l1"), ("+b", "+b,"), Code.BAD_REQUEST, "Line 2: "),
    ],
)
async def test_a_bad_line_refuses_the_whole_batch(
    world: World,
    service: Service,
    report: Reports,
    refs: tuple[str, ...],
    edits: tuple[str, ...],
    code: Code,
    text: str,
) -> None:
    await links(world, 2, "a")
    with refused(code, text):
        await service.tag_batch(refs, edits, (0, 1), report=report)
    assert not world.index.has_tag("b")


async def test_followers_hear_of_a_bulk_change_once(world: World, service: Service, report: Reports) -> None:
    await links(world, 1_500, "a")
    async with following(service, query="a", progress=False) as client, following(service) as second:
        await service.tag_where("a", add=("b",), remove=("a",), report=report)
        await service.tag_merge("b", "a", report=report)
    told = [(event.event, event.name, event.old, event.count) for event in second.heard[1:]]
    assert told == [
        ("tag", "b", None, None), ("untagged", "a", None, 1500), ("tagged", "b", None, 1500),
        ("tagged", "a", None, 1500), ("untagged", "b", None, 1500), ("tag", None, "b", None),
    ]  # fmt: skip
    assert client.words == ["watching", "untagged", "tagged", "tagged", "untagged"]


@pytest.mark.parametrize("count", [3, 1_500])
async def test_undo_takes_them_back(world: World, service: Service, report: Reports, count: int) -> None:
    old, both = await links(world, count, "o"), await links(world, 3, "o", "n")
    await service.tag_where("o and not n", add=("x",), report=report)
    await service.undo()
    assert not await members(world, service, "x" if world.index.has_tag("x") else "not o")
    await service.tag_merge("o", "n", report=report)
    await service.undo()
    assert await members(world, service, "o") == old | both
    assert await members(world, service, "n") == both
    assert await world.catalogue.check() == []
