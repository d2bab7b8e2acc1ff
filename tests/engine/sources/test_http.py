"""The HTTP source against servers that are real, on loopback, and often wrong."""

import datetime
import os
import socket
import ssl
from contextlib import AsyncExitStack

import pytest
import trio
import trustme

from engine.errors import BadRequest
from engine.sources.config import HttpConfig
from engine.sources.http import HttpSource
from engine.sources.network import DIRECT_FROM
from engine.sources.stream import MOST_PIECE, Ask, Fault, FetchFailed, Framing
from engine.sources.wire import IDLE_SECONDS, MAX_IDLE
from tests.support.faultserver import CloseConnection, Resource, fault_server, respond, send_head
from tests.support.http2 import http2_server

CONTENT = os.urandom(100_000)
QUICK = HttpConfig(connect_timeout=0.2, header_timeout=0.1, read_timeout=0.3)


@pytest.fixture
async def server():
    async with fault_server() as server:
        yield server


async def fetch(url, config=None, **ask):
    """(head, body) of one request."""
    async with HttpSource(config) as source, source.open(Ask(url, **ask)) as body:
        parts = []
        while data := await body.receive():
            parts.append(bytes(data))
        assert await body.receive() == b""
        return body.head, b"".join(parts)


async def test_a_plain_fetch(server):
    head, body = await fetch(server.add("/x", Resource(b"hello")))
    assert body == b"hello"
    assert (head.status, head.length, head.framing, head.etag, head.ranges) == (200, 5, Framing.LENGTH, '"v1"', True)
    assert server.requests[0].headers["accept-encoding"] == "identity"
    assert "range" not in server.requests[0].headers
    assert "cookie" not in server.requests[0].headers


@pytest.mark.parametrize("size", [0, 1, DIRECT_FROM - 1, DIRECT_FROM + 1, DIRECT_FROM + 3 * MOST_PIECE])
@pytest.mark.parametrize("framing", [{}, {"chunked": True}, {"close": True}])
async def test_bodies_of_every_framing_and_size(server, size, framing):
    content = os.urandom(size)
    head, body = await fetch(server.add("/x", Resource(content, **framing)))
    assert body == content
    expected = Framing.CHUNKED if "chunked" in framing else Framing.CLOSE if "close" in framing else Framing.LENGTH
    assert head.framing is expected


async def test_a_range(server):
    url = server.add("/x", Resource(b"0123456789"))
    head, body = await fetch(url, start=2, end=5, if_range='"v1"')
    assert (head.status, body) == (206, b"234")
    assert (head.content_range.start, head.content_range.end, head.content_range.total) == (2, 5, 10)
    head, body = await fetch(url, start=2, if_range='"v0"')
    assert (head.status, body) == (200, b"0123456789")
    head, body = await fetch(url, start=7)
    assert body == b"789"


async def test_connections_are_used_again_after_a_whole_body(server):
    url = server.add("/x", Resource(b"hello"))
    async with HttpSource() as source:
        for _ in range(5):
            async with source.open(Ask(url)) as body:
                while await body.receive():
                    pass
        assert source.wire.idle == 1


