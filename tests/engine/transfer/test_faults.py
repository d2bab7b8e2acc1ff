"""What servers do wrong, one test a row: never a wrong file, and a sentence where there is none."""

import errno
import hashlib
import os

import pytest
import trio

from engine.catalogue import SqliteCatalogue
from engine.errors import StoreFull
from engine.types import State
from tests.support.faultserver import CloseConnection, Resource, fault_server, respond, send_head
from tests.support.transfers import rig

CONTENT = os.urandom(300_000)
OLD_DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.fixture
async def server():
    async with fault_server() as server:
        yield server


async def fetched(server, tmp_path, resource, **settings):
    """The item at its end, its content if complete, and the ranges asked for."""
    async with rig(tmp_path, **settings) as here:
        item = await here.until(await here.add(server.add("/file.bin", resource)))
        content = here.content(item) if item.state is State.COMPLETE else None
        if item.state is State.COMPLETE:
            assert here.staged == []
        return item, content, server.ranges("/file.bin")


@pytest.mark.parametrize("validator", [{}, {"etag": None, "last_modified": OLD_DATE}])
@pytest.mark.parametrize("framing", [{}, {"chunked": True}])
async def test_n1_cut_bodies_are_resumed(server, tmp_path, validator, framing):
    resource = Resource(CONTENT, cut_at=[100_000, 50_000, 10], **validator, **framing)
    _, content, ranges = await fetched(server, tmp_path, resource)
    assert content == CONTENT
    starts = [start for start, _ in ranges[1:]]
    assert starts == [100_000 - 4096, 145_904 - 4096, 145_904 - 4096][: len(starts)]
    assert len(ranges) == 4
    assert all(request.headers["if-range"] for request in server.requests[1:])


async def test_n1_a_reset_is_resumed_too(server, tmp_path):
    import socket
    import struct

    resource = Resource(CONTENT)

    async def handler(request, stream):
        if not request.range:
            await send_head(
                stream, 200, {"Content-Length": str(len(CONTENT)), "ETag": '"v1"', "Accept-Ranges": "bytes"}
            )
            await stream.send_all(CONTENT[:100_000])
            while here_has() < 100_000:
                await trio.sleep(0.001)
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise CloseConnection
        await resource(request, stream)

    async with rig(tmp_path) as here:
        item = await here.add(server.add("/x", handler))

        def here_has():
            progress = here.manager.progress(item.id)
            return progress.done if progress else 1 << 40

        assert here.content(await here.until(item)) == CONTENT
    assert server.ranges("/x")[1:] == [(100_000 - 4096, None)]


async def test_n2_a_length_that_is_too_short_is_caught_by_a_digest(server, tmp_path):
    resource = Resource(CONTENT, said_length=len(CONTENT) - 100)
    async with rig(tmp_path) as here:
        url = server.add("/x", resource)
        blind = await here.add(url)
        assert here.content(await here.until(blind)) == CONTENT[:-100]
        warned = await here.add(url, digests={"sha256": hashlib.sha256(CONTENT).hexdigest()})
        assert (await here.until(warned)).state is State.FAILED


async def test_n3_without_length_a_cut_looks_like_the_end_and_is_noted(server, tmp_path):
    async with rig(tmp_path) as here:
        item = await here.add(server.add("/x", Resource(CONTENT, close=True, cut_at=[100_000])))
        assert here.content(await here.until(item)) == CONTENT[:100_000]
        assert here.catalogue.xattrs(item.id)["user.tagfs.unverified"] == b"length"


@pytest.mark.parametrize("etag", ['"v1"', None])
async def test_n4_ignored_ranges_begin_at_zero_and_are_never_appended(server, tmp_path, etag):
    resource = Resource(CONTENT, ranges=False, cut_at=[100_000], etag=etag, last_modified=OLD_DATE)
    _, content, ranges = await fetched(server, tmp_path, resource)
    assert content == CONTENT
    assert ranges[1] is not None


async def test_n4_what_is_here_already_is_read_over_however_long_it_is(server, tmp_path):
    resource = Resource(CONTENT, ranges=False, cut_at=[200_000])
    _, content, ranges = await fetched(server, tmp_path, resource, skip=10_000)
    assert content == CONTENT
    assert len(ranges) == 2


