"""Several places of one file at once: shared work, slow ones left, other files kept out."""

import hashlib
import os

import pytest
import trio

from engine.transfer.mirrors import SLOW_LOOKS, Mirror, choose, leave_slow, sample_of
from engine.transfer.ranges import RangeMap
from engine.types import State
from tests.support.faultserver import Resource, fault_server, send_head
from tests.support.nginx import nginx
from tests.support.transfers import rig

MIB = 1 << 20
SIZE = 6 * MIB
CONTENT = os.urandom(SIZE)


def places(*names, **fields):
    return [Mirror(f"http://{name}/x", is_proven=True, **fields) for name in names]


def plenty(_):
    return 8


def test_the_one_with_the_fewest_connections_is_next():
    a, b = places("a", "b")
    assert choose([a, b], plenty, is_first=True) is a
    a.connections = 1
    assert choose([a, b], plenty, is_first=False) is b
    b.left = "gone"
    assert choose([a, b], plenty, is_first=False) is a
    a.limit = 1
    assert choose([a, b], plenty, is_first=False) is None


def test_without_room_only_a_first_one_is_opened():
    mirrors = places("a")
    assert choose(mirrors, lambda _: 0, is_first=False) is None
    assert choose(mirrors, lambda _: 0, is_first=True) is mirrors[0]


def test_an_unproven_one_needs_something_to_prove_it():
    mirrors = [Mirror("http://a/x")]
    assert choose(mirrors, plenty, is_first=True) is None
    assert choose(mirrors, plenty, is_first=True, can_prove=True) is mirrors[0]


def test_the_sample_is_the_end_of_the_longest_stretch():
    assert sample_of(RangeMap()) is None
    assert sample_of(RangeMap.parse("0-4095")) is None
    assert sample_of(RangeMap.parse("0-4096")) == (0, 4096)
    assert sample_of(RangeMap.parse("0-5000,1000000-2000000")) == (2000000 - 65536, 2000000)


def test_one_that_is_slow_all_the_time_is_left():
    a, b = places("a", "b")
    for _ in range(SLOW_LOOKS - 1):
        assert leave_slow([a, b], {a: 100.0, b: 10.0}) == []
    assert leave_slow([a, b], {a: 100.0, b: 90.0}) == []
    for _ in range(SLOW_LOOKS - 1):
        assert leave_slow([a, b], {a: 100.0, b: 10.0}) == []
    assert leave_slow([a, b], {a: 100.0, b: 10.0}) == [b]
    assert "slower" in b.left


def test_what_a_place_brought_last_counts_while_it_has_nothing_to_do():
    a, b = places("a", "b")
    b.rate = 100.0
    assert [leave_slow([a, b], {a: 10.0}) for _ in range(SLOW_LOOKS)][-1] == [a]
    b.rate, b.left = 1e6, "gone"
    a, _ = places("a", "b")
    assert not any(leave_slow([a, b], {a: 10.0}) for _ in range(SLOW_LOOKS))


@pytest.fixture
async def server():
    async with fault_server() as server:
        yield server


