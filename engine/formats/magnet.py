"""Magnet links: BEP 9 (btih, dn, tr, x.pe), BEP 19 (ws), BEP 52 (btmh) and BEP 53 (so). Pure.

    magnet:?xt=urn:btih:<40 hex or 32 base32>&xt=urn:btmh:1220<64 hex>&dn=NAME&tr=URL&ws=URL&so=0,2,4-6&x.pe=HOST:PORT

Parameters may be numbered (`xt.1`), repeated and in any order. A tracker, seed or peer that cannot be one is left out:
the rest of the link works without it. A selection that cannot be one is refused: without it everything would come.
"""

from __future__ import annotations

import re
from base64 import b32decode
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final, TypeVar
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit

from engine.errors import BadRequest
from engine.safe_names import safe_name

MAX_LENGTH: Final = 1 << 16  # characters of a link; a hundred trackers take some 6,000
MAX_MEMBERS: Final = 500  # trackers, web seeds, peers of each kind
MAX_FILE: Final = 10_000_000  # number of a file; torrents have 100,000 at the very most

T = TypeVar("T")

_SCHEME = "magnet:?"
_NUMBERED = re.compile(r"(xt|tr|ws|x\.pe)\.\d{1,4}")
_HEX_40, _HEX_64 = re.compile("[0-9a-fA-F]{40}"), re.compile("[0-9a-fA-F]{64}")
_BASE32 = re.compile("[A-Za-z2-7]{32}")
_SPAN = re.compile(r"(\d{1,8})(?:-(\d{1,8}))?", re.ASCII)
_PEER = re.compile(r"(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,253}):(\d{1,5})", re.ASCII)
_TRACKERS = frozenset({"http", "https", "udp", "ws", "wss"})
_SEEDS = frozenset({"http", "https", "ftp"})
_SHA256 = "1220"  # multihash: SHA-256, 32 bytes


@dataclass(frozen=True, slots=True)
class Magnet:
    """A torrent to be found. At least one of the infohashes is there, in lower-case hex. `select` are ranges of file
    numbers from 0, ends included, ascending and apart; empty means all. `name` is fit to be a file's."""

    v1: str | None
    v2: str | None
    name: str | None = None
    trackers: tuple[str, ...] = ()
    web_seeds: tuple[str, ...] = ()
    select: tuple[tuple[int, int], ...] = ()
    peers: tuple[tuple[str, int], ...] = ()


def is_magnet(text: str) -> bool:
    return text[: len(_SCHEME) - 1].lower() == _SCHEME[:-1]


def parse_magnet(text: str) -> Magnet:
    """BadRequest, with a sentence, for what is no magnet link of a torrent."""
    text = text.strip()
    if len(text) > MAX_LENGTH:
        raise BadRequest(f"A magnet link has at most {MAX_LENGTH} characters, this one has {len(text)}.")
    if text[: len(_SCHEME)].lower() != _SCHEME:
        raise BadRequest(f"A magnet link begins with {_SCHEME}, this does not: {text[:40]!r}.")
    fields: dict[str, list[str]] = {}
    # Links that were copied out of a page's source have &amp; between their parameters.
    for pair in text[len(_SCHEME) :].replace("&amp;", "&").split("&"):
        key, _, value = pair.partition("=")
        key = key.lower()
        numbered = _NUMBERED.fullmatch(key)
        fields.setdefault(numbered[1] if numbered else key, []).append(value)
    v1, v2 = _infohashes(fields.get("xt", ()))
    return Magnet(
        v1,
        v2,
        name=_name(fields.get("dn", ())),
        trackers=_urls(fields.get("tr", ()), _TRACKERS),
        web_seeds=_urls(fields.get("ws", ()), _SEEDS),
        select=_select(fields.get("so", ())),
        peers=_members(filter(None, map(_peer, fields.get("x.pe", ())))),
    )


