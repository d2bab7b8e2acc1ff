"""What to make of the head of an answer, given what was asked for and what is known. Pure; the whole table of trust.

200 ─▶ Take from 0     nothing here yet, or the same strong ETag (then Range was ignored)
   ├─▶ Unusable        beside others: nothing says that this is another version, so Range was ignored
   └─▶ Changed         something else is here
206 ─▶ Take            starts where asked, adds up, is of the same version
   ├─▶ Changed         another ETag, date or size
   └─▶ Unusable        multipart, encoded, or not what was asked for: this server's ranges are broken
416 ─▶ AllHere         the size that it names is what we hold
   └─▶ Changed
else ▶ Failed          with what it means for trying again
"""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeAlias

from engine.sources.stream import Fault, Framing, Head
from engine.sources.urls import host_of, name_of
from engine.transfer.version import Version, contradiction


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: the range (None: no Range header) and what is known and held of the file."""

    start: int | None
    end: int | None
    known: Version | None  # None: nothing was ever heard
    held: int  # bytes of the file that are here
    url: str  # as the user gave it
    any_type: bool = False  # the user knows that this is a web page
    size: int | None = None  # that was promised
    beside: bool = False  # what is here does not depend on the answer: other connections go on with it


@dataclass(frozen=True, slots=True)
class Take:
    """The body holds `[start, end)` of the file; None: up to wherever it ends. `size` is that of the whole."""

    start: int
    end: int | None
    size: int | None


@dataclass(frozen=True, slots=True)
class Changed:
    """What is here belongs to another version; `why` is a sentence."""

    why: str


@dataclass(frozen=True, slots=True)
class AllHere:
    size: int


@dataclass(frozen=True, slots=True)
class Unusable:
    """An answer to a range that must not be used; asking without a range may work."""

    why: str


@dataclass(frozen=True, slots=True)
class Failed:
    why: str
    fault: Fault
    retry_after: float | None = None


Verdict: TypeAlias = Take | Changed | AllHere | Unusable | Failed

_FINAL_STATUS: Final = {
    401: "wants a login",
    402: "wants money",
    403: "refuses access",
    404: "has no such file",
    407: "wants a login for the proxy",
    410: "has this file no more",
    451: "may not serve this file for legal reasons",
}
_PASSING_STATUS: Final = frozenset({408, 421, 425, 429})
_PAGE: Final = frozenset({"text/html", "application/xhtml+xml"})


def judge(asked: Asked, head: Head) -> Verdict:
    """The decision. Sentences name the host, never the URL's secrets."""
    host = host_of(head.url)
    verdict = _judge(asked, head, host)
    if isinstance(verdict, Take) and verdict.size is not None and asked.size not in (None, verdict.size):
        why = f"{host} has a file of {verdict.size} bytes, but {asked.size} were promised."
        return Failed(why, Fault.FINAL)
    return verdict


def _judge(asked: Asked, head: Head, host: str) -> Verdict:
    match head.status:
        case 200 | 203:
            if _is_suspect(asked, head):
                name = name_of(asked.url)
                return Failed(f"{host} sent a web page instead of {name!r}: does it want a login?", Fault.PASSING)
            return _judge_whole(asked, head)
        case 206:
            return _judge_part(asked, head, host)
        case 416:
            return _judge_unsatisfied(asked, head, host)
    return _judge_status(head, host)


def _judge_whole(asked: Asked, head: Head) -> Verdict:
    size = head.length if head.framing is Framing.LENGTH else None
    take = Take(0, size, size)
    if asked.known is None or asked.held == 0:
        return take
    why = contradiction(asked.known, head, size)
    if why is None and asked.known.etag is not None and asked.known.etag == head.etag:
        return Take(0, size, asked.known.size if size is None else size)
    if why is None and asked.beside:
        return Unusable(f"{host_of(head.url)} gives no ranges.")
    return Changed(why or "The server does not vouch that the file is still the same.")


def _judge_part(asked: Asked, head: Head, host: str) -> Verdict:
    part = head.content_range
    if asked.start is None:
        return Failed(f"{host} sent a part of the file without being asked for one.", Fault.STUBBORN)
    if head.multipart:
        return Unusable(f"{host} wraps a single range into several parts.")
    if head.encoded:
        return Unusable(f"{host} compresses a range, which cannot be put together.")
    if part is None or part.start is None or part.end is None:
        return Unusable(f"{host} sent a part of the file without saying which.")
    if part.start != asked.start:
        return Unusable(f"{host} sent the bytes from {part.start} on when asked for those from {asked.start} on.")
    if head.length is not None and head.length != part.end - part.start:
        return Unusable(f"{host} announces {head.length} bytes for a range of {part.end - part.start}.")
    if asked.known is not None:
        why = contradiction(asked.known, head, part.total)
        if why is not None:
            return Changed(why)
    known_size = asked.known.size if asked.known is not None else None
    return Take(part.start, part.end, known_size if part.total is None else part.total)


def _judge_unsatisfied(asked: Asked, head: Head, host: str) -> Verdict:
    total = head.content_range.total if head.content_range is not None else None
    if asked.start is None:
        return Failed(f"{host} answers a plain request as if it were for a range.", Fault.STUBBORN)
    if total is not None and total == asked.held and (asked.known is None or asked.known.size in (None, total)):
        return AllHere(total)
    return Changed("The file on the server changed: it has no such range any more.")


def _judge_status(head: Head, host: str) -> Verdict:
    status = head.status
    if status in _PASSING_STATUS or 500 <= status < 600:
        wait = "" if head.retry_after is None else f" and asks to wait {head.retry_after:.0f} s"
        return Failed(f"{host} answers {_status(status)}{wait}.", Fault.PASSING, head.retry_after)
    reason = _FINAL_STATUS.get(status)
    return Failed(
        f"{host} {reason} ({status})." if reason else f"{host} answers {_status(status)}, which gives no file.",
        Fault.FINAL,
    )


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _is_suspect(asked: Asked, head: Head) -> bool:
    """A page for something whose name promises another kind of file. Portals answer any URL with 200 and a form."""
    if asked.any_type or head.media_type not in _PAGE or head.name is not None:
        return False
    promised, coding = mimetypes.guess_type(name_of(asked.url), strict=False)
    if coding is not None:
        return True
    return promised is not None and not promised.startswith("text/") and promised not in _PAGE
