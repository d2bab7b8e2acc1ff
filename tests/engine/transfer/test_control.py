"""Pause, resume, stop, limits, and many items."""

import os

import pytest
import trio

from engine.errors import BadRequest, NoSuchItem
from engine.ports import AddRequest, NewItem
from engine.types import ItemId, State
from tests.support.faultserver import Resource, fault_server
from tests.support.transfers import rig

CONTENT = os.urandom(1_000_000)


@pytest.fixture
async def server():
    async with fault_server() as server:
        yield server


def held(**fields):
    return Resource(CONTENT, hold_at=300_000, piece=10_000, **fields)


async def begun(here, server, resource, path="/x"):
    item = await here.add(server.add(path, resource))
    await resource.held.wait()
    await here.here(item, 300_000)
    return item


async def test_pause_keeps_what_is_here_and_resume_goes_on_there(server, tmp_path):
    resource = held()
    async with rig(tmp_path) as here:
        item = await begun(here, server, resource)
        await here.manager.pause(item.id)
        assert here.item(item).state is State.PAUSED
        progress = here.manager.progress(item.id)
        assert (progress.done, progress.total, progress.connections) == (300_000, 1_000_000, 0)
        assert here.catalogue.download(item.id).ranges == "0-300000"
        resource.release.set()
        await here.manager.resume(item.id)
        assert here.content(await here.until(item, State.COMPLETE)) == CONTENT
    assert server.ranges("/x") == [None, (300_000 - 4096, None)]


async def test_pausing_what_waits_and_what_is_done(server, tmp_path):
    async with rig(tmp_path, run=False) as here:
        item = await here.add(server.add("/x", Resource(CONTENT)))
        await here.manager.pause(item.id)
        assert here.item(item).state is State.PAUSED
        await here.manager.pause(item.id)
        async with here.running():
            await here.manager.resume(item.id)
            await here.manager.resume(item.id)
            await here.until(item, State.COMPLETE)
            await here.manager.pause(item.id)
            await here.manager.resume(item.id)
            assert here.item(item).state is State.COMPLETE


async def test_added_paused(server, tmp_path):
    async with rig(tmp_path) as here:
        item = await here.add(server.add("/x", Resource(CONTENT)), paused=True)
        assert item.state is State.PAUSED
        await here.until(await here.add(server.add("/y", Resource(b"y"))))
        assert server.ranges("/x") == []
        await here.manager.resume(item.id)
        assert here.content(await here.until(item, State.COMPLETE)) == CONTENT


async def test_resume_tries_what_failed_afresh(server, tmp_path):
    resource = Resource(CONTENT, statuses=[(404, {})])
    async with rig(tmp_path) as here:
        item = await here.until(await here.add(server.add("/x", resource)))
        assert item.state is State.FAILED
        await here.manager.resume(item.id)
        done = await here.until(item, State.COMPLETE)
        assert done.error is None


async def test_what_cannot_be_resumed(tmp_path):
    async with rig(tmp_path) as here:
        with pytest.raises(NoSuchItem):
            await here.manager.resume(ItemId(99999))
        item = await here.catalogue.add(NewItem("x", state=State.WRITING))
        with pytest.raises(BadRequest):
            await here.manager.resume(item.id)


async def test_stop_lets_go_and_purge_removes_the_bytes(server, tmp_path):
    resource = held()
    async with rig(tmp_path) as here:
        item = await begun(here, server, resource)
        await here.manager.stop(item.id)
        assert here.manager.reader(item.id) is None
        assert here.manager.progress(item.id) is None
        await here.catalogue.trash(item.id)
        assert here.item(item).state is State.QUEUED
        assert len(here.staged) == 2
        await here.catalogue.purge([item.id])
        assert here.staged == []
        await here.manager.stop(item.id)


async def test_what_comes_back_from_the_trash_goes_on(server, tmp_path):
    resource = held()
    async with rig(tmp_path) as here:
        item = await begun(here, server, resource)
        await here.manager.stop(item.id)
        await here.catalogue.trash(item.id)
        await here.catalogue.restore(item.id)
        resource.release.set()
        await here.manager.resume(item.id)
        assert here.content(await here.until(item, State.COMPLETE)) == CONTENT
    assert server.ranges("/x") == [None, (300_000 - 4096, None)]


