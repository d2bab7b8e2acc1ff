r"""Which tagfs mounts there are, from /proc/self/mountinfo. Asks no filesystem, so a dead mount cannot hold it up.

A line, proc_pid_mountinfo(5); blanks, newlines and backslashes in paths are written `\040` and so on:

    36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - fuse.tagfs tagfs rw,user_id=1000
          device root mount point options [fields]   fstype source super options
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

FSTYPE = "fuse.tagfs"

_OCTAL = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    mountpoint: str
    device: int  # as st_dev
    fstype: str
    source: str


def mounts() -> list[Mount]:
    """All mounts that this process sees, in the order in which they were made."""
    with open("/proc/self/mountinfo", "rb") as stream:
        return [parse(line) for line in stream.read().splitlines()]


def mount_at(path: str) -> Mount | None:
    """The topmost mount whose mount point is `path` (absolute, without symlinks)."""
    return next((mount for mount in reversed(mounts()) if mount.mountpoint == path), None)


def mount_of(path: str) -> Mount | None:
    """The mount that `path` (absolute, without symlinks) lies on, or would, by its name alone."""
    found = {mount.mountpoint: mount for mount in mounts()}  # of several at one place the topmost
    while path not in found and path != "/":
        path = os.path.dirname(path)
    return found.get(path)


def tagfs_mount_of(device: int) -> Mount | None:
    """The tagfs mount whose files have `device` as st_dev; None for any other filesystem."""
    return next((mount for mount in mounts() if mount.device == device and mount.fstype == FSTYPE), None)


def parse(line: bytes) -> Mount:
    before, _, after = line.partition(b" - ")
    fields = before.split(b" ")
    major, minor = fields[2].split(b":")
    fstype, source = after.split(b" ")[:2]
    return Mount(_text(fields[4]), os.makedev(int(major), int(minor)), _text(fstype), _text(source))


def _text(field: bytes) -> str:
    return os.fsdecode(_OCTAL.sub(lambda match: bytes([int(match[1], 8)]), field))
