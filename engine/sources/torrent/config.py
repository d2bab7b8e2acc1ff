"""How the BitTorrent session behaves. Times are seconds, rates bytes a second (0: no limit)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class TorrentConfig:
    """Settings of the session, of each torrent, and of what counts as done."""

    listen: str = "0.0.0.0:6881,[::]:6881"  # interfaces and port, comma-separated; port 0: any free one
    outgoing: str = ""  # address or interface that connections are made from; empty: the system's choice
    encryption: str = "allowed"  # allowed, required or off
    proxy: str | None = None  # http, socks5 or socks5h URL for peers and trackers; may hold a password
    dht: bool = True
    pex: bool = True
    lsd: bool = False
    port_mapping: bool = False  # UPnP and NAT-PMP
    utp: bool = False  # outgoing connections by uTP, too
    private_addresses: bool = False  # trackers and web seeds may be in private networks

    download_rate: int = 0
    upload_rate: int = 0
    connections: int = 200
    max_active: int = 8  # torrents that arrive at once
    seed_ratio: float = 2.0  # of what was sent to the size, after which seeding ends; 0: no such goal
    seed_time: float = 0.0  # likewise, how long; 0: no such goal
    seed: bool = True

    reserve: int = 64 * MIB  # left free on the store's file system, so that the catalogue can go on
    space_check: float = 5.0  # how often those that wait for space look for some
    max_metadata: int = 64 * MIB  # bytes of a .torrent
    max_files: int = 200_000
    max_pieces: int = 2_000_000
    checkpoint_bytes: int = 64 * MIB
    checkpoint_seconds: float = 10.0
    ahead: int = 8 * MIB  # fetched ahead of a reader who reads on
    # Of each step at the end: the last notes of a torrent, its leaving the session, the end of the session. The daemon
    # has promised to be gone after five seconds (tagfs/daemon/run.py), and all three may take their full time.
    stop_deadline: float = 1.3
    max_waiters: int = 500  # reads that may wait at once, over all torrents
