"""Directories whose query comes to mean another: what they show, keep and state, and what the kernel is told."""

from __future__ import annotations

import pytest
import trio

from engine.catalogue.writer import Job
from engine.ports import Edit
from query.ast import Expr
from query.relations import Relation, RelationKind
from tagfs.mount.inodes import Inodes
from tagfs.vfs import numbers
from tagfs.vfs.nodes.query import QueryDirectory
from tagfs.vfs.nodes.tags import TagsRoot
from tagfs.vfs.tree import Closed, Directory, Node, Stated
from tests.support.world import World

IMPLIES = Relation("x", RelationKind.IMPLIES, "a")


async def known(world: World, path: str) -> tuple[int, QueryDirectory]:
    """The kernel has looked up this path."""
    tags = world.context.nodes[numbers.TAGS]
    assert isinstance(tags, TagsRoot)
    inodes = Inodes(world.context, tags)
    node: Node = world.context.root
    number = 0
    for name in path.split("/"):
        assert isinstance(node, Directory)
        node = await node.lookup(name)
        number = inodes.hand_out(node)
    assert isinstance(node, QueryDirectory)
    return number, node


async def shown(directory: QueryDirectory) -> list[str]:
    return [entry.name for entry in (await directory.snapshot()).entries]


async def test_a_live_directory_goes_over_to_what_its_query_means(world: World) -> None:
    await world.item("f", "a")
    await world.item("g", "x")
    number, directory = await known(world, "tags/a")
    before = directory.attr()
    assert await shown(directory) == ["f"]
    world.kernel.clear()
    await world.catalogue.relate(IMPLIES)
    assert await shown(directory) == ["f", "g"]
    assert number in world.kernel.inodes
    assert (directory.attr().ino, directory.attr().mtime_ns > before.mtime_ns) == (before.ino, True)
    world.kernel.clear()
    await world.catalogue.unrelate(IMPLIES)
    assert await shown(directory) == ["f"]
    assert (number, "g") in world.kernel.names
    assert (number, "f") not in world.kernel.names


async def test_a_range_means_what_is_the_same_as_a_tag_that_is_renamed_into_it(world: World) -> None:
    for name, tag in (("f", "x"), ("g", "y"), ("h", "year:2000")):
        await world.item(name, tag)
    await world.catalogue.relate(Relation("x", RelationKind.SAME_AS, "y"))
    _, directory = await known(world, "tags/year:1990..")
    assert await shown(directory) == ["h"]
    await world.catalogue.rename_tag("y", "year:1999")
    assert await shown(directory) == ["f", "g", "h"]
    await world.catalogue.rename_tag("year:1999", "y")
    assert await shown(directory) == ["h"]


async def test_a_saved_query_means_what_is_the_same_as_a_tag_that_is_renamed_to_one_it_names(world: World) -> None:
    for name, tag in (("f", "x"), ("g", "y"), ("h", "b")):
        await world.item(name, tag)
    await world.catalogue.create_tag("z")
    await world.catalogue.relate(Relation("x", RelationKind.SAME_AS, "y"))
    await world.catalogue.save_query("q", "z or b")
    await world.catalogue.remove_tag("z")
    _, directory = await known(world, "queries/q")
    assert await shown(directory) == ["h"]
    await world.catalogue.rename_tag("y", "z")
    assert await shown(directory) == ["f", "g", "h"]


async def test_what_relations_do_not_concern_is_left_alone(world: World) -> None:
    await world.item("f", "a", "b")
    await world.item("g", "x")
    _, directory = await known(world, "tags/b")
    literal = (await known(world, "tags/a/@@"))[1]
    listing, other = await directory.snapshot(), await literal.snapshot()
    world.kernel.clear()
    await world.catalogue.relate(IMPLIES)
    assert await directory.snapshot() is listing
    assert [entry.name for entry in (await literal.snapshot()).entries] == [entry.name for entry in other.entries]
    assert world.kernel.names == []


