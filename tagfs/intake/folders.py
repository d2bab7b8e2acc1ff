"""Watched folders: what somebody puts there is added, and renamed so that it is not added again. Trio thread.

    x.torrent ──written and closed──▶ read ──▶ its items are there ──▶ x.torrent.added   (or removed)
                                           └──▶ x.torrent.bad, why is in the log and in /.tagfs/errors

inotify says when a file is ready. What lay there before, and what a network file system says nothing about, is looked
for now and then, and taken once it has stayed the same from one look to the next.
State: what the last look saw, each folder for itself. What a crash between adding and renaming left is known again.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import trio

from engine.errors import BadRequest, CatalogueFailed, EngineError, StoreFull
from engine.formats.read import MAX_BYTES, check_size
from engine.history import Cause
from engine.ports import Catalogue, Transfers
from query.errors import BadName
from query.names import check_own_tag
from tagfs.amounts import counted
from tagfs.daemon.errors import StartError
from tagfs.daemon.mountinfo import FSTYPE, mounts
from tagfs.escape import tame
from tagfs.intake.inotify import Inotify
from tagfs.intake.take import add_all, left_over, read_file, requests, span
from tagfs.service.scan import leads_into
from tagfs.vfs.faults import Faults

log = logging.getLogger(__name__)

# Other kinds that `tagfs add` knows may lie in such a folder for other reasons: texts, and what a desktop puts there.
EXTENSIONS: Final = (".torrent", ".magnet", ".meta4", ".metalink", ".url", ".webloc")
SETTLED: Final = 2.0  # seconds from the first look to the second
LOOK: Final = 60.0  # seconds between two looks after that
QUICK: Final = 100  # downloads that are added and marked even while the daemon ends
GONE: Final = 10.0  # seconds between two attempts to watch a folder that is not there


class Status(NamedTuple):
    """What tells one content of a file from another."""

    size: int
    mtime_ns: int
    changed_ns: int  # ctime: also when it was moved there


@dataclass(slots=True)
class Folder:
    """`seen`: size and date of what the last look found. `done`: the same of what was taken, and is still here because
    it could not be renamed. `starved`: names of those that wait for space, which has been said."""

    path: str
    tags: tuple[str, ...]
    seen: dict[str, Status] = field(default_factory=dict)
    done: dict[str, Status] = field(default_factory=dict)
    starved: set[str] = field(default_factory=set)


def tagged(folders: Mapping[str, str]) -> list[Folder]:
    """By what the config says of each: tags, comma-separated. StartError for one that cannot be."""
    try:
        return [
            Folder(path, tuple(check_own_tag(word.strip()) for word in words.split(",") if word.strip()))
            for path, words in folders.items()
        ]
    except BadName as error:
        raise StartError(f"[watch] folders: {error}", exit_code=2) from error


class Watch:
    """`live` tells the ids of live items; `mountpoint` is our own. `remove`: what was added goes."""

    def __init__(
        self,
        catalogue: Catalogue,
        transfers: Transfers,
        faults: Faults,
        folders: Iterable[Folder],
        *,
        live: Callable[[], Iterable[int]],
        mountpoint: str,
        remove: bool,
    ) -> None:
        self._catalogue = catalogue.by(Cause.DOWNLOAD)
        self._transfers = transfers
        self._faults = faults
        self._folders = tuple(folders)
        self._live = live
        self._mountpoint = mountpoint
        self._remove = remove

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """The service."""
        async with trio.open_nursery() as nursery:
            for folder in self._folders:
                nursery.start_soon(self._follow, folder)
            task_status.started()

    async def _follow(self, folder: Folder) -> None:
        missing = False
        while True:
            try:
                self._check_outside(folder.path)
                with Inotify(folder.path) as notify:
                    missing = False
                    await self._keep_taking(folder, notify)
            except OSError as error:
                if not missing:
                    self._say(f"{folder.path} cannot be watched: {error.strerror or error}.")
                missing = True
            await trio.sleep(GONE)

    def _check_outside(self, path: str) -> None:
        """The daemon never looks into its own mount, which it would wait for for ever; nor into that of another one."""
        ours = [self._mountpoint, *(mount.mountpoint for mount in mounts() if mount.fstype == FSTYPE)]
        why = leads_into(path, dict.fromkeys(ours, "it is in a mount of tagfs, which has /inbox"))
        if why is not None:
            raise OSError(errno.EPERM, why)

    async def _keep_taking(self, folder: Folder, notify: Inotify) -> None:
        pause = SETTLED
        await self._look(folder)
        while True:
            names: list[str] | None = None
            with trio.move_on_after(pause):
                names = await notify.names()
            for name in filter(_is_ours, names or ()):
                await self._take(folder, name)
            if names is None:
                await self._look(folder)
                pause = SETTLED if folder.seen.keys() - folder.done.keys() - folder.starved else LOOK

    async def _look(self, folder: Folder) -> None:
        """Take what has stayed the same since the last look."""
        found = await trio.to_thread.run_sync(_candidates, folder.path)
        before, folder.seen = folder.seen, found
        folder.done = {name: status for name, status in folder.done.items() if found.get(name) == status}
        folder.starved &= found.keys()
        for name, status in found.items():
            if before.get(name) == status and name not in folder.done:
                await self._take(folder, name, status.changed_ns)
                if name not in folder.starved:
                    folder.done[name] = status

    async def _take(self, folder: Folder, name: str, changed_ns: int | None = None) -> None:
        """Add what a file names. One that is gone, or is no file, is none of our business. `changed_ns`, of one that
        may have lain there when an earlier daemon died: when it came or was last changed."""
        path = os.path.join(folder.path, name)
        try:
            content = await trio.to_thread.run_sync(_content, path)
            if content is None:
                return
            check_size(len(content))
            if not os.access(folder.path, os.W_OK):  # it would be added again and again
                raise BadRequest("Its folder is read-only, so that it could not be marked as added.")
            found = await read_file(name, content)
            if found.faults:
                raise BadRequest("Nothing of it was added. " + " ".join(found.faults))
            wanted = requests(found, tags=folder.tags, cause=Cause.DOWNLOAD)
            if changed_ns is not None:
                wanted = await left_over(self._catalogue, self._live(), wanted, changed_ns)
            with trio.CancelScope(shield=len(wanted) <= QUICK):
                items = await add_all(self._catalogue, self._transfers, wanted)
                await self._mark(path, None if self._remove else "added")
        except CatalogueFailed:
            raise
        except StoreFull as error:  # nothing is wrong with the file: the next look takes it again
            if name not in folder.starved:
                self._say(f"{path} waits for space: {error}")
            folder.starved.add(name)
        except (EngineError, BadName, OSError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or str(error)
            folder.starved.discard(name)
            self._say(f"{path}: {why}")
            await self._mark(path, "bad")
        else:
            folder.starved.discard(name)
            log.info("%s of %s, %s", counted(len(items), "download"), tame(path), span(items))
            for note in found.notes:
                self._say(f"{path}: {note}")

    async def _mark(self, path: str, word: str | None) -> None:
        try:
            await trio.to_thread.run_sync(_rename, path, word)
        except OSError as error:
            self._say(f"{path} cannot be marked as {word or 'added'}: {error.strerror}.")

    def _say(self, sentence: str) -> None:
        log.info("watching: %s", tame(sentence))
        self._faults.add(sentence)


def _is_ours(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS) and not name.startswith(".")


def _candidates(folder: str) -> dict[str, Status]:
    """Whoever drops files there renames and removes them, too: one that has just gone is no candidate."""
    found = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if _is_ours(entry.name) and entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    found[entry.name] = Status(status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return found


def _content(path: str) -> bytes | None:
    """At most one byte more than is allowed; None for what is not there, or no regular file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
            return None
        raise
    with os.fdopen(fd, "rb") as file:
        return file.read(MAX_BYTES + 1) if stat.S_ISREG(os.fstat(fd).st_mode) else None


def _rename(path: str, word: str | None) -> None:
    """`path` with `.word`, and a number where that is taken already; None: it goes."""
    if word is None:
        os.unlink(path)
        return
    target, number = f"{path}.{word}", 1
    while os.path.lexists(target):
        number += 1
        target = f"{path}.{number}.{word}"
    os.rename(path, target)
