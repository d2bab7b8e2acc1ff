"""Stops, kills and starts: what is here is not fetched again, and never wrong."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import trio

from engine.ports import Edit
from engine.transfer.live import place_of, read_live
from engine.transfer.quick import SMALL
from engine.types import State
from tests.support.faultserver import Resource, fault_server, respond
from tests.support.nginx import nginx
from tests.support.transfers import QUICK, rig

MIB = 1 << 20
OVERLAP = QUICK.overlap
CONTENT = os.urandom(1_000_000)


@pytest.fixture
async def server():
    async with fault_server() as server:
        yield server


def held(**fields):
    return Resource(CONTENT, hold_at=300_000, piece=10_000, **fields)


async def interrupted(server, tmp_path, resource, path="/x", **settings):
    """An item whose download was stopped in the middle, with the daemon."""
    async with rig(tmp_path, **settings) as here:
        item = await here.add(server.add(path, resource))
        await resource.held.wait()
        await here.here(item, 300_000)
    resource.release.set()
    return item


async def finished(tmp_path, item):
    async with rig(tmp_path) as here:
        return here.content(await here.until(item, State.COMPLETE))


async def test_a_clean_stop_writes_a_checkpoint_and_the_next_start_goes_on(server, tmp_path):
    item = await interrupted(server, tmp_path, held())
    async with rig(tmp_path, run=False) as here:
        assert here.catalogue.download(item.id).ranges == "0-300000"
        assert here.item(item).state is State.DOWNLOADING
        async with here.running():
            assert here.content(await here.until(item, State.COMPLETE)) == CONTENT
        assert here.staged == []
    assert server.ranges("/x") == [None, (300_000 - OVERLAP, None)]


async def test_after_a_power_cut_only_the_durable_map_counts(server, tmp_path):
    """Another boot: the live file is there, and more was written than the catalogue knows, but nobody believes it."""
    item = await interrupted(server, tmp_path, held())
    async with rig(tmp_path, run=False) as here:
        row = here.catalogue.download(item.id)
        await here.catalogue.update_download(replace(row, ranges="0-100000"))
        with open(here.store.staging_path(row.staging + ".live"), "r+b") as live:
            data = live.read().replace(place_of(live.fileno()).boot.encode(), b"x" * 36)
            live.seek(0)
            live.write(data)
        with open(here.store.staging_path(row.staging), "r+b") as staged:
            staged.seek(100_000)
            staged.write(bytes(200_000))  # pages that never reached the disk
    assert await finished(tmp_path, item) == CONTENT
    assert server.ranges("/x") == [None, (100_000 - OVERLAP, None)]


@pytest.mark.parametrize("damage", ["remove", "truncate", "empty-row", "garbage-row", "live-garbage", "longer"])
async def test_what_does_not_add_up_is_fetched_anew(server, tmp_path, damage):
    item = await interrupted(server, tmp_path, held())
    async with rig(tmp_path, run=False) as here:
        row = here.catalogue.download(item.id)
        path = here.store.staging_path(row.staging)
        match damage:
            case "remove":
                os.unlink(path)
            case "truncate":
                os.truncate(path, 1000)
            case "longer":
                os.truncate(path, 5_000_000)
            case "empty-row":
                await here.catalogue.update_download(replace(row, ranges=""))
                os.unlink(path + ".live")
            case "garbage-row":
                await here.catalogue.update_download(replace(row, ranges="9-3,x"))
                os.unlink(path + ".live")
            case "live-garbage":
                os.truncate(path + ".live", 40)
                os.truncate(path, 1000)
    assert await finished(tmp_path, item) == CONTENT
    assert server.ranges("/x")[1] is None


async def test_a_missing_live_file_costs_nothing_after_a_clean_stop(server, tmp_path):
    item = await interrupted(server, tmp_path, held())
    async with rig(tmp_path, run=False) as here:
        os.unlink(here.store.staging_path(here.catalogue.download(item.id).staging + ".live"))
    assert await finished(tmp_path, item) == CONTENT
    assert server.ranges("/x")[1] == (300_000 - OVERLAP, None)


async def test_without_validators_it_begins_again(server, tmp_path):
    item = await interrupted(server, tmp_path, held(etag=None))
    assert await finished(tmp_path, item) == CONTENT
    assert server.ranges("/x") == [None, None]


async def test_a_file_that_changed_while_we_were_away(server, tmp_path):
    resource = held()
    item = await interrupted(server, tmp_path, resource)
    resource.content, resource.etag = os.urandom(400_000), '"v2"'
    assert await finished(tmp_path, item) == resource.content


async def test_paused_and_failed_ones_stay_so(server, tmp_path):
    async with rig(tmp_path) as here:
        paused = await here.add(server.add("/p", Resource(CONTENT)), paused=True)
        failed = await here.until(await here.add(server.url("/missing")))
    async with rig(tmp_path) as here:
        assert here.item(paused).state is State.PAUSED
        assert here.item(failed).state is State.FAILED
        assert here.item(failed).error == failed.error
        await here.manager.resume(paused.id)
        assert here.content(await here.until(paused, State.COMPLETE)) == CONTENT


@pytest.mark.parametrize("jump", [-400 * 86400, 400 * 86400])
async def test_a_clock_that_jumped_does_not_make_anybody_wait(server, tmp_path, jump):
    async with rig(tmp_path) as here:
        item = await here.add(server.add("/x", Resource(CONTENT, statuses=[(404, {})])), paused=True)
        row = here.catalogue.download(item.id)
        await here.catalogue.update_download(replace(row, attempts=3, retry_at_ns=time.time_ns() + jump * 10**9))
        await here.catalogue.edit(item.id, Edit(state=State.QUEUED))
    async with rig(tmp_path) as here:
        assert (await here.until(item)).state is State.FAILED
        assert len(server.requests) == 1


async def test_the_place_where_redirects_led_is_kept(server, tmp_path):
    """A mirror directory that names another mirror each time must not make us begin again."""
    resource = held()
    for n in range(9):
        server.add(f"/mirror{n}", resource if n == 0 else Resource(CONTENT, etag=f'"{n}"'))
    count = 0

    async def directory(request, stream):
        nonlocal count
        await respond(stream, 302, {"Location": f"/mirror{count}"}, b"")
        count += 1

    async with rig(tmp_path) as here:
        item = await here.add(server.add("/x", directory))
        await resource.held.wait()
        await here.here(item, 300_000)
    resource.release.set()
    assert await finished(tmp_path, item) == CONTENT
    assert count == 1
    assert server.ranges("/mirror0")[1] == (300_000 - OVERLAP, None)


async def test_a_cut_is_no_reason_to_leave_that_place(server, tmp_path):
    resource = held()
    count = 0

    async def directory(request, stream):
        nonlocal count
        count += 1
        await respond(stream, 302, {"Location": "/mirror"}, b"")

    server.add("/mirror", resource)
    async with rig(tmp_path) as here:
        item = await here.add(server.add("/x", directory))
        await resource.held.wait()
        await here.here(item, 300_000)
    resource.release.set()
    resource.cut_at = [50_000, 60_000]
    assert await finished(tmp_path, item) == CONTENT
    assert count == 1


async def test_a_login_is_kept_where_the_download_goes_on(server, tmp_path):
    """Also behind a redirect within the same origin."""
    resource = held()

    async def guarded(request, stream):
        if request.headers.get("authorization") != "Basic bWU6cHc=":
            await respond(stream, 401, {}, b"")
        elif request.target == "/x":
            await respond(stream, 302, {"Location": "/y"}, b"")
        else:
            await resource(request, stream)

    server.add("/x", guarded)
    server.add("/y", guarded)
    async with rig(tmp_path) as here:
        item = await here.add(server.url("/x").replace("http://", "http://me:pw@"))
        await resource.held.wait()
        await here.here(item, 300_000)
    resource.release.set()
    assert await finished(tmp_path, item) == CONTENT
    assert [request.target for request in server.requests] == ["/x", "/y", "/y"]


async def test_a_place_that_is_gone_sends_us_back_to_the_door(server, tmp_path):
    resource = held()

    async def door(request, stream):
        await respond(stream, 302, {"Location": "/signed?token=1"}, b"")

    server.add("/signed", resource)
    item = await interrupted(server, tmp_path, resource, path="/signed")
    async with rig(tmp_path, run=False) as here:
        row = here.catalogue.download(item.id)
        options = {"location": server.url("/expired"), "location-public": "no"}
        await here.catalogue.update_download(replace(row, options=options))
    assert await finished(tmp_path, item) == CONTENT
    assert [request.target for request in server.requests] == ["/signed", "/expired", "/signed"]


CHILD = """
import sys, trio
from pathlib import Path
from tests.support.transfers import rig
from engine.types import State