@pytest.mark.parametrize("size", [4 * MOST_PIECE, 20_000_000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_leaving_in_the_middle_closes_the_connection(server, size, chunked):
    url = server.add("/x", Resource(bytes(size), chunked=chunked))
    async with HttpSource() as source:
        for reads in (0, 1, 3):
            async with source.open(Ask(url)) as body:
                for _ in range(reads):
                    assert await body.receive()
        assert source.wire.idle == 0


@pytest.mark.parametrize("framing", [{}, {"chunked": True}])
@pytest.mark.parametrize("size", [1000, DIRECT_FROM * 2])
async def test_a_cut_body_is_a_passing_fault(server, framing, size):
    url = server.add("/x", Resource(bytes(size), cut_at=[size - 300], **framing))
    with pytest.raises(FetchFailed, match=r"closed the connection early|broke") as caught:
        await fetch(url)
    assert caught.value.fault is Fault.PASSING


async def test_a_body_that_stalls_times_out(server):
    url = server.add("/x", Resource(bytes(1000), hold_at=500))
    with pytest.raises(FetchFailed, match="in time") as caught:
        await fetch(url, QUICK)
    assert caught.value.fault is Fault.PASSING


@pytest.mark.parametrize("drip", [False, True])
async def test_a_head_that_hangs_or_drips_times_out(server, drip):
    async def handler(request, stream):
        await stream.send_all(b"HTTP/1.1 200 OK\r\n")
        while drip:
            await stream.send_all(b"X-A: b\r\n")
            await trio.sleep(0.01)
        await trio.sleep_forever()

    with pytest.raises(FetchFailed, match="in time"):
        await fetch(server.add("/x", handler), QUICK)


async def test_endless_informational_answers_time_out(server):
    async def handler(request, stream):
        while True:
            await stream.send_all(b"HTTP/1.1 103 Early Hints\r\n\r\n")

    with pytest.raises(FetchFailed):
        await fetch(server.add("/x", handler), QUICK)


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + b"X: y\r\n" * 300 + b"\r\n",
    ],
)
async def test_what_is_no_http_is_a_stubborn_fault(server, garbage):
    async def handler(request, stream):
        await stream.send_all(garbage)
        raise CloseConnection

    with pytest.raises(FetchFailed) as caught:
        await fetch(server.add("/x", handler))
    assert caught.value.fault is Fault.STUBBORN


async def test_nobody_there():
    listener = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener[0].socket.getsockname()[1]
    await listener[0].aclose()
    with pytest.raises(FetchFailed, match="could not be reached") as caught:
        await fetch(f"http://127.0.0.1:{port}/x")
    assert caught.value.fault is Fault.PASSING


async def test_a_closed_connection_instead_of_an_answer(server):
    async def handler(request, stream):
        raise CloseConnection

    with pytest.raises(FetchFailed, match="early"):
        await fetch(server.add("/x", handler))


def redirect(location, status=302, headers=()):
    async def handler(request, stream):
        await respond(stream, status, {"Location": location, **dict(headers)}, b"")

    return handler


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(server, status):
    server.add("/a", redirect("/b?x=1", status))
    server.add("/b", Resource(b"here"))
    head, body = await fetch(server.url("/a"))
    assert (body, head.url) == (b"here", server.url("/b?x=1"))


async def test_a_redirect_loop_ends(server):
    server.add("/a", redirect("/a"))
    with pytest.raises(FetchFailed, match="more than 10 times"):
        await fetch(server.url("/a"))
    assert len(server.requests) == 11


async def test_a_redirect_without_location_is_an_answer(server):
    async def handler(request, stream):
        await respond(stream, 302, {}, b"nowhere")

    head, _ = await fetch(server.add("/a", handler))
    assert head.status == 302


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "FTP://127.0.0.1/x"])
async def test_a_redirect_to_another_scheme_is_refused(server, target):
    server.add("/a", redirect(target))
    with pytest.raises(FetchFailed) as caught:
        await fetch(server.url("/a"))
    assert caught.value.fault is Fault.FINAL


async def test_headers_logins_and_cookies_stay_with_their_origin(server):
    async with fault_server() as other:
        other.add("/x", Resource(b"x"))
        server.add("/a", redirect(other.url("/x"), headers={"Set-Cookie": "a=1"}))
        url = server.url("/a").replace("http://", "http://me:pw@")
        await fetch(url, headers={"X-Api-Key": "secret"})
        first, second = server.requests[0].headers, other.requests[0].headers
    assert first["authorization"].startswith("Basic ")
    assert first["x-api-key"] == "secret"
    assert not {"authorization", "x-api-key"} & second.keys()


async def test_cookies_live_for_one_chain(server):
    server.add("/a", redirect("/b", headers={"Set-Cookie": "a=1; Path=/"}))
    server.add("/b", Resource(b"x"))
    async with HttpSource() as source:
        for _ in range(2):
            async with source.open(Ask(server.url("/a"))):
                pass
    assert [request.headers.get("cookie") for request in server.requests] == [None, "a=1", None, "a=1"]


