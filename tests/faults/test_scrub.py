"""C11, R13: what a disk changes by itself is found in the background, and nobody relies on it."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.blobs import BlobStore
from engine.ports import Content
from engine.soundness import scrub
from engine.soundness.scrub import LOOK, SETTLE, Scrubber
from engine.types import Item, State
from tagfs.service.verbs import Service
from tests.support.faultserver import FaultServer, Resource, fault_server
from tests.support.transfers import rig
from tests.support.world import World, open_world

DAY = 86_400.0


def rot(path: Path) -> None:
    """A flipped bit in content that was stored long ago."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    path.chmod(0o440)
    os.utime(path, (0, time.time() - 40 * DAY))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# -- in the background -------------------------------------------------------------------------------------------------


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def scrubber(world: World, clock: Clock, *, rate: int = 0) -> Scrubber:
    return Scrubber(world.catalogue, world.store, every=30 * DAY, rate=rate, clock=clock)


async def items(world: World, count: int) -> list[Item]:
    return [await world.item(f"f{number}", content=b"content %d" % number * 1000) for number in range(count)]


async def test_a_pass_finds_what_is_damaged_and_tells_each_item(world: World, caplog: pytest.LogCaptureFixture) -> None:
    good, bad, *_ = await items(world, 5)
    twin = await world.item("twin", content=b"content 1" * 1000)
    clock = Clock()
    reads = scrubber(world, clock)
    assert reads.is_due()
    rot(Path(world.store.path(bad.sha256 or "")))
    with caplog.at_level(logging.ERROR):
        await reads.read_all()
    assert reads.now is not None and reads.now.damaged == (bad.sha256,)
    assert reads.now.read == reads.now.total == 5 * 9000
    assert f"item {bad.id}: its content is damaged: its bytes have changed" in caplog.text
    for item in (bad, twin):
        row = world.catalogue.item(item.id)
        assert row is not None and row.state is State.COMPLETE
        assert (row.error or "").startswith("its content is damaged")
    assert world.catalogue.item(good.id) == good
    status = await Service(world.context, world.store, scrubber=reads).status()
    assert status.scrub is not None and (status.scrub.damaged, status.scrub.read) == (1, 45_000)
    assert not reads.is_due()
    clock.now += 30 * DAY
    assert reads.is_due()


async def test_what_is_right_again_says_nothing_any_more(world: World) -> None:
    (bad,) = await items(world, 1)
    path = Path(world.store.path(bad.sha256 or ""))
    rot(path)
    clock = Clock()
    await scrubber(world, clock).read_all()
    staging, fd = world.store.create_staging()
    os.write(fd, b"content 0" * 1000)
    os.close(fd)
    await world.store.ingest(staging, {})  # the same content is stored again, from wherever
    assert path.read_bytes() == b"content 0" * 1000
    clock.now += 31 * DAY
    again = scrubber(world, clock)
    await again.read_all()
    assert again.now is not None and again.now.damaged == ()
    row = world.catalogue.item(bad.id)
    assert row is not None and row.error is None


async def test_a_pass_goes_on_where_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrub, "SAVE", 0.0)
    await items(world, 6)
    clock = Clock()
    first = scrubber(world, clock)
    seen = 0

    async def stop(blob: object, damage: object) -> None:
        nonlocal seen
        seen += 1
        if seen == 3:
            raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(first, "_note", stop)
        with pytest.raises(OSError, match="killed"):
            await first.read_all()
    second = scrubber(world, clock)
    assert second.is_due() and second.now is not None and second.now.cursor
    reads: list[str] = []
    note = second._note

    async def look(blob: object, damage: object) -> None:
        reads.append(blob.sha256)  # type: ignore[attr-defined]
        await note(blob, damage)  # type: ignore[arg-type]

    monkeypatch.setattr(second, "_note", look)
    await second.read_all()
    assert len(reads) == 4 and reads == sorted(reads)
    assert second.now.ended == clock.now
    assert json.loads((Path(world.store.root) / "scrub.json").read_text())["ended"] == clock.now


