"""C9, R9: the disk fails to read, write, sync. One caller or one item is told, and nothing that failed is believed."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from engine.errors import StoreFull
from engine.types import ItemId, State
from tagfs.vfs import drafts
from tagfs.vfs.content import DraftFile
from tests.mount.conftest import Mount
from tests.support.home import Home
from tests.support.small_disk import small_disk
from tests.support.world import World, open_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


class Disk:
    """fsync(2) that fails once for each inode in `bad`. To sync one of these again is the mistake that R9 is about."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._fsync = os.fsync
        self.failing = False
        self.bad: set[int] = set()
        self.held: list[int] = []
        monkeypatch.setattr(os, "fsync", self.sync)
        monkeypatch.setattr(os, "fdatasync", self.sync)

    def sync(self, fd: int) -> None:
        status = os.fstat(fd)
        assert status.st_ino not in self.bad, "synced again"
        if (
            self.failing
            and "staging" in os.readlink(f"/proc/self/fd/{fd}")
            and not os.path.isdir(f"/proc/self/fd/{fd}")
        ):
            self.bad.add(status.st_ino)
            self.held.append(os.dup(fd))  # or its number would go to another file
            raise OSError(errno.EIO, "Input/output error")
        self._fsync(fd)


async def written(world: World, name: str, content: bytes, *, sync: bool = False) -> ItemId:
    draft = await world.drafts.create(name, (), 0o644)
    file = DraftFile(world.drafts, draft, writing=True)
    await file.write(0, content)
    if sync:
        with pytest.raises(OSError, check=lambda error: error.errno == errno.EIO):
            await file.fsync(data_only=False)
    await file.close()
    await draft.sealed.wait()
    assert draft.item is not None
    return draft.item


def state(world: World, item: ItemId) -> tuple[State, str | None]:
    row = world.catalogue.item(item)
    assert row is not None
    return row.state, row.error


@pytest.mark.parametrize("sync", [False, True], ids=["by us", "by the writer"])
async def test_what_could_not_be_synced_is_never_synced_again(
    world: World, monkeypatch: pytest.MonkeyPatch, sync: bool
) -> None:
    disk = Disk(monkeypatch)
    disk.failing = True
    item = await written(world, "f", b"precious" * 100_000, sync=sync)
    disk.failing = False
    assert len(disk.bad) == 1
    was, why = state(world, item)
    assert was is State.FAILED and why is not None and "Input/output error" in why
    other = await written(world, "g", b"other")
    assert state(world, other) == (State.COMPLETE, None)
    row = world.catalogue.item(item)
    assert row is not None and await world.drafts.retry(row)
    assert state(world, item) == (State.COMPLETE, None)
    row = world.catalogue.item(item)
    assert row is not None and row.sha256 is not None
    blob = Path(world.store.path(row.sha256))
    assert blob.stat().st_ino not in disk.bad
    assert blob.read_bytes() == b"precious" * 100_000
    assert os.listdir(Path(world.context.store, "staging")) == []


@pytest.mark.parametrize("noted", [True, False], ids=["noted", "not even noted"])
async def test_what_found_no_space_is_stored_once_there_is_some(
    world: World, monkeypatch: pytest.MonkeyPatch, noted: bool
) -> None:
    monkeypatch.setattr(drafts, "SPACE_CHECK", 0.01)
    seal, edit, free = type(world.catalogue).seal, type(world.catalogue).edit, world.drafts._free

    async def full(*args: object, **named: object) -> None:
        raise StoreFull("no space left")

    monkeypatch.setattr(world.drafts, "_free", lambda: 0)
    monkeypatch.setattr(type(world.catalogue), "seal", full)
    if not noted:
        monkeypatch.setattr(type(world.catalogue), "edit", full)
    item = await written(world, "f", b"content")
    assert state(world, item)[0] is (State.FAILED if noted else State.WRITING)
    monkeypatch.setattr(type(world.catalogue), "seal", seal)
    monkeypatch.setattr(type(world.catalogue), "edit", edit)
    monkeypatch.setattr(world.drafts, "_free", free)
    with trio.fail_after(60):
        while state(world, item) != (State.COMPLETE, None):
            await trio.sleep(0.01)
    assert os.listdir(Path(world.context.store, "staging")) == []


# -- injected into the system calls of a daemon ------------------------------------------------------------------------