@pytest.mark.parametrize("lie", [{"said_start": 0}, {"said_start": 95_903}])
async def test_n5_a_range_that_is_not_what_was_asked_for_is_not_used(server, tmp_path, lie):
    _, content, ranges = await fetched(server, tmp_path, Resource(CONTENT, cut_at=[100_000], **lie))
    assert content == CONTENT
    assert ranges[-1] is None


async def test_n5_a_part_without_content_range(server, tmp_path):
    async def handler(request, stream):
        if request.range:
            body = CONTENT[request.range[0] :]
            await respond(stream, 206, {"ETag": '"v1"'}, body)
        else:
            await Resource(CONTENT, cut_at=[100_000] if len(server.requests) == 1 else [])(request, stream)

    _, content, _ = await fetched(server, tmp_path, handler)
    assert content == CONTENT


async def test_n6_a_range_that_lies_about_its_bytes_is_caught_where_it_overlaps(server, tmp_path):
    resource = Resource(CONTENT, cut_at=[100_000])

    async def handler(request, stream):
        resource.shift = -7 if request.range else 0
        await resource(request, stream)

    _, content, ranges = await fetched(server, tmp_path, handler)
    assert content == CONTENT
    assert ranges == [None, (100_000 - 4096, None), None]


async def test_n7_several_parts_for_one_range_are_refused(server, tmp_path):
    async def handler(request, stream):
        if request.range:
            body = b"--b\r\nContent-Range: bytes 100000-299999/300000\r\n\r\n" + CONTENT[100_000:] + b"\r\n--b--"
            await respond(stream, 206, {"Content-Type": "multipart/byteranges; boundary=b", "ETag": '"v1"'}, body)
        else:
            await Resource(CONTENT, cut_at=[100_000] if len(server.requests) == 1 else [])(request, stream)

    _, content, _ = await fetched(server, tmp_path, handler)
    assert content == CONTENT


@pytest.mark.parametrize("if_range", [True, False])
@pytest.mark.parametrize("size", [300_000, 299_999, 50_000, 900_000])
async def test_n8_two_versions_are_never_mixed(server, tmp_path, if_range, size):
    """The file changes while it is fetched; also where the server ignores If-Range and sends a part of the new one."""
    second = os.urandom(size)
    resource = Resource(CONTENT, cut_at=[100_000], if_range=if_range)

    async def handler(request, stream):
        if len(server.requests) > 1:
            resource.content, resource.etag = second, '"v2"'
        await resource(request, stream)

    _, content, _ = await fetched(server, tmp_path, handler)
    assert content == second


async def test_n8_a_change_without_validators(server, tmp_path):
    second = os.urandom(200_000)
    resource = Resource(CONTENT, cut_at=[100_000], etag=None)

    async def handler(request, stream):
        if len(server.requests) > 1:
            resource.content = second
        await resource(request, stream)

    _, content, ranges = await fetched(server, tmp_path, handler)
    assert content == second
    assert ranges == [None, None]


async def test_n8_a_file_that_keeps_changing_fails_in_the_end(server, tmp_path):
    async def handler(request, stream):
        count = len(server.requests)
        await Resource(os.urandom(100_000), etag=f'"{count}"', cut_at=[50_000], if_range=False)(request, stream)

    item, _, _ = await fetched(server, tmp_path, handler, retries=3)
    assert item.state is State.FAILED


async def test_n9_a_compressed_range_is_refused(server, tmp_path):
    async def handler(request, stream):
        headers = {"Content-Encoding": "gzip"} if request.range else {}
        cut = [100_000] if len(server.requests) == 1 else []
        await Resource(CONTENT, cut_at=cut, headers=headers)(request, stream)

    _, content, _ = await fetched(server, tmp_path, handler)
    assert content == CONTENT


async def test_n11_redirect_loops_end(server, tmp_path):
    async def handler(request, stream):
        await respond(stream, 302, {"Location": "/file.bin"}, b"")

    item, _, _ = await fetched(server, tmp_path, handler)
    assert item.state is State.FAILED
    assert "redirects more than 10 times" in item.error


