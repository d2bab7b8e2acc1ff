"""FTP as a stream of bytes: commands in a thread by ftplib, data on the trio thread. Implements `stream.StreamSource`.

An answer looks like one of HTTP: the whole is a 200, a REST that worked a 206, an offset behind the end a 416. The
date of MDTM is the Last-Modified, and a condition that it does not meet leads to the whole. The end is known by the
server's word (226), also where it does not tell the size. Each request has a control connection of its own.
"""

from __future__ import annotations

import ftplib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from email.utils import format_datetime
from typing import Final, TypeVar

import trio

from engine.sources.config import HttpConfig
from engine.sources.ftp_session import FtpSession, place_of
from engine.sources.sockets import PlainSocket
from engine.sources.stream import Ask, ContentRange, Fault, FetchFailed, Framing, Head
from engine.sources.urls import host_of, without_login

THREADS: Final = 32
T = TypeVar("T")

_REFUSED: Final = {
    "421": ("takes no further connection now", Fault.PASSING),
    "425": ("cannot open a data connection", Fault.PASSING),
    "426": ("broke the transfer off", Fault.PASSING),
    "450": ("cannot give this file now", Fault.PASSING),
    "530": ("refuses this login", Fault.FINAL),
    "532": ("wants an account", Fault.FINAL),
    "550": ("has no such file, or does not give it", Fault.FINAL),
    "553": ("does not allow this name", Fault.FINAL),
}


class FtpSource:
    """Of `config` the timeouts and the proxy count: there is no FTP through one."""

    def __init__(self, config: HttpConfig | None = None) -> None:
        self._config = config or HttpConfig()
        self._limiter = trio.CapacityLimiter(THREADS)

    @asynccontextmanager
    async def open(self, ask: Ask) -> AsyncIterator[FtpBody]:
        """See `stream.StreamSource`."""
        config, host = self._config, host_of(ask.url)
        if config.proxy is not None:
            raise FetchFailed(
                f"FTP does not go through a proxy, and one is configured: {host} is not asked.", Fault.FINAL
            )
        session = FtpSession(
            place_of(ask.url),
            connect_timeout=config.connect_timeout,
            timeout=config.read_timeout,
            public_only=ask.public_only,
        )
        body: FtpBody | None = None
        try:
            with _failures(host):
                body = await self._begin(session, ask)
            yield body
        finally:
            if body is not None:
                body.close()
            session.abort()

    async def _run(self, function: Callable[[], T]) -> T:
        """In a thread, which a cancelled caller leaves behind: `abort` makes it return."""
        return await trio.to_thread.run_sync(function, limiter=self._limiter, abandon_on_cancel=True)

    async def _begin(self, session: FtpSession, ask: Ask) -> FtpBody:
        with trio.fail_after(self._config.connect_timeout + self._config.header_timeout):
            await self._run(session.login)
            size = session.size
            start = ask.start if ask.if_range in (None, _date(session)) else None
            if start is not None and size is not None and start >= size:
                head = _head(ask, session, 416, ContentRange(None, None, size))
                return self._body(session, head, None, ask.piece)
            data, begins = await self._run(lambda: session.retrieve(start or 0))
        socket = PlainSocket(trio.socket.from_stdlib_socket(data), session.peer)
        if begins and size is None:
            socket.close()
            raise FetchFailed(f"{host_of(ask.url)} does not tell the size of the file.", Fault.STUBBORN)
        if start is None or begins != start or size is None:
            head = _head(ask, session, 200, None)
        else:
            end = size if ask.end is None else min(ask.end, size)
            head = _head(ask, session, 206, ContentRange(start, end, size))
        return self._body(session, head, socket, ask.piece)

    def _body(self, session: FtpSession, head: Head, socket: PlainSocket | None, piece: int) -> FtpBody:
        async def finish() -> None:
            await self._run(session.finish)

        return FtpBody(head, socket, finish, self._config.read_timeout, piece)


class FtpBody:
    """Implements `stream.Body`. `finish` waits for the server's word that all was sent."""

    is_cancellable = False

    def __init__(
        self, head: Head, socket: PlainSocket | None, finish: Callable[[], Awaitable[None]], timeout: float, piece: int
    ) -> None:
        part = head.content_range
        self.head = head
        self._socket = socket
        self._finish = finish
        self._timeout = timeout
        self._left = head.length  # bytes to come; None where nobody knows
        self._is_all = part is None or part.end == part.total  # then more than that is a lie, else it is of no concern
        self._buffer = bytearray(piece if head.length is None else max(min(piece, head.length), 1))

    async def receive(self) -> bytes | memoryview:
        host = host_of(self.head.url)
        if self._socket is None or (self._left == 0 and not self._is_all):
            return b""
        most = len(self._buffer) if self._left is None else max(min(len(self._buffer), self._left), 1)
        with _failures(host), trio.fail_after(self._timeout):
            with memoryview(self._buffer) as view:
                count = await self._socket.receive_into(view[:most])
            if not count:
                self.close()
                await self._finish()
        if self._left is not None:
            if count > self._left:
                raise FetchFailed(f"{host} sends more than the size that it told.", Fault.STUBBORN)
            if not count and self._left:
                raise FetchFailed(f"{host} ended the file {self._left} bytes before its end.")
            self._left -= count
        return memoryview(self._buffer)[:count]

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _head(ask: Ask, session: FtpSession, status: int, part: ContentRange | None) -> Head:
    size, modified = session.size, session.modified
    length = size if part is None else (part.end or 0) - (part.start or 0)
    return Head(
        status=status,
        url=without_login(ask.url)[0],
        public_only=ask.public_only,
        length=length,
        framing=Framing.CHUNKED if length is None else Framing.LENGTH,
        content_range=part,
        last_modified=_date(session),
        last_modified_ns=None if modified is None else int(modified.timestamp()) * 10**9,
        ranges=None if size is not None else False,
    )


def _date(session: FtpSession) -> str | None:
    """As HTTP has it."""
    return None if session.modified is None else format_datetime(session.modified, usegmt=True)


@contextmanager
def _failures(host: str) -> Iterator[None]:
    """The seam where errors of ftplib and of sockets become FetchFailed. Of what a server says only the code counts."""
    try:
        yield
    except (ftplib.error_perm, ftplib.error_temp) as error:
        code = str(error)[:3]
        why, fault = _REFUSED.get(code, (None, Fault.PASSING if code.startswith("4") else Fault.FINAL))
        raise FetchFailed(f"{host} {why} ({code})." if why else f"{host} answers {code}.", fault) from error
    except ftplib.Error as error:  # also a line that is too long
        raise FetchFailed(f"{host} does not speak FTP properly.", Fault.STUBBORN) from error
    except (TimeoutError, trio.TooSlowError) as error:
        raise FetchFailed(f"{host} did not answer in time.") from error
    except EOFError as error:
        raise FetchFailed(f"{host} closed the connection early.") from error
    except (OSError, trio.ClosedResourceError) as error:
        raise FetchFailed(f"The connection to {host} broke: {str(error).rstrip('.')}.") from error
