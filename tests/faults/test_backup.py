"""Backups are whole at each moment, whoever writes meanwhile, and come back as they were."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from engine import backup as backup_module
from engine.blobs.gc import Collector
from engine.errors import EngineError
from engine.ports import Edit
from engine.types import State
from tagfs.control.errors import VerbError
from tagfs.control.views import BackupView
from tagfs.daemon.errors import StartError
from tagfs.daemon.restore import restore
from tagfs.service.verbs import Service
from tests.mount.conftest import Mount
from tests.support.world import World, open_world


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


@pytest.fixture
async def world(state: Path) -> AsyncIterator[World]:
    async with open_world(state) as opened:
        yield opened


async def backup(world: World, folder: Path, **options: Any) -> BackupView:
    return await Service(world.context, world.store).backup(str(folder), report=lambda _: None, **options)


def brought_back(folder: Path, state: Path, *, replace: bool = False) -> Path:
    restore(str(folder), str(state), lambda done, total: None, replace=replace)
    return state


async def faults(world: World, **options: Any) -> list[str]:
    found = await Service(world.context, world.store).verify(data=True, report=lambda _: None, **options)
    return [f"{fault.kind}: {fault.sentence}" for fault in found.faults]


async def test_a_backup_under_writers_is_of_one_moment(world: World, tmp_path: Path) -> None:
    """Each writer makes an item and tags it; another one ends items for good, and gc removes their content at once.
    What was acknowledged before a backup began is in it, and everything that is in it is whole."""
    gc = Collector(world.catalogue, world.store, grace=0.0)
    acknowledged: list[str] = []
    stop = trio.Event()

    async def make(worker: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            item = await world.item(f"w{worker}-{number}", content=os.urandom(100))
            await world.catalogue.edit(item.id, Edit(add=["made"]))
            acknowledged.append(item.name)

    async def end() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            item = await world.item(f"gone-{number}", content=os.urandom(100))
            await world.catalogue.trash(item.id)
            await world.catalogue.purge([item.id])
            world.store._touched.clear()
            await gc.collect()

    seen = []
    async with trio.open_nursery() as nursery:
        for worker in range(3):
            nursery.start_soon(make, worker)
        nursery.start_soon(end)
        for number in range(3):
            with trio.fail_after(60):
                while len(acknowledged) < 20 * (number + 1):
                    await trio.sleep(0.001)
            before = list(acknowledged)
            made = await backup(world, tmp_path / "backup")
            assert made.missing == ()
            shutil.copytree(tmp_path / "backup", tmp_path / f"copy{number}")
            seen.append((before, made.copied))
        stop.set()
    assert seen[-1][1] < len(seen[-1][0])  # the last one copied what was new alone
    for number, (before, _) in enumerate(seen):
        async with open_world(brought_back(tmp_path / f"copy{number}", tmp_path / f"again{number}")) as again:
            assert await faults(again) == []
            for name in before:
                (item,) = again.catalogue.named(name)
                assert again.catalogue.tags(item) == ("made",)


async def test_until_a_backup_is_whole_the_earlier_one_is_there(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.item("first")
    await backup(world, tmp_path / "backup")
    await world.item("second")

    def fail(_: str) -> None:
        raise EngineError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(backup_module, "kill_point", fail)
        with pytest.raises(VerbError):
            await backup(world, tmp_path / "backup")
    async with open_world(brought_back(tmp_path / "backup", tmp_path / "again")) as again:
        assert await again.names("files") == ["first"]
        assert await faults(again) == []
    assert (await backup(world, tmp_path / "backup")).copied == 0  # its content is there by now


async def test_what_is_there_is_not_copied_again_and_goes_only_when_asked(world: World, tmp_path: Path) -> None:
    item = await world.item("f", content=b"content")
    folder = tmp_path / "backup"
    assert (await backup(world, folder)).copied == 1
    assert (await backup(world, folder, copies=True)).copied == 0
    blob = folder / "blobs" / item.sha256[:2] / item.sha256 if item.sha256 else folder
    assert blob.stat().st_ino == Path(world.store.path(item.sha256 or "")).stat().st_ino  # a second name
    blob.unlink()
    assert (await backup(world, folder, copies=True)).copied == 1
    assert blob.stat().st_ino != Path(world.store.path(item.sha256 or "")).stat().st_ino
    assert (folder.stat().st_mode & 0o777, (folder / "catalogue.sqlite").stat().st_mode & 0o777) == (0o700, 0o600)
    assert sorted(os.listdir(folder)) == ["blobs", "catalogue.sqlite", "tagfs-backup.json"]
    assert json.loads((folder / "tagfs-backup.json").read_text())["whole"]
    await world.catalogue.trash(item.id)
    await world.catalogue.purge([item.id])
    await world.catalogue.forget_blob(item.sha256 or "")
    assert (await backup(world, folder)).removed == 0
    assert blob.exists()
    assert (await backup(world, folder, prune=True)).removed == 1
    assert not blob.exists()


async def test_what_the_store_lost_is_told_and_the_copy_that_is_there_stays(world: World, tmp_path: Path) -> None:
    item = await world.item("f", content=b"content")
    assert item.sha256 is not None
    await backup(world, tmp_path / "one", copies=True)
    Path(world.store.path(item.sha256)).unlink()
    assert (await backup(world, tmp_path / "two")).missing == (item.sha256,)
    assert (await backup(world, tmp_path / "one")).missing == ()
    async with open_world(brought_back(tmp_path / "one", tmp_path / "again")) as again:
        assert await faults(again) == []


async def test_folders_that_cannot_take_a_backup(world: World, state: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").touch()
    (tmp_path / "into").symlink_to(state)
    for folder in (tmp_path / "other", state / "backup", tmp_path / "into/backup", tmp_path / "no/such", Path("here")):
        with pytest.raises(VerbError):
            await backup(world, folder)
    assert os.listdir(tmp_path / "other") == ["file"]
    assert not (state / "backup").exists()


async def test_one_backup_at_a_time(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.item("f")
    inside = trio.Event()
    snapshot = type(world.catalogue).snapshot

    async def slow(self: Any, target: str) -> Any:
        inside.set()
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        monkeypatch.setattr(type(world.catalogue), "snapshot", slow)
        nursery.start_soon(backup, world, tmp_path / "backup")
        await inside.wait()
        monkeypatch.setattr(type(world.catalogue), "snapshot", snapshot)
        with pytest.raises(VerbError, match="Another backup"):
            await backup(world, tmp_path / "backup")
        assert world.store.keeps_all
        nursery.cancel_scope.cancel()
    assert not world.store.keeps_all
    assert (await backup(world, tmp_path / "backup")).copied == 1


async def test_what_is_no_whole_backup_is_refused(tmp_path: Path, state: Path) -> None:
    async with open_world(state) as world:
        await world.item("f")
        await backup(world, tmp_path / "backup")
    good = tmp_path / "backup"
    for number, spoil in enumerate(
        (
            lambda folder: (folder / "tagfs-backup.json").unlink(),
            lambda folder: (folder / "tagfs-backup.json").write_text('{"tagfs": "backup", "version": 2}'),
            lambda folder: (folder / "tagfs-backup.json").write_text("[]"),
            lambda folder: (folder / "catalogue.sqlite").unlink(),
            lambda folder: (folder / "catalogue.sqlite").write_bytes(b"x" * 5000),
            lambda folder: os.truncate(folder / "catalogue.sqlite", 8192),
        )
    ):
        bad = tmp_path / f"bad{number}"
        shutil.copytree(good, bad)
        spoil(bad)
        with pytest.raises(StartError, match=r"^\S.*\.$") as caught:
            brought_back(bad, tmp_path / f"to{number}")
        assert number != 1 or "has version 2, and only version 1 can be read" in str(caught.value)
        assert not (tmp_path / f"to{number}").exists()


async def test_a_catalogue_that_is_there_is_put_aside_only_when_asked(tmp_path: Path, state: Path) -> None:
    """C15: the catalogue is of yesterday and the blobs are of today; repair loses none."""
    async with open_world(state) as world:
        await world.item("old", "a")
        await backup(world, tmp_path / "backup")
        new = await world.item("new", content=b"newer")
    (state / "daemon.lock").touch()
    before = (state / "catalogue.sqlite").read_bytes()
    with pytest.raises(StartError, match="--replace"):
        brought_back(tmp_path / "backup", state)
    assert (state / "catalogue.sqlite").read_bytes() == before
    brought_back(tmp_path / "backup", state, replace=True)
    assert (state / "quarantine/restored-over.0/catalogue.sqlite").read_bytes() == before
    async with open_world(state) as world:
        assert await world.names("files") == ["old"]
        await faults(world, repair=True)
        assert await world.names("tags/recovered") == [new.sha256]
        assert await faults(world) == []


@pytest.mark.parametrize("damaged", [False, True])
async def test_a_backup_without_some_content_comes_back_with_all_names(
    tmp_path: Path, state: Path, damaged: bool
) -> None:
    async with open_world(state) as world:
        item = await world.item("f", "a", content=b"content")
        await backup(world, tmp_path / "backup", copies=True)
    assert item.sha256 is not None
    blob = tmp_path / "backup/blobs" / item.sha256[:2] / item.sha256
    if damaged:
        blob.chmod(0o600)
        blob.write_bytes(b"cOntent")
    else:
        blob.unlink()
    restored = restore(str(tmp_path / "backup"), str(tmp_path / "again"), lambda done, total: None)
    assert (restored.items, restored.missing) == (1, 1)
    async with open_world(tmp_path / "again") as again:
        assert await faults(again, repair=True) != []
        row = again.catalogue.item(item.id)
        assert row is not None and row.state is State.MISSING
        assert await again.names("tags/a") == ["f"]


def test_a_running_daemon_is_backed_up_and_comes_back_elsewhere(mount: Mount, tmp_path: Path) -> None:
    (mount / "tags/a").mkdir()
    mount.put("tags/a/f", b"content")
    told = mount.json("backup", str(tmp_path / "backup"))
    assert isinstance(told, dict) and (told["blobs"], told["copied"], told["missing"]) == (1, 1, [])
    mount.put("files/later", b"later")
    with sqlite3.connect(tmp_path / "backup/catalogue.sqlite") as copy:
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert "runs on the state directory" in refused(mount, tmp_path)
    mount.stop()
    mount.state = tmp_path / "elsewhere"
    assert mount.tagfs("restore", str(tmp_path / "backup")).startswith("1 item, 1 content, 1 of them copied to ")
    mount.start()
    assert mount.names("files") == ["f"]
    assert (mount / "tags/a/f").read_bytes() == b"content"
    assert mount.tagfs("verify", "--data").endswith("no faults\n")


def refused(mount: Mount, tmp_path: Path) -> str:
    command = [sys.executable, "-m", "tagfs", "restore", str(tmp_path / "backup"), "--replace"]
    done = subprocess.run(command, env=mount.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr
