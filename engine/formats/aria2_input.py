"""aria2's input-file format: URIs, a line each download, with options below them. Pure.

    https://a.example/x.iso<TAB>https://b.example/x.iso
      out=debian.iso
      checksum=sha-256=9f86...
      header=Referer: https://example.org/

Mirrors of one file are separated by tabs; lines that begin with white space are `name=value` of the line above; blank
lines and those that begin with # do not count. https://aria2.github.io/manual/en/html/aria2c.html#input-file

What an option that we have none for would have changed is said in a note, and the download goes on without it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeAlias
from urllib.parse import quote

from engine.digests import check_digests
from engine.errors import BadRequest
from engine.formats.links import check_link, lines_of
from engine.formats.magnet import is_magnet
from engine.formats.wanted import Reading, Sentences, Wanted, shown
from engine.safe_names import safe_name
from engine.sources.urls import basic

MAX_URIS: Final = 200  # of one download
MAX_OPTIONS: Final = 200
MOST_CONNECTIONS: Final = 64  # more are taken for that many

_LINK = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|magnet:\?", re.IGNORECASE)  # a line that is indented by mistake
_RATE = re.compile(r"(\d{1,15})([KkMm]?)", re.ASCII)
_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20}
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,3})?", re.ASCII)
_SELECTION = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*", re.ASCII)
# What aria2 is told about its own running, or always holds here: nothing would change.
_WITHOUT_EFFECT: Final = frozenset(
    {"continue", "allow-overwrite", "auto-file-renaming", "always-resume", "file-allocation", "gid", "remote-time",
     "check-integrity", "conditional-get", "enable-http-keep-alive", "http-accept-gzip", "max-tries", "retry-wait",
     "min-split-size", "stream-piece-selector",
     "bt-save-metadata", "follow-metalink", "timeout"}
)  # fmt: skip


@dataclass(slots=True)
class _Draft:
    """A download while its lines are read. `line` is where it begins."""

    line: int
    urls: list[str]
    name: str | None = None
    digests: dict[str, str] = field(default_factory=dict)
    select: str | None = None
    paused: bool = False
    options: dict[str, str] = field(default_factory=dict)
    logins: dict[str, str] = field(default_factory=dict)  # http-user, http-passwd, ftp-user, ftp-passwd
    count: int = 0


Note: TypeAlias = Callable[[str], None]
Take: TypeAlias = Callable[[_Draft, str, Note], None]


def parse_aria2_input(content: bytes) -> Reading:
    """A fault costs the download that it is in, and no other."""
    wanted: list[Wanted] = []
    faults, notes = Sentences(), Sentences()
    draft: _Draft | None = None
    broken = False  # the download that the next options would belong to

    def close() -> None:
        if draft is not None and not broken:
            wanted.append(_wanted(draft))

    for number, line in enumerate(lines_of(content), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            if line[0] not in " \t" or _LINK.match(text):
                close()
                draft, broken = None, False
                draft = _begin(number, text)
            elif draft is not None and not broken:
                _option(draft, text, partial(_note, notes, number))
            elif draft is None and not broken:
                raise BadRequest("There is no URL above this option.")
        except BadRequest as error:
            faults.add(f"Line {number}: {error}")
            broken = True
    close()
    return Reading(tuple(wanted), faults.all(), notes.all())


def _note(notes: Sentences, line: int, sentence: str) -> None:
    notes.add(f"Line {line}: {sentence}")


def _begin(number: int, text: str) -> _Draft:
    urls = list(dict.fromkeys(filter(None, (part.strip() for part in text.split("\t")))))
    if len(urls) > MAX_URIS:
        raise BadRequest(f"A download has at most {MAX_URIS} URLs, this one has {len(urls)}.")
    for url in urls:
        check_link(url)
    if len(urls) > 1 and any(map(is_magnet, urls)):
        raise BadRequest("A magnet link has no mirrors: write it on a line of its own.")
    return _Draft(number, urls)


def _option(draft: _Draft, text: str, note: Note) -> None:
    name, equals, value = text.partition("=")
    name, value = name.strip().lower(), value.strip()
    if not equals:
        raise BadRequest(f"An option is written as name=value, this is not: {shown(text)}.")
    draft.count += 1
    if draft.count > MAX_OPTIONS:
        raise BadRequest(f"A download has at most {MAX_OPTIONS} options.")
    if name in _TAKEN:
        _TAKEN[name](draft, value, note)
    elif name == "dir":
        note("dir is left out: a download is in /files and in its tags' directories.")
    elif name not in _WITHOUT_EFFECT:
        note(f"the option {shown(name)} is left out: there is none like it for a single download.")


def _out(draft: _Draft, value: str, note: Note) -> None:
    folder, _, last = value.rpartition("/")
    name = safe_name(last, "")
    if not name:
        raise BadRequest(f"{shown(value)} cannot be the name of a file.")
    if folder:
        note(f"the folder {shown(folder)} is left out: a download is in /files and in its tags' directories.")
    draft.name = name


def _checksum(draft: _Draft, value: str, _note: Note) -> None:
    algorithm, _, digest = value.partition("=")
    draft.digests |= check_digests({algorithm.strip(): digest.strip()})


def _header(draft: _Draft, value: str, _note: Note) -> None:
    name, colon, text = value.partition(":")
    if not colon or not name.strip():
        raise BadRequest("A header is written as NAME: VALUE, this one has no name or no colon.")
    draft.options[f"header.{name.strip()}"] = text.strip()


def _pause(draft: _Draft, value: str, _note: Note) -> None:
    if value.lower() not in ("true", "false"):
        raise BadRequest(f"pause is true or false, not {shown(value)}.")
    draft.paused = value.lower() == "true"


def _select_file(draft: _Draft, value: str, _note: Note) -> None:
    selection = "".join(value.split())
    if not _SELECTION.fullmatch(selection):
        raise BadRequest(f"select-file takes numbers and ranges such as 1-3,7, not {shown(value)}.")
    draft.select = selection


def _login(name: str) -> Take:
    def take(draft: _Draft, value: str, _note: Note) -> None:
        draft.logins[name] = value

    return take


def _as_header(name: str) -> Take:
    def take(draft: _Draft, value: str, _note: Note) -> None:
        draft.options[f"header.{name}"] = value

    return take


def _rate(name: str) -> Take:
    def take(draft: _Draft, value: str, _note: Note) -> None:
        found = _RATE.fullmatch(value)
        if found is None:
            raise BadRequest(f"A limit is bytes a second such as 500K or 2M, not {shown(value)}.")
        draft.options[name] = str(int(found[1]) * _UNITS[found[2].upper()])

    return take


def _number(name: str, *, unit: int = 1) -> Take:
    """`unit` of ours make one of aria2's."""

    def take(draft: _Draft, value: str, _note: Note) -> None:
        if not _NUMBER.fullmatch(value):
            raise BadRequest(f"This is a number, not {shown(value)}.")
        draft.options[name] = f"{float(value) * unit:g}"

    return take


