"""What a setting's value may be, and how a key is declared. Pure; imports amounts. Any thread.

A section is a frozen dataclass and each of its fields is one key, declared once with a constructor of this module:

    max_active: int = integer(8, "downloads", "how many downloads run at once", low=1)

The annotation is the type that mypy and the code see; kind, default, unit and description travel in the field's
metadata, from where the loader, `tagfs config` and the test of docs/configuration.md take them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from tagfs.amounts import seconds, size

Parse = Callable[[object], object]  # raises ValueError with the end of the sentence "[section] key must be ..."

_KEY = "tagfs.key"


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. `type`, `unit` and `shown` are words for people; `unit` is empty where there is none."""

    name: str
    type: str
    unit: str
    text: str
    shown: str  # the default as the documentation prints it
    parse: Parse


def keys(section: type) -> tuple[Key, ...]:
    """The keys of a section (a dataclass whose fields this module declared), in order of declaration."""
    return tuple(_named(declared) for declared in fields(section))


def integer(default: int, unit: str, text: str, *, low: int = 0, high: int = 2**62) -> Any:
    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"a whole number{_bounds(low, high)}")
        return value

    return declare(default, Key("", "whole number", unit, text, str(default), parse))


def number(default: float, unit: str, text: str, *, low: float = 0, high: float = 1e9) -> Any:
    def parse(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"a number{_bounds(low, high)}")
        return float(value)

    return declare(default, Key("", "number", unit, text, f"{default:g}", parse))


def flag(default: bool, text: str) -> Any:
    def parse(value: object) -> bool:
        if value is True or value is False:
            return value
        raise ValueError("true or false")

    return declare(default, Key("", "true or false", "", text, str(default).lower(), parse))


def choice(default: str, options: tuple[str, ...], text: str) -> Any:
    def parse(value: object) -> str:
        if value not in options:
            raise ValueError("one of " + ", ".join(options))
        return str(value)

    return declare(default, Key("", " or ".join(options), "", text, f'"{default}"', parse))


def words(default: str | None, text: str) -> Any:
    """Text; where the default is None the empty text means unset."""

    def parse(value: object) -> str | None:
        if not isinstance(value, str) or any(ord(char) < 0x20 or ord(char) == 0x7F for char in value):
            raise ValueError("text without control characters")
        return value if value or default is not None else None

    return declare(default, Key("", "text", "", text, "unset" if default is None else f'"{default}"', parse))


def proxy(text: str) -> Any:
    """A URL of a server, with userinfo if need be; unset by default. One that cannot be is not quoted."""

    def parse(value: object) -> str | None:
        why = "a URL such as socks5://HOST:PORT; in a login / ? # @ and % are written %2F %3F %23 %40 and %25"
        if not isinstance(value, str) or any(ord(char) <= 0x20 or ord(char) == 0x7F for char in value):
            raise ValueError(why)
        try:
            parts = urlsplit(value)
            is_whole = bool(parts.hostname) and parts.port != 0 and "@" not in parts.path + parts.query + parts.fragment
        except ValueError:
            is_whole = False
        if value and not is_whole:
            raise ValueError(why) from None
        return value or None

    return declare(None, Key("", "text", "", text, "unset", parse))


def age(default: str, text: str) -> Any:
    """A length of time such as `30d`, kept as it is written (`amounts.seconds` reads it); empty for none."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or (value and seconds(value) is None):
            raise ValueError('an age such as "12h", "30d" or "1y", or "" for none')
        return value

    return declare(default, Key("", "age", "", text, f'"{default}"', parse))


def amount(default: str, text: str) -> Any:
    """A size such as `10G`, kept as it is written (`amounts.size` reads it); empty for none."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or (value and size(value) is None):
            raise ValueError('a size such as "500M" or "10G", or "" for none')
        return value

    return declare(default, Key("", "size", "", text, f'"{default}"', parse))


def path(text: str, *, shown: str = "unset", unset: str | None = None) -> Any:
    """An absolute path, `~` allowed at its start. The empty text means `unset`; `shown` says what then holds."""

    def parse(value: object) -> str | None:
        if not isinstance(value, str) or "\0" in value:
            raise ValueError("a path")
        if not value:
            return unset
        expanded = os.path.expanduser(value)
        if not os.path.isabs(expanded):
            raise ValueError("an absolute path, or one that starts with ~/")
        return os.path.normpath(expanded)

    return declare(unset, Key("", "path", "", text, shown, parse))


def texts(text: str) -> Any:
    """A list of texts; empty by default."""

    def parse(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise ValueError('a list of texts, such as ["movie", "1080p"]')
        return tuple(value)

    return declare((), Key("", "list of text", "", text, "empty", parse))


def folders(text: str) -> Any:
    """Absolute paths, `~` allowed at their start, and a text for each: a table in TOML; empty by default."""

    def parse(value: object) -> Mapping[str, str]:
        if not isinstance(value, dict) or not all(isinstance(entry, str) for entry in value.values()):
            raise ValueError('a table of folders and their tags, such as { "~/Downloads" = "linux,iso" }')
        expanded = {os.path.normpath(os.path.expanduser(path)): entry for path, entry in value.items()}
        if not all(os.path.isabs(path) and "\0" not in path for path in expanded):
            raise ValueError("a table of absolute paths, or ones that start with ~/")
        return MappingProxyType(expanded)

    return declare(None, Key("", "table of text", "", text, "empty", parse), factory=lambda: MappingProxyType({}))


def octal(default: int, text: str) -> Any:
    """Permission bits: text of octal digits ("022"), or TOML's 0o022."""

    def parse(value: object) -> int:
        try:
            bits = int(value, 8) if isinstance(value, str) else value
        except ValueError:
            bits = None
        if isinstance(bits, bool) or not isinstance(bits, int) or not 0 <= bits <= 0o777:
            raise ValueError('octal permission bits such as "022"')
        return bits

    return declare(default, Key("", "octal text", "", text, f'"{default:03o}"', parse))


def declare(default: object, key: Key, *, factory: Callable[[], object] | None = None) -> Any:
    if factory is not None:
        return field(default_factory=factory, metadata={_KEY: key})
    return field(default=default, metadata={_KEY: key})


def _named(declared: Field[Any]) -> Key:
    key: Key = declared.metadata[_KEY]
    return Key(declared.name, key.type, key.unit, key.text, key.shown, key.parse)


def _bounds(low: float, high: float) -> str:
    if high < 1e9:
        return f" from {low:g} to {high:g}"
    return f" not below {low:g}"
