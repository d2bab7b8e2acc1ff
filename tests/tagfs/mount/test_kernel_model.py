"""Never a stale answer: whatever the kernel has cached, asking again after any change says the same.

Random changes, by the mount, by the socket and by downloads, over all kinds of directories and awkward names. The
kernel is a model (`tests.support.kernel`); the daemon below it is real.

TAGFS_EXAMPLES sets the number of examples.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pyfuse3
import pytest
import trio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from engine.catalogue.writes import bulk
from engine.errors import EngineError
from engine.ports import Edit, Retagging
from engine.types import FIRST_ITEM_ID, Facts, ItemId, Kind, State
from query.evaluate import matches
from query.relations import Relation, RelationKind
from tagfs.vfs import numbers, settling
from tagfs.vfs.nodes.folder import FolderDirectory
from tagfs.vfs.nodes.query import QueryDirectory
from tagfs.vfs.tree import Directory
from tests.support.kernel import CONTEXT, Kernel, readdir_reply
from tests.support.world import World, open_world

EXAMPLES = int(os.environ.get("TAGFS_EXAMPLES", "12"))

TAGS = ("a", "b", "f", "k:1", "k:2", "é")
# Names of tags, tilde names of other items, lists, negations, pairs, another normal form of a tag.
NAMES = ("f", "g.txt", "a", f"f~{FIRST_ITEM_ID + 1}", f"g~{FIRST_ITEM_ID}.txt", "a,b", "-a", "k:1", "k:9", "e\u0301")
STATED = ("a", "b", "a/b", "a/-/b", "k:1", "f")
DIRECTORIES = (
    "files", "trash", "tags", "blobs", *(f"tags/{path}" for path in STATED), "tags/b/a", "tags/a/+/b", "tags/-/a",
    "tags/-a", "tags/{/a/b/}", "tags/{/a/k:1", "tags/a,b", "tags/a/+", "tags/k:", "tags/k:/gt", "tags/k:1..2",
    "tags/k:/gt/1", "tags/is:untagged", "tags/state:complete", "tags/name:f", "tags/a/@", "tags/a/.tags",
    "queries/a or b", "queries/not f", "queries/k >= 2", "tags/a/@@", "queries/s", "queries/a", "queries/t", "queries",
    "relations", "relations/a", "relations/a/implies", "relations/b/same-as",
)  # fmt: skip

# In folders: names that are in queries, too, and one within another.
TREES = (("f",), ("f", "s/f"), ("s/g.txt", "s/t/f", "a"), ("-a", "s/a,b"), ())

names = st.sampled_from(NAMES)
tags = st.sampled_from(TAGS)
# D is of a download, E made by mkdir.
FOLDERS = ("files/D", "files/D/s", "tags/a/D", "tags/a/s", "trash/D", "trash/D/s", "files/E", "files/E/s", "tags/a/E/s")
anywhere = st.sampled_from(["files", "trash", *(f"tags/{path}" for path in STATED), *FOLDERS])
folder_names = names | st.sampled_from(["D", "E", "s"])
which = st.integers(0, 9)

kinds = st.sampled_from(RelationKind)
saved = st.sampled_from(["s", "t", "a", "a or b"])
texts = st.sampled_from(["a", "b or k:1", "not f", "a and not é", "k >= 2 @@"])

Step = tuple[object, ...]
steps = st.one_of(
    st.tuples(st.just("create"), anywhere, names),
    st.tuples(st.just("make folder"), anywhere, folder_names),
    st.tuples(st.just("retag"), which, st.frozensets(tags, max_size=3)),
    st.tuples(st.just("untag"), which, tags),
    st.tuples(st.just("unlink"), anywhere, names),
    st.tuples(st.just("rename"), anywhere, folder_names, anywhere, folder_names),
    st.tuples(st.just("exchange"), anywhere, folder_names, anywhere, folder_names),
    st.tuples(st.just("link"), which, anywhere),
    st.tuples(st.just("name"), which, names),
    st.tuples(st.just("chmod"), which, st.sampled_from([0o600, 0o644])),
    st.tuples(st.just("trash"), which),
    st.tuples(st.just("restore"), which),
    st.tuples(st.just("purge"), which),
    st.tuples(st.just("arrive"), names, st.frozensets(tags, max_size=2)),
    st.tuples(st.just("unpack"), names, st.sampled_from(TREES), st.frozensets(tags, max_size=2)),
    st.tuples(st.just("state"), which, st.sampled_from([State.QUEUED, State.DOWNLOADING, State.COMPLETE])),
    st.tuples(st.just("rm folder"), anywhere, names | st.sampled_from(["D", "s", "t"])),
    st.tuples(st.just("mkdir"), tags),
    st.tuples(st.just("rmdir"), tags),
    st.tuples(st.just("mv tag"), tags, tags),
    st.tuples(st.just("rename tag"), tags, tags),
    st.tuples(st.just("relate"), tags, kinds, tags),
    st.tuples(st.just("mkdir relation"), tags, kinds, tags),
    st.tuples(st.just("rmdir relation"), st.integers(0, 9)),
    st.tuples(st.just("save"), saved, texts),
    st.tuples(st.just("ln query"), saved, st.sampled_from(["a", "a/-/b", "k:1", "b/@@"])),
    st.tuples(st.just("mkdir query"), saved),
    st.tuples(st.just("rename query"), saved, saved),
    st.tuples(st.just("mv query"), saved, saved),
    st.tuples(st.just("forget"), saved),
    st.tuples(st.just("rmdir query"), saved),
)
bulk_steps = st.one_of(
    st.tuples(st.just("merge tag"), tags, tags),
    st.tuples(st.just("retag many"), st.frozensets(which, max_size=6), tags, tags),
    st.tuples(st.just("open"), anywhere, names),
)

EXPECTED = (errno.ENOENT, errno.EEXIST, errno.EPERM, errno.ENOTEMPTY, errno.EISDIR, errno.EINVAL, errno.ENOTDIR)


class Driver:
    def __init__(self, world: World) -> None:
        self.world = world
        self.kernel = Kernel(world)

    async def perform(self, step: Step) -> None:
        """What the daemon refuses changes nothing; it is the answers afterwards that count."""
        action, *arguments = step
        method: Callable[..., Awaitable[None]] = getattr(self, "do_" + str(action).replace(" ", "_"))
        try:
            await method(*arguments)
        except EngineError:
            pass
        except pyfuse3.FUSEError as error:
            assert error.errno in EXPECTED, (step, error)

    def item(self, number: int) -> ItemId:
        return ItemId(FIRST_ITEM_ID + number)

    async def do_create(self, place: str, name: str) -> None:
        directory = await self.kernel.walk(place)
        try:
            await self.kernel.lookup(directory, name)
        except pyfuse3.FUSEError as error:
            if error.errno == errno.ENOENT:
                number = await self.kernel.create(directory, name)
                draft = self.world.drafts.get(ItemId(number))
                if draft is not None:
                    await draft.sealed.wait()

    async def do_retag(self, number: int, wanted: frozenset[str]) -> None:
        await self.world.catalogue.edit(self.item(number), Edit(tags=wanted))

    async def do_untag(self, number: int, tag: str) -> None:
        await self.world.catalogue.edit(self.item(number), Edit(remove=[tag]))

    async def do_unlink(self, place: str, name: str) -> None:
        await self.kernel.unlink(await self.kernel.walk(place), name)

    async def do_rename(self, place: str, name: str, other: str, new: str) -> None:
        await self.kernel.rename(await self.kernel.walk(place), name, await self.kernel.walk(other), new)

    async def do_exchange(self, place: str, name: str, other: str, new: str) -> None:
        await self.kernel.exchange(await self.kernel.walk(place), name, await self.kernel.walk(other), new)

    async def do_make_folder(self, place: str, name: str) -> None:
        directory = await self.kernel.walk(place)
        try:
            await self.kernel.lookup(directory, name)
        except pyfuse3.FUSEError as error:
            if error.errno == errno.ENOENT:
                await self.kernel.mkdir(directory, name)

    async def do_link(self, number: int, place: str) -> None:
        row = self.world.catalogue.item(self.item(number))
        if row is not None and row.kind is not Kind.FOLDER:
            directory = await self.kernel.walk(place)
            try:
                await self.kernel.lookup(directory, row.name)
            except pyfuse3.FUSEError as error:
                if error.errno == errno.ENOENT:
                    await self.kernel.link(row.id, directory, row.name)

    async def do_unpack(self, name: str, files: tuple[str, ...], wanted: frozenset[str]) -> None:
        await self.world.folder(name, {path: path.encode() for path in files}, *wanted)

    async def do_state(self, number: int, state: State) -> None:
        row = self.world.catalogue.item(self.item(number))
        if row is not None and row.kind is Kind.FOLDER:
            await self.world.catalogue.edit(row.id, Edit(state=state))

    async def do_rm_folder(self, place: str, name: str) -> None:
        directory = await self.kernel.walk(place)
        found = self.kernel.ops.inodes.node(await self.kernel.lookup(directory, name))
        if isinstance(found, Directory) and found.item is not None:
            await self.kernel.rmdir(directory, name)

    async def do_name(self, number: int, name: str) -> None:
        await self.world.catalogue.edit(self.item(number), Edit(name=name))

    async def do_chmod(self, number: int, mode: int) -> None:
        await self.world.catalogue.edit(self.item(number), Edit(mode=mode))

    async def do_trash(self, number: int) -> None:
        await self.world.catalogue.trash(self.item(number))

    async def do_restore(self, number: int) -> None:
        await self.world.catalogue.restore(self.item(number))

    async def do_purge(self, number: int) -> None:
        await self.world.catalogue.purge([self.item(number)])

    async def do_arrive(self, name: str, wanted: frozenset[str]) -> None:
        await self.world.item(name, *wanted)

    async def do_mkdir(self, tag: str) -> None:
        root = await self.kernel.walk("tags")
        try:
            await self.kernel.lookup(root, tag)
        except pyfuse3.FUSEError:
            await self.kernel.mkdir(root, tag)

    async def do_rmdir(self, tag: str) -> None:
        if ":" not in tag:
            await self.kernel.rmdir(await self.kernel.walk("tags"), tag)
        else:
            await self.kernel.rmdir(await self.kernel.walk("tags/k:"), tag[2:])

    async def do_mv_tag(self, old: str, new: str) -> None:
        root = await self.kernel.walk("tags")
        await self.kernel.rename(root, old, root, new)

    async def do_rename_tag(self, old: str, new: str) -> None:
        await self.world.catalogue.rename_tag(old, new)

    async def do_relate(self, tag: str, kind: RelationKind, other: str) -> None:
        await self.world.catalogue.relate(Relation(tag, kind, other))

    async def do_mkdir_relation(self, tag: str, kind: RelationKind, other: str) -> None:
        directory = await self.kernel.walk(f"relations/{tag}/{kind}")
        try:
            await self.kernel.lookup(directory, other)
        except pyfuse3.FUSEError:
            await self.kernel.mkdir(directory, other)

    async def do_rmdir_relation(self, number: int) -> None:
        stated = sorted(self.world.index.relations.stated)
        for tag, kind, other in stated[number : number + 1]:
            await self.kernel.rmdir(await self.kernel.walk(f"relations/{tag}/{kind}"), other)

    async def do_save(self, name: str, text: str) -> None:
        await self.world.catalogue.save_query(name, text)

    async def do_ln_query(self, name: str, path: str) -> None:
        queries = await self.kernel.walk("queries")
        try:
            await self.kernel.lookup(queries, name)
        except pyfuse3.FUSEError:
            await self.kernel.symlink(queries, name, f"../tags/{path}")

    async def do_mkdir_query(self, name: str) -> None:
        """As after an answer that there is none of that name."""
        await self.kernel.mkdir(await self.kernel.walk("queries"), name)

    async def do_rename_query(self, old: str, new: str) -> None:
        await self.world.catalogue.rename_query(old, new)

    async def do_mv_query(self, old: str, new: str) -> None:
        queries = await self.kernel.walk("queries")
        await self.kernel.rename(queries, old, queries, new)

    async def do_forget(self, name: str) -> None:
        await self.world.catalogue.forget_query(name)

    async def do_rmdir_query(self, name: str) -> None:
        await self.kernel.rmdir(await self.kernel.walk("queries"), name)

    async def do_merge_tag(self, old: str, new: str) -> None:
        await self.world.catalogue.merge_tag(old, new)

    async def do_retag_many(self, chosen: frozenset[int], add: str, remove: str) -> None:
        items = BitMap(map(self.item, chosen))

        async def choose() -> Retagging:
            return Retagging({add: items}, {remove: items})

        await self.world.catalogue.retag_many(choose)

    async def do_open(self, place: str, name: str) -> None:
        await self.kernel.open(await self.kernel.walk(place), name)

    # -- looking -------------------------------------------------------------------------------------------------

    async def look_everywhere(self) -> None:
        """Fill the kernel's caches, and hold what is listed against the facts."""
        ids = [item for item in range(FIRST_ITEM_ID, FIRST_ITEM_ID + 16) if self.world.catalogue.item(ItemId(item))]
        asked = {*NAMES, *(f"f~{item}" for item in ids), *(f"f~{item}~" for item in ids)}
        for path in DIRECTORIES:
            try:
                directory = await self.kernel.walk(path)
            except pyfuse3.FUSEError as error:
                assert error.errno == errno.ENOENT, path
                continue
            if numbers.item_of(directory) is not None:  # without the tag a, /tags/b/a may be an item
                continue
            await self.look(path, directory, asked)

    async def look(self, path: str, directory: int, asked: set[str]) -> None:
        await self.kernel.stat(directory)
        listed = await self.kernel.list(directory)
        self.check_listing(path, directory, listed)
        for name in (*asked, *(f"-{tag}" for tag in TAGS)):
            try:
                await self.kernel.stat(await self.kernel.lookup(directory, name))
            except pyfuse3.FUSEError as error:
                assert error.errno in (errno.ENOENT, errno.EINVAL), (path, name)
        for shown, number in listed.items():
            found = await self.kernel.ops.lookup(directory, shown, CONTEXT)
            assert found.st_ino == number, f"{path}/{shown!r} is listed as {number} and found as {found.st_ino}"
            node = self.kernel.ops.inodes.node(number)
            if isinstance(node, Directory) and node.item is not None:
                await self.look(f"{path}/{os.fsdecode(shown)}", number, {"f", "s", "t", "E"})

    def check_listing(self, path: str, directory: int, listed: dict[bytes, int]) -> None:
        node = self.kernel.ops.inodes.node(directory)
        catalogue = self.world.catalogue
        found = [getattr(self.kernel.ops.inodes.node(number), "item", None) for number in listed.values()]
        facts = {ItemId(item): catalogue.facts(ItemId(item)) for item in range(FIRST_ITEM_ID, FIRST_ITEM_ID + 60)}
        there = {item: one for item, one in facts.items() if one is not None}
        if isinstance(node, FolderDirectory):
            expected = {item for item, one in there.items() if one.parent == node.item and not one.trashed}
        elif isinstance(node, QueryDirectory):
            matching = {item for item, one in there.items() if one.live and self.matches(node, item, there)}
            expected = {item for item in matching if not matching.intersection(catalogue.ancestors(item))}
        else:
            return
        assert set(found) == expected, path
        assert len(listed) == len(expected), path

    def matches(self, node: QueryDirectory, item: ItemId, there: dict[ItemId, Facts]) -> bool:
        inherited = (there[folder].tags for folder in self.world.catalogue.ancestors(item))
        expr = self.world.index.relations.compiled(node.query)  # held to its definition in tests/query
        return matches(expr, replace(there[item], tags=there[item].tags.union(*inherited)), now=0.0)


