"""Reading what has not arrived yet."""

import os

import pytest
import trio

from engine.errors import NotReady, SourceFailed
from engine.types import State
from tests.support.faultserver import Resource, fault_server, respond, send_head
from tests.support.transfers import rig

MIB = 1 << 20
CONTENT = os.urandom(24 * MIB)
SMALL = {"window": MIB, "skip": 64 << 10, "split": 1}  # a slow machine would get further main connections


@pytest.fixture
async def server():
    async with fault_server() as server:
        yield server


def held(**fields):
    """The plain request stands still at 2 MiB; ranges are served."""
    return Resource(CONTENT, hold_at=2 * MIB, **fields)


async def begun(here, server, resource):
    item = await here.add(server.add("/x", resource))
    await resource.held.wait()
    await here.here(item, 2 * MIB)
    return item


async def test_the_tail_comes_long_before_the_end(server, tmp_path):
    resource = held()
    async with rig(tmp_path, **SMALL) as here:
        item = await begun(here, server, resource)
        reader = here.manager.reader(item.id)
        assert reader.size == len(CONTENT)
        assert not reader.have(len(CONTENT) - 1, 1)
        assert await here.read(item, len(CONTENT) - 1, 1) == CONTENT[-1:]
        assert reader.have(len(CONTENT) - 1, 1)
        assert reader.present < 4 * MIB
        assert here.item(item).state is State.DOWNLOADING
        resource.release.set()
        assert here.content(await here.until(item)) == CONTENT
    assert server.ranges("/x")[1] == (len(CONTENT) - 1, len(CONTENT))


async def test_what_is_here_is_served_at_once_and_cut_at_the_end(server, tmp_path):
    resource = held()
    async with rig(tmp_path, **SMALL) as here:
        item = await begun(here, server, resource)
        assert await here.read(item, 5, 1000, patience=0) == CONTENT[5:1005]
        assert await here.read(item, len(CONTENT), 10) == b""
        assert await here.read(item, len(CONTENT) + 5, 10) == b""
        assert await here.read(item, 7, 0) == b""
        assert await here.read(item, len(CONTENT) - 10, 100) == CONTENT[-10:]
        with pytest.raises(ValueError, match="negative"):
            await here.read(item, -1, 5)
        resource.release.set()
        await here.until(item)


async def test_each_byte_is_fetched_about_once_however_it_is_read(server, tmp_path):
    sent = 0
    resource = Resource(CONTENT)
    body = resource._send_body

    async def counting(stream, start, end, cut, *, holding):
        nonlocal sent
        sent += end - start
        await body(stream, start, end, cut, holding=holding)

    resource._send_body = counting
    resource.hold_at = 2 * MIB
    async with rig(tmp_path, **SMALL) as here:
        item = await begun(here, server, resource)
        async with trio.open_nursery() as nursery:
            for reader in range(64):  # 64 readers of 4 cold places
                nursery.start_soon(check, here, item, (reader % 4 + 1) * 5 * MIB, 128 << 10)
        assert len(server.ranges("/x")) <= 1 + 4 + 1
        resource.release.set()
        assert here.content(await here.until(item)) == CONTENT


async def check(here, item, offset, length):
    assert await here.read(item, offset, length) == CONTENT[offset : offset + length]


async def test_reading_on_does_not_wait_at_every_window(server, tmp_path):
    resource = held()
    async with rig(tmp_path, **SMALL) as here:
        item = await begun(here, server, resource)
        reader = here.manager.reader(item.id)
        step = 128 << 10
        for offset in range(10 * MIB, 16 * MIB, step):
            data = await reader.pread(offset, step, trio.current_time() + 120)
            assert data == CONTENT[offset : offset + step]
        resource.release.set()
        await here.until(item)
    beside = [asked for asked in server.ranges("/x") if asked and asked[1] and asked[0] >= 10 * MIB]
    assert len(beside) < 20


@pytest.mark.parametrize("version", [{}, {"etag": None, "last_modified": "Mon, 01 Jan 2024 00:00:00 GMT"}])
async def test_without_ranges_readers_wait_for_the_stream(server, tmp_path, version):
    resource = held(ranges=False, **version)
    async with rig(tmp_path, **SMALL) as here:
        item = await begun(here, server, resource)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(check, here, item, len(CONTENT) - 5, 5)
            await here.waiting(item)
            resource.release.set()
        assert here.content(await here.until(item)) == CONTENT
    assert server.ranges("/x").count(None) == 1