async def test_cookies_netrc_and_headers_of_the_config(server, tmp_path):
    (tmp_path / "cookies").write_text(
        "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t4000000000\tsid\tabc\n"
        "example.org\tFALSE\t/\tFALSE\t4000000000\tother\tno\n"
    )
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password pw\n")
    (tmp_path / "netrc").chmod(0o600)
    config = HttpConfig(
        user_agent="mine/1",
        headers={"X-A": "b"},
        cookies=str(tmp_path / "cookies"),
        netrc=str(tmp_path / "netrc"),
    )
    await fetch(server.add("/x", Resource(b"x")), config)
    headers = server.requests[0].headers
    assert (headers["user-agent"], headers["x-a"], headers["cookie"]) == ("mine/1", "b", "sid=abc")
    assert headers["authorization"] == "Basic bWU6cHc="


async def test_a_login_of_netrc_goes_where_the_users_url_leads_alone(server, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password pw\n")
    (tmp_path / "netrc").chmod(0o600)
    async with fault_server() as other:
        await fetch(
            server.add("/x", redirect(other.add("/y", Resource(b"x")))), HttpConfig(netrc=str(tmp_path / "netrc"))
        )
        assert "authorization" in server.requests[0].headers
        assert "authorization" not in other.requests[0].headers


async def test_headers_of_the_config_for_one_host_go_there_alone(server):
    secret = {"Authorization": "Bearer hunter2", "X-Api-Key": "hunter2"}
    async with fault_server() as other:
        config = HttpConfig(headers={"X-A": "b"}, host_headers={f"http://127.0.0.1:{server.port}": secret})
        here = server.add("/x", Resource(b"x"))
        there = other.add("/x", Resource(b"x"))
        server.add("/out", redirect(there))
        other.add("/in", redirect(here))
        server.add("/round", redirect(here))
        for url in (here, server.url("/out"), other.url("/in"), server.url("/round")):
            await fetch(url, config)
        await fetch(here, config, is_own=False)
        await fetch(here, config, headers={"X-Api-Key": "own"})
        await fetch(here, HttpConfig(host_headers={"127.0.0.1": secret}))  # at port 443
        sent = [
            (each.target, each.headers.get("authorization"), each.headers.get("x-api-key")) for each in server.requests
        ]
        assert not [each for each in other.requests if "hunter2" in str(each.headers)]
        assert {each.headers["x-a"] for each in other.requests} == {"b"}
    bearer = "Bearer hunter2"
    assert sent == [
        ("/x", bearer, "hunter2"), ("/out", bearer, "hunter2"), ("/x", None, None), ("/round", bearer, "hunter2"),
        ("/x", bearer, "hunter2"), ("/x", None, None), ("/x", bearer, "own"), ("/x", None, None),
    ]  # fmt: skip


def test_a_sentence_about_a_file_of_secrets_does_not_quote_it(tmp_path):
    file = tmp_path / "file"
    file.write_text("# Netscape HTTP Cookie File\nexample.org\tTRUE\t/\tTRUE\t0\tsession hunter2\n")
    with pytest.raises(BadRequest) as caught:
        HttpSource(HttpConfig(cookies=str(file)))
    assert "hunter2" not in str(caught.value)
    file.write_text("machine h login me password a hunter2\n")
    with pytest.raises(BadRequest) as caught:
        HttpSource(HttpConfig(netrc=str(file)))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "config",
    [HttpConfig(netrc="/missing"), HttpConfig(cookies="/missing"), HttpConfig(ca_file="/missing"), HttpConfig(proxy="ftp://x")],
)  # fmt: skip
def test_settings_that_cannot_be_used_are_a_sentence(config):
    with pytest.raises(BadRequest):
        HttpSource(config)


async def test_a_proxy_is_used(server):
    async def handler(request, stream):
        await respond(stream, 200, {}, b"through the proxy")

    server.add("http://elsewhere.example/x", handler)
    _, body = await fetch("http://elsewhere.example/x", HttpConfig(proxy=f"http://me:pw@127.0.0.1:{server.port}"))
    assert body == b"through the proxy"
    assert server.requests[0].headers["proxy-authorization"] == "Basic bWU6cHc="


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1.", "localhost", "localhost.", "127.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]",
     "nas"],
)  # fmt: skip
async def test_a_proxy_is_not_sent_into_our_neighbourhood(server, host):
    async def handler(request, stream):
        await respond(stream, 302, {"Location": f"http://{host}/secret"}, b"")

    server.add("http://elsewhere.example/x", handler)
    with pytest.raises(FetchFailed, match="private address"):
        await fetch("http://elsewhere.example/x", HttpConfig(proxy=f"http://127.0.0.1:{server.port}"))
    assert [request.target for request in server.requests] == ["http://elsewhere.example/x"]