def drip(content=CONTENT, etag='"v1"', pace=1 << 15, further=(), company=lambda: True):
    """Answers ranges, each at some MiB a second; until there is `company` after its first bytes at some KiB, so that
    others are asked however late a busy machine looks at it."""
    never = trio.Event()

    async def handler(request, stream):
        start, end = request.range or (0, None)
        end = len(content) if end is None else end
        headers = {"Content-Length": str(end - start), "ETag": etag, "Accept-Ranges": "bytes", **dict(further)}
        if request.range:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        await send_head(stream, 206 if request.range else 200, headers)
        position = start
        while position < end:
            upto = min(position + (pace if company() or position < MIB // 4 else 1 << 10), end)
            await stream.send_all(content[position:upto])
            position = upto
            with trio.move_on_after(0.01):
                await never.wait()

    return handler


def asked(server, path, times=1):
    return lambda: len(server.ranges(path)) >= times


async def test_all_places_share_the_work(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "x.bin").write_bytes(CONTENT)
    with (
        nginx(tmp_path / "n1", folder, limit_rate="1m") as one,
        nginx(tmp_path / "n2", folder, limit_rate="1m", extra="etag off;") as two,
    ):
        os.utime(folder / "x.bin", (10**9, 10**9))
        async with rig(tmp_path / "state", split=4) as here:
            item = await here.add(one.url("x.bin"), two.url("x.bin"))
            assert here.content(await here.until(item)) == CONTENT
        logs = [one.log(), two.log()]
    assert all(sum(entry.sent for entry in log) > MIB for log in logs)
    assert all(entry.status in (200, 206) for log in logs for entry in log)


async def test_another_etag_at_another_place_is_no_other_file(server, tmp_path):
    async with rig(tmp_path, split=2) as here:
        urls = [server.add("/a", drip(company=asked(server, "/b", 2))), server.add("/b", drip(etag='"else"'))]
        item = await here.add(*urls)
        assert here.content(await here.until(item)) == CONTENT
    conditions = [request.headers.get("if-range") for request in server.requests if request.target == "/b"]
    assert set(conditions[1:]) == {'"else"'}
    assert server.ranges("/a").count(None) == 1


@pytest.mark.parametrize(
    "other", [os.urandom(SIZE), CONTENT[:-1], CONTENT + b"x"], ids=["bytes", "shorter", "longer"]
)  # fmt: skip
async def test_another_file_is_kept_out(server, tmp_path, other):
    async with rig(tmp_path, split=3) as here:
        company = asked(server, "/b")
        item = await here.add(server.add("/a", drip(company=company)), server.add("/b", Resource(other)))
        assert here.content(await here.until(item)) == CONTENT
    assert len(server.ranges("/b")) == 1
    assert server.ranges("/a").count(None) == 1


async def test_a_place_without_ranges_or_the_file_is_left(server, tmp_path):
    async with rig(tmp_path, split=3) as here:
        asked_b, asked_missing = asked(server, "/b"), asked(server, "/missing")
        item = await here.add(
            server.add("/a", drip(company=lambda: asked_b() and asked_missing())),
            server.add("/b", Resource(CONTENT, ranges=False)),
            server.url("/missing"),
        )
        assert here.content(await here.until(item)) == CONTENT
    assert len(server.ranges("/b")) == 1
    assert len(server.ranges("/missing")) == 1


async def test_a_slow_first_place_is_left_for_a_quick_one(server, tmp_path):
    async with rig(tmp_path, split=2) as here:
        item = await here.add(server.add("/a", drip(pace=1 << 11)), server.add("/b", drip(pace=1 << 16)))
        assert here.content(await here.until(item)) == CONTENT
    last = [request.target for request in server.requests][-1]
    assert last == "/b"


async def test_when_the_home_is_gone_another_place_goes_on(server, tmp_path):
    """After a restart, too: what is here is compared, and not fetched again."""
    resource = Resource(CONTENT, hold_at=MIB)
    other = Resource(CONTENT, etag='"else"', hold_at=3 * MIB, hold_ranges=True)
    urls = [server.add("/a", resource), server.add("/b", other)]
    async with rig(tmp_path) as here:
        item = await here.add(*urls)
        await resource.held.wait()
        await here.here(item, MIB)
    resource.statuses = [(404, {})] * 10
    async with rig(tmp_path) as here:
        await other.held.wait()
        await here.here(item, 3 * MIB)
    other.release.set()
    async with rig(tmp_path) as here:
        assert here.content(await here.until(item, State.COMPLETE)) == CONTENT
    assert None not in server.ranges("/b")
    assert [asked[0] for asked in server.ranges("/b")] == [MIB - 65536, MIB - 4096, 3 * MIB - 4096]


def link(*urls):
    return {"Link": ", ".join(f"<{url}>; rel=duplicate; pri={n + 1}" for n, url in enumerate(urls))}


SHA512 = {"sha512": hashlib.sha512(CONTENT).hexdigest()}


async def test_places_that_the_server_names_help_where_a_digest_tells(server, tmp_path):
    other = server.add("/b", drip(etag='"else"'))
    server.add("/a", drip(further=link(other), company=asked(server, "/b")))
    async with rig(tmp_path, split=4) as here:
        item = await here.add(server.url("/a"), digests=SHA512, options={"header.X-Secret": "1"})
        assert here.content(await here.until(item)) == CONTENT
    requests = [request for request in server.requests if request.target == "/b"]
    assert requests
    assert all("x-secret" not in request.headers for request in requests)


async def test_without_a_digest_they_are_not_asked(server, tmp_path):
    other = server.add("/b", drip())
    async with rig(tmp_path, split=4) as here:
        item = await here.add(server.add("/a", drip(further=link(other))))
        assert here.content(await here.until(item)) == CONTENT
    assert server.ranges("/b") == []


async def test_a_place_that_the_server_names_and_that_lies_costs_a_second_try(server, tmp_path):
    """It has what was compared, and other bytes elsewhere."""
    mostly = bytearray(CONTENT)
    mostly[MIB // 2 :] = os.urandom(len(mostly) - MIB // 2)
    other = server.add("/b", drip(bytes(mostly), etag='"else"'))
    async with rig(tmp_path, split=2, min_split_size=MIB) as here:
        first = drip(further=link(other), company=asked(server, "/b", 2))
        item = await here.add(server.add("/a", first), digests=SHA512)
        assert here.content(await here.until(item)) == CONTENT
        assert here.catalogue.download(item.id) is None
    assert server.ranges("/b")
    assert server.ranges("/a").count(None) == 2


async def test_a_place_that_changes_its_file_midway_spoils_nothing(server, tmp_path):
    """Its bytes cannot be told from the others: begun anew, without it."""
    first = drip(etag='"else"')

    async def changing(request, stream):
        again = [r for r in server.requests if r.target == "/b"]
        await (first if len(again) <= 2 else Resource(CONTENT[::-1], etag='"v9"'))(request, stream)

    async with rig(tmp_path, split=4, min_split_size=MIB // 8) as here:
        item = await here.add(server.add("/a", drip()), server.add("/b", changing))
        assert here.content(await here.until(item)) == CONTENT


@pytest.mark.parametrize("size", [1000, SIZE])
async def test_a_place_with_a_file_of_another_size_than_promised_is_left(server, tmp_path, size):
    """Both the short way and the ordinary one."""
    good, other = CONTENT[:size], CONTENT[: size - 1]
    async with rig(tmp_path) as here:
        item = await here.add(server.add("/a", Resource(other)), server.add("/b", Resource(good)), size=size)
        assert here.content(await here.until(item)) == good
        assert len(server.ranges("/a")) == 1
        lost = await here.until(await here.add(server.add("/c", Resource(other)), size=size))
        assert (lost.state, lost.error) == (
            State.FAILED, f"127.0.0.1 has a file of {size - 1} bytes, but {size} were promised.",
        )  # fmt: skip


async def test_a_size_that_the_server_does_not_tell_is_held_to_at_the_end(server, tmp_path):
    async with rig(tmp_path) as here:
        item = await here.until(await here.add(server.add("/a", Resource(CONTENT, chunked=True)), size=SIZE + 1))
        assert (item.state, item.error) == (State.FAILED, f"The file has {SIZE} bytes, but {SIZE + 1} were promised.")
        item = await here.until(await here.add(server.add("/a", Resource(CONTENT, chunked=True)), size=SIZE))
        assert here.content(item) == CONTENT
