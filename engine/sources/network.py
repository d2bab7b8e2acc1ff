"""HTTP by httpcore, where `wire` cannot: through a proxy (forward, CONNECT, SOCKS5), and HTTP/2. On the trio thread.

The only file that knows httpcore, whose errors are translated here. How many connections are open is the transfer
queue's decision, not the pool's. A proxy looks names up itself: a stranger's URL is judged by its name.
HTTP/2 is for servers that speak nothing else: a large body costs 13 times the CPU of HTTP/1.1 (decision 13).
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, cast
from urllib.parse import unquote

import httpcore
import httpx
import trio

from engine.sources.addresses import may_be_public
from engine.sources.config import HttpConfig
from engine.sources.sockets import private, require_public, require_public_name
from engine.sources.stream import MOST_PIECE, Fault, FetchFailed, Framing
from engine.sources.urls import DEFAULT_PORTS
from engine.sources.wire import IDLE_SECONDS, MAX_IDLE, Endpoint, Fields, closed_early

DIRECT_FROM: Final = 4 << 20  # bytes still to come that make it worth not using the connection again


class Pooled:
    """The connections of one of httpcore's pools. `judges_names`: a proxy will look names up, not we."""

    def __init__(self, config: HttpConfig, pool: httpcore.AsyncConnectionPool, *, judges_names: bool) -> None:
        self._config = config
        self._pool = pool
        self._judges_names = judges_names

    async def get(self, endpoint: Endpoint, target: bytes, fields: Fields) -> PooledResponse:
        """Send a request and read the head. FetchFailed."""
        if endpoint.public_only and self._judges_names and not may_be_public(endpoint.host):
            raise private(endpoint.host)
        config = self._config
        scheme = "https" if endpoint.is_tls else "http"
        with _failures(endpoint.host), trio.fail_after(config.connect_timeout + config.header_timeout):
            response = await self._pool.handle_async_request(
                httpcore.Request(
                    b"GET",
                    httpcore.URL(
                        scheme=scheme.encode("ascii"),
                        host=endpoint.host.encode("ascii"),
                        port=None if endpoint.port == DEFAULT_PORTS[scheme] else endpoint.port,
                        target=target,
                    ),
                    headers=fields,
                    extensions={"timeout": {"connect": config.connect_timeout, "read": config.read_timeout}},
                )
            )
        return PooledResponse(response, endpoint.host, config.read_timeout)

    async def close(self) -> None:
        await self._pool.aclose()


class PooledResponse:
    """Implements `http.Response`."""

    is_cancellable = False

    def __init__(self, response: httpcore.Response, host: str, timeout: float) -> None:
        stream: httpcore.AsyncNetworkStream = response.extensions["network_stream"]
        self.status = response.status
        self.is_http2 = response.extensions.get("http_version") == b"HTTP/2"
        # A proxy does not say who answered.
        self.peer = str(stream.get_extra_info("server_addr")[0]) if self.is_http2 else None
        self.fields: Sequence[tuple[bytes, bytes]] = response.headers
        self._response = response
        self._host = host
        self._timeout = timeout
        self._parts = cast("AsyncGenerator[bytes, None]", aiter(cast("Any", response.stream)))
        self._left: int | None = None  # bytes to come, of a known length
        self._piece = MOST_PIECE
        self._is_begun = self._is_direct = False

    def begin(self, framing: Framing, length: int | None, piece: int) -> None:
        self._piece = piece
        self._left = length if framing is Framing.LENGTH else None

    async def receive(self) -> bytes:
        with _failures(self._host), trio.fail_after(self._timeout):
            if not self._is_direct:
                self._is_begun = True
                data = await anext(self._parts, b"")
            else:
                # One part was all that h11 had buffered: the rest comes straight from the stream, in large pieces.
                stream: httpcore.AsyncNetworkStream = self._response.extensions["network_stream"]
                data = await stream.read(min(self._piece, self._left or 0)) if self._left else b""
                if not data and self._left:
                    raise closed_early(self._host)
        if self._left is not None:
            self._left -= len(data)
            self._is_direct = self._is_direct or (self._left >= DIRECT_FROM and not self.is_http2)
        return data

    async def aclose(self) -> None:
        if self._is_begun:
            # httpcore nests generators, and one left in the middle would wait for the garbage collector, which trio
            # warns of. A cancelled read ends them all; it also closes the connection.
            with trio.CancelScope() as scope, suppress(FetchFailed), _failures(self._host):
                scope.cancel()
                while await anext(self._parts, b""):
                    pass
        await self._response.aclose()


