"""`tagfs mount`: start the daemon, in the foreground or in a session of its own. Blocking."""

from __future__ import annotations

import argparse
import os
import sys

from tagfs.cli import exits
from tagfs.cli.session import Session
from tagfs.cli.verb import Verb
from tagfs.config.mount_options import spelled
from tagfs.daemon import readiness
from tagfs.daemon.errors import StartError
from tagfs.daemon.mountinfo import FSTYPE, mount_at


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("mountpoint", metavar="DIR", help="an empty directory")
    parser.add_argument("-f", "--foreground", action="store_true", help="stay in the foreground, log to standard error")
    parser.add_argument(
        "-o",
        dest="options",
        metavar="OPT[,OPT]",
        action="append",
        default=[],
        help=f"mount options: {spelled()}; they win over [mount] of the config file",
    )
    parser.add_argument("--config", metavar="FILE", help="the config file; default: see tagfs config path")


def _run(options: argparse.Namespace, session: Session) -> int:
    # -P: without it python would look for modules in the current directory first, where downloads may lie.
    command = [sys.executable, "-P", "-m", "tagfs.daemon"]
    if session.option:
        command.append("--state=" + os.path.abspath(session.option))
    if options.config:
        command.append("--config=" + os.path.abspath(options.config))
    command += [f"-o{words}" for words in options.options]
    mountpoint = os.path.abspath(options.mountpoint)
    if options.foreground:
        sys.stdout.flush()
        os.execv(command[0], [*command, "--", mountpoint])  # noqa: S606  # no shell is the point
    _start(command, mountpoint)
    return exits.OK


def _start(command: list[str], mountpoint: str) -> None:
    """Spawn the daemon and wait until it answers. StartError with its reason when it does not get there."""
    import subprocess

    ours, theirs = os.pipe()
    try:
        daemon = subprocess.Popen(
            [*command, f"--ready-fd={theirs}", "--", mountpoint],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs],
            start_new_session=True,
        )
    finally:
        os.close(theirs)
    try:
        readiness.wait(ours)
    except KeyboardInterrupt:
        daemon.terminate()
        raise
    path = os.path.realpath(mountpoint)
    os.statvfs(path)  # never cached: an exit code of 0 means that the daemon answers
    mounted = mount_at(path)
    if mounted is None or mounted.fstype != FSTYPE:
        raise StartError(f"The daemon is ready, and yet nothing is mounted at {path}.")


VERBS = {
    "mount": Verb(
        about="Returns once the mount answers. The daemon then runs in the background and logs to daemon.log in the "
        "state directory. A mount that a killed daemon left behind at DIR is taken away first.",
        examples=(
            "mkdir -p ~/T && tagfs mount ~/T",
            "tagfs mount ~/T -o facets,umask=077",
            "tagfs mount -f ~/T --state /srv/tagfs      # below a service manager",
        ),
        declare=_declare,
        run=_run,
    )
}
