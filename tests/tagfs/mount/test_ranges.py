"""Ranges and saved queries while tags come into their key, go out of it and are related: each directory lists what the
model does after each change, and nothing that the kernel holds is stale.

The kernel is a model (`tests.support.kernel`); the daemon below it is real. TAGFS_EXAMPLES sets the number of examples.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pyfuse3
import pytest
import trio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.ports import Edit
from engine.types import ItemId
from query.relations import Relation, RelationKind
from tests.support.kernel import Kernel, readdir_reply
from tests.support.mount_model import Model, Thing
from tests.support.world import World, open_world

EXAMPLES = int(os.environ.get("TAGFS_EXAMPLES", "10"))
TAGS = ("a", "c", "year:1999", "year:2000", "year:1999.0")
SAVED = {"q": ["year:1990.."], "r": ["c", "+", "year:1999"]}
PATHS = (
    "tags/a", "tags/c", "tags/-/c", "tags/year:1999", "tags/year:/2000", "tags/year:/1999.0", "tags/year:1990..",
    "tags/year:/gt/1999", "tags/-/{/year:1990../c/}", "tags/a/-year:1999", "tags/year:..1999/c", "tags/year:1990../@@",
    "tags/a/+/year:1990..1999", "queries/q", "queries/r",
)  # fmt: skip

tags = st.sampled_from(TAGS)
steps = st.one_of(
    st.tuples(st.just("rename"), tags, tags),
    st.tuples(st.just("mv"), tags, tags),
    st.tuples(st.just("merge"), tags, tags),
    st.tuples(st.just("relate"), tags, st.sampled_from(RelationKind), tags),
    st.tuples(st.just("relate"), tags, st.just(RelationKind.SAME_AS), tags),
    st.tuples(st.just("unrelate"), st.integers(0, 9)),
    st.tuples(st.just("retag"), st.integers(0, 3), st.frozensets(tags, max_size=2)),
    st.tuples(st.just("mkdir"), tags),
    st.tuples(st.just("rmdir"), tags),
)
Step = tuple[object, ...]


class Driver:
    """Each change on both sides; one that the model refuses is not asked for."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.kernel = Kernel(world)
        self.model = Model()

    async def begin(self) -> None:
        for name, own in (("f", ["a"]), ("g", ["c"]), ("f", ["year:1999", "c"]), ("h", ["year:2000"])):
            item = await self.world.item(name, *own)
            self.model.things.append(Thing(name, item.id, set(own)))
            self.model.tags |= set(own)
        for name, steps_ in SAVED.items():
            queries = await self.kernel.walk("queries")
            await self.kernel.symlink(queries, name, "/".join(("../tags", *steps_)))
            self.model.save(name, list(steps_))

    async def perform(self, step: Step) -> None:
        action, *arguments = step
        method: Callable[..., Awaitable[None]] = getattr(self, f"do_{action}")
        try:
            await method(*arguments)
        except OSError as error:
            assert error.errno in (errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.EINVAL), step

    async def do_rename(self, old: str, new: str) -> None:
        self.model.rename_tag(old, new)
        if old in self.model.tags or old != new:
            await self.world.catalogue.rename_tag(old, new)

    async def do_mv(self, old: str, new: str) -> None:
        self.model.rename_tag(old, new)
        root = await self.kernel.walk("tags")
        await self.kernel.rename(root, old, root, new)

    async def do_merge(self, old: str, new: str) -> None:
        if old == new or not {old, new} <= self.model.tags:
            return
        model = self.model
        stated = sorted(one for one in model.relations.stated if old in (one.tag, one.other))
        for one in stated:
            model.relations = model.relations.without(one)
        for tag, kind, other in stated:
            first, second = (new if name == old else name for name in (tag, other))
            if first != second and model.relations.find(first, kind, second) is None:
                model.relations = model.relations.added(Relation(first, kind, second))
        for thing in model.things:
            if old in thing.tags:
                thing.tags = thing.tags - {old} | {new}
        for saved in model.saved.values():
            saved[:] = [new if one == old else one for one in saved]
        model.tags.remove(old)
        await self.world.catalogue.merge_tag(old, new)

    async def do_relate(self, tag: str, kind: RelationKind, other: str) -> None:
        self.model.relate(tag, kind, other)
        await self.world.catalogue.relate(Relation(tag, kind, other))

    async def do_unrelate(self, number: int) -> None:
        for tag, kind, other in sorted(self.model.relations.stated)[number : number + 1]:
            self.model.unrelate(tag, kind, other)
            await self.world.catalogue.unrelate(Relation(tag, kind, other))

    async def do_retag(self, number: int, wanted: frozenset[str]) -> None:
        thing = self.model.things[number]
        thing.tags = set(wanted)
        self.model.tags |= wanted
        await self.world.catalogue.edit(ItemId(thing.id), Edit(tags=wanted))

    async def do_mkdir(self, tag: str) -> None:
        self.model.mkdir_tag(tag)
        await self.kernel.mkdir(await self.kernel.walk("tags"), tag)

    async def do_rmdir(self, tag: str) -> None:
        self.model.rmdir_tag(tag)
        key, colon, value = tag.partition(":")
        await self.kernel.rmdir(await self.kernel.walk(f"tags/{key}:" if colon else "tags"), value or key)

    async def look(self, step: Step | None) -> None:
        """By path, and again by the directory if it was there before."""
        for path in PATHS:
            found = expected = None
            try:
                expected = {name: thing.id for name, thing in self.model.listing(path).items()}
            except OSError as error:
                assert error.errno == errno.ENOENT, path
            try:
                listed = await self.kernel.list(await self.kernel.walk(path))
                found = {os.fsdecode(name): number for name, number in listed.items()}
            except pyfuse3.FUSEError as error:
                assert error.errno == errno.ENOENT, path
            assert found == expected, (step, path)
            assert all(number in self.kernel.names.values() for number in (found or {}).values())


async def play(folder: Path, played: list[Step]) -> None:
    async with open_world(folder) as world:
        driver = Driver(world)
        await driver.begin()
        await driver.look(None)
        for step in played:
            try:
                await driver.perform(step)
            except (EngineError, pyfuse3.FUSEError) as error:
                raise AssertionError(f"{step} was refused: {error}") from error
            assert await driver.kernel.stale() == [], step
            await driver.look(step)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, max_size=8))
@example(
    [
        ("rename", "year:2000", "year:1999.0"),
        ("relate", "a", RelationKind.SAME_AS, "year:1999.0"),
        ("rename", "year:1999.0", "year:2000"),
    ]
)
@example([("relate", "c", RelationKind.SAME_AS, "year:2000"), ("merge", "year:2000", "a")])
@example([("retag", 2, frozenset()), ("relate", "a", RelationKind.SAME_AS, "c"), ("mv", "c", "year:1999")])
def test_ranges_show_what_they_mean(played: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyfuse3, "readdir_reply", readdir_reply)
        trio.run(play, Path(folder), played)
