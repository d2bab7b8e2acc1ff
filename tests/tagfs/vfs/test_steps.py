"""How paths below /tags grow: what is listed resolves, what is typed means one thing, what is not known is ENOENT."""

from __future__ import annotations

import errno
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine.errors import BadRequest, NoSuchTag
from tagfs.vfs.nodes.query import QueryDirectory
from tagfs.vfs.nodes.steps import Steps
from tagfs.vfs.tree import Directory, ItemNode, LinkNode, Stated
from tests.support.world import World, open_world

# Values that look like operators, ranges, other values, or need an escape in a path.
PAIRS = (
    "k:gt", "k:-x", "k:1", "k:1.0", "k:a..b", "k:..x", "k:+", "k:{", "k:@@", "k:~x", "k:.x", "k:a:b", "k:%2F", "k:%",
    "k: ", "k:é", "x y:1", "and:or", "k:" + "v" * 250,
)  # fmt: skip


def failing(number: int) -> pytest.RaisesExc[OSError]:
    return pytest.raises(OSError, check=lambda error: error.errno == number)


async def made(world: World, names: tuple[str, ...], ending: str = "") -> list[str]:
    """Those of the tags that can be, each on an item of its own."""
    tags = []
    for number, name in enumerate(names):
        try:
            await world.item(f"f{number}{ending}", name)
        except BadRequest:
            continue
        tags.append(name)
    return tags


async def test_everything_that_is_listed_resolves(world: World) -> None:
    """A name with a slash would be EIO for the whole directory; one that is read otherwise would lead elsewhere."""
    tags = await made(world, ("a", "b c", *PAIRS), ".mkv")
    assert len(tags) > 12
    for path in (
        "tags",
        "tags/a/+",
        "tags/-",
        "tags/{",
        "tags/k:",
        "tags/k:/eq",
        "tags/k:/ne",
        "tags/type:",
        "tags/ext:",
        "tags/state:",
    ):
        directory = await world.directory(path)
        entries = (await directory.snapshot()).entries
        assert entries, path
        assert len({entry.name for entry in entries}) == len(entries)
        for entry in entries:
            assert "/" not in entry.name
            assert entry.name not in ("", ".", "..")
            found = await directory.lookup(entry.name)
            assert isinstance(found, Directory), (path, entry.name)
            assert isinstance(entry.node, Directory)
            assert found.location == entry.node.location


async def test_every_pair_is_found_by_its_listing(world: World) -> None:
    """But for `k:gt`, which is listed as the operator that it is there: `k:gt` and `k:/eq/gt` lead to it."""
    tags = await made(world, PAIRS)
    seen: set[str] = set()
    for key in await world.names("tags"):
        for entry in (await (await world.directory(f"tags/{key}")).snapshot()).entries:
            if isinstance(entry.node, QueryDirectory):
                assert isinstance(entry.node.place, Stated)
                seen.update(entry.node.place.tags)
                assert (await entry.node.snapshot()).entries
    assert seen == set(tags) - {"k:gt"}
    assert await world.names("tags/k:gt") == await world.names("tags/k:/eq/gt") == ["f0"]


async def test_rmdir_below_a_key_removes_exactly_that_value(world: World) -> None:
    for pair in PAIRS:
        try:
            await world.catalogue.create_tag(pair)
        except BadRequest:
            continue
    before = {tag.name for tag in world.index.tag_list()}
    for key in await world.names("tags"):
        directory = await world.directory(f"tags/{key}")
        for entry in (await directory.snapshot()).entries:
            if isinstance(entry.node, QueryDirectory):
                assert isinstance(entry.node.place, Stated)
                await directory.rmdir(entry.name)
                after = {tag.name for tag in world.index.tag_list()}
                assert before - after == set(entry.node.place.tags)
                before = after
    assert before == {"k:gt"}
    with failing(errno.EPERM):
        await (await world.directory("tags/k:")).rmdir("gt")
    await (await world.directory("tags")).rmdir("k:gt")
    assert not world.index.tag_list()


async def test_rmdir_of_what_is_no_tag_is_refused(world: World) -> None:
    await made(world, ("a", "b", "k:1"))
    await world.catalogue.create_tag("k:2")
    for path, name in (
        ("tags/k:", "gt"),
        ("tags/k:/gt", "2"),
        ("tags/k:/eq", "2"),
        ("tags/a", "b"),
        ("tags/a/+", "b"),
        ("tags", "k:"),
        ("tags", "-a"),
        ("tags", "a,b"),
        ("tags", "k:1.."),
        ("tags", "+"),
        ("tags", "is:untagged"),
        ("tags/ext:", "txt"),
    ):
        directory = await world.directory(path)
        with pytest.raises((OSError, NoSuchTag)):
            await directory.rmdir(name)
    assert {tag.name for tag in world.index.tag_list()} == {"a", "b", "k:1", "k:2"}
    await (await world.directory("tags")).rmdir("k:2")
    assert not world.index.has_tag("k:2")


