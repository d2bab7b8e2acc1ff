"""Files that hold a link: `.url`, `.webloc`, `.desktop`, `.magnet`, and texts with a link a line. Pure.

Each gives the links as they stand there; whether a link can be fetched is for whoever adds it to say.
"""

from __future__ import annotations

import codecs
import plistlib
import re
from typing import Final

from engine.errors import BadRequest
from engine.formats.magnet import is_magnet, parse_magnet
from engine.formats.wanted import Reading, Sentences, Wanted, shown
from engine.sources.urls import check_url

MAX_SMALL: Final = 256 << 10  # bytes of a file with one link; favicons make some of them long
MAX_URL: Final = 16 << 10  # characters; servers take some 8,000
MAX_LINES: Final = 100_000

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_BOMS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def text_of(content: bytes) -> str:
    """By its byte order mark; else UTF-8; else UTF-16 if every other byte is zero; else what old Windows wrote."""
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, "replace")
    for position, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        ends = content[position:200:2]
        if ends and not any(ends):
            return content.decode(encoding, "replace")
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def check_link(link: str) -> Wanted:
    """A link that can be fetched, as a download. BadRequest says why not."""
    if is_magnet(link):
        parse_magnet(link)
        return Wanted((link,))
    if len(link) > MAX_URL:
        raise BadRequest(f"A URL has at most {MAX_URL} characters here, this one has {len(link)}.")
    return Wanted((check_url(link),))


def parse_url_file(content: bytes) -> Reading:
    """A Windows shortcut to the Internet: `URL=` in the section [InternetShortcut]."""
    return _one(_ini_value(content, "internetshortcut", "url"), "This shortcut has no URL= in [InternetShortcut].")


def parse_desktop(content: bytes) -> Reading:
    """A desktop entry with `Type=Link` (freedesktop.org, Desktop Entry Specification)."""
    kind = _ini_value(content, "desktop entry", "type")
    if kind is None or kind.lower() != "link":
        raise BadRequest("This desktop entry is no link: it does not say Type=Link.")
    return _one(_ini_value(content, "desktop entry", "url"), "This desktop entry has no URL=.")


def parse_webloc(content: bytes) -> Reading:
    """A web location of macOS: a property list, XML or binary, with the key URL."""
    _check_small(content)
    try:
        found = plistlib.loads(content)
    except Exception as error:  # plistlib lets a dozen kinds of errors through, from expat, struct, int and codecs
        raise BadRequest("This web location is no property list.") from error
    link = found.get("URL") if isinstance(found, dict) else None
    return _one(link if isinstance(link, str) else None, "This web location has no URL.")


def parse_magnet_file(content: bytes) -> Reading:
    """One magnet link, and nothing else but comments and blank lines."""
    _check_small(content)
    lines = [line.strip() for line in text_of(content).splitlines()]
    links = [line for line in lines if line and not line.startswith("#")]
    if len(links) != 1:
        raise BadRequest(f"A .magnet file holds one magnet link, this one has {len(links)} lines.")
    parse_magnet(links[0])
    return Reading((Wanted((links[0],)),))


def parse_list(content: bytes) -> Reading:
    """A link a line; what follows it after a blank does not count, nor do blank lines and those that begin with #.
    A line that is no link, or one that cannot be fetched, is a fault."""
    wanted: dict[str, Wanted] = {}
    faults = Sentences()
    for number, line in enumerate(lines_of(content), start=1):
        words = line.split(maxsplit=1)
        if not words or words[0].startswith("#"):
            continue
        if words[0] in wanted:
            continue
        if not looks_like_link(words[0]):
            faults.add(f"Line {number} does not begin with a link: {shown(line.strip())}.")
            continue
        try:
            wanted[words[0]] = check_link(words[0])
        except BadRequest as error:
            faults.add(f"Line {number}: {error}")
    return Reading(tuple(wanted.values()), faults.all())


def looks_like_link(text: str) -> bool:
    return _SCHEME.match(text) is not None


def lines_of(content: bytes) -> list[str]:
    """Without their ends. BadRequest for more than MAX_LINES."""
    text = text_of(content).replace("\r\n", "\n").replace("\r", "\n")
    count = text.count("\n") + 1
    if count > MAX_LINES:  # counted before there are as many texts
        raise BadRequest(f"A list has at most {MAX_LINES} lines, this one has {count}.")
    return text.split("\n")


def _one(link: str | None, otherwise: str) -> Reading:
    if not link:
        raise BadRequest(otherwise)
    return Reading((check_link(link.strip()),))


def _ini_value(content: bytes, section: str, key: str) -> str | None:
    """The first value of `key` in `section`; names in lower case, since writers do not agree on theirs."""
    _check_small(content)
    here = False
    for line in text_of(content).splitlines():
        stripped = line.strip()
        if stripped.startswith("["):
            here = stripped[1:].partition("]")[0].strip().lower() == section
        elif here and not stripped.startswith(("#", ";")):
            name, equals, value = stripped.partition("=")
            if equals and name.strip().lower() == key:
                return value.strip()
    return None


def _check_small(content: bytes) -> None:
    if len(content) > MAX_SMALL:
        raise BadRequest(f"A file with one link has at most {MAX_SMALL >> 10} KiB, this one {len(content) >> 10}.")
