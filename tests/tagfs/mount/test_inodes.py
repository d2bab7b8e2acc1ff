"""Node ids: what the kernel was given stands for the same thing until it has given back every reference."""

from __future__ import annotations

import errno
from collections import Counter
from pathlib import Path

import pyfuse3
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagfs.mount.inodes import Inodes
from tagfs.vfs import numbers
from tagfs.vfs.nodes.tags import TagsRoot
from tagfs.vfs.tree import BlobNode, Directory, ItemNode, Node
from tests.support.kernel import Kernel
from tests.support.world import World, open_world


@pytest.fixture
def inodes(world: World) -> Inodes:
    return inodes_of(world)


def inodes_of(world: World) -> Inodes:
    tags = world.context.nodes[numbers.TAGS]
    assert isinstance(tags, TagsRoot)
    return Inodes(world.context, tags)


async def hand_out(world: World, inodes: Inodes, path: str) -> int:
    """As the kernel walks: each directory on the way is looked up, too."""
    node: Node = world.context.root
    number = 0
    for name in path.split("/"):
        assert isinstance(node, Directory)
        node = await node.lookup(name)
        number = inodes.hand_out(node)
    return number


def forget_all(world: World, inodes: Inodes, given: Counter[int]) -> None:
    for number, count in given.items():
        inodes.forget(number, count)
    assert len(inodes) == 0
    assert not world.views.known.paths
    assert not world.views.known.unfinished
    assert not any(view.directories for view in world.views.known.views.values())


async def test_an_id_lives_until_its_last_reference_is_given_back(world: World, inodes: Inodes) -> None:
    await world.item("f", "a")
    number = await hand_out(world, inodes, "tags/a")
    assert await hand_out(world, inodes, "tags/a") == number
    node = inodes.node(number)
    inodes.forget(number, 1)
    assert inodes.node(number) is node
    inodes.forget(number, 1)
    assert inodes.node(number) is None
    assert await hand_out(world, inodes, "tags/a") == number


async def test_each_path_has_its_own_id_and_the_query_one_number(world: World, inodes: Inodes) -> None:
    await world.item("f", "a", "b")
    paths = ["tags/a/b", "tags/b/a", "tags/a/b/a", "queries/a and b"]
    ids = [await hand_out(world, inodes, path) for path in paths]
    assert len(set(ids)) == len(ids)
    nodes = [inodes.node(number) for number in ids]
    assert len({node.attr().ino for node in nodes if isinstance(node, Directory)}) == 1
    assert [".".join(node.location) for node in nodes if isinstance(node, Directory)] == [
        path.replace("/", ".") for path in paths
    ]


async def test_forgetting_what_nobody_knows_harms_nobody(world: World, inodes: Inodes) -> None:
    for number in (0, 1, numbers.TAGS, 5000, 2**40, numbers.ALIAS_BASE + 1, 2**63 - 1):
        inodes.forget(number, 1)
        inodes.forget(number, 10**9)
    assert len(inodes) == 0


async def test_items_and_fixed_nodes_need_no_table(world: World, inodes: Inodes) -> None:
    item = await world.item("f", "a")
    for path in ("files/f", "tags/a/f", ".tagfs/status", "trash"):
        await hand_out(world, inodes, path)
    assert inodes.node(item.id) == ItemNode(item.id)
    assert len(inodes) == 1  # /tags/a


async def test_blobs_are_counted(world: World, inodes: Inodes) -> None:
    item = await world.item("f")
    path = f"blobs/{item.sha256}"
    number = await hand_out(world, inodes, path)
    await hand_out(world, inodes, path)
    inodes.forget(number, 1)
    assert isinstance(inodes.node(number), BlobNode)
    inodes.forget(number, 1)
    assert inodes.node(number) is None


PATHS = (
    "tags/a",
    "tags/a/b",
    "tags/b",
    "tags/b/a",
    "tags/a/.tags",
    "tags/a/+",
    "tags/a/+/b",
    "tags/c",
    "tags/c/b",
    "tags/a,b",
)

