"""The source for a URL by its scheme. On the trio thread."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from types import TracebackType

from engine.sources.config import HttpConfig
from engine.sources.ftp import FtpSource
from engine.sources.http import HttpSource
from engine.sources.stream import Ask, Body


class Router:
    """Implements `stream.StreamSource`: FTP for ftp:// URLs, HTTP for all others. An async context manager.

    BadRequest when the config names files or a proxy that cannot be used."""

    def __init__(self, config: HttpConfig) -> None:
        self._http = HttpSource(config)
        self._ftp = FtpSource(config)

    async def __aenter__(self) -> Router:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    def open(self, ask: Ask) -> AbstractAsyncContextManager[Body]:
        """See `stream.StreamSource`."""
        return self._ftp.open(ask) if ask.url[:4].lower() == "ftp:" else self._http.open(ask)