async def test_it_reads_slowly_and_not_at_once(world: World) -> None:
    await items(world, 4)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if seconds == LOOK:
            raise KeyboardInterrupt  # seen enough

    reads = Scrubber(world.catalogue, world.store, every=30 * DAY, rate=100, clock=Clock(), sleep=sleep)
    with pytest.raises(KeyboardInterrupt):
        await reads.run()
    assert slept == [SETTLE, 90.0, 90.0, 90.0, 90.0, LOOK]
    assert reads.now is not None and reads.now.ended is not None


async def test_it_can_be_switched_off(world: World) -> None:
    await items(world, 1)
    never = Scrubber(world.catalogue, world.store, every=None, rate=0)
    await never.run()
    assert never.now is None


@pytest.mark.parametrize(("jump", "due"), [(-400 * DAY, True), (-1.0, True), (29 * DAY, False), (400 * DAY, True)])
async def test_a_clock_that_jumps_makes_no_pass_wait_for_years(world: World, jump: float, due: bool) -> None:
    clock = Clock()
    reads = scrubber(world, clock)
    await reads.read_all()
    clock.now += jump
    assert reads.is_due() is due
    assert LOOK <= 3600


async def test_a_note_that_cannot_be_read_is_as_none(world: World) -> None:
    for text in ("", "x", "[]", "{}", '{"began": 1}', '{"began": 1, "damaged": 5}'):
        (Path(world.store.root) / "scrub.json").write_text(text)
        assert scrubber(world, Clock()).now is None


# -- nobody relies on it -----------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "store")


async def ingested(store: BlobStore, content: bytes) -> Path:
    staging, fd = store.create_staging()
    os.write(fd, content)
    os.close(fd)
    return Path(store.path((await store.ingest(staging, {})).sha256))


@pytest.mark.parametrize("way", ["ingest", "put", "adopt"])
async def test_the_same_content_again_heals_what_is_damaged(store: BlobStore, tmp_path: Path, way: str) -> None:
    content = os.urandom(5000)
    path = await ingested(store, content)
    rot(path)
    if way == "ingest":
        await ingested(store, content)
    elif way == "put":
        assert await store.put_many([Content(sha256(content), content)]) == [None]
    else:
        (tmp_path / "store/torrent").write_bytes(content)
        await store.adopt(store.begin_pass(str(tmp_path / "store/torrent")))
    assert path.read_bytes() == content
    assert await store.is_sound(path.name, 5000)
    assert os.listdir(tmp_path / "store/staging") == []


async def test_what_was_found_to_be_damaged_is_not_relied_on_however_young(store: BlobStore) -> None:
    path = await ingested(store, b"content")
    assert await store.is_sound(path.name, 7)
    assert not await store.is_sound(path.name, 8)
    store.doubt(path.name)
    assert not await store.is_sound(path.name, 7)
    path = await ingested(store, b"content")
    assert await store.is_sound(path.name, 7)


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    async with fault_server() as started:
        yield started


@pytest.mark.parametrize("how", ["at once", "queued", "told by the server"])
async def test_a_download_does_not_rely_on_damaged_content(server: FaultServer, tmp_path: Path, how: str) -> None:
    content = os.urandom(100_000)
    digest = sha256(content)
    url = server.add("/x", Resource(content))
    async with rig(tmp_path / "state") as here:
        first = await here.until(await here.add(url), State.COMPLETE)
        rot(Path(here.store.path(digest)))
        count = len(server.requests)
        if how == "told by the server":
            told = base64.b64encode(bytes.fromhex(digest)).decode()
            url = server.add("/y", Resource(content, headers={"Repr-Digest": f"sha-256=:{told}:"}))
            again = await here.add(url)
        else:
            again = await here.add(url, digests={"sha256": digest}, paused=how == "queued")
        if how == "queued":
            await here.manager.resume(again.id)
        await here.until(again, State.COMPLETE)
        assert len(server.requests) > count
        assert here.content(again) == here.content(first) == content  # and the first is healed with it
