"""Only what is read is fetched, and kept; nobody there, nothing open."""

import os

import pytest
import trio

from engine.errors import BadRequest, NotReady
from engine.transfer import reader as reading
from engine.types import State
from tests.support.faultserver import Resource, fault_server
from tests.support.nginx import nginx
from tests.support.transfers import rig

MIB = 1 << 20
SIZE = 64 * MIB
CONTENT = os.urandom(MIB) * 64
ON_DEMAND = {"mode": "on-demand"}


@pytest.fixture(autouse=True)
def forgetful(monkeypatch):
    """Hints count for 10 s; the tests do not wait for that."""
    monkeypatch.setattr(reading, "FRESH", 0.3)


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "x.bin").write_bytes(CONTENT)
    with nginx(tmp_path / "nginx", folder, limit_rate="16m") as server:
        yield server


@pytest.fixture
def slow_server(server, tmp_path):
    with nginx(tmp_path / "slow", tmp_path / "served", limit_rate="4m") as server:
        yield server


async def idle(here, item):
    """Until it rests: no connection, no place in the queue."""
    roster = here.manager._roster
    job = roster.jobs[item.id]
    with trio.fail_after(60):
        while job.run is not None or item.id in roster.queue or job.arrival.size is None:
            await trio.sleep(0.01)
    assert here.item(item).state is State.QUEUED
    assert here.manager.progress(item.id).connections == 0
    assert not roster.queue.active


async def test_what_nobody_reads_is_not_fetched_but_its_size_is_known(server, tmp_path):
    async with rig(tmp_path / "state") as here:
        item = await here.add(server.url("x.bin"), options=ON_DEMAND)
        await idle(here, item)
        assert here.item(item).size == SIZE
        assert here.manager.progress(item.id).done < 8 * MIB
        assert here.manager.mode(item.id) == "on-demand"
        assert len(server.log()) == 1


async def test_what_is_read_is_fetched_with_little_around_it_and_kept(server, tmp_path):
    async with rig(tmp_path / "state") as here:
        item = await here.add(server.url("x.bin"), options=ON_DEMAND)
        await idle(here, item)
        before = here.manager.progress(item.id).done
        at = 40 * MIB + 17
        assert await here.read(item, at, 1000) == CONTENT[at : at + 1000]
        await idle(here, item)
        assert here.manager.progress(item.id).done < before + 8 * MIB
        asked = len(server.log())
        assert await here.read(item, at, 1000, patience=0) == CONTENT[at : at + 1000]
        assert len(server.log()) == asked
        assert server.log()[-1].start == at  # no detour over the front


async def test_it_survives_a_restart(server, tmp_path):
    at = 30 * MIB
    async with rig(tmp_path / "state") as here:
        item = await here.add(server.url("x.bin"), options=ON_DEMAND)
        await here.read(item, at, MIB)
    asked = len(server.log())
    async with rig(tmp_path / "state") as here:
        await idle(here, item)
        assert here.manager.mode(item.id) == "on-demand"
        assert await here.read(item, at, MIB, patience=0) == CONTENT[at : at + MIB]
        assert len(server.log()) == asked
        assert await here.read(item, 50 * MIB, 10) == CONTENT[50 * MIB : 50 * MIB + 10]
    assert server.log()[-1].start == 50 * MIB


async def test_reading_all_of_it_makes_it_complete(server, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "FRESH", 60.0)  # a reader that a busy machine holds up does not lose its connection
    async with rig(tmp_path / "state") as here:
        item = await here.add(server.url("x.bin"), options=ON_DEMAND)
        reader = here.manager.reader(item.id)
        step = MIB // 2
        for offset in range(0, SIZE, step):
            assert await reader.pread(offset, step, trio.current_time() + 120) == CONTENT[offset : offset + step]
        assert here.content(await here.until(item, State.COMPLETE)) == CONTENT
    assert len(server.log()) < 30


async def test_full_makes_an_ordinary_download_of_it_and_back(server, tmp_path):
    async with rig(tmp_path / "state") as here:
        item = await here.add(server.url("x.bin"))
        await here.here(item, 1)
        await here.manager.set_mode(item.id, "on-demand")
        await idle(here, item)
        with pytest.raises(BadRequest, match="full or on-demand"):
            await here.manager.set_mode(item.id, "sometimes")
        await here.manager.set_mode(item.id, "full")
        assert here.manager.mode(item.id) == "full"
        assert here.content(await here.until(item, State.COMPLETE)) == CONTENT
        assert here.manager.mode(item.id) is None


async def test_it_takes_no_place_in_the_queue(server, tmp_path):
    async with rig(tmp_path / "state", max_active=1) as here:
        item = await here.add(server.url("x.bin"), options=ON_DEMAND)
        await idle(here, item)
        async with fault_server() as other:
            await here.until(await here.add(other.add("/y", Resource(b"y" * 1000))), State.COMPLETE)
        assert here.item(item).state is State.QUEUED


async def test_paused_is_paused(server, tmp_path):
    async with rig(tmp_path / "state") as here:
        item = await here.add(server.url("x.bin"), options=ON_DEMAND)
        await idle(here, item)
        await here.manager.pause(item.id)
        with pytest.raises(NotReady, match="paused"):
            await here.read(item, 60 * MIB, 10)
        await here.manager.resume(item.id)
        assert await here.read(item, 60 * MIB, 10) == CONTENT[60 * MIB : 60 * MIB + 10]


async def test_a_server_without_ranges_gives_all_of_it(tmp_path):
    async with fault_server() as server, rig(tmp_path) as here:
        item = await here.add(server.add("/x", Resource(CONTENT[:MIB], ranges=False, etag=None)), options=ON_DEMAND)
        assert here.content(await here.until(item, State.COMPLETE)) == CONTENT[:MIB]


async def test_two_readers_far_apart_both_go_on(slow_server, tmp_path):
    async with rig(tmp_path / "state") as here:
        item = await here.add(slow_server.url("x.bin"), options=ON_DEMAND)
        turns = []

        async def read(name, begin):
            reader = here.manager.reader(item.id)
            for offset in range(begin, begin + 8 * MIB, MIB // 2):
                data = await reader.pread(offset, MIB // 2, trio.current_time() + 120)
                assert data == CONTENT[offset : offset + MIB // 2]
                turns.append(name)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, "a", 8 * MIB)
            nursery.start_soon(read, "b", 40 * MIB)
        half = turns[: len(turns) // 2]
        assert min(half.count("a"), half.count("b")) >= len(half) // 4


async def test_a_seek_leaves_the_old_window(slow_server, tmp_path):
    """The connection for the place that was left is closed, not kept until its window is full."""
    async with rig(tmp_path / "state", window=32 * MIB) as here:
        item = await here.add(slow_server.url("x.bin"), options=ON_DEMAND)
        await idle(here, item)
        reader = here.manager.reader(item.id)
        await reader.pread(8 * MIB, 1000, trio.current_time() + 120)
        await reader.pread(56 * MIB, 1000, trio.current_time() + 120)
        await idle(here, item)
        file = here.manager._roster.jobs[item.id].arrival.look()
        assert not file.ranges.covers(8 * MIB, 24 * MIB)