def _connections(name: str) -> Take:
    def take(draft: _Draft, value: str, _note: Note) -> None:
        if not value.isdecimal() or not value.isascii() or not 0 < len(value) < 6 or int(value) == 0:
            raise BadRequest(f"This is a number of connections, not {shown(value)}.")
        draft.options[name] = str(min(int(value), MOST_CONNECTIONS))

    return take


_TAKEN: Mapping[str, Take] = {
    "out": _out, "checksum": _checksum, "header": _header, "pause": _pause, "select-file": _select_file,
    "http-user": _login("http-user"), "http-passwd": _login("http-passwd"), "ftp-user": _login("ftp-user"),
    "ftp-passwd": _login("ftp-passwd"), "referer": _as_header("Referer"),
    "user-agent": _as_header("User-Agent"), "max-download-limit": _rate("max-download"),
    "max-upload-limit": _rate("max-upload"), "seed-ratio": _number("seed-ratio"),
    "seed-time": _number("seed-time", unit=60),
    "bt-max-peers": _number("connections"), "split": _connections("split"),
    "max-connection-per-server": _connections("max-connections"),
}  # fmt: skip


def _wanted(draft: _Draft) -> Wanted:
    options, logins = draft.options, draft.logins
    if "http-user" in logins or "http-passwd" in logins:
        user, password = (logins.get(name, "").encode("utf-8", "replace") for name in ("http-user", "http-passwd"))
        options["header.Authorization"] = basic(user, password)
    wanted = Wanted(
        tuple(_with_login(url, logins) for url in draft.urls),
        name=draft.name,
        digests=draft.digests,
        select=draft.select,
        paused=draft.paused,
        options=options,
    )
    return replace(wanted, options={name: value for name, value in options.items() if wanted.takes(name)})


def _with_login(url: str, logins: Mapping[str, str]) -> str:
    """An ftp URL that has none of its own gets the one that its options say."""
    scheme, slashes, rest = url.partition("://")
    if scheme.lower() != "ftp" or "ftp-user" not in logins or "@" in rest.partition("/")[0]:
        return url
    user, password = (quote(logins.get(name, ""), safe="", errors="replace") for name in ("ftp-user", "ftp-passwd"))
    return f"{scheme}{slashes}{user}:{password}@{rest}"
