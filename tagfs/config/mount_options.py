"""What `tagfs mount -o` and [mount] may ask of a mount. Pure; any thread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tagfs.config.errors import ConfigError
from tagfs.config.kinds import flag, keys, octal, words


@dataclass(frozen=True, slots=True)
class MountOptions:
    """[mount], and the result of -o on top of it.

    `allow_other` always comes with the kernel's own permission check (default_permissions): without that any user
    could read a 0600 file.
    """

    facets: bool = flag(False, "list the narrowing tags of a query as directories beside its items")
    allow_other: bool = flag(False, "let other users in, under the permission bits of each file")
    read_only: bool = flag(False, "nothing can be changed through the mount; downloads and the command line go on")
    noexec: bool = flag(False, "files cannot be executed from the mount")
    umask: int = octal(0o022, "permission bits that no file or directory of the mount shows")
    fsname: str = words("tagfs", "what `mount` and `df` show as the source")


_FLAGS = {
    "facets": ("facets", True),
    "nofacets": ("facets", False),
    "allow_other": ("allow_other", True),
    "ro": ("read_only", True),
    "rw": ("read_only", False),
    "noexec": ("noexec", True),
    "exec": ("noexec", False),
}

_VALUES = {"umask": "OCTAL", "fsname": "NAME"}

OPTIONS = (*_FLAGS, *_VALUES)  # every word that -o knows; docs/cli.md lists them


def parse_mount_options(text: str, base: MountOptions) -> MountOptions:
    """`base` changed by the comma-separated words of one -o; the last one wins. ConfigError for what is unknown."""
    changes: dict[str, Any] = {}
    for word in filter(None, text.split(",")):
        name, equals, value = word.partition("=")
        if name in _FLAGS and not equals:
            key, setting = _FLAGS[name]
            changes[key] = setting
        elif name == "umask" and equals:
            changes["umask"] = _umask(value)
        elif name == "fsname" and value:
            changes["fsname"] = value
        else:
            raise ConfigError(f"-o {word} is not a mount option; there are {spelled()}.")
    return replace(base, **changes)


def spelled() -> str:
    """Every option as a person writes it, for help and sentences."""
    return ", ".join((*_FLAGS, *(f"{name}={value}" for name, value in _VALUES.items())))


def _umask(value: str) -> object:
    parse = next(key.parse for key in keys(MountOptions) if key.name == "umask")
    try:
        return parse(value)
    except ValueError as error:
        raise ConfigError(f"-o umask={value} must be {error}.") from error
