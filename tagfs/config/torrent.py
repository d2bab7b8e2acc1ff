"""The [torrent] section as the engine wants it. Pure; only the composition root imports it, never the command line."""

from __future__ import annotations

from engine.sources.torrent.config import TorrentConfig
from tagfs.config.settings import Torrent


def torrent_config(settings: Torrent, *, reserve: int) -> TorrentConfig:
    """`reserve` is that of all downloads. What has no key stays at the engine's default."""
    return TorrentConfig(
        listen=settings.listen,
        outgoing=settings.outgoing,
        encryption=settings.encryption,
        proxy=settings.proxy,
        dht=settings.dht,
        pex=settings.pex,
        lsd=settings.lsd,
        port_mapping=settings.port_mapping,
        utp=settings.utp,
        private_addresses=settings.private_addresses,
        download_rate=settings.download_rate,
        upload_rate=settings.upload_rate,
        connections=settings.connections,
        max_active=settings.max_active,
        seed=settings.seed,
        seed_ratio=settings.seed_ratio,
        seed_time=settings.seed_time,
        reserve=reserve,
    )
