"""Watched folders, over the real queue, of which nothing is started here, and the real inotify."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from engine.errors import StoreFull
from engine.ports import AddRequest
from tagfs.daemon.errors import StartError
from tagfs.intake import folders
from tagfs.intake.folders import Folder, Watch, tagged
from tests.support.world import World, open_world

URL = "https://example.org/f.iso"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "state").mkdir()
    async with open_world(tmp_path / "state") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "watched"
    made.mkdir()
    return made


@asynccontextmanager
async def watching(world: World, folder: Path, *tags: str, remove: bool = False) -> AsyncIterator[None]:
    watch = Watch(
        world.catalogue, world.context.transfers, world.context.faults, [Folder(str(folder), tags)],
        live=lambda: world.index.live, mountpoint=world.context.mountpoint, remove=remove,
    )  # fmt: skip
    async with trio.open_nursery() as nursery:
        await nursery.start(watch.run)
        await trio.testing.wait_all_tasks_blocked()
        yield
        nursery.cancel_scope.cancel()


async def until(condition: Callable[[], bool]) -> None:
    """Files have no event; 1 ms is how often the test looks."""
    with trio.fail_after(60):
        while not condition():
            await trio.sleep(0.001)


def url_file(url: str = URL) -> str:
    return f"[InternetShortcut]\nURL={url}\n"


async def test_what_is_put_there_is_added_and_marked(world: World, folder: Path) -> None:
    async with watching(world, folder, "a", "b"):
        (folder / "x.url").write_text(url_file())
        await until((folder / "x.url.added").exists)
        (folder / "y.part").write_text(url_file(f"{URL}2"))
        os.rename(folder / "y.part", folder / "x.url")
        await until((folder / "x.url.2.added").exists)
        assert await world.names("tags/a/b") == ["f.iso", "f.iso2"]
    assert sorted(os.listdir(folder)) == ["x.url.2.added", "x.url.added"]


async def test_what_is_bad_is_marked_and_said(world: World, folder: Path) -> None:
    async with watching(world, folder):
        (folder / "x\n.torrent").write_text("nothing")
        await until((folder / "x\n.torrent.bad").exists)
    assert "This is no torrent" in world.context.faults.text()
    assert "x\n" not in world.context.faults.text()
    assert await world.names("files") == []


async def test_what_there_is_no_space_for_is_not_bad(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "SETTLED", 0.01)
    monkeypatch.setattr(folders, "LOOK", 0.01)
    works, refused = world.catalogue.add, 0

    async def full(*args: Any) -> Any:
        nonlocal refused
        refused += 1
        if refused < 4:
            raise StoreFull("no space left for the catalogue; free some, nothing was changed")
        return await works(*args)

    monkeypatch.setattr(world.catalogue, "add", full)
    async with watching(world, folder, "a"):
        (folder / "x.url").write_text(url_file())
        await until((folder / "x.url.added").exists)
        assert await world.names("tags/a") == ["f.iso"]
    assert os.listdir(folder) == ["x.url.added"]
    assert refused == 4
    assert world.context.faults.text().count("waits for space") == 1


async def test_what_is_not_for_us_stays(world: World, folder: Path) -> None:
    others = ["x.txt", "x.desktop", "x", ".x.url", "x.url.added"]
    async with watching(world, folder):
        for name in others:
            (folder / name).write_text(url_file())
        (folder / "d.url").mkdir()
        os.symlink(folder / "x.txt", folder / "l.url")
        os.mkfifo(folder / "f.url")
        (folder / "last.url").write_text(url_file())
        await until((folder / "last.url.added").exists)
    assert sorted(os.listdir(folder)) == sorted([*others, "d.url", "l.url", "f.url", "last.url.added"])


async def test_what_lay_there_before_is_taken_once_it_stays_the_same(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "SETTLED", 0.01)
    (folder / "x.url").write_text(url_file())
    async with watching(world, folder, remove=True):
        await until(lambda: not os.listdir(folder))
    assert await world.names("files") == ["f.iso"]


async def test_a_file_that_is_being_written_is_left_alone(world: World, folder: Path) -> None:
    watch = Watch(
        world.catalogue, world.context.transfers, world.context.faults, [],
        live=lambda: world.index.live, mountpoint="/mnt", remove=False,
    )  # fmt: skip
    one = Folder(str(folder), ())
    with (folder / "x.url").open("w", buffering=1) as writer:
        for line in url_file().splitlines(keepends=True):
            writer.write(line)
            os.utime(folder / "x.url", ns=(0, len(line)))  # as time passes
            await watch._look(one)
            assert os.listdir(folder) == ["x.url"]
    await watch._look(one)
    assert os.listdir(folder) == ["x.url.added"]


async def test_what_cannot_be_marked_is_tried_once(world: World, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(
        world.catalogue, world.context.transfers, world.context.faults, [],
        live=lambda: world.index.live, mountpoint="/mnt", remove=False,
    )  # fmt: skip
    one = Folder(str(folder), ())
    (folder / "x.url").write_text(url_file())
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(os, "rename", lambda old, new: os.stat("/nowhere"))
    for _ in range(5):
        await watch._look(one)
    assert await world.names("files") == []
    assert world.context.faults.text().count("is read-only") == 1
    assert world.context.faults.text().count("cannot be marked as bad") == 1


async def test_a_folder_that_is_not_there_is_waited_for(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "GONE", 0.01)
    monkeypatch.setattr(folders, "SETTLED", 0.01)
    folder.rmdir()
    async with watching(world, folder):
        await until(lambda: f"{folder} cannot be watched: No such file or directory." in world.context.faults.text())
        folder.mkdir()
        (folder / "x.url").write_text(url_file())
        await until((folder / "x.url.added").exists)
        os.rename(folder, folder.with_name("moved"))
        await until(lambda: "is gone, or is somewhere else" in world.context.faults.text())
        folder.mkdir()
        (folder / "y.url").write_text(url_file(f"{URL}2"))
        await until((folder / "y.url.added").exists)
    assert await world.names("files") == ["f.iso", "f.iso2"]


async def test_what_a_crash_left_unmarked_is_not_added_twice(world: World, folder: Path) -> None:
    watch = Watch(
        world.catalogue, world.context.transfers, world.context.faults, [],
        live=lambda: world.index.live, mountpoint="/mnt", remove=False,
    )  # fmt: skip
    (folder / "x.url").write_text(url_file())
    one = Folder(str(folder), ("a",))
    await world.context.transfers.add(AddRequest([URL]))  # as if by an earlier daemon
    await watch._look(one)
    await watch._look(one)
    assert os.listdir(folder) == ["x.url.added"]
    assert await world.names("files") == await world.names("tags/a") == ["f.iso"]


async def test_our_own_mount_is_not_looked_into(world: World, folder: Path) -> None:
    watch = Watch(
        world.catalogue, world.context.transfers, world.context.faults, [Folder(str(folder / "inbox"), ())],
        live=lambda: world.index.live, mountpoint=str(folder), remove=False,
    )  # fmt: skip
    async with trio.open_nursery() as nursery:
        await nursery.start(watch.run)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert "it is in a mount of tagfs" in world.context.faults.text()


async def test_many_at_once(world: World, folder: Path) -> None:
    async with watching(world, folder, "t"):
        for number in range(200):
            (folder / f"{number}.url").write_text(url_file(f"{URL}{number}"))
        await until(lambda: all(name.endswith(".added") for name in os.listdir(folder)))
    assert len(await world.names("tags/t")) == 200


def test_what_goes_while_the_folder_is_looked_at_is_no_candidate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.url", "b.url", "c.url"):
        (folder / name).write_text(url_file())
    is_ours = folders._is_ours

    def remove_b(name: str) -> bool:
        if name == "b.url":
            (folder / name).unlink()
        return is_ours(name)

    monkeypatch.setattr(folders, "_is_ours", remove_b)
    assert sorted(folders._candidates(str(folder))) == ["a.url", "c.url"]


def test_tags_of_a_folder_are_checked_at_the_start() -> None:
    assert tagged({"/a": "", "/b": " x, y:1 ,"}) == [Folder("/a", ()), Folder("/b", ("x", "y:1"))]
    with pytest.raises(StartError):
        tagged({"/a": ".bad"})
