"""The FTP source against a real server, on loopback."""

import os
import socket
from datetime import UTC, datetime

import pytest
import trio

from engine.sources.config import HttpConfig
from engine.sources.ftp import FtpSource
from engine.sources.ftp_session import Place, place_of
from engine.sources.stream import Ask, Fault, FetchFailed, Framing
from tests.support.ftp import ftp_server, talker

CONTENT = os.urandom(3_000_000)
OLD = 1420070400
DATE = "Thu, 01 Jan 2015 00:00:00 GMT"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/x y").write_bytes(CONTENT)
    os.utime(tmp_path / "sub/x y", (OLD, OLD))
    (tmp_path / "empty").touch()
    return tmp_path


async def fetch(url, config=None, **ask):
    """(head, body) of one request."""
    async with FtpSource(config).open(Ask(url, **ask)) as body:
        parts = []
        while data := await body.receive():
            parts.append(bytes(data))
        assert await body.receive() == b""
        return body.head, b"".join(parts)


async def test_the_whole(folder):
    with ftp_server(folder) as server:
        head, body = await fetch(server.url("sub/x%20y"))
        assert body == CONTENT
        assert (head.status, head.length, head.framing, head.content_range) == (200, len(CONTENT), Framing.LENGTH, None)
        assert (head.last_modified, head.last_modified_ns) == (DATE, OLD * 10**9)
        assert datetime.fromtimestamp(OLD, UTC).year == 2015
        assert (await fetch(server.url("empty")))[1] == b""
        assert server.commands[0] == "USER anonymous"


async def test_ranges(folder):
    with ftp_server(folder) as server:
        url = server.url("sub/x%20y")
        head, body = await fetch(url, start=1_000_000, if_range=DATE)
        assert (head.status, head.content_range.start, head.content_range.end, head.content_range.total) == (
            206, 1_000_000, len(CONTENT), len(CONTENT),
        )  # fmt: skip
        assert body == CONTENT[1_000_000:]
        head, body = await fetch(url, start=5, end=10)
        assert (head.length, body) == (5, CONTENT[5:10])
        head, body = await fetch(url, start=5, if_range="Fri, 02 Jan 2015 00:00:00 GMT")
        assert (head.status, body) == (200, CONTENT)
        head, body = await fetch(url, start=len(CONTENT))
        assert (head.status, head.content_range.total, body) == (416, len(CONTENT), b"")


async def test_a_server_that_knows_little(folder):
    with ftp_server(folder, unknown=("SIZE", "MDTM", "REST", "EPSV")) as server:
        head, body = await fetch(server.url("sub/x%20y"), start=1000)
        assert body == CONTENT
        assert (head.status, head.length, head.framing, head.ranges) == (200, None, Framing.CHUNKED, False)


@pytest.mark.parametrize("unknown", [(), ("SIZE",)])
async def test_a_cut_transfer_is_a_passing_fault(folder, unknown):
    with ftp_server(folder, cut_at=[500_000], unknown=unknown) as server:
        with pytest.raises(FetchFailed, match=r"early|broke|426|before its end") as caught:
            await fetch(server.url("sub/x%20y"))
        assert caught.value.fault is Fault.PASSING


async def test_logins(folder):
    with ftp_server(folder) as server:
        assert (await fetch(server.url("empty", "me:p%3Aw@")))[0].url == server.url("empty")
        with pytest.raises(FetchFailed, match="530") as caught:
            await fetch(server.url("empty", "me:wrong@"))
        assert caught.value.fault is Fault.FINAL


async def test_what_is_not_there_is_final(folder):
    with ftp_server(folder) as server:
        for path in ("missing", "sub"):
            with pytest.raises(FetchFailed, match="550") as caught:
                await fetch(server.url(path))
            assert caught.value.fault is Fault.FINAL


@pytest.mark.parametrize(
    "url", ["ftp://h/a%0d%0aDELE%20x", "ftp://h/%00", "ftp://me%0aQUIT:x@h/x", "ftp://me:x%0d@h/x", "ftp://h/", "ftp://h/d/"]
)  # fmt: skip
async def test_urls_that_would_be_more_than_a_file(url):
    with pytest.raises(FetchFailed) as caught:
        await fetch(url)
    assert caught.value.fault is Fault.FINAL


def test_what_a_url_names():
    assert place_of("ftp://h:2121/a/b%E9;type=i") == Place("h", 2121, "anonymous", "anonymous@", "a/b\xe9")
    assert place_of("ftp://me@h/%2Fetc/x") == Place("h", 21, "me", "", "/etc/x")


async def test_the_address_in_an_answer_to_pasv_is_not_believed(folder):
    with ftp_server(folder, unknown=("EPSV",), pasv="192.0.2.1") as server:
        assert (await fetch(server.url("sub/x%20y")))[1] == CONTENT
        assert server.started("PASV")


async def test_strangers_lead_to_no_private_address(folder):
    with ftp_server(folder) as server:
        with pytest.raises(FetchFailed, match="private address"):
            await fetch(server.url("empty"), public_only=True)
        assert server.commands == []


async def test_no_ftp_around_a_proxy():
    with pytest.raises(FetchFailed, match="proxy"):
        await fetch("ftp://127.0.0.1/x", HttpConfig(proxy="http://127.0.0.1:1"))


async def test_nobody_there_and_a_server_that_says_nothing():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ftp://127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(FetchFailed, match="in time") as caught:
            await fetch(url, HttpConfig(connect_timeout=0.2, read_timeout=0.2, header_timeout=5.0))
        assert caught.value.fault is Fault.PASSING
        with trio.move_on_after(0.1) as scope:  # cancelling does not wait for the thread
            await fetch(url)
        assert scope.cancelled_caught
    with pytest.raises(FetchFailed, match="refused"):
        await fetch(url)


async def test_leaving_in_the_middle(folder):
    with ftp_server(folder) as server:
        async with FtpSource().open(Ask(server.url("sub/x%20y"))) as body:
            assert await body.receive()
        assert (await fetch(server.url("sub/x%20y")))[1] == CONTENT


FLOODS = {
    "lines": ["220-x\r\n" * 1000],
    "characters": ["220-" + "x" * 7000 + "\r\n"] * 20,
    "one line": ["220 " + "x" * 9000 + "\r\n"],
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_an_answer_without_end_is_left(flood):
    with talker("".join(FLOODS[flood]).encode()) as port:
        with pytest.raises(FetchFailed, match="does not speak FTP properly") as caught:
            await fetch(f"ftp://127.0.0.1:{port}/x")
        assert caught.value.fault is Fault.STUBBORN


async def test_a_long_greeting_is_read(folder):
    with ftp_server(folder, greeting="\r\n".join(f"220-rule {n}" for n in range(150))) as server:
        assert (await fetch(server.url("empty")))[1] == b""