@pytest.mark.parametrize("target", ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"])
async def test_a_chain_out_of_the_public_never_reaches_a_private_address(server, monkeypatch, target):
    """The first server stands in for one on the internet: its own address counts as public, all others as they are."""
    import engine.sources.http as http

    monkeypatch.setattr(http, "is_public", lambda address: True)
    server.add("/a", redirect(f"http://{target}:{server.port}/secret"))
    server.add("/secret", Resource(b"secret"))
    with pytest.raises(FetchFailed) as caught:
        await fetch(server.url("/a"))
    assert "private address" in str(caught.value) or "could not be reached" in str(caught.value)
    assert [request.target for request in server.requests] == ["/a"]
    if target == "127.0.0.1":
        _, body = await fetch(server.url("/a"), HttpConfig(private_redirects=True))
        assert body == b"secret"


async def test_a_name_whose_address_changes_between_two_looks_gets_no_request(server):
    """DNS rebinding: what was looked at is public, and what is connected to is not."""

    class Rebinding(trio.abc.HostnameResolver):
        asked = 0

        async def getaddrinfo(self, host, port, family=0, type=0, proto=0, flags=0):
            self.asked += 1
            address = "1.1.1.1" if self.asked == 1 else "127.0.0.1"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, server.port))]

        async def getnameinfo(self, sockaddr, flags):
            raise NotImplementedError

    server.add("/secret", Resource(b"secret"))
    resolver = Rebinding()
    before = trio.socket.set_custom_hostname_resolver(resolver)
    try:
        with pytest.raises(FetchFailed, match="private address"):
            await fetch(f"http://rebound.example:{server.port}/secret", public_only=True)
    finally:
        trio.socket.set_custom_hostname_resolver(before)
    assert resolver.asked == 2
    assert server.requests == []


async def test_among_private_addresses_redirects_are_fine(server):
    server.add("/a", redirect(f"http://127.0.0.1:{server.port}/b"))
    server.add("/b", Resource(b"here"))
    _, body = await fetch(server.url("/a"))
    assert body == b"here"


async def test_a_compressed_answer_is_passed_on_raw_and_said_so(server):
    head, body = await fetch(server.add("/x", Resource(b"\x1f\x8bnot really", headers={"Content-Encoding": "gzip"})))
    assert head.encoded
    assert body == b"\x1f\x8bnot really"


async def test_tls_is_verified(tmp_path):
    ca = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    content = os.urandom(DIRECT_FROM * 2)
    async with fault_server(context) as server:
        url = server.add("/x", Resource(content))
        with pytest.raises(FetchFailed, match="certificate") as caught:
            await fetch(url)
        assert caught.value.fault is Fault.STUBBORN
        _, body = await fetch(url, HttpConfig(ca_file=str(tmp_path / "ca.pem")))
        assert body == content
        with pytest.raises(FetchFailed, match="certificate"):
            await fetch(server.url("/x", "localhost"), HttpConfig(ca_file=str(tmp_path / "ca.pem")))


async def test_an_expired_certificate_is_refused(tmp_path):
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    ca.issue_cert("127.0.0.1", not_before=long_ago, not_after=long_ago.replace(year=2021)).configure_cert(context)
    async with fault_server(context) as server:
        with pytest.raises(FetchFailed, match="expired"):
            await fetch(server.add("/x", Resource(b"x")), HttpConfig(ca_file=str(tmp_path / "ca.pem")))


@pytest.mark.parametrize("value", ["hunter2\r\nX-B: c", "hunter2\0", "hunter2\x7f"])
async def test_headers_that_no_request_can_carry(server, value):
    """Nor is the value quoted, in whichever way the request would go."""
    url = server.add("/x", Resource(b"x"))
    for config in (HttpConfig(), HttpConfig(proxy=f"http://127.0.0.1:{server.port}")):
        with pytest.raises(FetchFailed, match="X-A holds control characters") as caught:
            await fetch(url, config, headers={"X-A": value})
        assert caught.value.fault is Fault.FINAL
        assert "hunter2" not in str(caught.value)
    assert server.requests == []
    await fetch(url, headers={"X-A": " blanks around do no harm "})
    assert server.requests[0].headers["x-a"] == "blanks around do no harm"


