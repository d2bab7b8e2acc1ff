"""Mounting and unmounting: the life of the FUSE session. Trio thread.

    mount ──▶ serve (until unmounted from outside, or cancelled) ──▶ close, which unmounts or leaves the mount dead

One session a process (pyfuse3 keeps it in module state).
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from typing import Final

import pyfuse3
import trio

from tagfs.mount import requests
from tagfs.mount.answers import Answers
from tagfs.mount.invalidate import Invalidator
from tagfs.mount.ops import Operations
from tagfs.vfs import numbers
from tagfs.vfs.context import Context
from tagfs.vfs.nodes.tags import TagsRoot

log = logging.getLogger(__name__)

# A read that waits for the network occupies one of pyfuse3's tasks. With its default of 99, as many stuck readers would
# freeze every path; how many may wait is bounded elsewhere, well below this.
MAX_TASKS: Final = 1000
LAST_WORDS: Final = 2.0  # seconds for running operations to answer once the mount is to end


class MountError(Exception):
    """The mount could not be made; one sentence."""


class Session:
    """State: whether libfuse holds a mount for us."""

    def __init__(self) -> None:
        self._mounted = False

    async def serve(self, context: Context, options: frozenset[str], *, umask: int, ready: Callable[[], None]) -> None:
        """Mount at `context.mountpoint`, call `ready` and answer the kernel until somebody unmounts.

        `options` are libfuse's, all of them. MountError when the mount cannot be made. `close` must follow."""
        tags = context.nodes[numbers.TAGS]
        assert isinstance(tags, TagsRoot)
        answers = Answers(umask=umask)
        kernel = Invalidator(answers.told, answers.passing)
        operations = Operations(context, tags, kernel, answers)
        try:
            pyfuse3.init(operations, context.mountpoint, set(options))
        except RuntimeError as error:
            raise MountError(f"cannot mount at {context.mountpoint}: {_why(context.mountpoint)}") from error
        self._mounted = True
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(kernel.run)
                context.views.connect(kernel)
                await _answer(ready)
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                context.drafts.interrupt()
                for opened in operations.files.drain():
                    await opened.close()

    def close(self, *, unmount: bool) -> None:
        """Without `unmount` the mountpoint answers ENOTCONN once this process is gone: after a failure that is better
        than an empty directory, which a backup would mirror."""
        if self._mounted:
            self._mounted = False
            pyfuse3.close(unmount=unmount)


async def _answer(ready: Callable[[], None]) -> None:
    """Until the kernel hangs up. When cancelled, take no more requests and give those that run a moment to answer."""
    ended, taking = trio.Event(), requests.Requests(MAX_TASKS)

    async def main(task_status: trio.TaskStatus[trio.CancelScope] = trio.TASK_STATUS_IGNORED) -> None:
        with trio.CancelScope(shield=True) as scope:
            task_status.started(scope)
            await taking.serve()
        ended.set()

    async with trio.open_nursery() as nursery:
        scope = await nursery.start(main)
        ready()
        try:
            await ended.wait()
        finally:
            if not ended.is_set():
                taking.terminate()
                scope.deadline = trio.current_time() + LAST_WORDS


def _why(mountpoint: str) -> str:
    """libfuse prints its reason on stderr and tells us nothing."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse is missing or may not be used by this user"
    try:
        os.stat(mountpoint)
    except OSError as error:
        if error.errno == errno.ENOTCONN:
            return "a dead mount is in the way: run fusermount3 -u on it"
        return error.strerror or str(error)
    return "libfuse refused (its message is above)"
