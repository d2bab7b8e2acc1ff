"""Making the kernel forget. Implements `tagfs.vfs.views.Kernel`.

Forgetting an attribute takes no lock and happens on the loop. Forgetting a name takes the lock of its directory in the
kernel, which a running operation there holds until we answer it, so it happens in threads, and:

- a directory that an operation of ours holds right now is not waited for: the kernel drops or moves the name itself,
  and the message follows as soon as the operation has ended;
- everything else is waited for, so that the change is visible everywhere when the call that made it returns, but not
  longer than PATIENCE without progress. The one case known to need it: `rm a/f` has locked `a` and waits in the kernel for f, which a
  setxattr that waits for us has locked. We cannot see the rm yet; giving way lets both go on.
"""

from __future__ import annotations

import errno
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import pyfuse3
import trio

log = logging.getLogger(__name__)

PATIENCE: Final = 0.1  # seconds without progress
AT_ONCE: Final = 500  # names of one directory between two signs of progress: about 10 ms
THREADS: Final = 16


class Batch:
    """Names that are to be forgotten together: how many are left, and whether that still changes."""

    def __init__(self, names: int) -> None:
        self.left = names
        self._done = trio.Event()

    def forgot(self, names: int) -> None:
        self.left -= names
        if self.left == 0:
            self._done.set()

    async def wait(self) -> None:
        """Until none is left, or nothing has happened for PATIENCE."""
        before = None
        while self.left and self.left != before:
            before = self.left
            with trio.move_on_after(PATIENCE):
                await self._done.wait()


class Invalidator:
    """State: which directories our running operations hold, and how many messages are under way."""

    def __init__(self) -> None:
        self._held: Counter[int] = Counter()
        self._deferred: dict[int, dict[str, None]] = {}
        self._limiter = trio.CapacityLimiter(THREADS)
        self._nursery: trio.Nursery | None = None
        self._open = False
        self.late = 0  # names that were not forgotten in time

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """The service; must run while the mount does, and end before `pyfuse3.close`."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._open = False
                self._nursery = None

    def open(self) -> None:
        """The kernel has introduced itself (FUSE_INIT). Before that it has cached nothing, and would answer ENOSYS."""
        self._open = True

    @contextmanager
    def holding(self, *directories: int) -> Iterator[None]:
        """While an operation runs for which the kernel has locked `directories`."""
        self._held.update(directories)
        try:
            yield
        finally:
            self._held.subtract(directories)
            for directory in directories:
                if self._held[directory] <= 0:
                    del self._held[directory]
                    self._forget_deferred(directory)

    async def forget(self, names: Sequence[tuple[int, str]], inodes: Sequence[int]) -> None:
        if not self._open or self._nursery is None:
            return
        for inode in inodes:
            _forget_attributes(inode)
        waited: list[tuple[int, str]] = []
        for parent, name in names:
            if parent in self._held:
                self._deferred.setdefault(parent, {})[name] = None
            else:
                waited.append((parent, name))
        if waited:
            batch = Batch(len(waited))
            self._nursery.start_soon(self._forget_names, waited, batch)
            await batch.wait()
            if batch.left:
                self.late += 1
                log.info("the kernel is busy with %d of %d names", batch.left, len(waited))

    def _forget_deferred(self, directory: int) -> None:
        names = self._deferred.pop(directory, None)
        if names and self._nursery is not None:
            self._nursery.start_soon(self._forget_names, [(directory, name) for name in names], Batch(len(names)))

    async def _forget_names(self, names: Sequence[tuple[int, str]], batch: Batch) -> None:
        by_parent: dict[int, list[bytes]] = {}
        for parent, name in names:
            by_parent.setdefault(parent, []).append(name.encode("utf-8", "surrogateescape"))
        async with trio.open_nursery() as nursery:  # a busy directory does not hold up the others
            for parent, entries in by_parent.items():
                nursery.start_soon(self._forget_in_threads, parent, entries, batch)

    async def _forget_in_threads(self, parent: int, names: list[bytes], batch: Batch) -> None:
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            await trio.to_thread.run_sync(_forget_entries, parent, some, abandon_on_cancel=True, limiter=self._limiter)
            batch.forgot(len(some))


def _forget_entries(parent: int, names: list[bytes]) -> None:
    """In a worker thread: blocks while an operation runs in that directory."""
    for name in names:
        try:
            pyfuse3.invalidate_entry(pyfuse3.InodeT(parent), pyfuse3.FileNameT(name))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EBADF, errno.ENODEV, errno.ENOTCONN):
                log.warning("the kernel refused to forget a name: %s", error)


def _forget_attributes(inode: int) -> None:
    try:
        pyfuse3.invalidate_inode(pyfuse3.InodeT(inode), attr_only=True)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EBADF, errno.ENODEV, errno.ENOTCONN):
            log.warning("the kernel refused to forget the attributes of %d: %s", inode, error)
