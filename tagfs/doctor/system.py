"""What the machine offers: FUSE, libraries, limits, ports, the clock. Blocking."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import resource
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator

from tagfs.config.settings import Config
from tagfs.daemon import mountpoint
from tagfs.doctor.finding import Finding, fault, ok, warning

ENOUGH_FILES = 4096  # a hundred torrents, some hundred open files, and the rest
BUILT = 1_760_000_000  # seconds, as in engine.clock: no clock that is right says less (2025-10-09)
MODULES = ("pyfuse3", "libtorrent", "pyroaring", "peewee", "trio")


def examine(config: Config, *, daemon_runs: bool) -> Iterator[Finding]:
    yield from fuse(config)
    yield from libraries()
    yield from limits()
    yield from clock()
    if not daemon_runs:
        yield from ports(config.torrent.listen)


def fuse(config: Config) -> Iterator[Finding]:
    device = mountpoint.FUSE_DEVICE
    if not os.path.exists(device):
        advice = "Load it with modprobe fuse, or give the container that device: docker run --device /dev/fuse."
        yield fault("fuse", f"{device} is missing.", advice)
    elif not os.access(device, os.R_OK | os.W_OK):
        yield fault("fuse", f"{device} may not be used by this user.", f"As root: chmod 0666 {device}.")
    else:
        yield ok("fuse", f"{device} may be used.")
    program = shutil.which("fusermount3")
    if program is None:
        yield fault("fuse", "fusermount3 is missing.", "Install the package fuse3.")
        return
    if os.geteuid() != 0 and not os.stat(program).st_mode & stat.S_ISUID:
        advice = f"As root: chmod u+s {program}, or install the package fuse3 once more."
        yield fault("fuse", f"{program} does not run as root, so that nobody else can mount.", advice)
    else:
        yield ok("fuse", f"{program} is there, version {_version(program)}.")
    if config.mount.allow_other and os.geteuid() != 0 and not mountpoint.user_allow_other():
        advice = f"Add the line user_allow_other to {mountpoint.FUSE_CONF}, or take allow_other out of the config file."
        yield fault("fuse", "allow_other is set, and this system does not permit it.", advice)


def _version(program: str) -> str:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=5).stdout
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    found = re.search(r"\d+(\.\d+)+", said)
    return found[0] if found else "unknown"


def libraries() -> Iterator[Finding]:
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if missing:
        yield fault("python", f"These Python modules are missing: {', '.join(missing)}.", "Install tagfs once more.")
    else:
        yield ok("python", "All Python modules that tagfs needs are there.")
    try:
        ctypes.CDLL("libmagic.so.1")
    except OSError:
        yield warning(
            "libmagic", "libmagic is missing, so type: knows files by their names alone.", "Install libmagic1."
        )


def limits() -> Iterator[Finding]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < ENOUGH_FILES:
        advice = f"Raise it to {ENOUGH_FILES} or more: LimitNOFILE= in the systemd unit, or /etc/security/limits.conf."
        yield warning("limits", f"A process may have only {hard} files open (ulimit -Hn).", advice)
    else:
        many = "any number of" if hard == resource.RLIM_INFINITY else str(hard)
        yield ok("limits", f"A process may have {many} files open.")


def clock() -> Iterator[Finding]:
    if (now := time.time()) < BUILT:
        when = time.strftime("%Y-%m-%d", time.gmtime(now))
        yield warning(
            "clock", f"The clock says {when}, which cannot be.", "Set it: with a wrong date no certificate is valid."
        )


def ports(listen: str) -> Iterator[Finding]:
    """Whether torrents could listen where the config file says; asked only while no daemon does."""
    for place in filter(None, (part.strip() for part in listen.split(","))):
        found = re.fullmatch(r"\[?([^\]]*)\]?:(\d+)", place)
        if found is None or not int(found[2]):
            continue
        host, port = found[1], int(found[2])
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        except OSError as error:
            advice = "Choose another one: listen in [torrent] of the config file. Downloads work, peers cannot connect."
            yield warning("ports", f"Torrents cannot listen on {place}: {error.strerror}.", advice)
        else:
            yield ok("ports", f"Torrents can listen on {place}.")
