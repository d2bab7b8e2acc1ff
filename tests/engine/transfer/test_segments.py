"""One file over several connections, from a real nginx that holds back each of them.

The first one, which is asked for without a range, is held back most: alone it would need half a minute, so that others
are worth opening however late a busy machine looks at it.
"""

import os
import signal
import subprocess
import sys

import trio

from engine.transfer import growth
from engine.transfer.live import place_of, read_live
from engine.types import State
from tests.support.faultserver import Resource, fault_server, respond, send_head
from tests.support.nginx import nginx
from tests.support.transfers import rig

MIB = 1 << 20
SIZE = 8 * MIB
CONTENT = os.urandom(SIZE)
SHORT = CONTENT[: 4 * MIB]
IN_FLIGHT = 2 * MIB  # of one connection, at most: what lies in its socket when it is closed
HELD_BACK = {"limit_rate": "$rate", "extra": 'map $http_range $rate { "" 256k; default 1m; }'}


def served(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "x.bin").write_bytes(CONTENT)
    return folder


async def fetched(tmp_path, url, **settings):
    async with rig(tmp_path / "state", **settings) as here:
        item = await here.until(await here.add(url))
        assert here.content(item) == CONTENT
        assert here.staged == []


async def test_where_each_connection_is_held_back_several_share_the_work(tmp_path):
    with nginx(tmp_path / "nginx", served(tmp_path), **HELD_BACK) as server:
        await fetched(tmp_path, server.url("x.bin"), split=4, min_split_size=MIB // 4)
        with trio.fail_after(60):
            # nginx writes a line when it notices that the client has gone, and of the first one that may be last.
            while len(log := server.log()) < 4 or 200 not in {entry.status for entry in log}:
                await trio.sleep(0.01)
    assert len({entry.connection for entry in log}) >= 4
    assert sorted({entry.status for entry in log}) == [200, 206]
    assert all(entry.if_range for entry in log if entry.status == 206)
    assert sum(entry.sent for entry in log) <= SIZE + IN_FLIGHT


async def test_where_one_is_as_quick_as_it_gets_there_is_one(tmp_path, monkeypatch):
    monkeypatch.setattr(growth, "WORTH", 60.0)  # a busy machine may need some seconds
    with nginx(tmp_path / "nginx", served(tmp_path)) as server:
        await fetched(tmp_path, server.url("x.bin"), split=16)
        assert [entry.status for entry in server.log()] == [200]


async def test_a_server_that_takes_two_is_asked_for_a_third_only_so_often(tmp_path):
    folder = served(tmp_path)
    zone = " limit_conn_zone $server_port zone=one:1m; limit_conn one 2;"
    with nginx(tmp_path / "nginx", folder, **HELD_BACK | {"extra": HELD_BACK["extra"] + zone}) as server:
        await fetched(tmp_path, server.url("x.bin"), split=8, min_split_size=MIB // 4)
    statuses = [entry.status for entry in server.log()]
    assert 206 in statuses
    assert 1 <= statuses.count(503) <= 8


async def test_a_host_gets_no_more_than_it_may(tmp_path):
    """Two downloads of one host, each of which would like to have eight."""
    folder = served(tmp_path)
    (folder / "x.bin").write_bytes(SHORT)
    (folder / "y.bin").write_bytes(SHORT[::-1])
    with nginx(tmp_path / "nginx", folder, limit_rate="512k") as server:
        async with rig(tmp_path / "state", split=8, max_connections_per_host=4, min_split_size=MIB // 4) as here:
            items = [await here.add(server.url(name)) for name in ("x.bin", "y.bin")]
            most = 0
            while any(progress := [here.manager.progress(item.id) for item in items]):
                most = max(most, sum(one.connections for one in progress if one is not None))
                await trio.sleep(0.01)
            for item in items:
                await here.until(item, State.COMPLETE)
    assert 3 <= most <= 4


async def test_a_reader_goes_first(tmp_path):
    with nginx(tmp_path / "nginx", served(tmp_path), limit_rate="1m") as server:
        async with rig(tmp_path / "state", split=4, window=MIB) as here:
            item = await here.add(server.url("x.bin"))
            await here.here(item, 2 * MIB)
            at = SIZE - SIZE // 16
            assert await here.read(item, at, 1000) == CONTENT[at : at + 1000]
            assert here.manager.reader(item.id).present < SIZE - 2 * MIB
            assert here.content(await here.until(item)) == CONTENT


def slowly(resource, server):
    """Like `resource`, but the first request is served slowly, and more so until there is another one: other
    connections are worth having, however late it is looked at."""
    wait = trio.Event()

    async def handler(request, stream):
        if request.range is not None:
            await resource(request, stream)
            return
        headers = {"Content-Length": str(len(SHORT)), "ETag": '"v1"', "Accept-Ranges": "bytes"}
        await send_head(stream, 200, headers)
        position = 0
        while position < len(SHORT):
            is_alone = all(asked is None for asked in server.ranges("/x"))
            upto = position + (1 << 10 if is_alone and position >= MIB // 4 else 1 << 14)
            await stream.send_all(SHORT[position:upto])
            position = upto
            with trio.move_on_after(0.01):
                await wait.wait()

    return server.add("/x", handler)


async def test_segments_that_are_cut_are_taken_up_again(tmp_path):
    """The server cuts each ranged answer after 1 MiB."""
    async with fault_server() as server:
        resource = Resource(SHORT, cut_at=[MIB] * 100)
        async with rig(tmp_path, split=3, min_split_size=MIB // 4, retries=100) as here:
            item = await here.add(slowly(resource, server))
            assert here.content(await here.until(item)) == SHORT
    asked = server.ranges("/x")
    assert asked.count(None) == 1
    assert 4 <= len(asked) < 40


async def test_a_segment_of_another_version_begins_it_anew(tmp_path):
    async with fault_server() as server:
        changed = Resource(SHORT[::-1], etag='"v2"')

        async def change(request, stream):
            server.add("/x", changed)
            await changed(request, stream)

        async with rig(tmp_path, split=3) as here:
            item = await here.add(slowly(change, server))
            assert here.content(await here.until(item)) == changed.content
    assert len(server.requests) <= 5


async def test_without_ranges_there_is_one(tmp_path):
    """It says that it has ranges, and has none: the one that was there goes on."""
    async with fault_server() as server:
        async with rig(tmp_path, split=3) as here:
            item = await here.add(slowly(Resource(SHORT, ranges=False), server))
            assert here.content(await here.until(item)) == SHORT
    assert len([asked for asked in server.ranges("/x") if asked is not None]) <= 2


async def test_refused_ones_cost_nothing_but_themselves(tmp_path):
    async with fault_server() as server:

        async def refuse(request, stream):
            await respond(stream, 503, {"Retry-After": "3600"}, b"")

        async with rig(tmp_path, split=3) as here:
            item = await here.add(slowly(refuse, server))
            assert here.content(await here.until(item)) == SHORT
    assert server.ranges("/x").count(None) == 1
    assert 2 <= len(server.requests) <= 3


CHILD = """
import sys, trio
from pathlib import Path
from tests.support.transfers import rig

async def main(root, url):
    async with rig(Path(root), split=4) as here:
        item = await here.add(url)
        job = here.manager._roster.jobs[item.id]
        while job.arrival.file is None or job.arrival.file.ranges.total < 3 << 20 or len(job.arrival.file.ranges) < 4:
            await trio.sleep(0.005)
        print("enough", flush=True)
        await trio.sleep_forever()

trio.run(main, *sys.argv[1:])
"""


async def test_killed_in_the_middle_of_four_segments(tmp_path):
    """What was written is not asked for again, says nginx's log."""
    with nginx(tmp_path / "nginx", served(tmp_path), **HELD_BACK) as server:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path / "state"), server.url("x.bin")], stdout=subprocess.PIPE
        )
        assert child.stdout.readline() == b"enough\n"
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        async with rig(tmp_path / "state", run=False, split=4, skip=MIB // 16) as here:
            [row] = await here.catalogue.downloads()
            path = here.store.staging_path(row.staging)
            fds = [os.open(name, os.O_RDONLY) for name in (path, path + ".live")]
            live = read_live(fds[1], place_of(fds[0]))
            for fd in fds:
                os.close(fd)
            assert live.ranges.total >= 3 * MIB
            assert len(live.ranges) >= 4
            while len(before := server.log()) < 4:  # nginx writes a line when it notices that the client has gone
                await trio.sleep(0.01)
            async with here.running():
                assert here.content(await here.until(here.item(row.item), State.COMPLETE)) == CONTENT
        again = server.log()[len(before) :]
    assert sum(entry.sent for entry in again) <= SIZE - live.ranges.total + IN_FLIGHT
