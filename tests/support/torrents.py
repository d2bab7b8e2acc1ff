"""Torrents for tests: of real files by libtorrent, and of names that libtorrent would refuse, bencoded by hand.

torrent = make_torrent(folder / "film", version="hybrid", trackers=[tracker.url])
torrent.save(folder / "film.torrent"); torrent.magnet(peers=[seeds.address])
hostile = raw_torrent(folder / "content", HOSTILE_NAMES); hostile.renamed says where a seeder finds each file
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlencode

import libtorrent as lt

Version = Literal["v1", "v2", "hybrid"]
FLAGS = {"v1": lt.create_torrent.v1_only, "v2": lt.create_torrent.v2_only, "hybrid": 0}
BLOCK = 16384

# Names that a torrent may carry and no file system should be given: path elements, in raw bytes.
HOSTILE_NAMES: tuple[tuple[bytes, ...], ...] = (
    (b"..", b"..", b"..", b"escaped"),
    (b"/etc", b"passwd"),
    (b"/absolute",),
    (b"a/b/../../../c",),
    (b"nul\x00.txt",),
    (b"x" * 296 + b".mkv",),
    (b"caf\xe9 \xff\xfe.txt",),
    (b"CON",),
    (b"aux.txt",),
    (b"two\nlines.txt",),
    (b"\x1b]0;title\x07\x1b[31mred.txt",),
    (b"Twin.txt",),
    (b"twin.txt",),
    (b"same.txt",),
    (b"same.txt",),
    (b".",),
    (b"",),
    (b"dir", b"", b"inside"),
    (b"turned\xe2\x80\xaetxt.exe",),
    (b"trailing. ",),
    (b"-rf",),
    (b"file",),
    (b"file", b"below a file"),
)


@dataclass(frozen=True)
class Torrent:
    """`data` is the .torrent file. Hashes are hex, empty where the torrent has no such half."""

    data: bytes
    v1: str = ""
    v2: str = ""
    name: str = ""
    renamed: Mapping[int, str] = field(default_factory=dict)  # file index: where our peers keep it

    @property
    def id(self) -> str:
        return self.v1 or self.v2

    def save(self, path: Path) -> Path:
        path.write_bytes(self.data)
        return path

    def magnet(
        self,
        *,
        peers: Iterable[str] = (),
        trackers: Iterable[str] = (),
        web_seeds: Iterable[str] = (),
        name: str | None = None,
        base32: bool = False,
    ) -> str:
        topics = []
        if self.v1:
            topics.append("urn:btih:" + (_base32(self.v1) if base32 else self.v1))
        if self.v2:
            topics.append("urn:btmh:1220" + self.v2)
        pairs = [("dn", name or self.name)]
        pairs += [("tr", url) for url in trackers]
        pairs += [("ws", url) for url in web_seeds]
        text = "magnet:?" + "&".join(f"xt={topic}" for topic in topics) + "&" + urlencode(pairs, quote_via=quote)
        return text + "".join(f"&x.pe={peer}" for peer in peers)  # libtorrent takes these unquoted alone


def make_torrent(
    path: Path,
    *,
    version: Version = "v1",
    piece_size: int = 0,
    private: bool = False,
    trackers: Iterable[str] = (),
    web_seeds: Iterable[str] = (),
) -> Torrent:
    """Of one file or of all below a folder, as other programs make them. `piece_size` 0 is libtorrent's choice."""
    made = lt.create_torrent(list(_entries(path)), piece_size, FLAGS[version])
    made.set_priv(private)
    for url in trackers:
        made.add_tracker(url)
    for url in web_seeds:
        made.add_url_seed(url)
    lt.set_piece_hashes(made, str(path.parent))
    return _torrent(bencode(made.generate()), path.name)


def raw_torrent(
    folder: Path,
    names: Sequence[tuple[bytes, ...]] = HOSTILE_NAMES,
    *,
    name: bytes = b"hostile",
    piece_size: int = 4 * BLOCK,
    private: bool = False,
    tracker: str = "",
) -> Torrent:
    """A v1 torrent of many files with exactly these paths. The content of file i is `content_of(i)`, and lies in
    `folder` under a harmless name, from where a seeder takes it by `renamed`."""
    folder.mkdir(parents=True, exist_ok=True)
    renamed = {index: f"{index:05}" for index in range(len(names))}
    for index, harmless in renamed.items():
        (folder / harmless).write_bytes(content_of(index))
    info: dict[str, object] = {
        "files": [{"length": len(content_of(index)), "path": list(path)} for index, path in enumerate(names)],
        "name": name,
        "piece length": piece_size,
        "pieces": b"".join(_pieces((content_of(index) for index in range(len(names))), piece_size)),
    }
    if private:
        info["private"] = 1
    data = bencode({"info": info, **({"announce": tracker} if tracker else {})})
    return Torrent(
        data, v1=hashlib.sha1(bencode(info)).hexdigest(), name=name.decode(errors="replace"), renamed=renamed
    )


def many_names(count: int) -> list[tuple[bytes, ...]]:
    """The hostile names, each often enough to make `count` files."""
    return [
        (
            *HOSTILE_NAMES[number % len(HOSTILE_NAMES)][:-1],
            b"%d " % number + HOSTILE_NAMES[number % len(HOSTILE_NAMES)][-1],
        )
        if number >= len(HOSTILE_NAMES)
        else HOSTILE_NAMES[number]
        for number in range(count)
    ]


def content_of(index: int) -> bytes:
    """Different for each file, from 1 byte to some kilobytes, so that pieces span files."""
    return hashlib.shake_128(b"%d" % index).digest(1 + index * 7919 % 9000)


def bencode(value: Any) -> bytes:
    """BEP 3. Keys of dictionaries may be text or bytes, and are sorted as bytes."""
    match value:
        case int():
            return b"i%de" % value
        case str():
            return bencode(value.encode())
        case bytes():
            return b"%d:" % len(value) + value
        case list() | tuple():
            return b"l" + b"".join(map(bencode, value)) + b"e"
        case dict():
            items = sorted((key.encode() if isinstance(key, str) else key, item) for key, item in value.items())
            return b"d" + b"".join(bencode(key) + bencode(item) for key, item in items) + b"e"
    raise TypeError(f"bencode has no {type(value).__name__}")


def _entries(path: Path) -> Iterator[lt.create_file_entry]:
    if path.is_file():
        yield lt.create_file_entry(path.name, path.stat().st_size)
        return
    for folder, folders, files in os.walk(path):
        folders.sort()
        for name in sorted(files):
            file = Path(folder) / name
            yield lt.create_file_entry(str(file.relative_to(path.parent)), file.stat().st_size)


def _pieces(contents: Iterable[bytes], size: int) -> Iterator[bytes]:
    pending = b""
    for content in contents:
        pending += content
        while len(pending) >= size:
            yield hashlib.sha1(pending[:size]).digest()
            pending = pending[size:]
    if pending:
        yield hashlib.sha1(pending).digest()


def _torrent(data: bytes, name: str) -> Torrent:
    hashes = lt.torrent_info(lt.bdecode(data)).info_hashes()
    return Torrent(
        data,
        v1=str(hashes.v1) if hashes.has_v1() else "",
        v2=str(hashes.v2) if hashes.has_v2() else "",
        name=name,
    )


def _base32(digits: str) -> str:
    import base64

    return base64.b32encode(bytes.fromhex(digits)).decode()
