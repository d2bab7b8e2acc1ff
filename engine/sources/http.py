"""HTTP(S) as a stream of bytes: requests, redirects, heads and bodies. On the trio thread.

With `network`, the only file that knows httpx. Its errors are translated here; everything above sees `FetchFailed`.

Bodies are asked for without content coding and passed on raw. The rest of a large body of known length is read from the
socket into one buffer of 1 MiB: on loopback 0.6 s for a GiB, against 1.1 to 3 s through httpx and h11, which copy each
byte four times.
"""

from __future__ import annotations

import http.cookiejar
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Final

import httpcore
import httpx
import trio

from engine.errors import BadRequest
from engine.sources.addresses import is_public
from engine.sources.config import HttpConfig
from engine.sources.credentials import NoCookies, read_cookies, read_netrc
from engine.sources.headers import read_head
from engine.sources.network import PoolTransport, make_pool, tls_context
from engine.sources.redirects import REDIRECTS, Hop, first_hop, follow
from engine.sources.stream import Ask, Fault, FetchFailed, Framing, Head
from engine.sources.urls import host_of, public_url

BUFFER: Final = 1 << 20  # bytes of a direct read
DIRECT_FROM: Final = 4 << 20  # bytes still to come that make it worth not using the connection again


class HttpSource:
    """Implements `stream.StreamSource`. An async context manager: leaving it closes idle connections.

    BadRequest when the config names files or a proxy that cannot be used."""

    def __init__(self, config: HttpConfig | None = None) -> None:
        self._config = config or HttpConfig()
        self._logins = read_netrc(self._config.netrc)
        self._cookies = read_cookies(self._config.cookies)
        try:
            context = tls_context(self._config)
            self._anywhere = self._client(context, public_only=False)
            self._public = self._client(context, public_only=True)
        except (OSError, ValueError, httpx.InvalidURL, ssl.SSLError) as error:
            raise BadRequest(f"The HTTP settings cannot be used: {error}.") from error

    def _client(self, context: ssl.SSLContext, *, public_only: bool) -> httpx.AsyncClient:
        config = self._config
        proxied = config.proxy is not None
        return httpx.AsyncClient(
            transport=PoolTransport(
                make_pool(config, context, public_only=public_only), literal_public_only=public_only and proxied
            ),
            headers={"Accept": "*/*", "User-Agent": config.user_agent, **config.headers, "Accept-Encoding": "identity"},
            timeout=httpx.Timeout(config.read_timeout, connect=config.connect_timeout, pool=None),
            cookies=http.cookiejar.CookieJar(NoCookies()),
            trust_env=False,
        )

    async def __aenter__(self) -> HttpSource:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 2):
            await self._anywhere.aclose()
            await self._public.aclose()

    @asynccontextmanager
    async def open(self, ask: Ask) -> AsyncIterator[HttpBody]:
        """See `stream.StreamSource`."""
        response, hop = await self._chain(ask)
        body = HttpBody(response, _head(response, hop), self._config.read_timeout)
        try:
            yield body
        finally:
            await body.aclose()

    async def _chain(self, ask: Ask) -> tuple[httpx.Response, Hop]:
        """Send, and follow redirects with the rules of `redirects`. Cookies live as long as the chain."""
        jar = http.cookiejar.CookieJar()
        for cookie in self._cookies:
            jar.set_cookie(cookie)
        cookies = httpx.Cookies(jar)
        hop = first_hop(ask.url, ask.headers, public_only=ask.public_only)
        for _ in range(self._config.max_redirects + 1):
            response = await self._send(hop, ask, cookies)
            location = response.headers.get("location")
            if response.status_code not in REDIRECTS or location is None:
                return response, hop
            with _translated(hop.url):
                from_public = _came_from_public(response, proxied=self._config.proxy is not None)
            await response.aclose()
            hop = follow(
                hop,
                location,
                from_public=from_public,
                allow_downgrade=ask.allow_downgrade,
                allow_private=self._config.private_redirects,
            )
        raise FetchFailed(
            f"{public_url(ask.url)} redirects more than {self._config.max_redirects} times.", Fault.STUBBORN
        )

    async def _send(self, hop: Hop, ask: Ask, cookies: httpx.Cookies) -> httpx.Response:
        client = self._public if hop.public_only else self._anywhere
        headers = dict(hop.headers)
        if "Authorization" not in headers and (login := self._logins.get(host_of(hop.url))):
            headers["Authorization"] = login
        if ask.start is not None:
            headers["Range"] = f"bytes={ask.start}-{'' if ask.end is None else ask.end - 1}"
            if ask.if_range is not None:
                headers["If-Range"] = ask.if_range
        with _translated(hop.url):
            request = client.build_request("GET", hop.url, headers=headers)
            cookies.set_cookie_header(request)
            with trio.fail_after(self._config.connect_timeout + self._config.header_timeout):
                response = await client.send(request, stream=True, auth=None, follow_redirects=False)
        cookies.extract_cookies(response)
        if len(response.headers.raw) > self._config.max_headers:
            await response.aclose()
            raise FetchFailed(f"{host_of(hop.url)} sends more than {self._config.max_headers} headers.", Fault.STUBBORN)
        return response


