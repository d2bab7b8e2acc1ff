"""How downloads behave. Times are seconds, sizes bytes."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.sources.config import HttpConfig

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class TransferConfig:
    """Settings of the queue and of each download; `http` says how servers are spoken to."""

    max_active: int = 8  # downloads at once; one more may run for a reader who waits
    max_per_host: int = 4  # downloads at once from one host; one more likewise
    split: int = 5  # main connections of one download at once, where more than one makes it quicker
    max_connections_per_host: int = 8  # over all downloads, before further main ones are opened
    min_split_size: int = MIB  # what a further main connection must have to do
    reader_connections: int = 3  # connections of one download beside its main ones, for readers far from them
    max_waiters: int = 500  # reads that may wait at once, over all downloads

    retries: int = 10  # failures in a row after which a download counts as failed
    backoff_first: float = 1.0  # before the first retry; doubles each time, with jitter
    backoff_max: float = 3600.0
    reader_backoff: float = 10.0  # a reader who waits shortens the backoff (not what a server asked for) to this
    min_rate: int = 1024  # bytes a second; slower than this over `rate_window` is cut and tried again
    rate_window: float = 60.0

    limit_rate: int = 0  # bytes a second over all downloads; 0: none

    window: int = 8 * MIB  # fetched ahead of a reader who is far from the main connection
    skip: int = MIB  # a stretch that is here already and shorter than this is read over rather than asked around
    overlap: int = 4096  # read again where a download goes on, and compared: servers that lie about offsets are caught
    checkpoint_bytes: int = 64 * MIB  # how much may arrive between two durable range maps, and in what time
    checkpoint_seconds: float = 10.0
    reserve: int = 64 * MIB  # left free on the store's file system, so that the catalogue can go on
    space_check: float = 5.0  # how often a download that waits for space looks for it
    stop_deadline: float = 3.0  # for the last checkpoint when the daemon stops

    http: HttpConfig = field(default_factory=HttpConfig)