async def test_what_is_no_http_is_not_quoted(server):
    async def handler(request, stream):
        await stream.send_all(b"HTTP/1.1 200 OK\r\nSet-Cookie\x01 sid: hunter2\r\n\r\n")

    server.add("/x", handler)
    with pytest.raises(FetchFailed, match="does not speak HTTP properly: illegal header line") as caught:
        await fetch(server.url("/x"))
    assert "hunter2" not in str(caught.value)


async def test_unknown_status_and_name(server):
    async def handler(request, stream):
        await send_head(stream, 299, [("Content-Length", "0"), ("Content-Disposition", 'attachment; filename="../x"')])

    head, _ = await fetch(server.add("/y", handler))
    assert (head.status, head.name) == (299, "x")


async def test_a_server_that_speaks_http_2_alone(tmp_path):
    ca = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["h2"])
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    content = os.urandom(DIRECT_FROM * 2)
    async with (
        http2_server(context, content) as (port, asked),
        HttpSource(HttpConfig(ca_file=str(tmp_path / "ca.pem"))) as source,
    ):
        url = f"https://127.0.0.1:{port}/x"
        for _ in range(2):
            async with source.open(Ask(url)) as body:
                assert (body.head.status, body.head.length, body.head.framing) == (200, len(content), Framing.LENGTH)
                got = bytearray()
                while data := await body.receive():
                    got += data
                assert got == content
        assert asked == ["/x", "/x"]
        with pytest.raises(FetchFailed, match="private address"):
            async with source.open(Ask(url, public_only=True)):
                pass


async def test_a_kept_connection_that_the_server_gave_up_is_replaced(server):
    """Whether the client sees that before it asks, or only when no answer comes."""
    served = []

    async def handler(request, stream):
        if stream in served:
            raise CloseConnection  # reads the request, and answers nothing
        served.append(stream)
        await respond(stream, 200, {}, b"hello")

    url = server.add("/x", handler)
    async with HttpSource() as source:
        for _ in range(3):
            async with source.open(Ask(url)) as body:
                assert bytes(await body.receive()) == b"hello"
        assert len(served) == 3
        await served[-1].aclose()
        async with source.open(Ask(url)) as body:
            assert bytes(await body.receive()) == b"hello"
        assert source.wire.idle == 1


async def test_how_many_connections_are_kept_is_bounded_and_for_how_long(server, autojump_clock):
    url = server.add("/x", Resource(b"hello"))
    async with HttpSource() as source, AsyncExitStack() as stack:
        for _ in range(MAX_IDLE + 5):
            body = await stack.enter_async_context(source.open(Ask(url)))
            while await body.receive():
                pass
        assert source.wire.idle == 0
        await stack.aclose()
        assert source.wire.idle == MAX_IDLE
        await trio.sleep(IDLE_SECONDS + 1)
        async with source.open(Ask(url)) as body:
            while await body.receive():
                pass
        assert source.wire.idle == 1


async def test_large_bodies_through_a_proxy(server):
    content = os.urandom(DIRECT_FROM * 2)
    server.add("http://elsewhere.example/x", Resource(content))
    config = HttpConfig(proxy=f"http://127.0.0.1:{server.port}")
    _, body = await fetch("http://elsewhere.example/x", config)
    assert body == content
    async with HttpSource(config) as source:
        for reads in (0, 1, 3):
            async with source.open(Ask("http://elsewhere.example/x")) as left:
                for _ in range(reads):
                    assert await left.receive()
    server.add("http://elsewhere.example/y", Resource(content, cut_at=[len(content) - 10]))
    with pytest.raises(FetchFailed, match="early"):
        await fetch("http://elsewhere.example/y", config)


async def test_a_cancelled_read_has_taken_nothing(server):
    resource = Resource(CONTENT, hold_at=1000)
    async with HttpSource() as source, source.open(Ask(server.add("/x", resource))) as body:
        assert body.is_cancellable
        got = b""
        while len(got) < 1000:
            got += bytes(await body.receive())
        with trio.move_on_after(0.01) as scope:
            await body.receive()
        assert scope.cancelled_caught
        resource.release.set()
        while data := await body.receive():
            got += bytes(data)
        assert got == CONTENT
