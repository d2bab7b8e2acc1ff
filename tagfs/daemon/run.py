"""The daemon's trio run: `tagfs.app`, signals, and an end that does not take forever. trio thread.

The service manager hears that it ends, and meanwhile, if it wants to, that the loop still turns.

SIGTERM, SIGINT, SIGHUP ──▶ cancel the app ──▶ it unmounts and returns   (STOP_DEADLINE, then the process just ends)
fusermount3 -u          ──▶ the app returns
"""

from __future__ import annotations

import faulthandler
import logging
import signal
import sys
from collections.abc import Callable

import trio

from engine.errors import EngineError
from engine.suggest.rules import BadRule
from tagfs import app
from tagfs.config.mount_options import MountOptions
from tagfs.config.settings import Config
from tagfs.daemon.errors import StartError
from tagfs.daemon.notify import Notifier
from tagfs.mount.session import MountError

log = logging.getLogger(__name__)

STOP_DEADLINE = 4.5  # seconds; five are promised


async def run(
    config: Config, mountpoint: str, options: MountOptions, ready: Callable[[], None], notifier: Notifier
) -> None:
    """Until unmounted or told to stop by a signal. Raises what the app raises."""
    async with trio.open_nursery() as nursery:
        await nursery.start(_obey_signals, nursery.cancel_scope, notifier)
        if notifier.watchdog is not None:
            nursery.start_soon(_feed_watchdog, notifier, notifier.watchdog / 2)
        await app.run_daemon(config, mountpoint, options, ready)
        notifier.stopping()
        nursery.cancel_scope.cancel()
    faulthandler.cancel_dump_traceback_later()


def sentence(error: BaseException) -> str | None:
    """What a user is told of an error that ended the app; None for one that nobody foresaw."""
    error = _single(error)
    if isinstance(error, EngineError | MountError | StartError):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return None


def exit_code(error: BaseException) -> int:
    """What the process ends with after an error that ended the app: 2 for settings that cannot be."""
    error = _single(error)
    if isinstance(error, BadRule):
        return 2
    return error.exit_code if isinstance(error, StartError) else 1


def _single(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


async def _obey_signals(
    scope: trio.CancelScope, notifier: Notifier, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        task_status.started()
        async for number in signals:
            log.info("stopping: %s", signal.Signals(number).name)
            if scope.cancel_called:  # asking again must not put the deadline off
                continue
            # Ending hard is safe at any time (invariant I1), it is only untidy: the mount stays until the next start.
            # faulthandler's thread needs neither trio nor the GIL, and leaves the stacks that show what was stuck.
            faulthandler.dump_traceback_later(STOP_DEADLINE, exit=True, file=sys.stderr)
            notifier.stopping()
            scope.cancel()


async def _feed_watchdog(notifier: Notifier, interval: float) -> None:
    """From the loop that answers the kernel: when that hangs, nobody feeds."""
    while True:
        notifier.alive()
        await trio.sleep(interval)
