"""The one door out, with a real catalogue."""

import errno
import os
import subprocess
import sys

import pytest
import trio

from engine.blobs import BlobStore
from engine.blobs.gc import Collector
from engine.catalogue import open_catalogue
from engine.errors import CatalogueFailed, StoreFull
from engine.ports import NewItem

GRACE = 100.0


class Rig:
    def __init__(self, catalogue, root):
        self.now = 1000.0
        self.catalogue = catalogue
        self.store = BlobStore(root, clock=lambda: self.now)
        self.gc = Collector(catalogue, self.store, grace=GRACE, clock=lambda: self.now)

    async def put(self, content):
        name, fd = self.store.create_staging()
        os.write(fd, content)
        os.close(fd)
        return await self.store.ingest(name, {})

    async def item(self, content, name="f"):
        done = await self.put(content)
        return await self.catalogue.add(NewItem(name, sha256=done.sha256, size=done.size))

    async def forget(self, item):
        await self.catalogue.trash(item.id)
        await self.catalogue.purge([item.id])

    async def later(self, seconds=GRACE + 1):
        self.now += seconds
        return await self.gc.collect()


@pytest.fixture
async def rig(tmp_path):
    async with open_catalogue(str(tmp_path / "catalogue.sqlite")) as catalogue:
        yield Rig(catalogue, tmp_path)


async def test_what_nobody_refers_to_goes_after_its_grace(rig, tmp_path):
    item = await rig.item(b"x")
    assert await rig.later() == []
    await rig.forget(item)
    assert await rig.gc.collect() == []
    assert await rig.later(GRACE / 2) == []
    assert await rig.later() == [item.sha256]
    assert not rig.store.exists(item.sha256)
    assert rig.catalogue.blob(item.sha256) is None
    assert os.listdir(tmp_path / "staging") == []


async def test_on_a_full_disk_the_grace_is_short_but_for_what_was_touched(rig, tmp_path, monkeypatch):
    hour = Collector(rig.catalogue, rig.store, floor=rig.store.free() // 2, clock=lambda: rig.now)
    old, new = await rig.item(b"old"), await rig.item(b"new", "g")
    rig.now += 3601  # neither is about to be named any more
    await rig.forget(old)
    await rig.forget(new)
    await hour.collect()
    rig.store.touch(new.sha256)
    rig.now += 61
    assert await hour.collect() == []
    monkeypatch.setattr(rig.store, "free", lambda: 0)
    assert await hour.collect() == [old.sha256]
    assert rig.store.exists(new.sha256)


async def test_a_collector_that_fails_goes_on(rig, autojump_clock, monkeypatch, caplog):
    item = await rig.item(b"x")
    await rig.forget(item)
    rounds = 0

    async def no_space():
        nonlocal rounds
        rounds += 1
        if rounds == 3:
            raise CatalogueFailed("broken")
        raise StoreFull("no space") if rounds == 1 else OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(rig.gc, "collect", no_space)
    rig.gc._clock = trio.current_time
    with pytest.raises(CatalogueFailed):
        await rig.gc.run()
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


async def test_what_is_shared_or_in_the_trash_stays(rig):
    first, second = await rig.item(b"x"), await rig.item(b"x", "g")
    await rig.forget(first)
    await rig.catalogue.trash(second.id)
    await rig.gc.collect()
    assert await rig.later() == []
    assert rig.store.exists(second.sha256)


async def test_what_is_held_open_stays_until_it_is_released(rig):
    item = await rig.item(b"x")
    rig.store.hold(item.sha256)
    rig.store.hold(item.sha256)
    await rig.forget(item)
    await rig.gc.collect()
    assert await rig.later() == []
    rig.store.release(item.sha256)
    assert await rig.later() == []
    rig.store.release(item.sha256)
    assert await rig.later() == [item.sha256]


async def test_what_comes_again_before_the_end_of_its_grace_stays(rig):
    item = await rig.item(b"x")
    await rig.forget(item)
    await rig.gc.collect()
    rig.now += GRACE - 1
    await rig.put(b"x")
    assert await rig.later(2) == []
    again = await rig.catalogue.add(NewItem("g", sha256=item.sha256, size=1))
    assert await rig.later() == []
    assert rig.store.exists(again.sha256)


async def test_what_comes_again_while_its_row_goes_keeps_its_file(rig):
    item = await rig.item(b"x")
    await rig.forget(item)
    await rig.gc.collect()
    forget = rig.catalogue.forget_blob

    class Racing:
        def __getattr__(self, name):
            return getattr(rig.catalogue, name)

        async def forget_blob(self, sha256):
            gone = await forget(sha256)
            await rig.put(b"x")
            return gone

    rig.gc._catalogue = Racing()
    assert await rig.later() == []
    assert rig.store.exists(item.sha256)
    assert rig.catalogue.blob(item.sha256) is None
    await rig.catalogue.add(NewItem("g", sha256=item.sha256, size=1))


async def test_files_that_no_row_ever_named_are_left_alone(rig):
    orphan = await rig.put(b"orphan")
    await rig.gc.collect()
    assert await rig.later() == []
    assert rig.store.exists(orphan.sha256)


async def test_touches_are_forgotten(rig):
    for n in range(50):
        await rig.put(b"%d" % n)
    await rig.later()
    assert rig.store._touched == {}


KILLED = """
import sys, trio
from engine.blobs import BlobStore
from engine.blobs.gc import Collector
from engine.catalogue import open_catalogue

async def main(root):
    async with open_catalogue(root + "/catalogue.sqlite") as catalogue:
        await Collector(catalogue, BlobStore(root), grace=0).collect()

trio.run(main, sys.argv[1])
"""


@pytest.mark.parametrize("where", ["gc.forgotten", "gc.condemned"])
async def test_killed_in_the_door_no_row_is_without_its_file(tmp_path, where):
    async with open_catalogue(str(tmp_path / "catalogue.sqlite")) as catalogue:
        rig = Rig(catalogue, tmp_path)
        kept, gone = await rig.item(b"kept"), await rig.item(b"gone")
        await rig.forget(gone)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], env={**os.environ, "TAGFS_KILL_AT": where}, cwd=os.getcwd()
    )
    assert killed.returncode == -9
    async with open_catalogue(str(tmp_path / "catalogue.sqlite")) as catalogue:
        store = BlobStore(tmp_path)
        await store.sweep(())
        assert [blob.sha256 for blob in await catalogue.blobs()] == [kept.sha256]
        assert all(store.size(blob.sha256) == blob.size for blob in await catalogue.blobs())
        assert os.listdir(tmp_path / "staging") == []
