"""The tables of request headers: what goes to every server, and what goes to one alone. Pure.

A login that goes to every server is no secret any more: what is named like one must say for which host it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from tagfs.config.kinds import Key, declare

_SECRET = re.compile(r"auth|cookie|token|secret|key|passw", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, token
_HOST = re.compile(r"(?:https?://)?[^/?#@\s]+", re.IGNORECASE)


def headers(text: str) -> Any:
    """Header names and their text, a table in TOML; empty by default. None that is named like a secret."""

    def parse(value: object) -> Mapping[str, str]:
        found = _table(value)
        for name in found:
            if _SECRET.search(name):
                raise ValueError(
                    f'without {name}, which every server would get: write it below [transfer.host_headers."HOST"]'
                )
        return found

    return _declared("table of text", text, parse)


def host_headers(text: str) -> Any:
    """Tables of headers by host (`h`, `https://h:444`, `http://h`), a table of tables in TOML; empty by default."""

    def parse(value: object) -> Mapping[str, Mapping[str, str]]:
        if not isinstance(value, dict) or not all(isinstance(entry, dict) for entry in value.values()):
            raise ValueError('tables of headers by host, such as [transfer.host_headers."files.example.org"]')
        for host in value:
            if not _is_host(host):
                raise ValueError(f'tables by host, such as "files.example.org" or "http://nas:8080", not {host!r}')
        return MappingProxyType({host: _table(entry) for host, entry in value.items() if entry})

    return _declared("table of tables", text, parse)


def _table(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(entry, str) for entry in value.values()):
        raise ValueError("a table of texts")
    if any(not _NAME.fullmatch(name) for name in value):
        raise ValueError("a table of texts whose names are names of headers")
    if any(ord(char) < 0x20 or ord(char) == 0x7F for entry in value.values() for char in entry):
        raise ValueError("a table of texts without control characters")
    return MappingProxyType(dict(value))


def _is_host(host: str) -> bool:
    try:
        parts = urlsplit(host if "://" in host else f"https://{host}")
        return bool(_HOST.fullmatch(host) and parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _declared(kind: str, text: str, parse: Any) -> Any:
    return declare(None, Key("", kind, "", text, "empty", parse), factory=lambda: MappingProxyType({}))
