"""Which settings are secrets: they keep the config file private and never show in output. Pure but for one stat.

Threat S13: a password that other users can read is refused, with the command that mends it.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping

from tagfs.config.errors import ConfigError
from tagfs.config.settings import Config

HIDDEN = "***"

_USERINFO = re.compile(r"^(.*://)?.*@", re.DOTALL)  # up to the last @: passwords hold any character


def secret_keys(config: Config) -> list[str]:
    """The keys that hold a secret, as `[transfer] proxy`. What is meant for one host is one, whatever its name."""
    proxies = (("transfer", config.transfer.proxy), ("torrent", config.torrent.proxy))
    found = [f"[{section}] proxy" for section, proxy in proxies if proxy and _USERINFO.search(proxy)]
    return found + (["[transfer] host_headers"] if config.transfer.host_headers else [])


def refuse_readable(file: str, config: Config) -> None:
    """ConfigError when `file` holds a secret and its mode lets others read or change it."""
    secrets = secret_keys(config)
    if secrets and os.stat(file).st_mode & 0o077:
        command = f"chmod 600 {shlex.quote(file)}"
        raise ConfigError(f"{file} holds a secret ({secrets[0]}) and others may read it; run: {command}")


def redacted(key: str, value: object) -> object:
    """The value of `key` as it may be printed."""
    if key == "proxy" and isinstance(value, str):
        return _USERINFO.sub(rf"\1{HIDDEN}@", value)
    if key == "host_headers" and isinstance(value, Mapping):
        return {host: dict.fromkeys(headers, HIDDEN) for host, headers in value.items()}
    return value