async def test_n11_redirects_to_files_fail_at_once(server, tmp_path):
    async def handler(request, stream):
        await respond(stream, 302, {"Location": "file:///etc/passwd"}, b"")

    item, _, ranges = await fetched(server, tmp_path, handler)
    assert item.state is State.FAILED
    assert len(ranges) == 1


async def test_n14_a_server_that_drips_is_left_and_asked_again(server, tmp_path):
    async def handler(request, stream):
        if len(server.requests) == 1:
            await send_head(
                stream, 200, {"Content-Length": str(len(CONTENT)), "ETag": '"v1"', "Accept-Ranges": "bytes"}
            )
            for byte in CONTENT:
                await stream.send_all(bytes([byte]))
                await trio.sleep(0.005)
        await Resource(CONTENT)(request, stream)

    _, content, ranges = await fetched(server, tmp_path, handler, min_rate=10_000, rate_window=0.2)
    assert content == CONTENT
    assert len(ranges) == 2


async def test_n15_a_server_that_hangs_is_asked_again(server, tmp_path):
    async def handler(request, stream):
        if len(server.requests) == 1:
            await trio.sleep_forever()
        await Resource(CONTENT)(request, stream)

    _, content, _ = await fetched(server, tmp_path, handler, http={"connect_timeout": 0.1, "header_timeout": 0.1})
    assert content == CONTENT


async def test_n17_what_is_no_http_is_tried_twice(server, tmp_path):
    async def handler(request, stream):
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello")
        raise CloseConnection

    item, _, ranges = await fetched(server, tmp_path, handler)
    assert item.state is State.FAILED
    assert "does not speak HTTP properly" in item.error
    assert len(ranges) == 2


@pytest.mark.parametrize("status", [429, 503])
async def test_n18_a_busy_server_is_left_alone_for_as_long_as_it_asks(server, tmp_path, status):
    resource, times = Resource(CONTENT, statuses=[(status, {"Retry-After": "1"})]), []

    async def timed(request, stream):
        times.append(trio.current_time())
        await resource(request, stream)

    server.add("/y", timed)
    async with rig(tmp_path) as here:
        item = await here.add(server.add("/x", timed))
        waiting = await here.when(item, lambda found: found.error is not None)
        assert waiting.state is State.QUEUED
        assert "asks to wait 1 s" in waiting.error
        row = here.catalogue.download(item.id)
        assert row.attempts == 1
        assert row.retry_at_ns - waiting.added_ns > 0.9e9
        assert here.manager.progress(item.id).retry_at_ns == row.retry_at_ns
        await here.until(await here.add(server.url("/y")))  # the same host
        assert here.content(await here.until(item)) == CONTENT
    refused, *others = times
    assert len(others) == 2
    assert min(others) - refused > 0.9


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_n19_refusals_are_final(server, tmp_path, status):
    item, _, ranges = await fetched(server, tmp_path, Resource(CONTENT, statuses=[(status, {})] * 5))
    assert item.state is State.FAILED
    assert item.error.startswith("127.0.0.1 ")
    assert len(ranges) == 1


async def test_n19_gone_later_keeps_what_is_here(server, tmp_path):
    resource = Resource(CONTENT, cut_at=[100_000])

    async def handler(request, stream):
        if len(server.requests) == 2:
            await respond(stream, 404, {}, b"")
        else:
            await resource(request, stream)

    async with rig(tmp_path) as here:
        item = await here.until(await here.add(server.add("/x", handler)))
        assert item.state is State.FAILED
        assert here.manager.progress(item.id).done == 100_000
        await here.manager.resume(item.id)
        assert here.content(await here.until(item, State.COMPLETE)) == CONTENT
    assert server.ranges("/x")[-1] == (100_000 - 4096, None)


async def test_n19_a_file_that_shrank_is_fetched_anew(server, tmp_path):
    resource = Resource(CONTENT, cut_at=[200_000])

    async def handler(request, stream):
        if len(server.requests) > 1:
            resource.content = CONTENT[:1000]  # with the same ETag
        await resource(request, stream)

    _, content, _ = await fetched(server, tmp_path, handler)
    assert content == CONTENT[:1000]


