"""The daemon, its mount and its database. Blocking, with deadlines; changes nothing.

The database is only read: beside a running daemon like any other reader, else as a file that nobody writes to.
"""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import quote

from tagfs import __version__
from tagfs.config.load import Loaded
from tagfs.config.paths import CATALOGUE_NAME
from tagfs.control.address import short
from tagfs.daemon import mountpoint, wreck
from tagfs.daemon.mountinfo import FSTYPE, mounts
from tagfs.daemon.state import DaemonInfo, locked, read_info
from tagfs.doctor.finding import Finding, fault, ok, warning

APPLICATION = 0x74676673  # of engine.catalogue.migrations, and so is the next; a test compares
SCHEMA = 4
PATIENCE = 5.0  # seconds


def examine(loaded: Loaded) -> Iterator[Finding]:
    state = loaded.config.paths.state
    info = read_info(state)
    runs = locked(state)
    yield from daemon(state, info, runs=runs)
    yield from dead_mounts(info)
    yield from database(state, runs=runs)


def daemon(state: str, info: DaemonInfo | None, *, runs: bool) -> Iterator[Finding]:
    if not runs:
        yield ok("daemon", f"None runs on {state}; tagfs mount DIR starts one.")
        return
    if info is None:
        yield warning("daemon", "One is starting or ending right now.", "Ask again in a moment.")
        return
    if wreck.killed(info.pid):
        yield fault(
            "daemon", f"It was killed (pid {info.pid}) and cannot end.", f"tagfs umount {info.mountpoint} ends it."
        )
        return
    if not _answers(info.socket):
        advice = f"See {state}/daemon.log. If it stays so: kill -9 {info.pid}, then mount again; nothing is lost."
        yield fault("daemon", f"It runs (pid {info.pid}) and does not answer.", advice)
        return
    mode = os.stat(info.socket).st_mode & 0o777
    if mode & 0o077:
        yield fault("daemon", f"Others may talk to {info.socket} (mode {mode:04o}).", f"chmod 0600 {info.socket}.")
    if info.version != __version__:
        advice = f"tagfs umount, then tagfs mount {info.mountpoint}."
        yield warning("daemon", f"It runs version {info.version}, and this is {__version__}.", advice)
    else:
        yield ok("daemon", f"It runs (pid {info.pid}) and answers.")


def _answers(path: str) -> bool:
    """Whether the loop behind the socket turns: any line gets an answer."""
    try:
        with short(path) as address, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
            asked.settimeout(PATIENCE)
            asked.connect(address)
            asked.sendall(b'{"jsonrpc": "2.0", "id": 1, "method": "version", "params": {}}\n')
            return bool(asked.recv(1))
    except OSError:
        return False


def dead_mounts(info: DaemonInfo | None) -> Iterator[Finding]:
    for mount in mounts():
        if mount.fstype != FSTYPE:
            continue
        if mountpoint.alive(mount.mountpoint):
            yield ok("mount", f"{mount.mountpoint} answers.")
        elif info is not None and mount.mountpoint == info.mountpoint:
            advice = f"tagfs mount {mount.mountpoint} takes it away and mounts anew, tagfs umount takes it away."
            yield fault("mount", f"The daemon of {mount.mountpoint} is gone: the mount is dead.", advice)
        else:
            advice = f"tagfs umount {mount.mountpoint} takes it away."
            yield warning("mount", f"Another mount is dead: {mount.mountpoint}.", advice)
    ours = {mount.mountpoint for mount in mounts() if mount.fstype == FSTYPE}
    if info is not None and info.mountpoint not in ours and not wreck.killed(info.pid) and _lives(info.pid):
        yield warning("mount", f"Nothing is mounted at {info.mountpoint} any more.", "The daemon ends by itself.")


def _lives(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


def database(state: str, *, runs: bool) -> Iterator[Finding]:
    path = os.path.join(state, CATALOGUE_NAME)
    log = f"{path}-wal"
    backup = "Bring it back: tagfs restore DIR --replace, with what tagfs backup DIR wrote."
    if not os.path.exists(path):
        if os.path.exists(log):
            yield fault("database", f"{path} is missing, and its log is there.", f"Put it back. {backup}")
        elif os.path.isdir(os.path.join(state, "blobs")):
            yield fault("database", f"{path} is missing, and there are contents.", backup)
        return
    if not os.path.getsize(path):
        yield fault("database", f"{path} is empty, which it never is.", backup)
        return
    if not runs and os.path.exists(log) and os.path.getsize(log):
        yield ok("database", "It was not closed: the next start takes what its log holds, and can check it.")
        return
    try:
        uri = f"file:{quote(os.fsencode(os.path.abspath(path)))}?mode=ro" + ("" if runs else "&immutable=1")
        with closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE)) as connection:
            yield from _examine(connection, path, backup)
    except sqlite3.Error as error:
        yield fault("database", f"{path} cannot be read: {error}.", backup)


def _examine(connection: sqlite3.Connection, path: str, backup: str) -> Iterator[Finding]:
    ((application,),) = connection.execute("PRAGMA application_id").fetchall()
    ((schema,),) = connection.execute("PRAGMA user_version").fetchall()
    if application != APPLICATION:
        yield fault("database", f"{path} is no catalogue of tagfs.", f"Move it away. {backup}")
    elif schema > SCHEMA:
        yield fault("database", f"{path} was written by a newer tagfs (schema {schema}).", "Install that version.")
    else:
        ((verdict,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
        if verdict != "ok":
            yield fault("database", f"{path} is damaged: {verdict}.", f"Try tagfs verify --repair. {backup}")
        elif schema < SCHEMA:
            yield ok("database", f"It is sound; the next start brings it from schema {schema} to {SCHEMA}.")
        else:
            yield ok("database", "It is sound.")
