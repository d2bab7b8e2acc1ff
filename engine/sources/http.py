"""HTTP(S) as a stream of bytes: requests, redirects, heads and bodies. On the trio thread.

The bytes go over `wire`, or through a proxy and in HTTP/2 over `network`; here is what both have in common. Bodies are
asked for without content coding and passed on raw.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from http.cookiejar import Cookie
from types import TracebackType
from typing import Final, Protocol

import httpx
import trio

from engine.errors import BadRequest
from engine.sources.addresses import is_public
from engine.sources.config import HttpConfig
from engine.sources.cookies import Cookies
from engine.sources.credentials import read_cookies, read_netrc
from engine.sources.headers import read_head
from engine.sources.network import Pooled, http2, proxied, tls_context
from engine.sources.redirects import REDIRECTS, Hop, first_hop, follow
from engine.sources.stream import Ask, Fault, FetchFailed, Framing, Head
from engine.sources.urls import DEFAULT_PORTS, host_of, origin_of, public_url
from engine.sources.wire import Endpoint, Fields, OnlyHttp2, Wire

# What needs no normalising, which is four of five URLs: parsing by httpx costs 60 us.
_PLAIN_URL: Final = re.compile(
    r"(https?)://([a-z0-9](?:[a-z0-9-]*[a-z0-9.])*)(?::([0-9]{1,5}))?"
    r"(/(?:[A-Za-z0-9_~!$&'()*+,;=:@/-]|(?<!/)\.|%[0-9A-F]{2})*(?:\?(?:[A-Za-z0-9._~!$&()*+,;=:@/?-]|%[0-9A-F]{2})*)?)"
)

_NO_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Response(Protocol):
    """An answer whose head has arrived, whoever brought it."""

    @property
    def status(self) -> int: ...
    @property
    def fields(self) -> Sequence[tuple[bytes, bytes]]: ...
    @property
    def is_http2(self) -> bool: ...
    @property
    def peer(self) -> str | None:
        """The address that answered; None where that is not known."""

    @property
    def is_cancellable(self) -> bool: ...
    def begin(self, framing: Framing, length: int | None, piece: int) -> None:
        """What the head says of the body's end, and how much is wanted at once. Before the first `receive`."""

    async def receive(self) -> bytes | memoryview: ...
    async def aclose(self) -> None: ...


class HttpSource:
    """Implements `stream.StreamSource`. An async context manager: leaving it closes idle connections.

    BadRequest when the config names files or a proxy that cannot be used."""

    def __init__(self, config: HttpConfig | None = None) -> None:
        self._config = config = config or HttpConfig()
        self._logins = read_netrc(config.netrc)
        self._host_headers = {
            origin_of(host if "://" in host else f"https://{host}"): headers
            for host, headers in config.host_headers.items()
        }
        self._cookies = read_cookies(config.cookies)
        self._headers = {
            "Accept": "*/*",
            "User-Agent": config.user_agent,
            **config.headers,
            "Accept-Encoding": "identity",
        }
        try:
            context = tls_context(config)
            self._proxied = None if config.proxy is None else proxied(config, context)
        except httpx.InvalidURL:  # its text quotes a part of the password where that has a slash
            raise BadRequest("The HTTP settings cannot be used: the proxy is no URL.") from None
        except (OSError, ValueError, ssl.SSLError) as error:
            raise BadRequest(f"The HTTP settings cannot be used: {error}.") from error
        self.wire = Wire(config, context)
        self._pools: dict[bool, Pooled] = {}  # by public_only, for HTTP/2
        self._http2: dict[Endpoint, Pooled] = {}  # the pool of those that speak nothing else

    async def __aenter__(self) -> HttpSource:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wire.close()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 2):
            for pooled in filter(None, (self._proxied, *self._pools.values())):
                await pooled.close()

    @asynccontextmanager
    async def open(self, ask: Ask) -> AsyncIterator[HttpBody]:
        """See `stream.StreamSource`."""
        response, hop = await self._chain(ask)
        try:
            yield HttpBody(response, _head(response, hop), ask.piece)
        finally:
            await response.aclose()

    async def _chain(self, ask: Ask) -> tuple[Response, Hop]:
        """Send, and follow redirects with the rules of `redirects`. Cookies live as long as the chain."""
        cookies = Cookies([*self._cookies, *self._own_cookies(ask)])
        hop = first_hop(ask.url, ask.headers, public_only=ask.public_only)
        for _ in range(self._config.max_redirects + 1):
            response = await self._send(hop, ask, cookies)
            if response.status not in REDIRECTS or (location := _location(response)) is None:
                return response, hop
            from_public = _is_out_there(response)
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

    def _own_cookies(self, ask: Ask) -> list[Cookie]:
        """Read anew each time: a browser's export may be replaced while a download goes on."""
        try:
            return read_cookies(ask.cookies)
        except BadRequest as error:
            raise FetchFailed(str(error), Fault.FINAL) from error

    async def _send(self, hop: Hop, ask: Ask, cookies: Cookies) -> Response:
        endpoint, host, target = _parts(hop)
        headers = dict(hop.headers)
        kept: dict[str, str] = {}  # for this host by the configuration: the download's own headers win
        if ask.is_own and not ask.public_only and origin_of(hop.url) == origin_of(ask.url):
            if login := self._logins.get(host_of(hop.url)):
                kept["Authorization"] = login
            kept |= self._host_headers.get(origin_of(hop.url), {})
        if ask.start is not None:
            headers["Range"] = f"bytes={ask.start}-{'' if ask.end is None else ask.end - 1}"
            if ask.if_range is not None:
                headers["If-Range"] = ask.if_range
        if (cookie := cookies.header(hop.url)) is not None:
            headers["Cookie"] = cookie
        fields = [(b"Host", host), *_fields(endpoint.host, self._headers, kept, headers)]
        response = await self._get(endpoint, target, fields)
        if len(response.fields) > self._config.max_headers:
            await response.aclose()
            raise FetchFailed(f"{host_of(hop.url)} sends more than {self._config.max_headers} headers.", Fault.STUBBORN)
        cookies.take(hop.url, response.fields)
        return response

    async def _get(self, endpoint: Endpoint, target: bytes, fields: Fields) -> Response:
        pooled = self._proxied or self._http2.get(endpoint)
        if pooled is None:
            try:
                return await self.wire.get(endpoint, target, fields)
            except OnlyHttp2:
                if not endpoint.is_tls:
                    raise FetchFailed(f"{endpoint.host} does not speak HTTP/1.1.", Fault.STUBBORN) from None
            pooled = self._http2[endpoint] = self._pool(public_only=endpoint.public_only)
        return await pooled.get(endpoint, target, fields)

    def _pool(self, *, public_only: bool) -> Pooled:
        """For HTTP/2, made when a server wants it. A connection made under one rule is not used under the other."""
        if public_only not in self._pools:
            self._pools[public_only] = http2(self._config, public_only=public_only)
        return self._pools[public_only]