async def test_n19_the_end_was_reached_already(server, tmp_path):
    """No length, all bytes came, but the last chunk did not: the server says at the resume that there is no more."""

    async def handler(request, stream):
        if request.range:
            await Resource(CONTENT)(request, stream)
        else:
            await send_head(stream, 200, {"Transfer-Encoding": "chunked", "ETag": '"v1"'})
            await stream.send_all(b"%x\r\n%b\r\n" % (len(CONTENT), CONTENT))
            raise CloseConnection

    _, content, ranges = await fetched(server, tmp_path, handler, overlap=0)
    assert content == CONTENT
    assert ranges[1] == (len(CONTENT), None)


async def test_n21_a_page_instead_of_a_file_is_not_taken(server, tmp_path):
    resource = Resource(b"<html>pay here", headers={"Content-Type": "text/html; charset=utf-8"})
    async with rig(tmp_path, retries=2) as here:
        item = await here.until(await here.add(server.add("/debian.iso", resource)))
        assert item.state is State.FAILED
        assert "web page" in item.error
        wanted = await here.add(server.url("/debian.iso"), options={"any-type": "yes"})
        assert here.content(await here.until(wanted)) == b"<html>pay here"


async def test_n21_a_page_in_the_middle_does_not_cost_what_is_here(server, tmp_path):
    resource = Resource(CONTENT, cut_at=[100_000])

    async def handler(request, stream):
        if len(server.requests) in (2, 3):
            await respond(stream, 200, {"Content-Type": "text/html"}, b"<html>pay here")
        else:
            await resource(request, stream)

    async with rig(tmp_path) as here:
        item = await here.add(server.add("/debian.iso", handler))
        assert here.content(await here.until(item)) == CONTENT
    assert server.ranges("/debian.iso")[3] == (100_000 - 4096, None)


async def test_n22_one_url_twice_is_one_blob(server, tmp_path):
    async with rig(tmp_path) as here:
        url = server.add("/x", Resource(CONTENT))
        items = [await here.add(url) for _ in range(3)]
        for item in items:
            assert here.content(await here.until(item)) == CONTENT
        assert len(await here.store.stored()) == 1