class HttpBody:
    """Implements `stream.Body`."""

    def __init__(self, response: httpx.Response, head: Head, timeout: float) -> None:
        self.head = head
        self._response = response
        self._timeout = timeout
        self._parts = response.aiter_raw(None)
        self._left = head.length if head.framing is Framing.LENGTH else None  # bytes to come; None: not known
        self._begun = self._ended = False
        self._buffer: bytearray | None = None  # once reading directly

    async def receive(self) -> bytes | memoryview:
        if self._ended:
            return b""
        with _translated(self.head.url):
            data = await (self._receive() if self._buffer is None else self._receive_directly(self._buffer))
        self._ended = not data
        if self._left is not None:
            self._left -= len(data)
            if self._buffer is None and self._left >= DIRECT_FROM and _is_plain(self._response):
                # The part before was all that h11 had buffered: the rest comes straight from the socket.
                self._buffer = bytearray(BUFFER)
        return data

    async def _receive(self) -> bytes:
        self._begun = True
        with trio.fail_after(self._timeout):
            return await anext(self._parts, b"")

    async def _receive_directly(self, buffer: bytearray) -> memoryview:
        assert self._left is not None
        if self._left == 0:
            return memoryview(b"")
        socket: trio.socket.SocketType = self._response.extensions["network_stream"].get_extra_info("socket")
        with trio.fail_after(self._timeout):
            count = await socket.recv_into(buffer, min(len(buffer), self._left))
        if count == 0:
            raise httpcore.ReadError("peer closed connection")
        return memoryview(buffer)[:count]

    async def aclose(self) -> None:
        if self._begun:
            # httpx and httpcore nest generators, and a generator left in the middle would wait for the garbage
            # collector, which trio warns of. A cancelled read ends them all; it also closes the connection.
            with trio.CancelScope() as scope, suppress(FetchFailed), _translated(self.head.url):
                scope.cancel()
                while await anext(self._parts, b""):
                    pass
        await self._response.aclose()


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """The seam where errors of the network, of httpcore and of httpx become FetchFailed."""
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError) as error:
        raise _failure(host_of(url), error) from error
    except (httpcore.UnsupportedProtocol, httpx.InvalidURL, httpx.HTTPError, UnicodeError) as error:
        raise FetchFailed(f"{public_url(url)} cannot be asked for: {error}.", Fault.FINAL) from error
    except trio.TooSlowError as error:
        raise FetchFailed(f"{host_of(url)} did not answer in time.") from error
    except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
        raise FetchFailed(f"The connection to {host_of(url)} broke: {error}.") from error


def _failure(host: str, error: Exception) -> FetchFailed:
    text = str(error).rstrip(".")
    match error:
        case httpcore.ConnectTimeout():
            return FetchFailed(f"{host} could not be reached in time.")
        case httpcore.TimeoutException():
            return FetchFailed(f"{host} did not answer in time.")
        case httpcore.ConnectError() if _cause(error, ssl.SSLCertVerificationError):
            return FetchFailed(f"The certificate of {host} cannot be trusted: {text}.", Fault.STUBBORN)
        case httpcore.ConnectError():
            return FetchFailed(f"{host} could not be reached: {text}.")
        case httpcore.ProxyError():
            return FetchFailed(f"The proxy refused to connect to {host}: {text}.")
        case httpcore.LocalProtocolError():
            return FetchFailed(f"The request to {host} cannot be sent: {text}.", Fault.FINAL)
        case httpcore.RemoteProtocolError() if "peer closed" in text or "disconnected" in text:
            return FetchFailed(f"{host} closed the connection early.")
        case httpcore.RemoteProtocolError():
            return FetchFailed(f"{host} does not speak HTTP properly: {text}.", Fault.STUBBORN)
    return FetchFailed(f"The connection to {host} broke: {text or 'it was closed'}.")


def _cause(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False


def _head(response: httpx.Response, hop: Hop) -> Head:
    fields = ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers.raw)
    head = read_head(response.status_code, hop.url, fields, now=time.time(), http2=response.http_version == "HTTP/2")
    return replace(head, public_only=hop.public_only)


def _came_from_public(response: httpx.Response, *, proxied: bool) -> bool:
    """Whether the server that answered is somebody out there. Behind a proxy that cannot be told: taken for yes."""
    address: Any = response.extensions["network_stream"].get_extra_info("server_addr")
    return proxied or (address is not None and is_public(str(address[0])))


def _is_plain(response: httpx.Response) -> bool:
    """Whether the body's bytes lie in the socket as they are: HTTP/1.1 without TLS."""
    stream = response.extensions["network_stream"]
    return response.http_version != "HTTP/2" and stream.get_extra_info("ssl_object") is None
