"""libtorrent's settings, made of ours. Pure."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import libtorrent as lt

from engine.errors import BadRequest
from engine.sources.torrent.config import MIB, TorrentConfig

ALERTS: Final = (
    lt.alert_category.error
    | lt.alert_category.status
    | lt.alert_category.storage
    | lt.alert_category.piece_progress
    | lt.alert_category.tracker
    | lt.alert_category.peer
)
QUEUE: Final = 100_000  # alerts; each is some 100 bytes

_ENCRYPTION: Final = {
    "allowed": {"in_enc_policy": 1, "out_enc_policy": 1, "allowed_enc_level": 3},
    "required": {"in_enc_policy": 0, "out_enc_policy": 0, "allowed_enc_level": 2},
    "off": {"in_enc_policy": 2, "out_enc_policy": 2, "allowed_enc_level": 3},
}
_PROXIES: Final = {("socks5", False): 2, ("socks5", True): 3, ("http", False): 4, ("http", True): 5}


def settings_pack(config: TorrentConfig) -> dict[str, Any]:
    """BadRequest for a proxy that is none."""
    return {
        "user_agent": "tagfs",
        "alert_mask": ALERTS,
        "alert_queue_size": QUEUE,
        "listen_interfaces": config.listen,
        "outgoing_interfaces": config.outgoing,
        # What others learn of this machine, and what it opens: nothing that was not asked for (faults.md, S16).
        "enable_dht": config.dht,
        "enable_lsd": config.lsd,
        "enable_upnp": config.port_mapping,
        "enable_natpmp": config.port_mapping,
        "enable_incoming_utp": True,
        "enable_outgoing_utp": config.utp,
        "mixed_mode_algorithm": 0,  # TCP is not held back for uTP
        "ssrf_mitigation": not config.private_addresses,
        "validate_https_trackers": True,
        "webtorrent_stun_server": "",  # no third party is asked for our address
        # We decide who runs: nothing is queued, paused or stopped by libtorrent itself.
        "active_downloads": -1,
        "active_seeds": -1,
        "active_limit": -1,
        "active_checking": 2,
        "seed_time_ratio_limit": 0,
        # Several peers behind one address are usual at home and in every test.
        "allow_multiple_connections_per_ip": True,
        "connections_limit": config.connections,
        "download_rate_limit": config.download_rate,
        "upload_rate_limit": config.upload_rate,
        "hashing_threads": 2,
        "aio_threads": 4,
        "max_queued_disk_bytes": 64 * MIB,
        "max_out_request_queue": 1500,
        "max_metadata_size": config.max_metadata // 2,
        "max_piece_count": config.max_pieces,
        "tick_interval": 100,  # a first peer is connected to at the next tick
        "stop_tracker_timeout": 1,
        "apply_ip_filter_to_trackers": False,  # it holds peers that lied
        "min_reconnect_time": 5,  # peers that restart, and all of them after a check; those that fail wait longer
        "close_redundant_connections": False,  # a torrent on demand keeps its seeds from one read to the next
        "no_atime_storage": True,
        **_ENCRYPTION[config.encryption],
        **_proxy(config.proxy),
    }


def _proxy(url: str | None) -> dict[str, Any]:
    if url is None:
        return {}
    parts = urlsplit(url)
    kind = _PROXIES.get((parts.scheme.removesuffix("h"), parts.username is not None))
    if kind is None or not parts.hostname:
        raise BadRequest("A proxy for torrents is an http, socks5 or socks5h URL.")
    return {
        "proxy_type": kind,
        "proxy_hostname": parts.hostname,
        "proxy_port": parts.port or (1080 if parts.scheme.startswith("socks") else 8080),
        "proxy_username": parts.username or "",
        "proxy_password": parts.password or "",
        "proxy_hostnames": True,
        "proxy_peer_connections": True,
        "proxy_tracker_connections": True,
    }