async def test_where_one_connection_is_all_there_is_it_moves(server, tmp_path):
    resource = held()
    async with rig(tmp_path, reader_connections=0, **SMALL) as here:
        item = await begun(here, server, resource)
        assert await here.read(item, len(CONTENT) - 100, 100) == CONTENT[-100:]
        resource.release.set()
        assert here.content(await here.until(item)) == CONTENT
    assert server.ranges("/x")[1] == (len(CONTENT) - 100, None)


async def test_a_server_that_refuses_a_second_connection_still_serves_the_reader(server, tmp_path):
    resource = Resource(CONTENT)
    busy = 0
    release = trio.Event()

    async def handler(request, stream):
        nonlocal busy
        if busy:
            await respond(stream, 503, {}, b"one at a time")
            return
        busy += 1
        try:
            if request.range:
                await resource(request, stream)
                return
            await send_head(
                stream, 200, {"Content-Length": str(len(CONTENT)), "ETag": '"v1"', "Accept-Ranges": "bytes"}
            )
            await stream.send_all(CONTENT[:MIB])
            for position in range(MIB, len(CONTENT)):
                await stream.send_all(CONTENT[position : position + 1])
                with trio.move_on_after(0.002):
                    await release.wait()
        finally:
            busy -= 1

    async with rig(tmp_path, **SMALL) as here:
        item = await here.add(server.add("/x", handler))
        await here.here(item, MIB)
        assert await here.read(item, 20 * MIB, 100) == CONTENT[20 * MIB : 20 * MIB + 100]
        release.set()
        assert here.content(await here.until(item)) == CONTENT


async def test_patience_runs_out(server, tmp_path):
    resource = held(ranges=False)
    async with rig(tmp_path) as here:
        item = await begun(here, server, resource)
        with pytest.raises(SourceFailed, match="in time"):
            await here.read(item, 20 * MIB, 5, patience=0.05)
        resource.release.set()
        await here.until(item)


async def test_waiting_room_is_bounded(server, tmp_path):
    resource = held(ranges=False)
    async with rig(tmp_path, max_waiters=2) as here:
        item = await begun(here, server, resource)
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(check, here, item, 20 * MIB, 10)
            await here.waiting(item, 2)
            with pytest.raises(NotReady, match="Too many"):
                await here.read(item, 10 * MIB, 10)
            assert await here.read(item, 0, 10) == CONTENT[:10]
            resource.release.set()
        await here.until(item)
        assert here.manager._roster._room.free == 2


async def test_an_unknown_size_grows_and_the_end_is_waited_for(server, tmp_path):
    resource = held(chunked=True)
    async with rig(tmp_path) as here:
        item = await begun(here, server, resource)
        reader = here.manager.reader(item.id)
        assert reader.size is None
        assert reader.present == 2 * MIB
        results = []

        async def read_tail():
            results.append(await here.read(item, len(CONTENT) - 10, 1000))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_tail)
            await here.waiting(item)
            assert results == []
            resource.release.set()
        assert results == [CONTENT[-10:]]
        await here.until(item)


async def test_paused_and_failed_items_serve_what_they_have_and_never_hang(server, tmp_path):
    resource = held()
    resource.hold_ranges = True
    async with rig(tmp_path, retries=0) as here:
        item = await begun(here, server, resource)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(refused, here, item, 20 * MIB)
            await here.waiting(item)
            await here.manager.pause(item.id)
        assert await here.read(item, 0, 100) == CONTENT[:100]
        await refused(here, item, 20 * MIB)
        here.manager.reader(item.id).hint(20 * MIB, 5)
        resource.statuses = [(404, {})] * 9
        await here.manager.resume(item.id)
        assert (await here.until(item, State.FAILED)).state is State.FAILED
        assert await here.read(item, 0, 100) == CONTENT[:100]
        await refused(here, item, 20 * MIB)


async def refused(here, item, offset):
    with pytest.raises(NotReady):
        await here.read(item, offset, 10)


