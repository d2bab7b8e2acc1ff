"""`python -m tagfs.daemon MOUNTPOINT`: from arguments to a running daemon, and from any failure to one sentence.

Started by `tagfs mount`; a service manager may start it directly. Everything that can be refused is refused before the
engine is imported, which takes most of the start-up time.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import resource
import sys
from collections.abc import Callable, Sequence

from tagfs import __version__
from tagfs.amounts import size
from tagfs.config.errors import ConfigError
from tagfs.config.load import Loaded, load
from tagfs.config.mount_options import MountOptions, parse_mount_options
from tagfs.config.paths import LOG_NAME
from tagfs.daemon import logs, mountpoint, state
from tagfs.daemon.errors import StartError
from tagfs.daemon.notify import Notifier
from tagfs.daemon.readiness import Teller
from tagfs.escape import tame

DESCRIPTORS = 1 << 16

log = logging.getLogger("tagfs.daemon")


def main(arguments: Sequence[str]) -> int:
    gc.disable()  # until all is there that stays: looking through it time and again takes a tenth of the start
    options = _parse(arguments)
    teller, notifier = Teller(options.ready_fd), Notifier.of(os.environ)
    if options.ready_fd is not None:
        os.set_inheritable(options.ready_fd, False)  # no child of ours may keep the parent waiting
        notifier = Notifier()  # what runs in the background is not the main process of a service
    try:
        _start(options, teller, notifier)
    except StartError as error:
        notifier.status(str(error))
        if not teller.failed(error):
            print(f"tagfs: {tame(str(error))}", file=sys.stderr)  # noqa: T201  # to the terminal, or to the log by now
        return error.exit_code
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tagfs.daemon", description=__doc__, allow_abbrev=False)
    parser.add_argument("mountpoint", help="an empty directory")
    parser.add_argument("--state", help="state directory")
    parser.add_argument("--config", help="config file")
    parser.add_argument("-o", dest="options", action="append", default=[], help="mount options")
    parser.add_argument(
        "--ready-fd", type=int, help="run in the background; a descriptor that is told when it is ready"
    )
    return parser.parse_args(arguments)


def _start(options: argparse.Namespace, teller: Teller, notifier: Notifier) -> None:
    loaded, chosen = _settings(options)
    where = loaded.config.paths.state
    os.umask(0o077)
    _take_descriptors()
    state.prepare(where)
    held = state.lock(where)
    try:
        state.make_way(where)
        state.keep_temporary(where)
        _open_log(loaded, background=options.ready_fd is not None)
        mounted = mountpoint.prepare(options.mountpoint, where, chosen)
        state.make_private(loaded.config.paths.runtime)
        state.write_info(where, state.DaemonInfo(os.getpid(), loaded.socket, mounted, __version__))
        os.chdir("/")  # keep no directory busy

        def ready() -> None:
            _collect_seldom()
            teller.ready()
            notifier.ready(f"Mounted at {tame(mounted)}")

        _run(loaded, mounted, chosen, ready, notifier)
        state.remove_info(where)
    finally:
        os.close(held)


def _collect_seldom() -> None:
    """What a listing of 100,000 items makes has no cycles, and looking for some took a third of its time. What was made
    until now is not looked at any more."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    gc.enable()


def _take_descriptors() -> None:
    """As many as we are allowed, within reason: each torrent in the session holds one, each open file of the mount
    another, and where there are none left no command is answered. The usual 1,024 is a limit for users of select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _settings(options: argparse.Namespace) -> tuple[Loaded, MountOptions]:
    try:
        loaded = load(os.environ, state=options.state, file=options.config)
        return loaded, parse_mount_options(",".join(options.options), loaded.config.mount)
    except ConfigError as error:
        raise StartError(str(error), exit_code=2) from error


def _open_log(loaded: Loaded, *, background: bool) -> None:
    level = loaded.config.log.level
    if not background:
        logs.to_stderr(level)
        return
    settings = loaded.config.log
    path = settings.file or os.path.join(loaded.config.paths.state, LOG_NAME)
    try:
        most, follow = size(settings.max_size), settings.file is not None  # where the user's own leads is his to say
        logs.to_file(path, level, max_size=most, keep=settings.keep, follow=follow)
    except OSError as error:
        raise StartError(f"The log file {path} cannot be opened: {error.strerror}.") from error


def _run(loaded: Loaded, mounted: str, options: MountOptions, ready: Callable[[], None], notifier: Notifier) -> None:
    import trio  # these two take most of the start-up time

    from tagfs.daemon import run

    log.info("tagfs %s starts on %s, to be mounted at %s", __version__, loaded.config.paths.state, mounted)
    try:
        trio.run(run.run, loaded.config, mounted, options, ready, notifier)
    except BaseException as error:
        sentence = run.sentence(error)
        if sentence is None:
            log.critical("the daemon failed", exc_info=error)
            raise StartError(f"The daemon failed; the end of its log says why ({LOG_NAME}).") from error
        log.critical("%s", sentence)
        raise StartError(sentence, run.exit_code(error)) from error
    log.info("ended")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
