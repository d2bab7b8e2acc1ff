"""The state directory of a daemon: private, locked, with a note of who runs on it. Blocking; start-up and CLI only.

    <state>/daemon.lock    held with flock(2) while a daemon lives, whatever kills it
    <state>/daemon.json    pid, socket and mount point of that daemon; written whole, may outlive it

A client reads the note rather than working out where the socket is: the environment of a cron job is not that of the
shell which started the daemon.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import select
import stat
from dataclasses import asdict, dataclass

from tagfs.config.paths import BLOBS_NAME, INFO_NAME, LOCK_NAME, RESERVE_NAME
from tagfs.daemon import wreck
from tagfs.daemon.errors import StartError
from tagfs.daemon.mountinfo import FSTYPE, mount_at, mount_of

LAST_WORDS = 6.0  # seconds; a daemon promises to end within five
SQLITE_PREFIX = "etilqs_"  # of its temporary files
_PREFIX = re.compile("[0-9a-f]{2}")
ROOM = 1 << 20  # bytes that a start needs: this note, the log, the side files of the catalogue


@dataclass(frozen=True, slots=True)
class DaemonInfo:
    pid: int
    socket: str
    mountpoint: str
    version: str


def prepare(state: str, *, contents: bool = False) -> None:
    """Make the state directory, mode 0700. StartError, before anything is made, when it is somebody else's, holds what
    is not tagfs's, or lies on a tagfs mount: what is on its own would wait for itself. With `contents` one may hold
    these and nothing else."""
    mount = mount_of(os.path.realpath(state))
    if mount is not None and mount.fstype == FSTYPE:
        raise StartError(
            f"The state directory {state} lies on the tagfs mount {mount.mountpoint}: choose one elsewhere."
        )
    try:
        names = os.listdir(state) if os.path.lexists(state) else []
    except OSError as error:
        raise StartError(f"The state directory {state} cannot be used: {error.strerror}.") from error
    if names and LOCK_NAME not in names:  # a slip of --state must not close, and fill, the home directory
        if names != [BLOBS_NAME] or not _store(os.path.join(state, BLOBS_NAME)):
            raise StartError(f"{state} is no state directory of tagfs, and it is not empty.")
        if not contents:  # an empty mount where somebody expects items is what others would mirror
            raise StartError(
                f"{state} holds contents and no catalogue: tagfs restore brings one back; to begin with what tagfs "
                f"export wrote, mount on an empty one, copy {BLOBS_NAME} into that, and tagfs import --catalogue."
            )
    make_private(state)


def _store(folder: str) -> bool:
    """Whether it is a directory with nothing in it but the 256 of a blob store, or some of them."""
    if not stat.S_ISDIR(os.lstat(folder).st_mode):
        return False
    with os.scandir(folder) as entries:
        return all(_PREFIX.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False) for entry in entries)


def make_private(folder: str) -> None:
    """Make `folder` where it does not exist, and close it to others. StartError when it is not ours."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        status = os.stat(folder)
        if status.st_uid != os.geteuid():
            raise StartError(f"The folder {folder} belongs to another user (uid {status.st_uid}).")
        if status.st_mode & 0o077:
            os.chmod(folder, 0o700)
    except OSError as error:
        raise StartError(f"The folder {folder} cannot be used: {error.strerror}.") from error


def lock(state: str) -> int:
    """Own the state directory until the descriptor that this returns is closed. StartError when a daemon does; one that
    has lost its mount, and so is about to end, is given time to do so: umount(8) does not wait for it. One that was
    killed and cannot end is freed."""
    try:
        held = os.open(os.path.join(state, LOCK_NAME), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StartError(f"The state directory {state} cannot be locked: {error.strerror}.") from error
    if _take(held):
        return held
    other = read_info(state)
    if other is not None and wreck.killed(other.pid):
        try:
            wreck.free(other.pid, other.mountpoint)
            freed = _ended(other.pid) and _take(held)
        except StartError:
            os.close(held)
            raise
        if freed:
            return held
    if other is None or mount_at(other.mountpoint) is not None or not _ended(other.pid) or not _take(held):
        os.close(held)
        where = f" (pid {other.pid}, mounted at {other.mountpoint})" if other else ""
        raise StartError(f"A daemon{where} runs on the state directory {state} already.")
    return held


def _take(held: int) -> bool:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _ended(pid: int) -> bool:
    """Whether that process has ended, or does so within LAST_WORDS."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], LAST_WORDS)[0])
    finally:
        os.close(process)


def locked(state: str) -> bool:
    """Whether a daemon runs on `state`."""
    try:
        probe = os.open(os.path.join(state, LOCK_NAME), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(probe, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(probe)
    return False


def make_way(state: str) -> None:
    """On a full disk: a part of what is kept for the catalogue, so that a daemon can start there, and things can be
    removed."""
    reserve = os.path.join(state, RESERVE_NAME)
    status = os.statvfs(state)
    if status.f_bavail * status.f_frsize < ROOM:
        with contextlib.suppress(OSError):
            held = os.open(reserve, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                os.truncate(held, max(os.fstat(held).st_size - ROOM, 0))
            finally:
                os.close(held)


def keep_temporary(state: str) -> None:
    """Have SQLite sort and keep undo logs here where they outgrow its memory, not in /var/tmp or /tmp: they hold names
    and tags. It unlinks these files as soon as they are open; removed is what a kill between the two has left.

    It asks for the variable once, when the module `sqlite3` is imported: call this before."""
    os.environ["SQLITE_TMPDIR"] = state
    for name in os.listdir(state):
        if name.startswith(SQLITE_PREFIX):
            os.unlink(os.path.join(state, name))


def write_info(state: str, info: DaemonInfo) -> None:
    path = os.path.join(state, INFO_NAME)
    try:
        with open(f"{path}.new", "w", encoding="ascii", opener=_own) as stream:
            json.dump(asdict(info), stream)
        os.replace(f"{path}.new", path)
    except OSError as error:
        raise StartError(f"The state directory {state} cannot be written to: {error.strerror}.") from error


def read_info(state: str) -> DaemonInfo | None:
    """What the last daemon wrote; None when there is nothing to read."""
    try:
        with open(os.path.join(state, INFO_NAME), encoding="ascii", opener=_own) as stream:
            return DaemonInfo(**json.load(stream))
    except (OSError, ValueError, TypeError):
        return None


def remove_info(state: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(state, INFO_NAME))


def _own(path: str, flags: int) -> int:
    """An opener for what lies in the state directory itself, wherever links would lead. As `engine.disk.own_file`,
    which is not for here: the command line imports this, and nothing of the engine."""
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
