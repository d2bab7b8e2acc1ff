"""Where mv may put what, below the kernel: torrents that are not whole, downloads in folders, names that are taken."""

from __future__ import annotations

import errno

import pytest

from engine.errors import NameTaken
from engine.ports import FolderFile, NewDownload, NewItem, NewTorrent, TorrentFiles
from engine.types import ItemId, Kind, State
from tagfs.vfs import edits, moving
from tests.support.world import World


def failing(number: int) -> pytest.RaisesExc[OSError]:
    return pytest.raises(OSError, check=lambda error: error.errno == number)


async def rename(world: World, source: str, name: str, target: str, new_name: str) -> ItemId:
    return await moving.rename(
        world.context, await world.directory(source), name, await world.directory(target), new_name
    )


async def make_folder(world: World, path: str, name: str) -> ItemId:
    return await edits.mkdir(world.context, await world.directory(path), name, 0o755)


async def torrent(world: World, name: str, files: list[str]) -> tuple[ItemId, list[ItemId]]:
    item = await world.catalogue.add_torrent(
        NewItem(name, state=State.PAUSED), NewTorrent("ab" * 20, None, "magnet:", "t1")
    )
    found = TorrentFiles(
        "ab" * 20, None, b"d", None, False, [FolderFile(tuple(path.split("/")), 1) for path in files],
        list(range(len(files))),
    )  # fmt: skip
    return item.id, await world.catalogue.describe_torrent(item.id, found)


async def test_what_a_torrent_is_to_bring_stays_in_its_folder(world: World) -> None:
    top, files = await torrent(world, "T", ["s/one", "s/two"])
    await make_folder(world, "files", "E")
    for source, name in (("files/T/s", "one"), ("files/T", "s")):
        for target in ("files/E", "files"):
            with failing(errno.EPERM):
                await rename(world, source, name, target, name)
    await rename(world, "files/T/s", "one", "files/T", "one")  # within it
    blob = await world.item("blob", content=b"x")
    assert blob.sha256 is not None
    await world.catalogue.complete(files[0], blob.sha256, 1, digests={}, mtime_ns=None, keep_old=False)
    await rename(world, "files/T", "one", "files/E", "one")
    assert await world.names("files/E") == ["one"]
    await rename(world, "files", "T", "files/E", "T")  # the whole of it
    assert world.catalogue.torrent_of(files[1]) == (top, 1)
    await world.catalogue.settle_folder(top, State.QUEUED)
    found = [world.catalogue.item(item) for item in (top, *world.catalogue.ancestors(top))]
    assert [row and row.state for row in found] == [State.QUEUED, State.COMPLETE]


async def test_a_download_is_not_taken_up_when_its_folder_is_in_the_trash(world: World) -> None:
    folder = await make_folder(world, "files", "E")
    download = await world.catalogue.add(
        NewItem("f", state=State.QUEUED, download=NewDownload("staged"), parent=folder)
    )
    assert world.catalogue.is_live(download)
    await rename(world, "files", "E", "trash", "E")
    assert not world.catalogue.is_live(download)
    assert [row.item for row in await world.catalogue.downloads()] == [download.id]  # its bytes stay
    await rename(world, "trash/E", "f", "files", "g")
    found = world.catalogue.item(download.id)
    assert found is not None
    assert (found.name, found.parent, world.catalogue.is_live(found)) == ("g", None, True)


async def test_a_name_is_in_a_folder_once_whoever_is_quicker(world: World) -> None:
    folder = await make_folder(world, "files", "E")
    await world.catalogue.add(NewItem("lock", kind=Kind.FOLDER, parent=folder))
    with pytest.raises(NameTaken):
        await edits.create(world.context, await world.directory("files/E"), "lock", 0o644)
    with pytest.raises(NameTaken):
        await make_folder(world, "files/E", "lock")
    assert await world.names("files/E") == ["lock"]


async def test_a_download_gives_way_to_what_is_moved_onto_it(world: World) -> None:
    arriving = await world.catalogue.add(NewItem("f", state=State.PAUSED, tags=["a"], download=NewDownload("staged")))
    new = await world.item("new", "b")
    assert await rename(world, "files", "new", "files", "f") == new.id
    assert await world.names("files") == ["f"]
    assert await world.names("trash") == ["f"]
    assert world.catalogue.tags(new.id) == ("a", "b")
    assert await rename(world, "trash", "f", "files", "g") == arriving.id
