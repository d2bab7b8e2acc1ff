"""A daemon that was killed and cannot end: one of its threads is in the kernel, where it takes a name out of the caches
and wants the lock of a directory; the program that holds this lock waits for an answer of the daemon. The thread keeps
/dev/fuse open, so the kernel does not end the connection by itself, and everybody who asks the mount waits for ever.

To abort the connection frees them all. Its owner may do so by the fusectl filesystem. Blocking; start-up and CLI only.
"""

from __future__ import annotations

import os

from tagfs.daemon.errors import StartError
from tagfs.daemon.mountinfo import FSTYPE, mount_at

CONNECTIONS = "/sys/fs/fuse/connections"  # where fusectl is mounted, by systemd or whoever starts the system


def killed(pid: int) -> bool:
    """Whether that process has ended, but for threads that the kernel does not let go."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            fields = stream.read().rpartition(b") ")[2]  # the name before may hold anything
    except (FileNotFoundError, ProcessLookupError):
        return False
    return fields[:1] in (b"Z", b"X")


def free(pid: int, mountpoint: str) -> None:
    """Abort the connection of the tagfs mount at `mountpoint` when its daemon `pid` was killed. StartError with what to
    do where that is not possible."""
    mount = mount_at(mountpoint)
    if mount is None or mount.fstype != FSTYPE or not killed(pid):
        return
    switch = f"{CONNECTIONS}/{os.minor(mount.device)}/abort"
    try:
        with open(switch, "w", encoding="ascii") as stream:
            stream.write("1")
    except OSError as error:
        raise StartError(
            f"The daemon (pid {pid}) of {mountpoint} was killed and cannot end. As root: "
            f"mount -t fusectl none {CONNECTIONS}; echo 1 > {switch} ({error.strerror})."
        ) from error