steps = st.one_of(
    st.tuples(st.just("look"), st.sampled_from(PATHS)),
    st.tuples(st.just("forget"), st.integers(0, 20)),
    st.tuples(st.just("mv"), st.sampled_from("abc"), st.sampled_from("abc")),
)


async def play(folder: str, played: list[tuple[object, ...]]) -> None:
    async with open_world(Path(folder)) as world:
        inodes = inodes_of(world)
        await world.item("f", "a", "b")
        await world.catalogue.create_tag("c")
        given: Counter[int] = Counter()
        for step in played:
            match step:
                case ("look", str(path)):
                    node: Node = world.context.root
                    for name in path.split("/"):
                        try:
                            node = await node.lookup(name) if isinstance(node, Directory) else node
                        except FileNotFoundError:
                            break
                        number = inodes.hand_out(node)
                        if not isinstance(node, Directory) or node.number not in world.context.nodes:
                            given[number] += 1
                        known = inodes.node(number)
                        assert isinstance(known, Directory)
                        assert isinstance(node, Directory)
                        assert known.location == node.location
                case ("forget", int(which)) if given:
                    number = sorted(given)[which % len(given)]
                    below = [n for n in given if n != number and is_below(inodes, n, number)]
                    if not below:  # the kernel holds a directory as long as it holds something in it
                        inodes.forget(number, given.pop(number))
                case ("mv", str(old), str(new)) if old != new and world.index.has_tag(old):
                    in_use = {tag.name for tag in world.index.tag_list() if tag.items}
                    if new not in in_use:
                        await world.catalogue.rename_tag(old, new)
                        for number in given:
                            moved = inodes.node(number)
                            assert isinstance(moved, Directory)
                            if moved.location[:2] == ("tags", new):
                                await moved.snapshot()
        forget_all(world, inodes, given)


def is_below(inodes: Inodes, number: int, above: int) -> bool:
    node, parent = inodes.node(number), inodes.node(above)
    assert isinstance(node, Directory)
    assert isinstance(parent, Directory)
    return node.location[: len(parent.location)] == parent.location


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, max_size=12))
def test_no_reference_leaks_and_none_is_lost(
    tmp_path_factory: pytest.TempPathFactory, played: list[tuple[object, ...]]
) -> None:
    trio.run(play, str(tmp_path_factory.mktemp("world")), played)


async def test_a_renamed_tag_keeps_its_ids(kernel: Kernel, world: World) -> None:
    """A shell stands in /tags/a/b while somebody renames a: its directory goes on as /tags/z/b."""
    item = await world.item("f", "a", "b")
    numbers_ = [await kernel.walk(path) for path in ("tags/a", "tags/a/b", "tags/a/.tags")]
    root = await kernel.walk("tags")
    await kernel.rename(root, "a", root, "z")
    for number, location in zip(numbers_, (("z",), ("z", "b"), ("z", ".tags")), strict=True):
        node = kernel.ops.inodes.node(number)
        assert isinstance(node, Directory)
        assert node.location == ("tags", *location)
    assert await kernel.list(numbers_[1]) == {b"f": item.id}
    assert set(await kernel.list(numbers_[2])) == set()  # b narrows nothing: all have it
    assert await kernel.walk("tags/z") == numbers_[0]


async def test_a_lookup_that_fails_counts_nothing(
    kernel: Kernel, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.item("f", "a")
    root = await kernel.walk("tags")

    def fail(*args: object) -> None:
        raise ValueError("no answer")

    monkeypatch.setattr(kernel.ops._answers, "_fill", fail)
    with pytest.raises(pyfuse3.FUSEError, check=lambda error: error.errno == errno.EIO):
        await kernel.lookup(root, "a")
    assert len(kernel.ops.inodes) == 0


async def test_an_entry_that_the_kernel_has_no_room_for_counts_nothing(
    kernel: Kernel, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tag in ("a", "b", "c"):
        await world.catalogue.create_tag(tag)
    monkeypatch.setattr(pyfuse3, "readdir_reply", lambda token, name, entry, next_id: next_id < 2)
    await kernel.list(await kernel.walk("tags"))
    assert len(kernel.ops.inodes) == 1