async def play(folder: Path, played: list[Step]) -> None:
    async with open_world(folder) as world:
        driver = Driver(world)
        for name, own in (("f", ["a"]), ("f", ["a", "b"]), ("g.txt", ["b", "k:1"]), ("a", ["b", "f", "é"])):
            await world.item(name, *own)
        await world.folder("D", {"f": b"1", "s/f": b"2", "s/a": b"3"}, "a")
        await world.catalogue.create_tag("k:2")
        await driver.perform(("make folder", "tags/a", "E"))
        await driver.perform(("make folder", "files/E", "s"))
        await driver.perform(("create", "tags/a/E/s", "f"))
        await driver.look_everywhere()
        for step in played:
            await driver.perform(step)
            assert await driver.kernel.stale() == [], step
            await driver.look_everywhere()
        await driver.kernel.close_all()
        assert await world.catalogue.check() == []


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, max_size=6))
@example([("trash", 6), ("restore", 6)])
@example([("purge", 0), ("trash", 0), ("purge", 0)])
@example([("retag", 5, frozenset({"b"})), ("retag", 4, frozenset()), ("trash", 4), ("restore", 4)])
@example(
    [("unlink", "files/D", "f"), ("rm folder", "files/D", "s"), ("restore", 5), ("rename", "files", "D", "tags/b", "D")]
)
@example([("rename", "files/D", "s", "files/D", "f"), ("rename", "tags/a", "D", "tags/b", "f"), ("purge", 4)])
@example([("rmdir", "k:2"), ("mv tag", "a", "g")])
@example(
    [
        ("relate", "b", RelationKind.IMPLIES, "a"),
        ("unlink", "tags/a", "f"),
        ("rename tag", "b", "g"),
        ("rmdir relation", 0),
    ]
)
@example(
    [
        ("relate", "a", RelationKind.EXCLUDES, "b"),
        ("retag", 0, frozenset("ab")),
        ("relate", "k:1", RelationKind.SAME_AS, "a"),
    ]
)
@example(
    [("save", "s", "a and not b"), ("rename tag", "a", "z"), ("mv query", "s", "a or b"), ("rmdir query", "a or b")]
)
@example(
    [("save", "a", "b or k:1"), ("relate", "f", RelationKind.IMPLIES, "b"), ("forget", "a"), ("save", "a", "not f")]
)
@example([("untag", 3, "é"), ("rmdir", "é"), ("mkdir", "é")])
def test_nothing_that_the_kernel_holds_is_ever_stale(played: list[Step]) -> None:
    run(played)


@settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(steps | bulk_steps, max_size=6), st.sampled_from([0, 1000]))
@example([("open", "tags/b", "g.txt"), ("retag many", frozenset({2}), "a", "b")], 0)
@example(
    [("name", 5, "h"), ("retag", 5, frozenset({"k:1"})), ("open", "tags/k:1", "h"), ("retag", 4, frozenset({"k:1"}))], 0
)
@example([("mkdir", "z"), ("open", "tags/k:1..2", "g.txt"), ("rename tag", "k:1", "z")], 0)
@example([("merge tag", "b", "a"), ("mv tag", "a", "f"), ("rename tag", "f", "b")], 1000)
def test_nothing_is_stale_after_bulk_changes(played: list[Step], many: int) -> None:
    """As if each change of tags were one of very many items; `many` decides whether directories are forgotten whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "FEW", 0)
        patch.setattr(settling, "MANY", many)
        run(played)


def run(played: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyfuse3, "readdir_reply", readdir_reply)
        trio.run(play, Path(folder), played)