async def main(root, enough, *urls):
    async with rig(Path(root), checkpoint_seconds=0.3, max_active=10, max_per_host=10, split=1) as here:
        items = [await here.add(url) for url in urls] if urls else []
        while True:
            done = [here.manager.progress(item.id) for item in items]
            if items and all(p is None or p.done >= int(enough) for p in done):
                print("enough", flush=True)
                await trio.sleep_forever()
            await trio.sleep(0.005)

trio.run(main, *sys.argv[1:])
"""


def child(*args, **env):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *map(str, args)],
        stdout=subprocess.PIPE,
        env={**os.environ, **env},
        cwd=os.getcwd(),
    )


async def test_killed_in_the_middle_of_ten_downloads(tmp_path):
    """Bytes that were written are not asked for again: nginx's log says from where it was asked each time."""
    served = tmp_path / "served"
    served.mkdir()
    names = [f"file{n}.bin" for n in range(10)]
    for name in names:
        (served / name).write_bytes(os.urandom(6 * MIB))
    state = tmp_path / "state"
    # What is asked for first would take 12 s: the last one has begun long before the first one ends.
    held_back = {"limit_rate": "$rate", "extra": 'map $http_range $rate { "" 512k; default 8m; }'}
    with nginx(tmp_path / "nginx", served, **held_back) as server:
        process = child(state, MIB // 2, *(server.url(name) for name in names))
        assert process.stdout.readline() == b"enough\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        here_by_name = {}
        async with rig(state, run=False, max_active=10, max_per_host=10, split=1) as here:
            for row in await here.catalogue.downloads():
                item = here.item(row.item)
                here_by_name[item.name] = await trio.to_thread.run_sync(written, here.store.staging_path(row.staging))
            partial = [name for name in names if here_by_name.get(name)]
            assert len(partial) >= 3
            async with here.running():
                for row in await here.catalogue.downloads():
                    done = await here.until(here.item(row.item), State.COMPLETE)
                    wanted = hashlib.sha256((served / done.name).read_bytes()).hexdigest()
                    assert done.sha256 == wanted
            assert len(await here.store.stored()) == 10
            assert here.staged == []
    asked = {name: [entry for entry in server.log() if entry.path == f"/{name}"] for name in names}
    for name in partial:
        assert max(entry.start for entry in asked[name]) >= here_by_name[name] - OVERLAP
        assert len(asked[name]) == 2
        again = max(asked[name], key=lambda entry: entry.start)
        assert again.status == 206
        assert again.if_range
        assert again.sent <= 6 * MIB - here_by_name[name] + OVERLAP


def written(staging):
    """How many bytes from the beginning the live file vouches for."""
    fds = [os.open(path, os.O_RDONLY) for path in (staging, staging + ".live")] if os.path.exists(staging) else []
    if not fds:
        return 0
    try:
        live = read_live(fds[1], place_of(fds[0]))
        return live.ranges.prefix if live else 0
    finally:
        for fd in fds:
            os.close(fd)


SMALL_POINTS = ("put.fsynced", "put.renamed", "put.placed")


@pytest.mark.parametrize("where", ["ingest.hashed", "ingest.fsynced", "ingest.renamed", "ingest.placed", *SMALL_POINTS])
async def test_killed_while_it_becomes_a_blob(tmp_path, where):
    content = os.urandom(SMALL if where in SMALL_POINTS else 2 * SMALL)
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "x").write_bytes(content)
    state = tmp_path / "state"
    with nginx(tmp_path / "nginx", tmp_path / "served") as server:
        process = child(state, 1 << 40, server.url("x"), TAGFS_KILL_AT=where)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        async with rig(state) as here:
            [row] = await here.catalogue.downloads() or [None]
            if row is not None:
                await here.until(here.item(row.item), State.COMPLETE)
            [item] = await here.catalogue.items([4096])
            assert here.content(item) == content
            assert here.staged == []
            assert await here.store.stored() == [hashlib.sha256(content).hexdigest()]
    before_the_rename = where in ("ingest.hashed", "ingest.fsynced")
    assert len(server.log()) == (1 if before_the_rename else 2)
