"""An answer that somebody has begun to read, for another one to go on with. On the trio thread.

`begin` sends a request and keeps whatever comes of it, also a failure. As a StreamSource, an Answer gives that to the
first who asks for the same thing, from the first byte on, and sends everything else to the source behind it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from engine.sources.stream import Ask, Body, Fault, FetchFailed, Head, StreamSource


class Answer:
    """Implements `stream.StreamSource`. `close` must be called in the end."""

    def __init__(self, source: StreamSource, ask: Ask) -> None:
        self._source = source
        self._ask = ask
        self._stack = AsyncExitStack()
        self._body: Body | None = None
        # As data: a kept exception holds on to all frames that it passes through.
        self._failure: tuple[str, Fault] | None = None
        self._is_given = False
        self.read = bytearray()  # what `receive` gave

    @property
    def is_cancellable(self) -> bool:
        return self._body is not None and self._body.is_cancellable

    @property
    def head(self) -> Head | None:
        """None where none came."""
        return None if self._body is None else self._body.head

    async def begin(self) -> None:
        """Send the request. Its failure is kept."""
        try:
            self._body = await self._stack.enter_async_context(self._source.open(self._ask))
        except FetchFailed as error:
            self._failure = str(error), error.fault

    async def receive(self) -> int:
        """Read a further piece into `read`; 0 at the end and where it failed, which is kept. May be cancelled where
        `is_cancellable`."""
        assert self._body is not None
        try:
            data = await self._body.receive()
        except FetchFailed as error:
            self._failure = str(error), error.fault
            return 0
        self.read += data
        return len(data)

    @property
    def has_failed(self) -> bool:
        return self._failure is not None

    async def close(self) -> None:
        """The connection is used again if the body was read to its end."""
        await self._stack.aclose()

    @asynccontextmanager
    async def open(self, ask: Ask) -> AsyncIterator[Body]:
        """See `stream.StreamSource`."""
        if self._is_given or ask != self._ask:
            async with self._source.open(ask) as body:
                yield body
            return
        self._is_given = True
        if self._body is None:
            assert self._failure is not None, "begin comes first"
            raise FetchFailed(*self._failure)
        async with self._stack:
            yield _Begun(self._body, self.read, self._failure)


class _Begun:
    """Implements `stream.Body`: what was read, then what follows."""

    def __init__(self, body: Body, read: bytearray, failure: tuple[str, Fault] | None) -> None:
        self._body = body
        self._read = read
        self._failure = failure

    @property
    def head(self) -> Head:
        return self._body.head

    @property
    def is_cancellable(self) -> bool:
        return self._body.is_cancellable

    async def receive(self) -> bytes | memoryview:
        if self._read:
            data, self._read = bytes(self._read), bytearray()
            return data
        if self._failure is not None:
            raise FetchFailed(*self._failure)
        return await self._body.receive()
