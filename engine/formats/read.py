"""From a file to the downloads that it names. Pure; a large file takes long enough for a thread of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from engine.errors import BadRequest
from engine.formats.aria2_input import parse_aria2_input
from engine.formats.links import parse_desktop, parse_list, parse_magnet_file, parse_url_file, parse_webloc
from engine.formats.metalink import parse_metalink
from engine.formats.sniff import EXTENSIONS, Format, sniff
from engine.formats.wanted import Reading, Wanted, shown

MAX_BYTES: Final = 16 << 20  # of any file; libtorrent takes .torrent files to 10 MB

# What a list of links a line does not have: options, or mirrors.
_ARIA2 = re.compile(rb"^[ \t]+[a-z0-9-]+=|^[^\s#]\S*[ ]?\t\s*[a-z]+://", re.MULTILINE)


def read(name: str, content: bytes) -> Reading:
    """`name` is the file's, used where its bytes do not tell. BadRequest for what is none of our formats, and for one
    that holds nothing to fetch; of a list, a line that is wrong is a fault."""
    check_size(len(content))
    kind = sniff(name, content)
    if kind is None:
        raise BadRequest(f"{shown(name)} is none of {', '.join(EXTENSIONS)}, and does not begin with a link either.")
    if not content.strip():
        raise BadRequest(f"{shown(name)} is empty.")
    found = _PARSERS[kind](content)
    if not found.wanted and not found.faults:
        raise BadRequest(f"{shown(name)} holds no link.")
    return found


def check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise BadRequest(f"A file of links or a torrent has at most {MAX_BYTES >> 20} MiB, this one {size >> 20}.")


def _torrent(content: bytes) -> Reading:
    """Only looked at: what is in it is for those who download it."""
    if not content.startswith(b"d") or b"4:info" not in content:
        raise BadRequest("This is no torrent: it is no bencoded dictionary with the key info.")
    return Reading((Wanted(torrent=content),))


def _list(content: bytes) -> Reading:
    return (parse_aria2_input if _ARIA2.search(content) else parse_list)(content)


_PARSERS: Mapping[Format, Callable[[bytes], Reading]] = {
    Format.TORRENT: _torrent,
    Format.MAGNET: parse_magnet_file,
    Format.METALINK: parse_metalink,
    Format.URL: parse_url_file,
    Format.WEBLOC: parse_webloc,
    Format.DESKTOP: parse_desktop,
    Format.LIST: _list,
}
