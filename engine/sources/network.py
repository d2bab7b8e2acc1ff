"""HTTP through a proxy, by httpcore: forward proxies, CONNECT tunnels, SOCKS5. On the trio thread.

The only file that knows httpcore, whose errors are translated here. How many connections are open is the transfer
queue's decision, not the pool's. A proxy looks names up itself: of a stranger's URL only literal addresses are judged.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, cast
from urllib.parse import unquote

import httpcore
import httpx
import trio

from engine.sources.config import HttpConfig
from engine.sources.sockets import require_public
from engine.sources.stream import MOST_PIECE, Fault, FetchFailed, Framing
from engine.sources.urls import DEFAULT_PORTS
from engine.sources.wire import IDLE_SECONDS, MAX_IDLE, Endpoint, Fields, closed_early

DIRECT_FROM: Final = 4 << 20  # bytes still to come that make it worth not using the connection again


class Proxied:
    """The connections through the proxy of `config`. ValueError for one that cannot be used."""

    def __init__(self, config: HttpConfig, context: ssl.SSLContext) -> None:
        self._config = config
        self._pool = _pool(config, context)

    async def get(self, endpoint: Endpoint, target: bytes, fields: Fields) -> ProxiedResponse:
        """Send a request and read the head. FetchFailed."""
        if endpoint.public_only and _is_literal(endpoint.host):
            require_public(endpoint.host, endpoint.host)
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
        return ProxiedResponse(response, endpoint.host, config.read_timeout)

    async def close(self) -> None:
        await self._pool.aclose()


class ProxiedResponse:
    """Implements `http.Response`."""

    is_http2 = False
    is_cancellable = False
    peer = None  # a proxy does not say who answered

    def __init__(self, response: httpcore.Response, host: str, timeout: float) -> None:
        self.status = response.status
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
            self._is_direct = self._is_direct or self._left >= DIRECT_FROM
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


def _pool(config: HttpConfig, context: ssl.SSLContext) -> httpcore.AsyncConnectionPool:
    options: dict[str, Any] = {
        "ssl_context": context,
        "max_connections": None,
        "max_keepalive_connections": MAX_IDLE,
        "keepalive_expiry": IDLE_SECONDS,
    }
    proxy = httpx.URL(config.proxy or "")
    if proxy.scheme not in ("http", "https", "socks5", "socks5h") or not proxy.host:
        raise ValueError("a proxy is an http://, https://, socks5:// or socks5h:// URL")
    url = httpcore.URL(scheme=proxy.raw_scheme, host=proxy.raw_host, port=proxy.port, target=proxy.raw_path)
    login = (unquote(proxy.username).encode(), unquote(proxy.password).encode()) if proxy.username else None
    if proxy.scheme in ("socks5", "socks5h"):
        return httpcore.AsyncSOCKSProxy(proxy_url=url, proxy_auth=login, **options)
    return httpcore.AsyncHTTPProxy(proxy_url=url, proxy_auth=login, **options)


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
        case httpcore.LocalProtocolError():
            return FetchFailed(f"The request to {host} cannot be sent: {text}.", Fault.FINAL)
        case httpcore.RemoteProtocolError() if "peer closed" in text or "disconnected" in text:
            return closed_early(host)
        case httpcore.RemoteProtocolError():
            return FetchFailed(f"{host} does not speak HTTP properly: {text}.", Fault.STUBBORN)
    return FetchFailed(f"The connection to {host} broke: {text or 'it was closed'}.")


def _cause(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_literal(host: str) -> bool:
    """Whether a host is, to some resolver, an address: dotted, decimal, hexadecimal, IPv6, or `localhost`."""
    return host == "localhost" or ":" in host or host.rpartition(".")[2][:1].isdigit() or host.startswith("0x")
