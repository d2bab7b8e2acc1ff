"""From the header fields of a response to a `Head`. Pure; tolerant of nonsense, which becomes "not said".

Dates are RFC 9110 (all three forms), digests RFC 9530 (`Repr-Digest`, `Content-Digest`), RFC 3230 (`Digest`) and
RFC 1864 (`Content-MD5`), mirrors RFC 6249 (`links`).
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

from engine.sources.disposition import disposition_name
from engine.sources.links import metalink_of, mirrors_of, parse_links
from engine.sources.stream import ContentRange, Framing, Head

MIN_WAIT: Final = 1.0
MAX_WAIT: Final = 3600.0
MAX_SIZE: Final = 2**63 - 1  # of a file

_RANGE = re.compile(r"bytes\s+(\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.IGNORECASE)
_UNSATISFIED = re.compile(r"bytes\s+\*/(\d{1,19})", re.IGNORECASE)
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')
_DIGEST_NAMES: Final = {"md5": "md5", "sha": "sha1", "sha-256": "sha256", "sha-384": "sha384", "sha-512": "sha512"}
_DIGEST_SIZES: Final = {"md5": 16, "sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}


def read_head(status: int, url: str, fields: Iterable[tuple[str, str]], *, now: float, http2: bool = False) -> Head:
    """`fields` are (name in lower case, value as Latin-1); `now` is seconds since the epoch, for Retry-After dates."""
    values: dict[str, str] = {}
    for name, value in fields:
        values[name] = f"{values[name]}, {value}" if name in values else value.strip()
    length = _number(values.get("content-length", ""))
    encoding = values.get("content-encoding", "").lower()
    media_type = values.get("content-type", "").partition(";")[0].strip().lower()
    date = values.get("last-modified")
    modified = parse_date(date)
    etag = values.get("etag", "")
    links = parse_links(values["link"]) if "link" in values else []
    return Head(
        status=status,
        url=url,
        length=length,
        framing=_framing(values, length, http2),
        content_range=parse_content_range(values.get("content-range", "")),
        multipart=media_type == "multipart/byteranges",
        encoded=encoding not in ("", "identity"),
        etag=etag if _STRONG_ETAG.fullmatch(etag) else None,
        last_modified=None if modified is None else date,
        last_modified_ns=modified,
        date_ns=parse_date(values.get("date")),
        ranges=_accepts(values.get("accept-ranges")),
        media_type=media_type,
        name=disposition_name(values["content-disposition"]) if "content-disposition" in values else None,
        digests=_digests(values, whole=status == 200),
        retry_after=parse_retry_after(values.get("retry-after"), now),
        mirrors=mirrors_of(links, url),
        metalink=metalink_of(links, url),
    )


def _framing(values: Mapping[str, str], length: int | None, http2: bool) -> Framing:
    if "chunked" in values.get("transfer-encoding", "").lower() or (http2 and length is None):
        return Framing.CHUNKED
    return Framing.CLOSE if length is None else Framing.LENGTH


def parse_content_range(value: str) -> ContentRange | None:
    """None for what is no byte range, or one that contradicts itself."""
    if match := _RANGE.fullmatch(value.strip()):
        start, last = int(match[1]), int(match[2])
        total = None if match[3] == "*" else int(match[3])
        if start > last or (total is not None and last >= total) or last >= MAX_SIZE:
            return None
        return ContentRange(start, last + 1, total)
    if match := _UNSATISFIED.fullmatch(value.strip()):
        return ContentRange(None, None, int(match[1]))
    return None


@lru_cache(maxsize=64)  # a server's clock, and files of one age: 25 us each
def parse_date(value: str | None) -> int | None:
    """Nanoseconds since the epoch of an HTTP date; None for nonsense and for times before 1970."""
    if not value:
        return None
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = moment.timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return int(seconds) * 1_000_000_000 if seconds >= 0 else None


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait, from seconds or a date, never below 1 s nor above 1 h; None where nothing sensible is said."""
    if value is None:
        return None
    seconds: float | None
    if re.fullmatch(r"\d{1,10}", value.strip()):
        seconds = float(value)
    else:
        moment = parse_date(value)
        seconds = None if moment is None else moment / 1e9 - now
    return None if seconds is None else min(max(seconds, MIN_WAIT), MAX_WAIT)


def _accepts(value: str | None) -> bool | None:
    if value is None:
        return None
    return "bytes" in (unit.strip().lower() for unit in value.split(","))


def _number(value: str) -> int | None:
    return int(value) if re.fullmatch(r"\d{1,19}", value) and int(value) <= MAX_SIZE else None


def _digests(values: Mapping[str, str], *, whole: bool) -> dict[str, str]:
    """Digests of the whole content. Those of the message body count only when it is the whole (not a range)."""
    found: dict[str, str] = {}
    # RFC 9530 wraps base64 in colons, RFC 3230 does not; a dictionary of algorithms both.
    names = ["repr-digest", "digest"] + (["content-digest"] if whole else [])
    for member in ",".join(values.get(name, "") for name in names).split(","):
        algorithm, equals, text = member.strip().partition("=")
        name = _DIGEST_NAMES.get(algorithm.lower())
        if equals and name:
            _add_digest(found, name, text.strip().strip(":"))
    if whole and "content-md5" in values:
        _add_digest(found, "md5", values["content-md5"])
    return found


def _add_digest(found: dict[str, str], name: str, text: str) -> None:
    try:
        raw = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return  # not base64: nothing promised
    if len(raw) == _DIGEST_SIZES[name]:
        found.setdefault(name, raw.hex())