@contextmanager
def failing(mount: Mount, path: Path, calls: str) -> Iterator[None]:
    """These system calls of the daemon on the file `path` fail with EIO meanwhile."""
    assert mount.process is not None
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(mount.process.pid), "-P", str(path)]
    with subprocess.Popen([*command, "-e", f"inject={calls}:error=EIO"], stderr=subprocess.PIPE) as tracer:
        try:
            traced = Path(f"/proc/{mount.process.pid}/status")
            mount.wait_for(lambda: "TracerPid:\t0" not in traced.read_text() or tracer.poll() is not None)
            if tracer.poll() is not None:
                pytest.skip("needs the rights to trace")
            yield
        finally:
            tracer.terminate()
            tracer.wait(60)


READS = "read,pread64,preadv,preadv2"
WRITES = "write,pwrite64,pwritev,copy_file_range"


@pytest.mark.long
def test_a_blob_that_cannot_be_read_fails_its_readers_alone(mount: Mount) -> None:
    bad = mount.put("files/bad", os.urandom(300_000))
    good = mount.put("files/good", b"good" * 1000)
    sha256 = os.getxattr(bad, "user.tagfs.sha256").decode()
    with failing(mount, mount.state / "blobs" / sha256[:2] / sha256, READS):
        fd = os.open(bad, os.O_RDONLY | os.O_DIRECT)
        try:
            with pytest.raises(OSError, check=lambda error: error.errno == errno.EIO):
                os.read(fd, 4096)
        finally:
            os.close(fd)
        assert good.read_bytes() == b"good" * 1000
        told = mount.tagfs("verify", "--data", check=False)
        assert "unreadable: " in told and " bad: " in told and "1 fault" in told
    assert len(bad.read_bytes()) == 300_000
    assert mount.tagfs("verify", "--data").endswith("no faults\n")


@pytest.mark.long
def test_a_write_that_fails_is_told_to_the_writer(mount: Mount) -> None:
    mount.put("files/good", b"good")
    with (mount / "files/bad").open("wb", buffering=0) as file:
        file.write(b"first")
        (staged,) = [path for path in (mount.state / "staging").iterdir() if "." not in path.name]
        with failing(mount, staged, WRITES):
            with pytest.raises(OSError, check=lambda error: error.errno == errno.EIO):
                file.write(b"x" * 100_000)
                os.fsync(file.fileno())
            mount.put("files/other", b"other")
        file.write(b"second")
    mount.settle(mount / "files/bad")
    assert mount.names("files") == ["bad", "good", "other"]
    assert mount.tagfs("verify", "--data").endswith("no faults\n")


@pytest.mark.long
def test_a_catalogue_that_cannot_be_synced_ends_the_daemon_and_loses_nothing(mount: Mount) -> None:
    file = mount.put("files/f", b"content")
    os.setxattr(file, "user.tags", b"+before")
    mount.expect_warnings = True
    assert mount.process is not None
    with failing(mount, mount.state / "catalogue.sqlite-wal", "fdatasync,fsync"):
        with pytest.raises(OSError):
            os.setxattr(file, "user.tags", b"+after")
        assert mount.process.wait(60) == 1
    with pytest.raises(OSError, check=lambda error: error.errno == errno.ENOTCONN):
        os.listdir(mount / "files")
    assert "the catalogue failed" in mount.log.read_text()
    subprocess.run(["fusermount3", "-u", "-z", str(mount.top)], check=True)
    mount.start()
    assert mount.names("tags/before") == ["f"]
    assert mount.tagfs("verify", "--data").endswith("no faults\n")


def test_a_read_only_disk_is_told_at_the_start(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "32m") as disk:
        home = Home(disk.path)
        home.top.mkdir()
        home.mount()
        assert home.tagfs("umount").returncode == 0
        subprocess.run(["mount", "-o", "remount,ro", str(disk.path)], check=True)
        done = home.tagfs("mount", str(home.top))
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "Read-only file system" in done.stderr
        told = home.tagfs("doctor", "-q")
        assert told.returncode == 1
        assert f"The file system of {home.state} is read-only." in told.stdout
        subprocess.run(["mount", "-o", "remount,rw", str(disk.path)], check=True)
        home.mount()
        assert home.tagfs("umount").returncode == 0
