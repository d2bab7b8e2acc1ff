"""The Link header: RFC 8288, and what RFC 6249 (Metalink/HTTP) says with it: mirrors and a description. Pure.

A server that names mirrors is a stranger: what is no URL that could be fetched is left out, and so is what comes after
the first `MAX_MIRRORS`. Links about something else (with an `anchor`) do not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final
from urllib.parse import urldefrag, urljoin

from engine.errors import BadRequest
from engine.sources.stream import LAST_PRIORITY, Mirror
from engine.sources.urls import check_url, without_login

MAX_MIRRORS: Final = 50
MAX_LINKS: Final = 500  # looked at; h11 accepts 100 KiB of header
_METALINK: Final = "application/metalink4+xml"

_BLANK: Final = " \t"
_TOKEN: Final = re.compile(r"[^\s,;=\"<>]+")
_COUNTRY: Final = re.compile("[a-z]{2}")


@dataclass(frozen=True, slots=True)
class Link:
    """`target` as sent; names of parameters in lower case, of two equal ones the first."""

    target: str
    parameters: Mapping[str, str]

    @property
    def relations(self) -> frozenset[str]:
        return frozenset(self.parameters.get("rel", "").lower().split())


def parse_links(header: str) -> list[Link]:
    """All links of a header's value (several headers are joined by commas). What is malformed ends at the next comma
    or semicolon; nothing raises."""
    return list(islice(_links(header), MAX_LINKS))


def mirrors_of(links: Sequence[Link], base: str) -> tuple[Mirror, ...]:
    """`rel=duplicate`, the best first: those that the server prefers (`pref`), then by priority, then as sent. `base`
    is the URL that answered; it is left out itself."""
    found: dict[str, tuple[bool, Mirror]] = {}
    for link in links:
        url = _target(link, base) if "duplicate" in link.relations else None
        if url is not None and url != base:
            place = link.parameters.get("geo", "").lower()
            mirror = Mirror(url, _priority(link), place if _COUNTRY.fullmatch(place) else "")
            found.setdefault(url, ("pref" in link.parameters, mirror))
    ranked = sorted(found.values(), key=lambda one: (not one[0], one[1].priority))
    return tuple(mirror for _, mirror in ranked[:MAX_MIRRORS])


def metalink_of(links: Sequence[Link], base: str) -> str | None:
    """The URL of the Metalink 4 document that describes this file; None where there is none."""
    for link in links:
        kind = link.parameters.get("type", "").partition(";")[0].strip().lower()
        if kind == _METALINK and "describedby" in link.relations and (url := _target(link, base)) is not None:
            return url
    return None


def _target(link: Link, base: str) -> str | None:
    """Absolute, without fragment and login; None for what could not be fetched, or is about another thing."""
    if "anchor" in link.parameters:
        return None
    try:
        return without_login(check_url(urldefrag(urljoin(base, link.target)).url))[0]
    except (BadRequest, ValueError):
        return None


def _priority(link: Link) -> int:
    text = link.parameters.get("pri", "")
    return int(text) if re.fullmatch("[0-9]{1,6}", text) and int(text) > 0 else LAST_PRIORITY


def _links(header: str) -> Iterator[Link]:
    position = 0
    while (start := header.find("<", position)) >= 0:
        end = header.find(">", start)
        if end < 0:
            return
        parameters, position = _parameters(header, end + 1)
        yield Link(header[start + 1 : end].strip(), parameters)


def _parameters(header: str, position: int) -> tuple[dict[str, str], int]:
    """What follows a target, up to the comma that ends the link, and where the next one may begin."""
    found: dict[str, str] = {}
    while position < len(header) and header[position] != ",":
        position = _skip(header, position, _BLANK + ";")
        name = _TOKEN.match(header, position)
        if name is None:
            position = _until(header, position, ",;")
            continue
        position = _skip(header, name.end(), _BLANK)
        value = ""
        if header[position : position + 1] == "=":
            value, position = _value(header, _skip(header, position + 1, _BLANK))
        found.setdefault(name[0].lower(), value)
    return found, position + 1


def _value(header: str, position: int) -> tuple[str, int]:
    """A quoted string, or all up to a comma or semicolon."""
    if header[position : position + 1] != '"':
        end = _until(header, position, ",;")
        return header[position:end].strip(), end
    parts = []
    position += 1
    while position < len(header) and header[position] != '"':
        position += header[position] == "\\" and position + 1 < len(header)
        parts.append(header[position])
        position += 1
    return "".join(parts), _until(header, position + 1, ",;")


def _skip(text: str, position: int, those: str) -> int:
    while position < len(text) and text[position] in those:
        position += 1
    return position


def _until(text: str, position: int, stops: str) -> int:
    while position < len(text) and text[position] not in stops:
        position += 1
    return position
