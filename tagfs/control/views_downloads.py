"""The daemon and its downloads, as verbs answer with them; see `views`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DownloadView:
    """An item that is not whole, or was not when the follower began. `total` and `eta` are None while unknown."""

    id: int
    name: str
    state: str
    done: int
    total: int | None
    speed: float
    eta: float | None
    connections: int
    retry_at: str | None
    url: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class ScrubView:
    """How far the reading of all contents is that goes on in the background."""

    began: str
    ended: str | None  # None while it goes on
    read: int
    total: int
    damaged: int  # contents


@dataclass(frozen=True, slots=True)
class StatusView:
    """The daemon and its downloads. Those that run come first, then queued, paused and failed ones, oldest first."""

    version: str
    pid: int
    mountpoint: str
    state_dir: str
    uptime: float
    items: int  # live ones
    trashed: int
    by_state: Mapping[str, int]  # live items; states without items may be left out
    downloads: tuple[DownloadView, ...]
    more: int  # downloads beyond the limit of the call
    done: int  # bytes here, of all downloads that were counted
    total: int | None  # None while the size of one of them is unknown
    speed: float
    degraded: tuple[str, ...] = ()  # a sentence for each service that does not work now
    scrub: ScrubView | None = None  # None: contents were never read again


@dataclass(frozen=True, slots=True)
class VersionView:
    version: str
    pid: int
    mountpoint: str
    state_dir: str