async def test_an_item_that_vanishes_ends_its_download(server, tmp_path):
    resource = held()
    async with rig(tmp_path) as here:
        item = await begun(here, server, resource)
        await here.catalogue.discard(item.id)
        resource.release.set()
        other = await here.add(server.add("/y", Resource(CONTENT)))
        assert here.content(await here.until(other)) == CONTENT
        with trio.fail_after(60):
            while here.manager.progress(item.id) is not None:
                await trio.sleep(0.001)


async def test_lost_content_is_fetched_again(server, tmp_path):
    from engine.ports import Edit

    async with rig(tmp_path) as here:
        item = await here.until(await here.add(server.add("/x", Resource(CONTENT)), tags=["t"]))
        os.unlink(here.store.path(item.sha256))
        await here.catalogue.edit(item.id, Edit(state=State.MISSING, error="Its content is missing."))
        await here.manager.resume(item.id)
        assert here.content(await here.until(item, State.COMPLETE)) == CONTENT
        assert here.catalogue.tags(item.id) == ("t",)


async def test_limits_hold_over_all_and_for_each_host(server, tmp_path):
    async with fault_server() as other:
        running = {"127.0.0.1": 0, "localhost": 0}
        most = dict(running, all=0)

        def counted(host, content):
            resource = Resource(content)

            async def handler(request, stream):
                running[host] += 1
                most[host] = max(most[host], running[host])
                most["all"] = max(most["all"], sum(running.values()))
                await trio.sleep(0.01)
                running[host] -= 1
                await resource(request, stream)

            return handler

        async with rig(tmp_path, max_active=3, max_per_host=2) as here:
            items = []
            for n in range(8):
                items.append(await here.add(server.add(f"/{n}", counted("127.0.0.1", b"a%d" % n))))
                other.add(f"/{n}", counted("localhost", b"b%d" % n))
                items.append(await here.add(other.url(f"/{n}", "localhost")))
            for item in items:
                await here.until(item, State.COMPLETE)
    assert most["127.0.0.1"] <= 2
    assert most["localhost"] <= 2
    assert most["all"] <= 3


async def test_many_items_wait_in_little_memory(server, tmp_path):
    """1,000 queued behind one that stands still: no files, no tasks, no descriptors for them."""
    resource = held()
    async with rig(tmp_path, max_active=1) as here:
        first = await begun(here, server, resource)
        descriptors, tasks = len(os.listdir("/proc/self/fd")), trio.lowlevel.current_statistics().tasks_living
        async with trio.open_nursery() as nursery:
            for n in range(1000):
                nursery.start_soon(here.manager.add, AddRequest([server.url(f"/n{n}")]))
        assert len(here.staged) == 2
        assert trio.lowlevel.current_statistics().tasks_living <= tasks + 1
        assert len(os.listdir("/proc/self/fd")) <= descriptors + 2
        for row in await here.catalogue.downloads():
            assert here.manager.progress(row.item) is not None
            reader = here.manager.reader(row.item)
            expected = (300_000, 1_000_000, True) if row.item == first.id else (0, None, False)
            assert (reader.present, reader.size, reader.have(0, 1)) == expected
        assert len(os.listdir("/proc/self/fd")) <= descriptors + 2
        assert here.item(first).state is State.DOWNLOADING


async def test_descriptors_return_to_where_they_were(server, tmp_path):
    async with rig(tmp_path) as here:
        before = len(os.listdir("/proc/self/fd"))
        items = [
            await here.add(server.add(f"/{n}", Resource(CONTENT, etag=None if n % 2 else '"1"'))) for n in range(20)
        ]
        for item in items:
            await here.until(item, State.COMPLETE)
        await here.manager.add(AddRequest([server.url("/missing")]))
        with trio.fail_after(60):
            while len(os.listdir("/proc/self/fd")) > before + 45:  # idle connections, both ends
                await trio.sleep(0.01)