async def test_a_reader_goes_on_through_pause_and_completion(server, tmp_path):
    resource = held()
    async with rig(tmp_path) as here:
        item = await begun(here, server, resource)
        reader = here.manager.reader(item.id)
        patience = trio.current_time() + 120
        assert await reader.pread(0, 10, patience) == CONTENT[:10]
        await here.manager.pause(item.id)
        resource.release.set()
        await here.manager.resume(item.id)
        assert await reader.pread(20 * MIB, 10, patience) == CONTENT[20 * MIB : 20 * MIB + 10]
        await here.until(item)
        assert here.manager.reader(item.id) is None
        assert await reader.pread(23 * MIB, 10, patience) == CONTENT[23 * MIB : 23 * MIB + 10]
        assert (reader.size, reader.present) == (len(CONTENT), len(CONTENT))


async def test_what_was_read_never_changes(server, tmp_path):
    """The file changes on the server: who has read of the old one fails, who has not gets the new one."""
    new = os.urandom(3 * MIB)
    resource = held(if_range=False)
    async with rig(tmp_path, **SMALL) as here:
        item = await begun(here, server, resource)
        old, fresh = here.manager.reader(item.id), here.manager.reader(item.id)
        patience = trio.current_time() + 120
        assert await old.pread(0, 100, patience) == CONTENT[:100]
        resource.content, resource.etag = new, '"v2"'
        async with trio.open_nursery() as nursery:

            async def waits():
                with pytest.raises(SourceFailed, match="changed"):
                    await old.pread(20 * MIB, 100, patience)

            nursery.start_soon(waits)
        resource.release.set()
        assert await fresh.pread(2 * MIB, 100, patience) == new[2 * MIB : 2 * MIB + 100]
        assert here.content(await here.until(item)) == new
        with pytest.raises(SourceFailed, match="changed"):
            await old.pread(0, 100, patience)


async def test_a_hint_puts_a_queued_item_first_and_one_beyond_the_limit(server, tmp_path):
    resource = held()
    async with rig(tmp_path, max_active=1) as here:
        first = await begun(here, server, resource)
        queued = [await here.add(server.add(f"/{n}", Resource(b"x" * n))) for n in range(1, 6)]
        here.manager.reader(queued[3].id).hint(0, 1)
        assert here.content(await here.until(queued[3])) == b"xxxx"
        assert await here.read(queued[4], 0, 10) == b"xxxxx"
        assert here.item(queued[0]).state is State.QUEUED
        assert here.item(first).state is State.DOWNLOADING
        resource.release.set()
        for item in [first, *queued]:
            await here.until(item, State.COMPLETE)


async def test_a_reader_shortens_the_wait_for_the_next_attempt(server, tmp_path):
    resource = Resource(CONTENT, statuses=[(500, {})])
    slow = {"backoff_first": 1000.0, "backoff_max": 1000.0, "reader_backoff": 0.05}
    async with rig(tmp_path, **slow) as here:
        item = await here.add(server.add("/x", resource))
        await here.when(item, lambda found: found.error is not None)
        assert await here.read(item, 0, 100) == CONTENT[:100]
        await here.until(item)


async def test_the_size_is_waited_for_until_the_server_tells_it(server, tmp_path):
    asked, answer = trio.Event(), trio.Event()

    async def slow(request, stream):
        asked.set()
        await answer.wait()
        await held()(request, stream)

    async with rig(tmp_path) as here:
        item = await here.add(server.add("/x", slow))
        reader = here.manager.reader(item.id)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reader.wait_size, trio.current_time() + 120)
            await asked.wait()
            await here.waiting(item)
            assert reader.size is None
            answer.set()
        assert reader.size == len(CONTENT)


async def test_nobody_waits_for_a_size_that_will_not_come(server, tmp_path):
    async with rig(tmp_path, retries=0) as here:
        chunked = await begun(here, server, held(chunked=True))
        await here.manager.reader(chunked.id).wait_size(float("inf"))
        assert here.manager.reader(chunked.id).size is None

        paused = await here.add(server.add("/paused", held()), paused=True)
        await here.manager.reader(paused.id).wait_size(float("inf"))

        gone = await here.add(server.url("/gone"))
        await here.manager.reader(gone.id).wait_size(float("inf"))
        await here.until(gone, State.FAILED)

        silent = await here.add(server.add("/silent", Resource(CONTENT, hold_at=0)))
        await here.manager.reader(silent.id).wait_size(trio.current_time())
