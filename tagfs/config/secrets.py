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

_SECRET_HEADER = re.compile(r"auth|cookie|token|secret|key|passw", re.IGNORECASE)
_USERINFO = re.compile(r"(?<=://)[^/?#]*@|^[^/?#]*@")


def secret_keys(config: Config) -> list[str]:
    """The keys that hold a secret, as `[transfer] proxy` or `[transfer] headers.Authorization`."""
    proxies = (("transfer", config.transfer.proxy), ("torrent", config.torrent.proxy))
    found = [f"[{section}] proxy" for section, proxy in proxies if proxy and _USERINFO.search(proxy)]
    headers = [name for name in config.transfer.headers if _SECRET_HEADER.search(name)]
    return found + [f"[transfer] headers.{name}" for name in headers]


def refuse_readable(file: str, config: Config) -> None:
    """ConfigError when `file` holds a secret and its mode lets others read or change it."""
    secrets = secret_keys(config)
    if secrets and os.stat(file).st_mode & 0o077:
        command = f"chmod 600 {shlex.quote(file)}"
        raise ConfigError(f"{file} holds a secret ({secrets[0]}) and others may read it; run: {command}")


def redacted(key: str, value: object) -> object:
    """The value of `key` as it may be printed."""
    if key == "proxy" and isinstance(value, str):
        return _USERINFO.sub(f"{HIDDEN}@", value)
    if key == "headers" and isinstance(value, Mapping):
        return {name: HIDDEN if _SECRET_HEADER.search(name) else text for name, text in value.items()}
    return value