async def test_more_chunks_than_announced(server, tmp_path):
    """A resumed body in chunks that does not stop where it said."""

    async def handler(request, stream):
        if request.range:
            start = request.range[0]
            headers = {"Content-Range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}", "ETag": '"v1"'}
            await send_head(stream, 206, {**headers, "Transfer-Encoding": "chunked"})
            body = CONTENT[start:] + b"more"
            await stream.send_all(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        else:
            await Resource(CONTENT, cut_at=[100_000] if len(server.requests) == 1 else [])(request, stream)

    item, content, _ = await fetched(server, tmp_path, handler)
    assert content in (CONTENT, None)
    assert (content is None) == (item.state is State.FAILED)


async def test_an_endless_body_fills_no_disk(server, tmp_path):
    async def handler(request, stream):
        await send_head(stream, 200, {"Transfer-Encoding": "chunked"})
        while True:
            await stream.send_all(b"10000\r\n" + bytes(65536) + b"\r\n")

    status = os.statvfs(tmp_path)
    reserve = status.f_bavail * status.f_frsize - 100_000_000
    item, _, _ = await fetched(server, tmp_path, handler, reserve=reserve, space_check=60.0)
    assert item.state is State.PAUSED
    assert "no space left" in item.error


async def test_a_full_disk_pauses_and_goes_on_when_there_is_space(server, tmp_path):
    async with rig(tmp_path, reserve=1 << 60) as here:
        item = await here.until(await here.add(server.add("/x", Resource(CONTENT))))
        assert (item.state, item.error) == (State.PAUSED, "There is no space left where the store lives.")
        assert here.catalogue.download(item.id).retry_at_ns is not None
        await here.catalogue.create_tag("still-works")
    async with rig(tmp_path) as here:
        assert here.content(await here.until(item, State.COMPLETE)) == CONTENT


async def test_retries_end(server, tmp_path):
    item, _, ranges = await fetched(server, tmp_path, Resource(CONTENT, statuses=[(500, {})] * 99), retries=3)
    assert item.state is State.FAILED
    assert "500" in item.error
    assert len(ranges) == 4


async def test_surprises_cost_one_item_and_leave_a_trace(server, tmp_path, monkeypatch, caplog):
    from engine.transfer import connection, quick

    judge = connection.judge

    def broken(asked, head):
        if "bad" in asked.url:
            raise ZeroDivisionError("surprise")
        return judge(asked, head)

    for module in (connection, quick):
        monkeypatch.setattr(module, "judge", broken)
    async with rig(tmp_path) as here:
        bad = await here.add(server.add("/bad", Resource(CONTENT)))
        good = await here.add(server.add("/good", Resource(CONTENT)))
        assert (await here.until(bad)).state is State.FAILED
        assert here.content(await here.until(good)) == CONTENT
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert f"item {bad.id}" in record.getMessage()
    assert record.exc_info
    caplog.clear()


@pytest.mark.parametrize("call", ["fdatasync", "fsync"])
async def test_a_sync_that_fails_is_never_tried_again_on_that_file(server, tmp_path, monkeypatch, call):
    """The kernel reports a lost write once: the bytes must come from the server again."""
    sync, failed = getattr(os, call), []

    def broken(fd):
        path = os.readlink(f"/proc/self/fd/{fd}")
        if "/staging/" in path and not failed:
            failed.append(path)
            raise OSError(errno.EIO, "Input/output error")
        assert path not in failed
        sync(fd)

    async with rig(tmp_path, checkpoint_bytes=50_000) as here:
        monkeypatch.setattr(os, call, broken)
        item = await here.add(server.add("/x", Resource(CONTENT, piece=10_000, hold_at=200_000)))
        resource = server._handlers["/x"]
        if call == "fdatasync":
            with trio.fail_after(60):
                while not failed:
                    await trio.sleep(0.001)
        resource.release.set()
        assert here.content(await here.until(item)) == CONTENT
        assert here.staged == []
    assert failed
    assert server.ranges("/x") == [None, None]


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EROFS])
async def test_a_staging_file_that_cannot_be_made_is_tried_again(server, tmp_path, monkeypatch, code):
    really, refused = os.open, []

    def broken(path, *more, **named):
        if "/staging/" in str(path) and len(refused) < 3:
            refused.append(path)
            raise OSError(code, os.strerror(code), path)
        return really(path, *more, **named)

    async with rig(tmp_path) as here:
        monkeypatch.setattr(os, "open", broken)
        item = await here.add(server.add("/x", Resource(CONTENT)))
        assert here.content(await here.until(item, State.COMPLETE)) == CONTENT
        assert here.item(item).error is None
    assert len(refused) == 3


async def test_a_write_that_fails_makes_a_new_file(server, tmp_path, monkeypatch):
    pwrite, failed = os.pwrite, []

    def broken(fd, data, offset):
        if offset == 200_000 and not failed:
            failed.append(fd)
            raise OSError(errno.EIO, "Input/output error")
        return pwrite(fd, data, offset)

    async with rig(tmp_path) as here:
        resource = Resource(CONTENT, hold_at=200_000)
        item = await here.add(server.add("/x", resource))
        await resource.held.wait()
        await here.here(item, 200_000)
        monkeypatch.setattr(os, "pwrite", broken)
        resource.release.set()
        assert here.content(await here.until(item)) == CONTENT
    assert failed
    assert server.ranges("/x") == [None, None]


async def test_a_catalogue_without_space_ends_nothing(server, tmp_path, monkeypatch):
    big = CONTENT * 40  # beyond the short way of small files
    async with rig(tmp_path) as here:
        works, refused = SqliteCatalogue.edit, 0

        async def full(self, *args):
            nonlocal refused
            refused += 1
            if refused < 5:
                raise StoreFull("no space left for the catalogue; free some, nothing was changed")
            return await works(self, *args)

        monkeypatch.setattr(SqliteCatalogue, "edit", full)
        item = await here.until(await here.add(server.add("/x", Resource(big))), State.COMPLETE)
        assert here.content(item) == big
        assert refused >= 5