async def test_a_listing_under_way_is_not_kept_for_what_it_shows_no_more(world: World) -> None:
    await world.item("f", "a")
    await world.item("g", "x")
    _, directory = await known(world, "tags/a")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.catalogue.relate, IMPLIES)
        nursery.start_soon(directory.snapshot)
        nursery.start_soon(directory.members)
    assert await shown(directory) == ["f", "g"]
    assert directory.member((await world.item("h", "x")).id)


@pytest.mark.parametrize("edit", [None, Edit(name="h"), Edit(remove=["x"]), Edit(name="h", remove=["x"])])
@pytest.mark.parametrize("first", [True, False])
async def test_what_happens_to_an_item_while_the_kernel_is_told_is_told_too(
    world: World, edit: Edit | None, first: bool
) -> None:
    """Between the commit of a relation and its end both queries are followed, until every other commit has settled."""
    item = await world.item("g", "x")
    await world.catalogue.create_tag("a")
    await world.catalogue.relate(IMPLIES)
    number, directory = await known(world, "tags/a")
    assert await shown(directory) == ["g"]
    world.kernel.clear()
    async with trio.open_nursery() as nursery:
        if first:
            nursery.start_soon(world.catalogue.unrelate, IMPLIES)
        if edit is None:
            nursery.start_soon(world.catalogue.trash, item.id)
        else:
            nursery.start_soon(world.catalogue.edit, item.id, edit)
        if not first:
            nursery.start_soon(world.catalogue.unrelate, IMPLIES)
    assert (number, "g") in world.kernel.names
    assert await shown(directory) == []
    assert world.views._turning.moves == []


async def test_an_item_whose_new_name_is_read_before_anybody_is_told_of_it_is_told_by_the_old_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rename is committed while a relation settles, and delivered when that has settled."""
    item = await world.item("g", "x")
    await world.catalogue.create_tag("a")
    await world.catalogue.relate(IMPLIES)
    number, directory = await known(world, "tags/a")
    assert await shown(directory) == ["g"]
    world.kernel.clear()
    delivery, prepare, held = world.catalogue._delivery, world.index.prepare, []
    deliver, is_committed = delivery.deliver, trio.Event()

    def hold(group: list[Job]) -> None:
        if any(job.changes for job in group):
            held.append(group)
            is_committed.set()
        else:
            deliver(group)

    async with trio.open_nursery() as nursery:

        async def rename_first(expr: Expr) -> None:
            if not is_committed.is_set():
                monkeypatch.setattr(delivery, "deliver", hold)
                nursery.start_soon(world.catalogue.edit, item.id, Edit(name="h"))
                await is_committed.wait()
            await prepare(expr)

        monkeypatch.setattr(world.index, "prepare", rename_first)
        await world.catalogue.unrelate(IMPLIES)
        deliver(*held)
    assert (number, "g") in world.kernel.names
    assert await shown(directory) == []
    assert world.views._turning.moves == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a and not x", Stated(("a",))),
        ("a @@", Stated(("a",), literal=True)),
        ("a or x", None),
        ("size > 1", None),
    ],
)
async def test_a_saved_query_states_what_a_path_of_it_would(world: World, text: str, place: Stated | None) -> None:
    await world.catalogue.create_tag("a")
    await world.catalogue.save_query("q", text)
    found = (await world.directory("queries/q")).place
    assert isinstance(found, Closed) if place is None else found == place
    assert isinstance((await world.directory("queries/a")).place, Closed)


async def test_a_query_that_is_saved_anew_is_another_one_to_who_stands_in_it(world: World) -> None:
    await world.item("f", "a")
    await world.item("g", "x")
    _, directory = await known(world, "queries/a")
    assert isinstance(directory.place, Closed)
    await world.catalogue.save_query("a", "x")
    assert await shown(directory) == ["g"]
    assert directory.place == Stated(("x",))
    await world.catalogue.rename_tag("x", "y")
    assert (await shown(directory), directory.place) == (["g"], Stated(("y",)))
    await world.catalogue.forget_query("a")
    assert await shown(directory) == ["f"]
    assert isinstance(directory.place, Closed)
