"""ITEM arguments: what a person may type for an item, made into what the daemon understands.

    id:4711, ~4711    as it is
    a path            that exists on this daemon's mount: `id:` and its inode number, which is the item's id
    anything else     a name, which the daemon looks up, or names with slashes: a folder item and what is in it

A name is tried as a path first, so `tagfs rm x.iso` inside a directory of the mount means the file that `ls` shows.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable

from tagfs.cli.verb import NotFound, UsageError
from tagfs.daemon.mountinfo import tagfs_mount_of
from tagfs.daemon.state import DaemonInfo
from tagfs.escape import escape

FIRST_ITEM, LAST_ITEM = 4096, 2**32 - 1  # inode numbers outside are directories of queries and the like

_ID = re.compile(r"(?:id:|~)([0-9]{1,10})")


def resolve(arguments: Iterable[str], info: DaemonInfo | None) -> tuple[str, ...]:
    """The references for `arguments`, in their order. NotFound for a path where nothing is, UsageError for one
    that is no item of this mount."""
    return tuple(_resolve(argument, info) for argument in arguments)


def _resolve(argument: str, info: DaemonInfo | None) -> str:
    if found := _ID.fullmatch(argument):
        return f"id:{found[1]}"
    try:
        status = os.lstat(argument)
    except (OSError, ValueError):  # ValueError: NUL in it, which no name has
        if argument.startswith(("/", "./", "../")):
            raise NotFound(f"{escape(argument)} does not exist.") from None
        return argument
    mount = tagfs_mount_of(status.st_dev)
    if mount is None:  # a file of another filesystem that happens to have the name of an item
        if "/" in argument:
            raise UsageError(f"{escape(argument)} does not lie on a tagfs mount.")
        return argument
    if info is not None and mount.mountpoint != info.mountpoint:
        raise UsageError(f"{escape(argument)} lies on another tagfs mount, {escape(mount.mountpoint)}.")
    if stat.S_ISDIR(status.st_mode) and not FIRST_ITEM <= status.st_ino <= LAST_ITEM:
        raise UsageError(f"{escape(argument)} is a directory of queries and no item.")
    if not FIRST_ITEM <= status.st_ino <= LAST_ITEM:
        raise UsageError(f"{escape(argument)} is no item.")
    return f"id:{status.st_ino}"


def folder_at(argument: str, info: DaemonInfo | None) -> str | None:
    """The reference of a folder item whose path in this mount, or id, `argument` is; None for anything else, as for a
    word without a slash: it is a query, whatever the working directory holds. UsageError for a file there."""
    if found := _ID.fullmatch(argument):
        return f"id:{found[1]}"
    if "/" not in argument:
        return None
    try:
        status = os.lstat(os.path.expanduser(argument))
    except (OSError, ValueError):
        return None
    if not FIRST_ITEM <= status.st_ino <= LAST_ITEM:
        return None
    mount = tagfs_mount_of(status.st_dev)
    if mount is None or (info is not None and mount.mountpoint != info.mountpoint):
        return None
    if not stat.S_ISDIR(status.st_mode):
        raise UsageError(f"{escape(argument)} is a file: only a folder, or what matches a query, can be listed.")
    return f"id:{status.st_ino}"
