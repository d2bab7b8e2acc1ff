"""Whether tagfs can be mounted at a directory, and taking mounts away. Blocking; start-up and CLI only.

Every refusal is one sentence before libfuse is asked, which would print its own to stderr and return a bare failure.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import subprocess
import threading

from tagfs.config.mount_options import MountOptions
from tagfs.daemon.errors import StartError
from tagfs.daemon.mountinfo import FSTYPE, mount_at

PATIENCE = 5.0  # seconds that a mount has to answer one question
FUSE_DEVICE = "/dev/fuse"
FUSE_CONF = "/etc/fuse.conf"


def prepare(mountpoint: str, state: str, options: MountOptions) -> str:
    """The real path to mount at. A dead tagfs mount there is taken away; StartError says what else is wrong."""
    _check_system(options)
    path = real(mountpoint)
    existing = mount_at(path)
    if existing is not None and existing.fstype == FSTYPE and not alive(path):
        unmount(path, lazy=True)
        existing = mount_at(path)
    if existing is not None:
        what = "A tagfs" if existing.fstype == FSTYPE else f"Another filesystem ({existing.fstype})"
        raise StartError(f"{what} is mounted at {path} already.")
    _check_directory(path, os.path.realpath(state))
    return path


def real(path: str) -> str:
    """`os.path.realpath`, which asks every component for its type, but not a mount at `path` itself: that one may be
    dead, or never answer."""
    folder, name = os.path.split(os.path.abspath(path))
    candidate = os.path.join(os.path.realpath(folder), name)
    return candidate if mount_at(candidate) is not None else os.path.realpath(candidate)


def alive(path: str) -> bool:
    """Whether the filesystem at `path` answers. A daemon that was killed leaves ENOTCONN behind, one that was aborted
    ECONNABORTED; one that is stopped does not answer, and is alive. Asks with statfs, which the kernel never caches: it
    goes on answering stat for a dead daemon."""
    verdict: list[bool] = []

    def ask() -> None:
        try:
            os.statvfs(path)
            verdict.append(True)
        except OSError as error:
            verdict.append(error.errno not in (errno.ENOTCONN, errno.ECONNABORTED))

    thread = threading.Thread(target=ask, daemon=True)  # may stay stuck in the kernel: nobody waits for it
    thread.start()
    thread.join(PATIENCE)
    return verdict[0] if verdict else True


def unmount(path: str, *, lazy: bool = False) -> None:
    """StartError with fusermount3's reason. `lazy` detaches now, and lets those go on who have files open."""
    command = ["fusermount3", "-u", *(["-z"] if lazy else []), "--", path]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        raise StartError("fusermount3 is missing; install the package fuse3.") from None
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().rpartition(": ")[2] or f"exit code {done.returncode}"
        raise StartError(f"{path} cannot be unmounted: {reason}.")


def _check_system(options: MountOptions) -> None:
    if not os.path.exists(FUSE_DEVICE):
        raise StartError(f"{FUSE_DEVICE} is missing: load the module fuse, or give the container that device.")
    if not os.access(FUSE_DEVICE, os.R_OK | os.W_OK):
        raise StartError(f"{FUSE_DEVICE} may not be used by this user; its mode should be 0666.")
    if shutil.which("fusermount3") is None:
        raise StartError("fusermount3 is missing; install the package fuse3.")
    if options.allow_other and os.geteuid() != 0 and not user_allow_other():
        raise StartError(f"-o allow_other needs the line user_allow_other in {FUSE_CONF}.")


def user_allow_other() -> bool:
    """Whether fuse.conf lets users do what only root may otherwise."""
    try:
        with open(FUSE_CONF, encoding="utf-8", errors="replace") as stream:
            return re.search(r"^\s*user_allow_other\s*$", stream.read(), re.MULTILINE) is not None
    except OSError:
        return False


def _check_directory(path: str, state: str) -> None:
    try:
        status = os.stat(path)
        if not stat.S_ISDIR(status.st_mode):
            raise StartError(f"The mount point {path} is not a directory.")
        if os.path.commonpath([path, state]) in (path, state):
            raise StartError(f"The mount point {path} and the state directory {state} must not lie in each other.")
        if os.listdir(path):
            raise StartError(f"The mount point {path} is not empty.")
    except FileNotFoundError:
        raise StartError(f"The mount point {path} does not exist; make it with mkdir.") from None
    except OSError as error:
        raise StartError(f"The mount point {path} cannot be used: {error.strerror}.") from error
    if os.geteuid() not in (0, status.st_uid):
        raise StartError(f"The mount point {path} belongs to another user (uid {status.st_uid}).")
