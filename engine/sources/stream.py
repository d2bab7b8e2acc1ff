"""A source that streams: ask for bytes from an offset, get a head and then a body. Values and protocols, no I/O.

What is in a head was read from a server that may lie; `engine.transfer.judge` decides what to make of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Protocol

MOST_PIECE: Final = 1 << 20
LAST_PRIORITY: Final = 999_999  # of a mirror about which nothing was said (RFC 5854, 4.2.16)


class Fault(Enum):
    """What a failure says about trying again."""

    PASSING = auto()  # the network or the server is out of order right now
    STUBBORN = auto()  # looks broken for good, but is worth one more try
    FINAL = auto()  # the answer will be the same next time


class FetchFailed(Exception):
    """No answer, or none that can be used. `str()` is one sentence for the user."""

    def __init__(self, sentence: str, fault: Fault = Fault.PASSING) -> None:
        super().__init__(sentence)
        self.fault = fault


class Framing(Enum):
    """How the end of a body is known."""

    LENGTH = auto()  # Content-Length
    CHUNKED = auto()  # an explicit last chunk
    CLOSE = auto()  # the connection ends: a cut looks the same as the end


@dataclass(frozen=True, slots=True)
class ContentRange:
    """`bytes 0-99/1000` is (0, 100, 1000): `end` is exclusive. `bytes */1000` is (None, None, 1000)."""

    start: int | None
    end: int | None
    total: int | None


@dataclass(frozen=True, slots=True)
class Mirror:
    """Another place of the same file, named by a server: a stranger (see `Ask.public_only`), and nothing vouches that
    it holds the same bytes but digests and comparison."""

    url: str  # checked, absolute, without userinfo and fragment
    priority: int = LAST_PRIORITY  # 1 is the best
    location: str = ""  # country, ISO 3166-1 in lower case; empty when not said


@dataclass(frozen=True, slots=True)
class Ask:
    """A request. `start` None asks for the whole without a Range; `end` is exclusive, None for "to the end"."""

    url: str  # may hold userinfo
    start: int | None = None
    end: int | None = None
    if_range: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)  # of this download alone; dropped when the origin changes
    cookies: str | None = None  # a Netscape cookies file of this download, beside that of the configuration
    allow_downgrade: bool = False  # follow a redirect from https to http
    public_only: bool = False  # `url` was named by a stranger: no private addresses
    is_own: bool = True  # the user named `url`: what the configuration keeps for its host may be sent
    piece: int = MOST_PIECE  # bytes that `receive` gives at most, about


@dataclass(frozen=True, slots=True)
class Head:
    """What a server said before the body, after redirects."""

    status: int
    url: str  # the one that answered; may hold secrets in its query
    public_only: bool = False  # a redirect through a public address led there
    length: int | None = None  # Content-Length of this body
    framing: Framing = Framing.LENGTH
    content_range: ContentRange | None = None
    multipart: bool = False  # multipart/byteranges
    encoded: bool = False  # a Content-Encoding other than identity
    etag: str | None = None  # strong ones only, with their quotes
    last_modified: str | None = None  # as sent, None when it is no date
    last_modified_ns: int | None = None
    date_ns: int | None = None  # the server's clock
    ranges: bool | None = None  # Accept-Ranges; None when it says nothing
    media_type: str = ""  # lower case, without parameters
    name: str | None = None  # from Content-Disposition, safe
    digests: Mapping[str, str] = field(default_factory=dict)  # of the whole content: algorithm -> hex
    retry_after: float | None = None  # seconds from now, as asked by the server
    mirrors: tuple[Mirror, ...] = ()  # from Link headers (RFC 6249), the best first
    mirrors_public_only: bool = True  # they may not be at private addresses: who named them is not at one either
    metalink: str | None = None  # URL of a Metalink 4 document that describes the file, named by a stranger too


class Body(Protocol):
    """A response whose head has arrived."""

    @property
    def head(self) -> Head: ...

    @property
    def is_cancellable(self) -> bool:
        """Whether a cancelled `receive` has taken nothing and may be called again. If not, the body is lost."""

    async def receive(self) -> bytes | memoryview:
        """The next bytes of the body, empty at its proper end. A memoryview is valid until the next call.
        FetchFailed when the body is cut or stalls."""


class StreamSource(Protocol):
    def open(self, ask: Ask) -> AbstractAsyncContextManager[Body]:
        """Send the request, follow redirects, read the head. FetchFailed when there is none. Leaving the context
        closes the response; the connection is used again if the body was read to its end."""
