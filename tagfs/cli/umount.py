"""`tagfs umount`: take the mount away and wait until the daemon has ended. Blocking."""

from __future__ import annotations

import argparse
import contextlib
import os
import select

from tagfs.cli import exits
from tagfs.cli.session import Session
from tagfs.cli.verb import UsageError, Verb
from tagfs.control.client import NoDaemon
from tagfs.daemon import mountpoint, state, wreck
from tagfs.daemon.errors import StartError
from tagfs.daemon.mountinfo import FSTYPE, mount_at

PATIENCE = 15.0  # seconds; the daemon itself promises five


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("mountpoint", metavar="DIR", nargs="?", help="default: where the daemon of --state is mounted")
    parser.add_argument(
        "-z", "--lazy", action="store_true", help="even while files are open; their readers get errors from then on"
    )


def _run(options: argparse.Namespace, session: Session) -> int:
    info = session.info()
    ours = info if info is not None and state.locked(session.state) else None
    if options.mountpoint is not None:
        path = mountpoint.real(options.mountpoint)
    elif info is not None:
        path = info.mountpoint
    else:
        raise NoDaemon(f"No daemon runs on {session.state}.")
    mounted = mount_at(path)
    if mounted is None or mounted.fstype != FSTYPE:
        if options.mountpoint is not None:
            raise UsageError(f"{path} is no tagfs mount.")
        if ours is None:
            raise NoDaemon(f"No daemon runs on {session.state}.")
    if options.mountpoint is not None and session.option is not None and (info is None or info.mountpoint != path):
        raise UsageError(f"{path} is not where {session.state} is mounted: name one of the two.")
    if ours is not None and ours.mountpoint == path and wreck.killed(ours.pid):
        wreck.free(ours.pid, path)
        mountpoint.unmount(path, lazy=True)
    elif ours is not None and ours.mountpoint == path:
        _end(session, ours.pid, path, lazy=options.lazy, mounted=mounted is not None)
    else:  # another daemon's mount, or a dead one
        mountpoint.unmount(path, lazy=options.lazy or not mountpoint.alive(path))
    return exits.OK


def _end(session: Session, pid: int, path: str, *, lazy: bool, mounted: bool) -> None:
    """Without its mount the daemon ends by itself; asked to stop, it takes the mount away even while it is used."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:  # ended just now
        process = None
    if mounted and not lazy:
        mountpoint.unmount(path)
    else:
        with contextlib.suppress(NoDaemon), session.client() as client:  # it may end faster than it answers
            client.call("stop", {})
    if process is not None:
        ready, _, _ = select.select([process], [], [], PATIENCE)
        os.close(process)
        if not ready:
            raise StartError(f"{path} is unmounted, but the daemon (pid {pid}) has not ended; its log says more.")


VERBS = {
    "umount": Verb(
        about="Unmounts, and returns when the daemon has ended. Unfinished downloads go on at the next mount. The "
        "same as fusermount3 -u DIR, which does not wait.",
        examples=("tagfs umount", "tagfs umount ~/T", "tagfs umount -z      # although a shell still stands in it"),
        declare=_declare,
        run=_run,
    )
}
