"""What a torrent's work has in common: where things are kept, and who does what. Data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from engine.disk import Disk
from engine.ports import Catalogue, LocalBlobs
from engine.sources.torrent.config import TorrentConfig
from engine.sources.torrent.session import TorrentSession
from engine.torrents.folders import Folders
from engine.torrents.space import Space
from engine.types import ItemId


@dataclass(frozen=True)
class Works:
    catalogue: Catalogue
    blobs: LocalBlobs
    folders: Folders
    session: TorrentSession[ItemId]
    config: TorrentConfig
    clock_ns: Callable[[], int]
    space: Space
    disk: Disk = field(default_factory=Disk)
