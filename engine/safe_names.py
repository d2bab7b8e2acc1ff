"""Names that come from outside (servers, links, archives) made fit to be the name of one file. Pure.

A name is `str` with surrogateescape, so bytes that are not UTF-8 stay as they are and can be had back. What is taken
out: `/` and NUL, which no file name can hold; control characters, which drive terminals; and the characters that turn
the direction of text, which make `cod.exe` out of `exe.doc`.
"""

from __future__ import annotations

import os
import re
from typing import Final

MAX_NAME: Final = 255  # bytes, NAME_MAX of Linux
MAX_KEPT_EXTENSION: Final = 32  # bytes, with its dots: longer ones are no extensions

# C0, DEL, C1, line and paragraph separators, the bidirectional controls (Unicode TR 9), zero-width no-break space
_DANGEROUS = re.compile("[/\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
_DOUBLE_EXTENSION = re.compile(r"\.tar\.[A-Za-z0-9]{1,5}$")


def safe_name(raw: str | bytes, fallback: str = "download") -> str:
    """`raw` as the name of one file: 1 to 255 bytes, no dangerous character, not `.` or `..`.

    Dangerous characters become `_`, surrounding blanks go, and a long name is cut before its extension. Where nothing
    is left, `fallback` (taken as it is). Idempotent.
    """
    name = os.fsdecode(raw if isinstance(raw, bytes) else os.fsencode(_encodable(raw)))
    name = _DANGEROUS.sub("_", name).strip(" ")
    name = cut(name, MAX_NAME).strip(" ")
    return name if name.strip(". ") else fallback


def is_safe(name: str) -> bool:
    """Whether `safe_name` would leave it as it is."""
    return bool(name) and safe_name(name, "") == name


def cut(name: str, limit: int) -> str:
    """At most `limit` bytes of `name`: what stands before the extension is shortened, by whole characters."""
    if len(os.fsencode(name)) <= limit:
        return name
    stem, extension = split_extension(name)
    return _head(stem, limit - len(os.fsencode(extension))) + extension


def split_extension(name: str) -> tuple[str, str]:
    """(`a`, `.tar.gz`) of `a.tar.gz`; the second part is empty where what follows the last dot is no extension."""
    double = _DOUBLE_EXTENSION.search(name)
    if double and double.start() > 0:
        return name[: double.start()], double.group()
    stem, extension = os.path.splitext(name)
    if len(os.fsencode(extension)) > MAX_KEPT_EXTENSION or " " in extension:
        return name, ""
    return stem, extension


def _head(text: str, limit: int) -> str:
    """The longest beginning of `text` that takes at most `limit` bytes."""
    raw = os.fsencode(text)[:limit]
    head = os.fsdecode(raw)
    # A character cut in the middle decodes to escapes that the text does not have: leave it out.
    while head and not text.startswith(head):
        head = head[:-1]
    return head


def _encodable(text: str) -> str:
    """`text` without surrogates that no file name can hold (those of surrogateescape stay)."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return "".join("_" if "\ud800" <= c <= "\udfff" and not "\udc80" <= c <= "\udcff" else c for c in text)
    return text
