"""What a torrent starts with, and how that is said to libtorrent. Pure; `build` is for a disk thread."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import libtorrent as lt

from engine.sources.addresses import may_be_public
from engine.sources.torrent.config import TorrentConfig
from engine.sources.torrent.metadata import load

WANTED: Final = 4  # libtorrent's middle priority
BLOCK: Final = 16384


@dataclass(frozen=True, slots=True)
class Start:
    """`data` is the .torrent, None while only the infohash is known. Files go to `folder`, each named by its position.

    `have` are the pieces whose bytes are in those files, one byte a piece: they are not hashed again. `loose` are
    pieces that may be there: they are. Everything else counts as missing if `have` is given, and is looked for in the
    files if not. `resume` are libtorrent's own notes.
    """

    folder: str
    v1: str | None
    v2: str | None
    data: bytes | None = None
    positions: int = 0
    pieces: int = 0
    trackers: tuple[str, ...] = ()
    web_seeds: tuple[str, ...] = ()
    peers: tuple[tuple[str, int], ...] = ()
    have: bytes | None = None
    loose: Collection[int] = ()
    resume: bytes | None = None
    skipped: Collection[int] = ()  # positions of files that are not wanted
    on_demand: bool = False  # no piece is fetched before somebody asks for it
    hold: bool = False  # stop when it is known what is on disk
    download_rate: int = 0
    upload_rate: int = 0
    connections: int = 0


def build(start: Start, config: TorrentConfig) -> lt.add_torrent_params:
    """BadRequest for a .torrent that cannot be read."""
    if start.data is None:
        params = lt.parse_magnet_uri(_bare_magnet(start))
        params.flags |= lt.torrent_flags.default_dont_download
    else:
        params = _with_files(start, config)
    params.save_path = start.folder
    params.trackers = [url for url in start.trackers if _may_ask(url, config)]
    params.tracker_tiers = list(range(len(params.trackers)))
    params.url_seeds = [url for url in start.web_seeds if _may_ask(url, config)]
    params.http_seeds = []
    params.peers = with_address(start.peers)
    params.flags &= ~(lt.torrent_flags.paused | lt.torrent_flags.auto_managed | lt.torrent_flags.stop_when_ready)
    params.flags |= lt.torrent_flags.override_trackers | lt.torrent_flags.override_web_seeds
    params.flags |= lt.torrent_flags.update_subscribe
    if not start.on_demand:
        params.flags |= lt.torrent_flags.sequential_download  # until there is somebody to trade with: `TorrentSession`
    if start.on_demand and start.data is not None:
        params.flags |= lt.torrent_flags.paused  # until somebody wants a piece: see `TorrentSession.wake`
    if start.hold:
        params.flags |= lt.torrent_flags.stop_when_ready
    if not config.pex:
        params.flags |= lt.torrent_flags.disable_pex
    if params.ti is not None and params.ti.priv():  # libtorrent does so by itself; here it can be seen
        params.flags |= lt.torrent_flags.disable_dht | lt.torrent_flags.disable_lsd | lt.torrent_flags.disable_pex
    params.download_limit = start.download_rate or -1
    params.upload_limit = start.upload_rate or -1
    params.max_connections = max(start.connections, 2) if start.connections else -1
    return params


def _with_files(start: Start, config: TorrentConfig) -> lt.add_torrent_params:
    assert start.data is not None
    params = loaded = load(start.data, config)
    assert loaded.ti is not None
    if start.resume is not None:
        with suppress(RuntimeError):  # notes that it does not understand: `have` says what matters
            params = lt.read_resume_data(start.resume)
            params.ti = loaded.ti
    params.flags &= ~(lt.torrent_flags.default_dont_download | lt.torrent_flags.seed_mode)
    params.piece_priorities = [0] * start.pieces if start.on_demand else []
    priorities = [WANTED] * start.positions
    for position in start.skipped:
        priorities[position] = 0
    params.file_priorities = priorities
    params.renamed_files = {position: str(position) for position in range(start.positions)}
    params.verified_pieces = []
    if start.have is not None:
        params.have_pieces = [piece != 0 for piece in start.have]
        blocks = max(loaded.ti.piece_length() // BLOCK, 1)
        partial = {
            piece: mask
            for piece, mask in dict(params.unfinished_pieces).items()
            if not (piece < len(start.have) and start.have[piece])
        }
        params.unfinished_pieces = {**partial, **{piece: [True] * blocks for piece in start.loose}}
    else:
        params.have_pieces = []
        params.unfinished_pieces = {}
    return params


def _bare_magnet(start: Start) -> str:
    topics = [f"xt=urn:btih:{start.v1}"] if start.v1 else []
    topics += [f"xt=urn:btmh:1220{start.v2}"] if start.v2 else []
    return "magnet:?" + "&".join(topics)


def _may_ask(url: str, config: TorrentConfig) -> bool:
    """Whether a URL that a stranger wrote into a torrent may be asked: not one that leads into our own neighbourhood
    (faults.md, S3). libtorrent's own protection lets /announce of 127.0.0.1 through."""
    if config.private_addresses:
        return True
    try:
        return may_be_public(urlsplit(url).hostname or "")
    except ValueError:
        return False


def with_address(peers: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """The peers that are named by their address, which libtorrent takes alone."""
    return [(host, port) for host, port in peers if _is_address(host)]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host
