"""The [transfer] section as the engine wants it. Pure; only the composition root imports it, never the command line."""

from __future__ import annotations

from engine.sources.config import HttpConfig
from engine.transfer.config import TransferConfig
from tagfs.config.settings import Transfer


def transfer_config(settings: Transfer) -> TransferConfig:
    """All but `read_patience` and `onlookers`, which are about who reads. What has no key stays at the engine's
    default."""
    return TransferConfig(
        max_active=settings.max_active,
        max_per_host=settings.max_per_host,
        split=settings.split,
        limit_rate=settings.limit_rate,
        max_connections_per_host=settings.max_connections_per_host,
        min_split_size=settings.min_split_size,
        reader_connections=settings.reader_connections,
        max_waiters=settings.max_waiters,
        retries=settings.retries,
        backoff_first=settings.backoff_first,
        backoff_max=settings.backoff_max,
        min_rate=settings.min_rate,
        reserve=settings.reserve,
        http=HttpConfig(
            user_agent=settings.user_agent,
            headers=settings.headers,
            host_headers=settings.host_headers,
            proxy=settings.proxy,
            netrc=settings.netrc,
            cookies=settings.cookies,
            ca_file=settings.ca_file,
            connect_timeout=settings.connect_timeout,
            header_timeout=settings.header_timeout,
            read_timeout=settings.read_timeout,
            max_redirects=settings.max_redirects,
            private_redirects=settings.private_redirects,
        ),
    )