class HttpBody:
    """Implements `stream.Body`."""

    def __init__(self, response: Response, head: Head, piece: int) -> None:
        self.head = head
        self.receive = response.receive
        self.is_cancellable = response.is_cancellable
        response.begin(head.framing, head.length, piece)


def _parts(hop: Hop) -> tuple[Endpoint, bytes, bytes]:
    """Whom to ask, as who, and for what: (endpoint, Host, request target)."""
    plain = _PLAIN_URL.fullmatch(hop.url)
    if plain is not None:
        scheme, host, port, target = plain.groups()
        shown = f"{host}:{port}" if port else host
        endpoint = Endpoint(host, int(port or DEFAULT_PORTS[scheme]), scheme == "https", hop.public_only)
        return endpoint, shown.encode("ascii"), target.encode("ascii")
    try:
        url = httpx.URL(hop.url)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise FetchFailed(f"{public_url(hop.url)} cannot be asked for: {error}.", Fault.FINAL) from error
    host = url.raw_host.decode("ascii")
    endpoint = Endpoint(host, url.port or DEFAULT_PORTS[url.scheme], url.scheme == "https", hop.public_only)
    return endpoint, url.netloc, url.raw_path


def _fields(host: str, *groups: Mapping[str, str]) -> Fields:
    """As bytes; of two of one name the later one counts."""
    found = {name.lower(): (name, value.strip()) for group in groups for name, value in group.items()}
    try:
        fields = [(name.encode("ascii"), value.encode("utf-8", "surrogateescape")) for name, value in found.values()]
    except UnicodeEncodeError as error:
        raise FetchFailed(f"The request to {host} cannot be sent: a header has no proper name.", Fault.FINAL) from error
    for name, content in fields:  # h11 says so as well, and quotes it: a secret as often as not
        if _NO_VALUE.search(content):
            shown = name.decode("ascii")
            raise FetchFailed(f"The request to {host} cannot be sent: {shown} holds control characters.", Fault.FINAL)
    return fields


def _location(response: Response) -> str | None:
    """Bytes that are not UTF-8 stay what they are."""
    found = [value for name, value in response.fields if name.lower() == b"location"]
    return found[0].decode("utf-8", "surrogateescape") if found else None


def _is_out_there(response: Response) -> bool:
    """Behind a proxy it cannot be told who answered: taken for yes."""
    return response.peer is None or is_public(response.peer)


def _head(response: Response, hop: Hop) -> Head:
    fields = ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.fields)
    head = read_head(response.status, hop.url, fields, now=time.time(), http2=response.is_http2)
    if not head.mirrors:
        return replace(head, public_only=hop.public_only) if hop.public_only else head
    return replace(head, public_only=hop.public_only, mirrors_public_only=hop.public_only or _is_out_there(response))
