"""What a .torrent says, read within limits and made safe. Pure; for a disk thread (100,000 files take a second).

libtorrent checks the structure (BEP 3, BEP 52) and the hashes. File names are read from the raw bytes once more, for
libtorrent's are lossy: what it cannot show becomes `_`, and no two such names stay apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

import libtorrent as lt

from engine.errors import BadRequest
from engine.safe_names import safe_name
from engine.sources.torrent.config import TorrentConfig
from engine.sources.torrent.paths import safe_paths

MAX_DEPTH: Final = 500  # of nested lists and dictionaries; a version 2 torrent nests one for each folder
MAX_TOKENS: Final = 5_000_000
MAX_PIECE: Final = 512 << 20  # bytes, as libtorrent
MAX_TRACKERS: Final = 500


class File(NamedTuple):
    """One file that somebody may want. `path` is safe and unique, below the torrent's own name. `root` is its version
    2 pieces root in hex, None for version 1 and for empty files."""

    position: int
    path: tuple[str, ...]
    size: int
    offset: int  # of its first byte in the row of all files
    root: str | None


@dataclass(frozen=True, slots=True)
class Metainfo:
    """`positions` counts all files, those that nobody sees (pads, symlinks) included. `hashes` are the SHA-1 of the
    pieces, 20 bytes each; empty for version 2 alone."""

    name: str
    v1: str | None
    v2: str | None
    files: tuple[File, ...]
    positions: int
    hidden: frozenset[int]  # positions of pads and symlinks
    is_single: bool
    piece_size: int
    pieces: int
    size: int  # of all files, pads included
    private: bool
    hashes: bytes
    trackers: tuple[str, ...]
    web_seeds: tuple[str, ...]


def read_metainfo(data: bytes, config: TorrentConfig) -> Metainfo:
    """BadRequest, with a sentence, for what is no torrent or larger than the limits."""
    if len(data) > config.max_metadata:
        raise BadRequest(f"This .torrent file has {len(data)} bytes, more than {config.max_metadata} are not read.")
    params = load(data, config)
    info = params.ti
    assert info is not None
    raw = cast("dict[bytes, Any]", lt.bdecode(info.info_section()))
    layout = info.layout()
    count = layout.num_files()
    if count > config.max_files:
        raise BadRequest(f"This torrent has {count} files, more than {config.max_files} are not taken.")
    hashes = info.info_hashes()
    name = safe_name(_bytes(raw, b"name.utf-8") or _bytes(raw, b"name"), "torrent")
    entries = list(_raw_files(raw))
    hidden = frozenset(
        position
        for position in range(count)
        if layout.file_flags(position) & (lt.file_flags_t.flag_pad_file | lt.file_flags_t.flag_symlink)
    )
    shown = [position for position in range(count) if position not in hidden]
    if not shown:
        raise BadRequest("This torrent holds no files, only padding or symlinks.")
    sizes = [layout.file_size(position) for position in shown]
    if [size for _, size, _ in entries] != sizes:
        raise BadRequest("This torrent contradicts itself: its two lists of files differ.")
    is_single = b"files" not in raw and _is_single_v2(raw)
    paths = [(name,)] if is_single else safe_paths([path for path, _, _ in entries])
    return Metainfo(
        name=name,
        v1=str(hashes.v1) if hashes.has_v1() else None,
        v2=str(hashes.v2) if hashes.has_v2() else None,
        files=tuple(
            File(position, path, size, layout.file_offset(position), root)
            for position, path, (_, size, root) in zip(shown, paths, entries, strict=True)
        ),
        positions=count,
        hidden=hidden,
        is_single=is_single,
        piece_size=info.piece_length(),
        pieces=info.num_pieces(),
        size=info.total_size(),
        private=bool(info.priv()),
        hashes=raw.get(b"pieces", b""),
        trackers=tuple(tracker for tracker in params.trackers if _is_text(tracker))[:MAX_TRACKERS],
        web_seeds=tuple(url for url in params.url_seeds if _is_text(url))[:MAX_TRACKERS],
    )


def load(data: bytes, config: TorrentConfig) -> lt.add_torrent_params:
    """libtorrent's own reading, within limits. BadRequest."""
    limits = {
        "max_buffer_size": config.max_metadata + 1,
        "max_pieces": config.max_pieces,
        "max_decode_depth": MAX_DEPTH,
        "max_decode_tokens": MAX_TOKENS,
    }
    try:
        return lt.load_torrent_buffer(data, limits)  # type: ignore[call-overload, no-any-return]  # not in its stubs
    except RuntimeError as error:
        raise BadRequest(f"This is no torrent that can be read: {_reason(error)}.") from error


