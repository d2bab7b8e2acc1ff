"""The short way for small files, and how it gives way to the ordinary one."""

import errno
import hashlib
import os

import pytest
import trio

from engine.transfer.landing import ROOM, Landing
from engine.transfer.quick import SMALL
from engine.types import State
from tests.support.faultserver import Resource, fault_server
from tests.support.transfers import rig

CONTENT = os.urandom(200_000)


@pytest.fixture
async def server():
    async with fault_server() as server:
        yield server


@pytest.fixture
def staging(monkeypatch):
    """Names of staging files that were opened for arriving ones."""
    import engine.transfer.roster as roster

    opened = []
    original = roster.open_staged

    def spy(blobs, name, *args, **settings):
        opened.append(name)
        return original(blobs, name, *args, **settings)

    monkeypatch.setattr(roster, "open_staged", spy)
    return opened


@pytest.mark.parametrize("size", [0, 1, SMALL])
async def test_a_small_file_needs_no_staging_file_and_one_write(server, tmp_path, staging, size):
    content = os.urandom(size)
    headers = {"Content-Disposition": 'attachment; filename="better"', "Last-Modified": "Thu, 01 Jan 2015 00:00:00 GMT"}
    states = []
    async with rig(tmp_path) as here:
        item = await here.add(server.add("/x", Resource(content, headers=headers)), tags=["t"])
        here.apply, apply = (lambda changes, tags: (states.extend(changes), apply(changes, tags))), here.apply
        done = await here.until(item)
        assert here.content(item) == content
        assert (done.name, done.size, done.mtime_ns) == ("better", size, 1420070400 * 10**9)
        assert here.catalogue.tags(item.id) == ("t",)
        assert await here.catalogue.downloads() == []
    assert [change.after.state for change in states] == [State.COMPLETE]
    assert staging == []


async def test_one_byte_more_takes_the_ordinary_way(server, tmp_path, staging):
    content = os.urandom(SMALL + 1)
    async with rig(tmp_path) as here:
        item = await here.add(server.add("/x", Resource(content)))
        await here.until(item)
        assert here.content(item) == content
    assert len(staging) == 1
    assert len(server.requests) == 1


async def test_promised_digests_are_compared(server, tmp_path):
    good = {"sha512": hashlib.sha512(CONTENT).hexdigest(), "md5": hashlib.md5(CONTENT).hexdigest()}
    async with rig(tmp_path) as here:
        url = server.add("/x", Resource(CONTENT))
        item = await here.until(await here.add(url, digests=good))
        assert item.state is State.COMPLETE
        assert here.catalogue.blob_by_digest("sha512", good["sha512"]).sha256 == item.sha256
        other = await here.until(await here.add(server.add("/y", Resource(CONTENT)), digests={"md5": "0" * 32}))
        assert other.state is State.FAILED
        assert "md5" in other.error


async def test_many_at_once_all_arrive_also_equal_ones(server, tmp_path):
    contents = [os.urandom(5000) for _ in range(60)] + [b"same"] * 10
    async with rig(tmp_path) as here:
        items = [await here.add(server.add(f"/{n}", Resource(content))) for n, content in enumerate(contents)]
        for item, content in zip(items, contents, strict=True):
            await here.until(item)
            assert here.content(item) == content
        assert len(await here.store.stored()) == 61
        assert here.staged == []
    assert len(server.requests) == len(contents)


async def test_a_stalled_body_shows_what_is_here_and_serves_it(server, tmp_path):
    resource = Resource(CONTENT, hold_at=100_000)
    async with rig(tmp_path) as here:
        item = await here.add(server.add("/x", resource))
        await resource.held.wait()
        await here.here(item, 100_000)
        assert await here.read(item, 50_000, 1000) == CONTENT[50_000:51_000]
        assert here.manager.progress(item.id).done == 100_000
        await here.until(item, State.DOWNLOADING)
        resource.release.set()
        await here.until(item)
        assert here.content(item) == CONTENT
    assert len(server.requests) == 1


