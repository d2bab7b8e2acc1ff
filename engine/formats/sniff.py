"""Which format a file is in, by its first bytes and, where these leave it open, its name. Pure."""

from __future__ import annotations

import os
import re
from enum import StrEnum
from typing import Final

from engine.formats.links import looks_like_link, text_of

HEAD: Final = 4096  # bytes looked at


class Format(StrEnum):
    TORRENT = "torrent"
    MAGNET = "magnet"
    METALINK = "metalink"
    URL = "url"
    WEBLOC = "webloc"
    DESKTOP = "desktop"
    LIST = "list"


EXTENSIONS: Final = {
    ".torrent": Format.TORRENT, ".magnet": Format.MAGNET, ".meta4": Format.METALINK, ".metalink": Format.METALINK,
    ".url": Format.URL, ".webloc": Format.WEBLOC, ".desktop": Format.DESKTOP, ".txt": Format.LIST,
}  # fmt: skip

# A bencoded dictionary whose keys, sorted as they are, lead to `info`: no other format begins like this.
_BENCODED = re.compile(rb"d\d{1,3}:[a-zA-Z]")
_METALINK = re.compile(r"<(?:[\w.-]+:)?metalink[\s>]")
_SECTIONS = (("[internetshortcut]", Format.URL), ("[desktop entry]", Format.DESKTOP))


def sniff(name: str, content: bytes) -> Format | None:
    """None for what is none of them. `content` may be the beginning of a file only."""
    head = content[:HEAD]
    if _BENCODED.match(head) and b"4:info" in content:
        return Format.TORRENT
    if head.startswith(b"bplist0"):
        return Format.WEBLOC
    text = text_of(head).lstrip("\ufeff \t\r\n")
    lowered = text.lower()
    if text.startswith("<"):
        if _METALINK.search(lowered):
            return Format.METALINK
        if "<plist" in lowered:
            return Format.WEBLOC
    for section, kind in _SECTIONS:
        if section in lowered:
            return kind
    by_name = EXTENSIONS.get(os.path.splitext(name)[1].lower())
    return by_name or (Format.LIST if _begins_with_link(text) else None)


def _begins_with_link(text: str) -> bool:
    """Whether the first line that is no comment looks like `scheme://` or a magnet."""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            return looks_like_link(stripped) and ("://" in stripped or stripped.lower().startswith("magnet:?"))
    return False