def torrent_of_info(info: bytes, trackers: tuple[str, ...] = ()) -> bytes:
    """A .torrent around an info dictionary that came from the swarm."""
    tiers = b"".join(b"l" + _string(url.encode()) + b"e" for url in trackers)
    announce = b"13:announce-listl" + tiers + b"e" if trackers else b""
    return b"d" + announce + b"4:info" + info + b"e"


def _reason(error: RuntimeError) -> str:
    return str(error).partition(" [")[0]


def _is_text(url: str) -> bool:
    return bool(url) and url.isprintable()


def _string(data: bytes) -> bytes:
    return b"%d:%b" % (len(data), data)


def _raw_files(raw: Mapping[bytes, Any]) -> Iterator[tuple[tuple[bytes, ...], int, str | None]]:
    """(path, size, root) of each file that is neither pad nor symlink, in the torrent's order. libtorrent has checked
    that the two lists of a hybrid torrent agree, and orders version 2 files as their tree does."""
    tree = raw.get(b"file tree")
    if isinstance(tree, dict):
        yield from _tree_files(tree)
    elif isinstance(raw.get(b"files"), list):
        for entry in raw[b"files"]:
            if not _is_hidden(entry):
                yield tuple(_list(entry, b"path.utf-8") or _list(entry, b"path")), entry.get(b"length", 0), None
    else:
        yield (_bytes(raw, b"name"),), raw.get(b"length", 0), None


def _tree_files(tree: Mapping[bytes, Any]) -> Iterator[tuple[tuple[bytes, ...], int, str | None]]:
    """Depth first, without recursion: torrents nest deeper than Python calls."""
    stack: list[tuple[tuple[bytes, ...], Iterator[tuple[bytes, Any]]]] = [((), iter(sorted(tree.items())))]
    while stack:
        path, entries = stack[-1]
        for name, entry in entries:
            if isinstance(entry.get(b""), dict):
                leaf = entry[b""]
                if not _is_hidden(leaf):
                    yield (*path, name), leaf.get(b"length", 0), _bytes(leaf, b"pieces root").hex() or None
            else:
                stack.append(((*path, name), iter(sorted(entry.items()))))
                break
        else:
            stack.pop()


def _is_single_v2(raw: Mapping[bytes, Any]) -> bool:
    tree = raw.get(b"file tree")
    if not isinstance(tree, dict):
        return True
    return len(tree) == 1 and isinstance(tree.get(raw.get(b"name", b""), {}).get(b""), dict)


def _is_hidden(entry: Mapping[bytes, Any]) -> bool:
    """Whether it is a pad or a symlink."""
    attributes = _bytes(entry, b"attr")
    return b"p" in attributes or b"l" in attributes


def _bytes(entry: Mapping[bytes, Any], key: bytes) -> bytes:
    """Empty where it is missing or no string, which to libtorrent is the same."""
    found = entry.get(key)
    return found if isinstance(found, bytes) else b""


def _list(entry: Mapping[bytes, Any], key: bytes) -> list[bytes]:
    """The strings of a list, likewise."""
    found = entry.get(key)
    return [part for part in found if isinstance(part, bytes)] if isinstance(found, list) else []
