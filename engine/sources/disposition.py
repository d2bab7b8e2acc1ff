"""The file name in a Content-Disposition header: RFC 6266 and 8187, and what servers send instead. Pure.

Handled beside the standard: no disposition type, unclosed and single quotes, blanks without quotes, raw UTF-8 and
Latin-1 bytes, percent-encoding in a plain `filename`, RFC 2047 words, RFC 2231 continuations, whole paths.
"""

from __future__ import annotations

import binascii
import email.errors
import email.header
import os
import re
from typing import Final
from urllib.parse import unquote_to_bytes

from engine.safe_names import safe_name

# Python has codecs that are no character sets (`unicode_escape`, `punycode`): only these are looked up.
_CHARSET: Final = re.compile(
    r"(utf-?8|us-ascii|iso-8859-\d{1,2}|windows-125\d|koi8-[ru]|shift_jis|euc-(jp|kr)|gbk|gb2312|gb18030|big5)",
    re.IGNORECASE,
)
_PERCENT: Final = re.compile("%[0-9A-Fa-f]{2}")
_CONTINUATION: Final = re.compile(r"filename\*(\d{1,3})(\*?)")


def disposition_name(header: str) -> str | None:
    """The name that `header` (its bytes as Latin-1) gives, made safe; None where it gives none."""
    parameters = _parameters(header)
    raw = (
        _extended(parameters.get("filename*"))
        or _continued(parameters)
        or _plain(parameters.get("filename"))
        or _plain(parameters.get("name"))
    )
    if not raw:
        return None
    return safe_name(re.split(r"[/\\]", raw)[-1], "") or None


def _parameters(header: str) -> dict[str, str]:
    """Name (lower case) -> value. The first of two equal names counts."""
    found: dict[str, str] = {}
    position = 0
    while position < len(header):
        name, position = _until(header, position, ";=")
        if header[position : position + 1] == "=":
            value, position = _value(header, position + 1)
            found.setdefault(name.strip().lower(), value)
        else:
            position += 1
    return found


def _value(header: str, position: int) -> tuple[str, int]:
    """A quoted string or anything up to the next semicolon, and where the next parameter begins."""
    while header[position : position + 1] in (" ", "\t"):
        position += 1
    if header[position : position + 1] != '"':
        value, position = _until(header, position, ";")
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] == "'":
            value = value[1:-1]
        return value, position + 1
    parts = []
    position += 1
    while position < len(header) and header[position] != '"':
        # Only these two are taken for quoted pairs: Windows paths come with plain backslashes.
        if header[position] == "\\" and header[position + 1 : position + 2] in ('"', "\\"):
            position += 1
        parts.append(header[position])
        position += 1
    _, position = _until(header, position + 1, ";")
    return "".join(parts), position + 1


def _until(text: str, position: int, stops: str) -> tuple[str, int]:
    end = position
    while end < len(text) and text[end] not in stops:
        end += 1
    return text[position:end], end


def _extended(value: str | None) -> str | None:
    """RFC 8187: charset'language'percent-encoded."""
    if value is None:
        return None
    charset, quote, rest = value.partition("'")
    if not quote:
        return _decoded(unquote_to_bytes(_latin1(value)), "")
    _, quote, encoded = rest.partition("'")
    return _decoded(unquote_to_bytes(_latin1(encoded if quote else rest)), charset)


def _continued(parameters: dict[str, str]) -> str | None:
    """RFC 2231: filename*0*=...; filename*1=..."""
    pieces = {}
    charset = ""
    for name, value in parameters.items():
        if match := _CONTINUATION.fullmatch(name):
            if match[2]:
                if match[1] == "0" and value.count("'") >= 2:
                    charset, _, value = value.split("'", 2)  # noqa: PLW2901 -- what is left of the value
                pieces[int(match[1])] = unquote_to_bytes(_latin1(value))
            else:
                pieces[int(match[1])] = _latin1(value)
    if 0 not in pieces:
        return None
    return _decoded(b"".join(pieces[n] for n in sorted(pieces)), charset)


def _plain(value: str | None) -> str | None:
    if not value:
        return None
    if "=?" in value:
        try:
            return str(email.header.make_header(email.header.decode_header(value)))
        except (binascii.Error, email.errors.MessageError, LookupError, ValueError):
            pass  # not an encoded word after all
    raw = _latin1(value)
    if _PERCENT.search(value) and len(_PERCENT.findall(value)) == value.count("%"):
        try:
            return unquote_to_bytes(raw).decode("utf-8")
        except UnicodeDecodeError:
            pass  # per cent signs of its own
    return _decoded(raw, "")


def _decoded(raw: bytes, charset: str) -> str:
    """Text of `raw`; where the charset is unknown or wrong, UTF-8 or the bytes themselves as surrogate escapes."""
    if charset and _CHARSET.fullmatch(charset):
        try:
            return raw.decode(charset)
        except UnicodeDecodeError:
            pass  # the header lies about its charset
    return os.fsdecode(raw)


def _latin1(value: str) -> bytes:
    return value.encode("latin-1", "replace")