@pytest.mark.parametrize(
    "path",
    [
        "x",
        "a/x",
        "a/+/x",
        "-/x",
        "-x",
        "{/x",
        "{/a/x",
        "{/a,x",
        "x:",
        "x:1",
        "x:1..",
        "a,x",
        "a/-/{/x",
        "x:/gt",
        "a/x/+",
    ],
)
async def test_unknown_tags_do_not_exist(world: World, path: str) -> None:
    await world.item("f", "a")
    with failing(errno.ENOENT):
        await world.node(f"tags/{path}")


async def test_names_beside_the_grammar_are_absent_not_malformed(world: World) -> None:
    """`cp 'x, y.txt' tags/a/` asks for the name first: it must hear ENOENT, or nothing of such a name can be made."""
    await world.item("f", "a")
    directory = await world.directory("tags/a")
    for name in (
        "x, y.txt",
        "x,",
        ",",
        ",x",
        "a,.hidden",
        "a,,b",
        "Re: hello",
        "10:30",
        "10:",
        ":x",
        "a:b:c",
        "-rf",
        "--help",
        "-.x",
        "~x",
        "~",
        ".hidden",
        "...",
        "\udcff,",
        "\udcff:\udcfe",
        "-\udcff",
        "x\n,y",
        "a..b:c",
        "é,e\u0301",
        "{x}",
        "+1",
        "@home",
        "a,-",
    ):
        with failing(errno.ENOENT):
            await directory.lookup(name)


@pytest.mark.parametrize("name", ["}", "year:..", "size:big", "state:nonsense", "added:soon.."])
async def test_what_can_only_be_a_query_is_malformed(world: World, name: str) -> None:
    await world.item("f", "a", "year:2000")
    directory = await world.directory("tags/a")
    with failing(errno.EINVAL):
        await directory.lookup(name)


async def test_an_item_is_found_by_a_name_that_no_query_could_be(world: World) -> None:
    for name in ("a,,b", "}", "year:..", "-+", "\udcff,"):
        item = await world.item(name, "a")
        directory = await world.directory("tags/a")
        assert await directory.lookup(name) == ItemNode(item.id)


components = st.sampled_from(
    ["a", "b", "+", "-", "{", "}", "@", "@@", "k:", "gt", "1", "k:1", "a,b", "-a", "x", ".tags", "f"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(components, max_size=6), max_size=20))
@example([["a", "@", "f"], ["a", ".tags", "b"]])
def test_every_path_leads_somewhere_or_fails_by_the_book(paths: list[list[str]]) -> None:
    async def walk_all() -> None:
        with TemporaryDirectory() as folder:
            async with open_world(Path(folder)) as world:
                await world.item("f", "a", "b", "k:1")
                for path in paths:
                    await walk_one(world, path)

    trio.run(walk_all)


async def walk_one(world: World, path: list[str]) -> None:
    try:
        node = await world.node("/".join(["tags", *path]))
    except OSError as error:
        assert error.errno in (errno.ENOENT, errno.EINVAL, errno.ENOTDIR)
        return
    if isinstance(node, Directory):
        assert node.location == ("tags", *path)
        for entry in (await node.snapshot()).entries:
            found = await node.lookup(entry.name)
            if isinstance(found, ItemNode | LinkNode):
                assert found == entry.node


async def test_a_listing_hides_the_names_that_are_steps_and_no_others(world: World) -> None:
    await made(world, ("a", "b c", "é", *PAIRS))
    steps = Steps(world.context)
    names = [
        *PAIRS,
        "a",
        "b c",
        "é",
        "e\u0301",
        "+",
        "-",
        "-a",
        "-zz",
        "{",
        "}",
        "@",
        "@@",
        "@q",
        "a,b c",
        "a,zz",
        ".a",
        "x",
    ]
    for path in [("a",), ("a", "-"), ("k:",), ("k:", "gt"), ("a", "{")]:
        hidden = steps.hiding(path)
        assert {name for name in names if hidden(name)} == {name for name in names if steps.is_step(path, name)}
    assert steps.hiding(("a",))("b c")
    assert not steps.hiding(("a",))("x")
