"""Folder items below the kernel: what a change of a folder makes the kernel forget, and listings that are kept."""

from __future__ import annotations

import pytest

from engine.ports import Edit, FolderFile, NewDownload, NewItem
from engine.types import ItemId, State
from tagfs.mount.inodes import Inodes
from tagfs.vfs import listings, numbers, settling
from tagfs.vfs.nodes.folder import FolderDirectory
from tagfs.vfs.nodes.tags import TagsRoot
from tagfs.vfs.tree import Directory, ItemNode
from tests.support.world import World


class Known:
    """A kernel that has looked up directories, each by one path, and knows everything in them."""

    def __init__(self, world: World) -> None:
        tags = world.context.nodes[numbers.TAGS]
        assert isinstance(tags, TagsRoot)
        self.world = world
        self.inodes = Inodes(world.context, tags)

    async def list(self, path: str) -> int:
        """Its node id."""
        directory: Directory = self.world.context.root
        number = 1
        for name in path.split("/"):
            found = await directory.lookup(name)
            assert isinstance(found, Directory)
            number = self.inodes.hand_out(found)
            node = self.inodes.node(number)  # as of the first lookup, which is followed
            assert isinstance(node, Directory)
            directory = node
        await directory.snapshot()
        self.world.kernel.clear()
        return number

    def forgotten(self) -> set[tuple[int, str]]:
        names = set(self.world.kernel.names)
        self.world.kernel.clear()
        return {(directory, name) for directory, name in names if "~" not in name}


@pytest.fixture
def known(world: World) -> Known:
    return Known(world)


async def many(world: World, count: int, *tags: str) -> tuple[ItemId, list[ItemId]]:
    item = await world.catalogue.add(NewItem("D", state=State.QUEUED, tags=tags, download=NewDownload("s")))
    files = [FolderFile((f"{number:04}.{'mkv' if number < 3 else 'txt'}",), 1) for number in range(count)]
    return item.id, await world.catalogue.unpack(item.id, files)


async def test_a_change_of_a_folder_forgets_what_was_shown_elsewhere_and_no_more(world: World, known: Known) -> None:
    folder, _ = await many(world, 2000)
    await world.catalogue.create_tag("a")
    unlike, like = await known.list("tags/ext:mkv/-/a"), await known.list("tags/ext:mkv/a")
    files = await known.list("files")
    await known.list("files/D")
    await world.catalogue.edit(folder, Edit(add=["a"]))
    names = {"0000.mkv", "0001.mkv", "0002.mkv"}
    assert known.forgotten() == {(unlike, name) for name in names}
    await known.list("tags/ext:mkv/a")
    await world.catalogue.trash(folder)
    assert known.forgotten() == {(like, name) for name in names} | {(files, "D")}


async def test_nothing_is_forgotten_for_files_that_nobody_has_seen(world: World, known: Known) -> None:
    await known.list("tags/state:queued")
    mkv = await known.list("tags/ext:mkv")
    folder, _ = await many(world, 2000, "a")
    assert {name for _, name in known.forgotten()} <= {"D"}  # which was a file
    await world.catalogue.edit(folder, Edit(add=["b"]))
    assert known.forgotten() == set()
    assert not set(world.kernel.inodes) & set(range(folder + 1, folder + 2001))
    assert await known.list("tags/ext:mkv") == mkv


async def test_very_many_names_are_forgotten_with_their_directory(
    world: World, known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "MANY", 2)
    folder, _ = await many(world, 10)
    await world.catalogue.create_tag("a")
    await known.list("tags/ext:mkv")
    parent = await known.list("tags/ext:mkv/-")
    await known.list("tags/ext:mkv/-/a")
    await world.catalogue.edit(folder, Edit(add=["a"]))
    assert known.forgotten() == {(parent, "a")}


async def test_a_download_that_becomes_a_folder_is_looked_up_anew(world: World, known: Known) -> None:
    item = await world.catalogue.add(NewItem("D", state=State.QUEUED, tags=["a"], download=NewDownload("s")))
    directories = [await known.list("files"), await known.list("tags/a")]
    await world.catalogue.unpack(item.id, [FolderFile(("f",), 1)])
    assert item.id in world.kernel.inodes
    assert known.forgotten() == {(directory, "D") for directory in directories}
    assert isinstance(await world.node("tags/a/D"), FolderDirectory)
    assert await world.names("tags/a/D") == ["f"]


async def test_another_item_takes_over_a_name_that_a_folder_hides(world: World, known: Known) -> None:
    folder = await world.folder("D", {"f": b"1"})
    inner = world.catalogue.child(folder.id, "f")
    assert inner is not None
    await world.catalogue.edit(inner, Edit(add=["a"]))
    younger = await world.item("f", "a")
    directory = await known.list("tags/a")
    assert await world.node("tags/a/f") == ItemNode(inner)
    await world.catalogue.edit(folder.id, Edit(add=["a"]))
    assert known.forgotten() == {(directory, "f")}
    assert await world.node("tags/a/f") == ItemNode(younger.id)
    await known.list("tags/a")
    await world.catalogue.edit(folder.id, Edit(remove=["a"]))
    assert (directory, "f") in known.forgotten()
    assert await world.node("tags/a/f") == ItemNode(inner)


async def test_a_listing_of_a_folder_is_kept_until_something_in_it_changes(world: World) -> None:
    folder = await world.folder("D", {"f": b"1", "s/g": b"2"}, "a")
    directory = await world.directory("files/D")
    first = await directory.snapshot()
    assert await (await world.directory("tags/a/D")).snapshot() is first
    await world.item("another")
    await world.catalogue.edit(folder.id, Edit(add=["b"]))
    assert await directory.snapshot() is first
    inner = world.catalogue.child(folder.id, "f")
    assert inner is not None
    await world.catalogue.edit(inner, Edit(mode=0o600))
    assert first.stale()
    second = await directory.snapshot()
    assert [entry.attr.mode & 0o777 for entry in second.entries] == [0o600, 0o755]


async def test_kept_listings_of_folders_have_a_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listings, "FOLDER_ENTRIES", 5)
    for name in ("one", "two", "three"):
        await world.folder(name, {"f": b"1", "g": b"2"})
    snapshots = {name: await (await world.directory(f"files/{name}")).snapshot() for name in ("one", "two", "three")}
    again = {name: await (await world.directory(f"files/{name}")).snapshot() for name in ("three", "two", "one")}
    assert [name for name in snapshots if again[name] is snapshots[name]] == ["two", "three"]


async def test_node_ids_move_along_with_a_folder(world: World, known: Known) -> None:
    folder = await world.folder("D", {"s/f": b"1"}, "a")
    sub = await known.list("tags/a/D/s")
    await world.catalogue.create_tag("b")
    known.inodes.moved((("tags", "a", f"/{folder.id}"), ("files", f"/{folder.id}")))
    node = known.inodes.node(sub)
    assert isinstance(node, FolderDirectory)
    assert node.location[0] == "files"
    assert await known.list("files/D/s") == sub
    assert await known.list("tags/a/D/s") != sub
