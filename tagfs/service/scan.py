"""What `import` is to bring in: a walk over the user's files. Blocks: in a worker thread.

Nothing on a tagfs mount is looked at, ours least of all: a thread that waits for this very daemon would keep it from
ending. Neither is our own store, which `import ~` would find.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tagfs.control.errors import Code, VerbError
from tagfs.control.views import SkippedView

_LINKS_MAX: Final = 40  # as many as Linux follows


@dataclass(slots=True)
class Found:
    """`files` are (path, bytes)."""

    files: list[tuple[str, int]] = field(default_factory=list)
    skipped: list[SkippedView] = field(default_factory=list)


def scan(paths: Sequence[str], forbidden: Mapping[str, str]) -> Found:
    """Directories are walked; symlinks and special files below them are left out, with a reason. `forbidden`: folders
    that are not entered, by their absolute path without symlinks, and why. VerbError for a path that is not there."""
    found = Found()
    for path in paths:
        why = leads_into(path, forbidden)
        if why is not None:
            found.skipped.append(SkippedView(path, why))
            continue
        try:
            status = os.stat(path)
        except OSError as error:
            raise VerbError(Code.NOT_FOUND, f"{path!r} cannot be imported: {error.strerror}.") from error
        real = os.path.realpath(path)  # a symlink that was named means its target
        if stat.S_ISDIR(status.st_mode):
            _walk(real, forbidden, found)
        else:
            _take(real, found)
    return found


def leads_into(path: str, forbidden: Mapping[str, str]) -> str | None:
    """Why `path`, absolute, is not to be looked at; told without a look at anything forbidden."""
    here, rest, links = "/", deque(path.split("/")), 0
    while rest:
        name = rest.popleft()
        if name in ("", "."):
            continue
        if name == "..":
            here = os.path.dirname(here)
            continue
        here = os.path.join(here, name)
        if here in forbidden:
            return forbidden[here]
        try:
            target = os.readlink(here)
        except OSError:
            continue
        links += 1
        if links > _LINKS_MAX:
            return None
        here = "/" if target.startswith("/") else os.path.dirname(here)
        rest.extendleft(reversed(target.split("/")))
    return None


def _walk(top: str, forbidden: Mapping[str, str], found: Found) -> None:
    def unreadable(error: OSError) -> None:
        found.skipped.append(SkippedView(error.filename, f"It cannot be read: {error.strerror}."))

    for folder, folders, files in os.walk(top, onerror=unreadable):
        for name in list(folders):
            path = os.path.join(folder, name)
            if path in forbidden:
                found.skipped.append(SkippedView(path, forbidden[path]))
                folders.remove(name)
            elif os.path.islink(path):
                _take(path, found)
        folders.sort()
        for name in sorted(files):
            _take(os.path.join(folder, name), found)


def _take(path: str, found: Found) -> None:
    try:
        status = os.lstat(path)
    except OSError as error:
        found.skipped.append(SkippedView(path, f"It cannot be read: {error.strerror}."))
        return
    if stat.S_ISREG(status.st_mode):
        found.files.append((path, status.st_size))
    else:
        kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "no regular file"
        found.skipped.append(SkippedView(path, f"It is {kind}."))
