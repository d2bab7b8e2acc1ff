"""Who sets and removes attributes only because it copies: rsync, cp and the like, known by their names. Trio thread.

They bring along what the original has (`user.xdg.tags`, and `user.tagfs.*` where that comes from a mount), and
`rsync -X` removes what the original does not have. Nobody says by that which tags an item is to lose: decision 27.
"""

from __future__ import annotations

import os
from typing import Final

from tagfs.mount.callers import name_of
from tagfs.vfs.context import Context
from tagfs.vfs.tree import Directory, Stated
from tagfs.vfs.walk import inside_mount
from tagfs.vfs.xattrs import Copy

_STANDING: Final = "rsync"  # it goes to where it copies to, and stays there
COPIERS: Final = frozenset({_STANDING, "cp", "mv", "tar", "bsdtar"})


async def copy_by(context: Context, thread: int) -> Copy | None:
    """None: it is no copier, as far as one may know (0: a program that lives where we cannot see it)."""
    name = name_of(thread)
    if name not in COPIERS:
        return None
    return Copy(await _stated_where(context, thread) if name == _STANDING else None)


async def _stated_where(context: Context, thread: int) -> Stated | None:
    """What the directory states that a program stands in, or the query that led there; None: unknown."""
    try:
        path = inside_mount(context.mountpoint, context.root, os.readlink(f"/proc/{thread}/cwd"))
        return None if path is None else await stated_by(context, path)
    except OSError:
        return None


async def stated_by(context: Context, path: str) -> Stated:
    """What a path below the mount states: in a folder, that of the query directory on the way to it. OSError."""
    found, directory = Stated(()), context.root
    for name in filter(None, path.split("/")):
        node = await directory.lookup(name)
        if not isinstance(node, Directory):
            raise NotADirectoryError(path)
        directory = node
        if isinstance(directory.place, Stated):
            found = directory.place
    return found
