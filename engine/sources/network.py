"""The sockets below HTTP: address policy at connect time, proxies, TLS. With `http`, the only user of httpx/httpcore.

Two pools live side by side, one that connects anywhere (what the user typed) and one that connects to public addresses
alone (where strangers send us). A connection made under one rule is thus never used again under the other.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any
from urllib.parse import unquote

import httpcore
import httpx
import trio

from engine.sources.addresses import is_public
from engine.sources.config import HttpConfig
from engine.sources.stream import Fault, FetchFailed

SocketOptions = Iterable[httpcore.SOCKET_OPTION]


class PublicBackend(httpcore.AsyncNetworkBackend):
    """Connects to public addresses alone.

    Every address of the name is looked at before a packet is sent, and the one that was reached before a byte of the
    request is: a name server may answer differently the second time.
    """

    def __init__(self) -> None:
        self._inner = httpcore.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: SocketOptions | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            with trio.fail_after(float("inf") if timeout is None else timeout):
                found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
        except trio.TooSlowError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        for *_, address in found:
            _require_public(host, str(address[0]))
        stream = await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        try:
            _require_public(host, str(stream.get_extra_info("server_addr")[0]))
        except FetchFailed:
            await stream.aclose()
            raise
        return stream

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: SocketOptions | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise FetchFailed("A download cannot come from a unix socket.", Fault.FINAL)

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


def _require_public(host: str, address: str) -> None:
    if not is_public(address):
        raise FetchFailed(f"A redirect leads to the private address {address} ({host}), which is refused.", Fault.FINAL)


def tls_context(config: HttpConfig) -> ssl.SSLContext:
    """Always verifying: certifi's authorities, the system's, and those of `ca_file`."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    if config.ca_file is not None:
        context.load_verify_locations(cafile=config.ca_file)
    return context


def make_pool(config: HttpConfig, context: ssl.SSLContext, *, public_only: bool) -> httpcore.AsyncConnectionPool:
    """A pool of HTTP/1.1 connections. HTTP/2 is left out: through one flow-controlled connection in Python it is ten
    times slower on large bodies. How many connections are open is the transfer queue's decision, not the pool's."""
    options: dict[str, Any] = {
        "ssl_context": context,
        "max_connections": None,
        "max_keepalive_connections": 20,
        "keepalive_expiry": 15.0,
    }
    if config.proxy is None:
        return httpcore.AsyncConnectionPool(network_backend=PublicBackend() if public_only else None, **options)
    proxy = httpx.URL(config.proxy)
    if proxy.scheme not in ("http", "https", "socks5", "socks5h") or not proxy.host:
        raise ValueError("a proxy is an http://, https://, socks5:// or socks5h:// URL")
    url = httpcore.URL(scheme=proxy.raw_scheme, host=proxy.raw_host, port=proxy.port, target=proxy.raw_path)
    login = (unquote(proxy.username).encode(), unquote(proxy.password).encode()) if proxy.username else None
    if proxy.scheme in ("socks5", "socks5h"):
        return httpcore.AsyncSOCKSProxy(proxy_url=url, proxy_auth=login, **options)
    return httpcore.AsyncHTTPProxy(proxy_url=url, proxy_auth=login, **options)


class PoolTransport(httpx.AsyncBaseTransport):
    """httpx's door to a pool that we made. Errors stay httpcore's; `http` translates them."""

    def __init__(self, pool: httpcore.AsyncConnectionPool, *, literal_public_only: bool) -> None:
        self._pool = pool
        self._literal_public_only = literal_public_only  # behind a proxy, which looks names up itself

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._literal_public_only and _is_literal(request.url.host):
            _require_public(request.url.host, request.url.host)
        url = request.url
        response = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_PoolStream(response),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _PoolStream(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert isinstance(self._response.stream, AsyncIterable)
        async for part in self._response.stream:
            yield part

    async def aclose(self) -> None:
        await self._response.aclose()


def _is_literal(host: str) -> bool:
    """Whether a host is, to some resolver, an address: dotted, decimal, hexadecimal, IPv6, or `localhost`."""
    return host == "localhost" or ":" in host or host.rpartition(".")[2][:1].isdigit() or host.startswith("0x")