def magnet_uri(magnet: Magnet) -> str:
    """The canonical link, which `parse_magnet` reads back as the same value. May hold secrets (trackers' pass keys)."""
    parts = [_public_part(magnet)]
    parts += [f"tr={_quoted(url)}" for url in magnet.trackers]
    parts += [f"ws={_quoted(url)}" for url in magnet.web_seeds]
    parts += [f"x.pe={_quoted(f'[{host}]' if ':' in host else host)}:{port}" for host, port in magnet.peers]
    return "&".join(parts)


def public_magnet(magnet: Magnet) -> str:
    """A link fit for status lines and logs: without trackers, seeds and peers, whose URLs may be secrets as a whole."""
    return _public_part(magnet)


def _public_part(magnet: Magnet) -> str:
    parts = [f"xt=urn:btih:{magnet.v1}"] if magnet.v1 else []
    if magnet.v2:
        parts.append(f"xt=urn:btmh:{_SHA256}{magnet.v2}")
    if magnet.name is not None:
        parts.append(f"dn={_quoted(magnet.name)}")
    if magnet.select:
        spans = (str(first) if first == last else f"{first}-{last}" for first, last in magnet.select)
        parts.append(f"so={','.join(spans)}")
    return _SCHEME + "&".join(parts)


def _infohashes(topics: Iterable[str]) -> tuple[str | None, str | None]:
    v1: set[str] = set()
    v2: set[str] = set()
    for topic in map(unquote, topics):
        urn = topic.lower()
        if urn.startswith("urn:btih:"):
            v1.add(_btih(topic[9:]))
        elif urn.startswith("urn:btmh:"):
            v2.add(_btmh(topic[9:]))
    if len(v1) > 1 or len(v2) > 1:
        raise BadRequest("This magnet link names more than one torrent.")
    if not v1 and not v2:
        raise BadRequest("This magnet link names no torrent: it has neither xt=urn:btih: nor xt=urn:btmh:.")
    return next(iter(v1), None), next(iter(v2), None)


def _btih(text: str) -> str:
    if _HEX_40.fullmatch(text):
        return text.lower()
    if _BASE32.fullmatch(text):
        return b32decode(text.upper()).hex()
    raise BadRequest(f"An infohash is 40 hexadecimal digits or 32 base32 letters, this is not: {text[:80]!r}.")


def _btmh(text: str) -> str:
    if text.startswith(_SHA256) and _HEX_64.fullmatch(text[len(_SHA256) :]):
        return text[len(_SHA256) :].lower()
    raise BadRequest(f"A version 2 infohash is {_SHA256} and 64 hexadecimal digits, this is not: {text[:80]!r}.")


def _name(values: Iterable[str]) -> str | None:
    for value in values:
        name = safe_name(unquote_to_bytes(value.replace("+", " ").encode("utf-8", "surrogatepass")), "")
        if name:
            return name
    return None


def _urls(values: Iterable[str], schemes: frozenset[str]) -> tuple[str, ...]:
    return _members(url for url in map(unquote, values) if _is_url(url, schemes))


def _is_url(url: str, schemes: frozenset[str]) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname) and url.isprintable() and " " not in url


def _peer(value: str) -> tuple[str, int] | None:
    found = _PEER.fullmatch(unquote(value))
    if found is None or not 0 < int(found[2]) < 65536:
        return None
    host = found[1].strip("[]")
    if found[1].startswith("["):
        try:
            host = str(IPv6Address(host))
        except ValueError:
            return None
    return host, int(found[2])


def _select(values: Iterable[str]) -> tuple[tuple[int, int], ...]:
    spans: list[tuple[int, int]] = []
    for text in filter(None, (part.strip() for value in values for part in unquote(value).split(","))):
        found = _SPAN.fullmatch(text)
        first = int(found[1]) if found else -1
        last = int(found[2] or found[1]) if found else -1
        if not 0 <= first <= last < MAX_FILE:
            raise BadRequest(f"This magnet link selects files by {text[:40]!r}, which is no number and no range.")
        spans.append((first, last))
    return merged(spans)


def merged(spans: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The same numbers as ranges that ascend and neither touch nor overlap."""
    result: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(result[-1][1], last))
        else:
            result.append((first, last))
    return tuple(result)


def _members(values: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))[:MAX_MEMBERS]


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogateescape"), safe="/:~._-")