def tls_context(config: HttpConfig) -> ssl.SSLContext:
    """Always verifying: certifi's authorities, the system's, and those of `ca_file`."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    if config.ca_file is not None:
        context.load_verify_locations(cafile=config.ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context


def proxied(config: HttpConfig, context: ssl.SSLContext) -> Pooled:
    """Through the proxy of `config`. ValueError for one that cannot be used."""
    proxy = httpx.URL(config.proxy or "")
    if proxy.scheme not in ("http", "https", "socks5", "socks5h") or not proxy.host:
        raise ValueError("a proxy is an http://, https://, socks5:// or socks5h:// URL")
    url = httpcore.URL(scheme=proxy.raw_scheme, host=proxy.raw_host, port=proxy.port, target=proxy.raw_path)
    login = (unquote(proxy.username).encode(), unquote(proxy.password).encode()) if proxy.username else None
    kind = httpcore.AsyncSOCKSProxy if proxy.scheme in ("socks5", "socks5h") else httpcore.AsyncHTTPProxy
    return Pooled(config, kind(proxy_url=url, proxy_auth=login, **_options(context)), judges_names=True)


def http2(config: HttpConfig, *, public_only: bool) -> Pooled:
    """To servers that speak HTTP/2 alone."""
    backend = PublicBackend() if public_only else None
    pool = httpcore.AsyncConnectionPool(
        http1=False, http2=True, network_backend=backend, **_options(tls_context(config))
    )
    return Pooled(config, pool, judges_names=False)


def _options(context: ssl.SSLContext) -> dict[str, Any]:
    return {
        "ssl_context": context,
        "max_connections": None,
        "max_keepalive_connections": MAX_IDLE,
        "keepalive_expiry": IDLE_SECONDS,
    }


class PublicBackend(httpcore.AsyncNetworkBackend):
    """Connects to public addresses alone, see `sockets.connect`."""

    def __init__(self) -> None:
        self._inner = httpcore.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            await require_public_name(host, port)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        stream = await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        try:
            require_public(host, str(stream.get_extra_info("server_addr")[0]))
        except FetchFailed:
            await stream.aclose()
            raise
        return stream

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


@contextmanager
def _failures(host: str) -> Iterator[None]:
    """The seam where errors of the network and of httpcore become FetchFailed."""
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError) as error:
        raise _failure(host, error) from error
    except (httpcore.UnsupportedProtocol, UnicodeError) as error:
        raise FetchFailed(f"{host} cannot be asked: {error}.", Fault.FINAL) from error
    except trio.TooSlowError as error:
        raise FetchFailed(f"{host} did not answer in time.") from error
    except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
        raise FetchFailed(f"The connection to {host} broke: {error}.") from error


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
        case httpcore.LocalProtocolError() if "ConnectionState.CLOSED" in text:
            return closed_early(host)  # HTTP/2: while others had requests on the same connection
        case httpcore.LocalProtocolError():
            return FetchFailed(f"The request to {host} cannot be sent: {text}.", Fault.FINAL)
        case httpcore.RemoteProtocolError() if "peer closed" in text or "disconnected" in text:
            return closed_early(host)
        case httpcore.RemoteProtocolError():
            return FetchFailed(f"{host} does not speak HTTP properly: {text.partition(':')[0]}.", Fault.STUBBORN)
    return FetchFailed(f"The connection to {host} broke: {text or 'it was closed'}.")


def _cause(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False