async def test_a_server_that_thinks_for_long_is_shown_as_downloading(server, tmp_path):
    asked, answer = trio.Event(), trio.Event()

    async def handler(request, stream):
        asked.set()
        await answer.wait()
        await Resource(CONTENT)(request, stream)

    async with rig(tmp_path) as here:
        item = await here.add(server.add("/x", handler))
        await asked.wait()
        await here.until(item, State.DOWNLOADING)
        answer.set()
        assert (await here.until(item)).state is State.COMPLETE


async def test_a_cut_body_is_gone_on_with(server, tmp_path):
    async with rig(tmp_path) as here:
        item = await here.add(server.add("/x", Resource(CONTENT, cut_at=[100_000])))
        await here.until(item)
        assert here.content(item) == CONTENT
    assert server.ranges("/x") == [None, (100_000 - 4096, None)]


async def test_whoever_reads_while_it_lands_gets_the_bytes(server, tmp_path, monkeypatch):
    """The bytes are in memory alone then, and later in the blob alone."""
    async with rig(tmp_path) as here:
        put, started, go_on = here.store.put_many, trio.Event(), trio.Event()

        async def slow(contents):
            started.set()
            await go_on.wait()
            return await put(contents)

        monkeypatch.setattr(here.store, "put_many", slow)
        item = await here.add(server.add("/x", Resource(CONTENT)))
        reader = here.manager.reader(item.id)
        await started.wait()
        found = []

        async def read():
            found.append(await reader.pread(1000, 10, trio.current_time() + 120))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await here.waiting(item)
            go_on.set()
        assert found == [CONTENT[1000:1010]]


async def test_pause_and_removal_while_it_lands(server, tmp_path, monkeypatch):
    async with rig(tmp_path) as here:
        put, started, go_on = here.store.put_many, trio.Event(), trio.Event()

        async def slow(contents):
            started.set()
            await go_on.wait()
            return await put(contents)

        monkeypatch.setattr(here.store, "put_many", slow)
        paused = await here.add(server.add("/x", Resource(CONTENT)))
        await started.wait()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.manager.pause, paused.id)
            await trio.testing.wait_all_tasks_blocked()
            go_on.set()
        assert here.content(paused) == CONTENT  # it was about to be complete, and is
        started, go_on = trio.Event(), trio.Event()
        gone = await here.add(server.add("/y", Resource(CONTENT[1:])))
        await started.wait()
        await here.catalogue.trash(gone.id)
        await here.catalogue.purge([gone.id])
        go_on.set()
        with trio.fail_after(60):
            while gone.id in here.manager._roster.jobs:
                await trio.sleep(0.001)
        assert here.catalogue.item(gone.id) is None


@pytest.mark.parametrize(("number", "state"), [(errno.EIO, State.COMPLETE), (errno.ENOSPC, State.PAUSED)])
async def test_a_disk_that_fails_once(server, tmp_path, monkeypatch, number, state):
    import engine.blobs.store as module

    write, failures = module.write_new, [1]

    def failing(path, data):
        if failures and failures.pop():
            raise OSError(number, os.strerror(number), path)
        return write(path, data)

    monkeypatch.setattr(module, "write_new", failing)
    async with rig(tmp_path, space_check=3600.0) as here:
        item = await here.until(await here.add(server.add("/x", Resource(CONTENT))))
        assert item.state is state
        assert here.staged == []


async def test_what_may_wait_to_land_is_bounded():
    class Never:
        def hold(self, sha256):
            pass

        release = hold

        async def put_many(self, contents):
            await trio.sleep_forever()

    landing = Landing(None, Never())
    async with trio.open_nursery() as nursery:
        for _ in range(ROOM // SMALL):
            assert landing.has_room
            nursery.start_soon(landing.land, None, bytes(SMALL))
            await trio.testing.wait_all_tasks_blocked()
        assert not landing.has_room
        nursery.cancel_scope.cancel()
    assert landing.has_room
