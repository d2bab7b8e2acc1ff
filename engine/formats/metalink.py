"""Metalink 4 (RFC 5854) and 3: files with their mirrors, digests and pieces. Pure.

XML comes from strangers: document types and entities are refused (so neither bombs nor outside files), and size, depth,
number of elements and length of a text are bounded. Unknown elements, signatures and everything about people are
passed over. The tree is never built: what is kept are the values below.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from engine.digests import check_digests
from engine.errors import BadRequest
from engine.formats.wanted import Reading, Sentences, Wanted, shown
from engine.safe_names import safe_name
from engine.sources.urls import check_url
from engine.types import Pieces

MAX_BYTES: Final = 10 << 20
MAX_DEPTH: Final = 32
MAX_ELEMENTS: Final = 500_000
MAX_FILES: Final = 100_000
MAX_URLS: Final = 200  # of one file
MAX_TEXT: Final = 8192  # characters of one URL or digest
MAX_SIZE: Final = 2**63 - 1

_SPACES: Final = {"urn:ietf:params:xml:ns:metalink": 4, "http://www.metalinker.org/": 3}
_LAST: Final = 1_000_000  # after every priority of RFC 5854, 4.1.2.1
_ALGORITHMS: Final = {"md5", "sha1", "sha256", "sha384", "sha512"}
_TORRENTS: Final = {"torrent", "application/x-bittorrent", "bittorrent"}
_KEPT: Final = {"size", "hash", "url", "metaurl"}
_NUMBER = re.compile(r"\d{1,19}")


@dataclass(slots=True)
class _File:
    name: str
    size: int | None = None
    digests: dict[str, str] = field(default_factory=dict)
    urls: list[tuple[int, str]] = field(default_factory=list)  # (rank, URL)
    torrent: str | None = None  # URL of a .torrent
    piece_kind: str | None = None  # None: no pieces, or none of use
    piece_length: int = 0
    piece_hashes: list[tuple[int, str]] = field(default_factory=list)  # (number, hex)


def parse_metalink(content: bytes) -> Reading:
    """One download a file. BadRequest where it is no Metalink at all; a file that cannot be fetched is a fault."""
    if len(content) > MAX_BYTES:
        raise BadRequest(f"A Metalink has at most {MAX_BYTES >> 20} MiB, this one has {len(content) >> 20}.")
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError, ValueError) as error:  # the latter two: its encoding is none
        raise BadRequest(f"This Metalink is not well-formed XML: {error}.") from error
    if reader.version is None:
        raise BadRequest("This XML is no Metalink: its first element is not a metalink of version 3 or 4.")
    if not reader.files:
        raise BadRequest("This Metalink names no file.")
    return _reading(reader.files)


def _refuse(*_: object) -> None:
    raise BadRequest("This Metalink declares a document type or entities, which none needs and which can do harm.")


class _Reader:
    """What expat calls. State: the path of open elements, the text of the innermost one, the files so far."""

    def __init__(self) -> None:
        self.version: int | None = None
        self.files: list[_File] = []
        self._path: list[str] = []
        self._elements = 0
        self._attributes: Mapping[str, str] = {}
        self._text: list[str] = []
        self._length = 0
        self._taking = ""  # the algorithm of the pieces that are being read; empty: they are passed over
        self._ends: Mapping[str, Callable[[_File, str], None]] = {
            "size": self._size, "hash": self._hash, "url": self._url, "metaurl": self._metaurl,
        }  # fmt: skip

    def start(self, qualified: str, attributes: Mapping[str, str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS or len(self._path) >= MAX_DEPTH:
            raise BadRequest("This Metalink has more elements, or deeper ones, than any that makes sense.")
        space, _, name = qualified.rpartition(" ")
        if not self._path and name == "metalink":
            self.version = _SPACES.get(space)
        self._path.append(name if self.version is not None and _SPACES.get(space) == self.version else "")
        self._attributes, self._text, self._length = attributes, [], 0
        if self._path[-1] == "file":
            if len(self.files) >= MAX_FILES:
                raise BadRequest(f"This Metalink names more than {MAX_FILES} files.")
            self.files.append(_File(attributes.get("name", "")))
        elif self._path[-1] == "pieces" and self.files and "file" in self._path:
            self._pieces(self.files[-1], attributes)

    def text(self, data: str) -> None:
        if self._path and self._path[-1] in _KEPT:
            self._length += len(data)
            if self._length > MAX_TEXT:
                raise BadRequest(f"A URL or digest in this Metalink has more than {MAX_TEXT} characters.")
            self._text.append(data)

    def end(self, _: str) -> None:
        name = self._path.pop()
        if name in self._ends and "file" in self._path:
            self._ends[name](self.files[-1], "".join(self._text).strip())
        self._text, self._length = [], 0

    # -- elements ----------------------------------------------------------------------------------------------

    def _size(self, file: _File, text: str) -> None:
        if _NUMBER.fullmatch(text) and int(text) <= MAX_SIZE:
            file.size = int(text)

    def _pieces(self, file: _File, attributes: Mapping[str, str]) -> None:
        kind, length = _algorithm(attributes.get("type", "")), attributes.get("length", "")
        usable = kind in _ALGORITHMS and _NUMBER.fullmatch(length) and 0 < int(length) <= MAX_SIZE
        # Of several lists, the one with the strongest digest.
        if usable and (file.piece_kind is None or _strength(kind) > _strength(file.piece_kind)):
            file.piece_kind, file.piece_length, file.piece_hashes = kind, int(length), []
            self._taking = kind
        else:
            self._taking = ""

    def _hash(self, file: _File, text: str) -> None:
        value = "".join(text.split()).lower()
        if self._path[-1] == "pieces":
            if self._taking:
                number = self._attributes.get("piece", "")
                place = int(number) if _NUMBER.fullmatch(number) else len(file.piece_hashes)
                file.piece_hashes.append((place, check_digests({self._taking: value})[self._taking]))
            return
        kind = _algorithm(self._attributes.get("type", ""))
        if kind in _ALGORITHMS:
            file.digests |= check_digests({kind: value})

    def _url(self, file: _File, text: str) -> None:
        if self._attributes.get("type", "").lower() in _TORRENTS:
            file.torrent = file.torrent or text
        elif len(file.urls) < MAX_URLS:
            file.urls.append((self._rank(), text))

    def _metaurl(self, file: _File, text: str) -> None:
        if self._attributes.get("mediatype", "").lower() in _TORRENTS:
            file.torrent = file.torrent or text

    def _rank(self) -> int:
        """Lower is better: `priority` from 1 (version 4), `preference` from 100 (version 3)."""
        priority, preference = self._attributes.get("priority", ""), self._attributes.get("preference", "")
        if _NUMBER.fullmatch(priority):
            return int(priority)
        return _LAST - int(preference) if _NUMBER.fullmatch(preference) else _LAST


def _algorithm(name: str) -> str:
    return name.lower().replace("-", "")


def _strength(kind: str) -> int:
    return int(kind.removeprefix("sha")) if kind not in ("md5", "sha1") else int(kind == "sha1")


def _reading(files: list[_File]) -> Reading:
    wanted: list[Wanted] = []
    faults = Sentences()
    for file in files:
        urls = tuple(dict.fromkeys(url for _, url in sorted(file.urls, key=lambda entry: entry[0]) if _can_be(url)))
        if urls:
            wanted.append(
                Wanted(
                    urls,
                    name=_name(file.name),
                    size=file.size,
                    digests=file.digests,
                    pieces=_pieces(file),
                    by_stranger=True,
                )
            )
        elif file.torrent is not None:
            faults.add(f"The file {shown(file.name)} comes by a torrent alone: add {shown(file.torrent)} instead.")
        else:
            faults.add(f"The file {shown(file.name)} has no address that can be fetched.")
    return Reading(tuple(wanted), faults.all())


def _name(path: str) -> str | None:
    """The last component: folders are the user's business, and a path from outside is never one here."""
    return safe_name(path.replace("\\", "/").rstrip("/").rpartition("/")[2], "") or None


def _can_be(url: str) -> bool:
    try:
        check_url(url)
    except BadRequest:
        return False
    return True


def _pieces(file: _File) -> Pieces | None:
    """None where they are not all there, each once."""
    if file.piece_kind is None or not file.piece_hashes:
        return None
    ordered = sorted(file.piece_hashes)
    count = len(ordered) if file.size is None else -(-file.size // file.piece_length)
    if [number for number, _ in ordered] != list(range(count)):
        return None
    return Pieces(file.piece_kind, file.piece_length, tuple(digest for _, digest in ordered))
