"""Paths as text: where a symlink target leads without asking the kernel (the daemon never opens its own mount)."""

from __future__ import annotations

import errno
import posixpath

from tagfs.vfs.context import Context
from tagfs.vfs.tree import Directory, Node


def location(directory: Directory) -> str:
    """The path of a directory below the mount, `/tags/a/b`."""
    return "/" + "/".join(directory.location)


def inside_mount(mountpoint: str, directory: Directory, target: str) -> str | None:
    """The path below the mount that `target`, a symlink in `directory`, leads to; None when it leads outside."""
    joined = posixpath.normpath(posixpath.join(mountpoint + location(directory), target))
    absolute = "/" + joined.lstrip("/")  # POSIX leaves it open what two slashes in front mean; Linux means one
    if absolute == mountpoint:
        return "/"
    prefix = mountpoint.rstrip("/") + "/"
    return "/" + absolute.removeprefix(prefix) if absolute.startswith(prefix) else None


async def walk(context: Context, path: str) -> Node:
    """The node at a path below the mount; OSError(ENOENT) when there is none."""
    node: Node = context.root
    for name in filter(None, path.split("/")):
        if not isinstance(node, Directory):
            raise OSError(errno.ENOTDIR, f"{path!r} goes through something that is no directory")
        node = await node.lookup(name)
    return node
