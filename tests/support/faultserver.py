"""An HTTP server on a raw socket that misbehaves as told. Trio, loopback, one handler a path.

    async with fault_server() as server:
        server.add("/film.mkv", Resource(content, cut_at=[1000]))
        ... server.url("/film.mkv"), server.requests

`Resource` answers as a good server would but for the lies that its fields ask for; for anything else add a coroutine
`async def handler(request, stream)`.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str]

    @property
    def range(self) -> tuple[int, int | None] | None:
        """(start, end), end exclusive."""
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", ""))
        return (int(match[1]), int(match[2]) + 1 if match[2] else None) if match else None


Handler = Callable[[Request, trio.abc.Stream], Awaitable[None]]


class CloseConnection(Exception):
    """A handler is done with this connection."""


@dataclass
class Resource:
    """A file on the server. Fields may be changed while it is being served."""

    content: bytes
    etag: str | None = '"v1"'
    last_modified: str | None = None
    headers: dict[str, str] = field(default_factory=dict)  # further ones, of every answer
    ranges: bool = True  # False: Range is ignored
    if_range: bool = True  # False: If-Range is ignored, so that versions get mixed
    chunked: bool = False
    close: bool = False  # neither length nor chunks: the end is the end of the connection
    said_length: int | None = None  # a lie in Content-Length of a 200
    said_start: int | None = None  # a lie in Content-Range of a 206
    shift: int = 0  # send bytes from somewhere else than said
    cut_at: list[int] = field(default_factory=list)  # one request each: stop the connection after so many body bytes
    statuses: list[tuple[int, dict[str, str]]] = field(default_factory=list)  # one request each: answered like this
    hold_at: int | None = None  # a body that reaches this offset of the file waits for `release`
    hold_ranges: bool = False  # also where it was asked for with a Range
    release: trio.Event = field(default_factory=trio.Event)
    held: trio.Event = field(default_factory=trio.Event)  # set when a body waits there
    piece: int = 65536

    async def __call__(self, request: Request, stream: trio.abc.Stream) -> None:
        if self.statuses:
            status, headers = self.statuses.pop(0)
            await respond(stream, status, headers, b"no")
            return
        cut = self.cut_at.pop(0) if self.cut_at else None
        asked = request.range if self.ranges else None
        condition = request.headers.get("if-range")
        if asked and condition and self.if_range and condition not in (self.etag, self.last_modified):
            asked = None
        headers = dict(self.headers)
        if self.etag:
            headers["ETag"] = self.etag
        if self.last_modified:
            headers["Last-Modified"] = self.last_modified
        if self.ranges:
            headers["Accept-Ranges"] = "bytes"
        start, end = 0, len(self.content)
        status = 200
        if asked:
            start, end = asked[0], min(asked[1] or end, end)
            if start >= len(self.content):
                await respond(stream, 416, {**headers, "Content-Range": f"bytes */{len(self.content)}"}, b"")
                return
            status = 206
            said = start if self.said_start is None else self.said_start
            headers["Content-Range"] = f"bytes {said}-{said + end - start - 1}/{len(self.content)}"
        if self.chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif not self.close:
            length = self.said_length if status == 200 and self.said_length is not None else end - start
            headers["Content-Length"] = str(length)
        await send_head(stream, status, headers)
        await self._send_body(stream, start, end, cut, holding=self.hold_ranges or status == 200)
        if self.close or self.said_length is not None:
            raise CloseConnection

    async def _send_body(
        self, stream: trio.abc.Stream, start: int, end: int, cut: int | None, *, holding: bool
    ) -> None:
        content = self.content  # the version this answer began with
        position = start
        stop = end if cut is None else min(end, start + cut)
        while position < stop:
            if holding and self.hold_at is not None and position >= self.hold_at and not self.release.is_set():
                self.held.set()
                await self.release.wait()
            upto = min(position + self.piece, stop)
            if holding and self.hold_at is not None and position < self.hold_at:
                upto = min(upto, self.hold_at)
            piece = content[position + self.shift : upto + self.shift]
            await stream.send_all(b"%x\r\n%b\r\n" % (len(piece), piece) if self.chunked else piece)
            position = upto
        if cut is not None:
            raise CloseConnection
        if self.chunked:
            await stream.send_all(b"0\r\n\r\n")


async def send_head(stream: trio.abc.Stream, status: int, headers: dict[str, str] | list[tuple[str, str]]) -> None:
    pairs = list(headers.items()) if isinstance(headers, dict) else headers
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in pairs)]
    await stream.send_all("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")


async def respond(stream: trio.abc.Stream, status: int, headers: dict[str, str], body: bytes) -> None:
    await send_head(stream, status, {"Content-Length": str(len(body)), **headers})
    await stream.send_all(body)


class FaultServer:
    def __init__(self, port: int, scheme: str) -> None:
        self.port = port
        self.scheme = scheme
        self.requests: list[Request] = []
        self._handlers: dict[str, Handler] = {}

    def add(self, path: str, handler: Handler) -> str:
        """Answer `path` (without query) with it; returns the URL."""
        self._handlers[path] = handler
        return self.url(path)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    def ranges(self, path: str) -> list[tuple[int, int | None] | None]:
        """What was asked of `path`, in order."""
        return [request.range for request in self.requests if request.target.partition("?")[0] == path]

    async def serve(self, stream: trio.abc.Stream) -> None:
        buffer = b""
        try:
            while True:
                while b"\r\n\r\n" not in buffer:
                    data = await stream.receive_some(65536)
                    if not data:
                        return
                    buffer += data
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                request = _parse(head)
                self.requests.append(request)
                handler = self._handlers.get(request.target.partition("?")[0])
                if handler is None:
                    await respond(stream, 404, {}, b"nothing here")
                else:
                    await handler(request, stream)
        except (CloseConnection, trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError):
            pass  # told to, or the client went away
        finally:
            await trio.aclose_forcefully(stream)


def _parse(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return Request(method, target, headers)


@asynccontextmanager
async def fault_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[FaultServer]:
    """A server on a free port of 127.0.0.1, with TLS if given a context."""
    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        server = FaultServer(listener.socket.getsockname()[1], "https" if tls else "http")

        async def serve(stream: trio.SocketStream) -> None:
            await server.serve(trio.SSLStream(stream, tls, server_side=True, https_compatible=True) if tls else stream)

        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield server
        nursery.cancel_scope.cancel()
