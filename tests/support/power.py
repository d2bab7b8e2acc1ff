"""A file system whose power can be cut: on a loop device, shut down without flushing its log (FS_IOC_SHUTDOWN).

    with loop_disk(tmp_path, "ext4") as disk:
        ... disk.path ...
        disk.cut()       # from here on nothing reaches the device, what was not synced is lost, and writers get EIO
        disk.restore()   # when nobody has files open there any more: mounted again, which replays the log

Needs root, a loop device and mkfs.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN of linux/fs.h (XFS_IOC_GOINGDOWN)
NO_LOG_FLUSH = 2
SIZE = 4 << 30  # bytes of the images, of which most are holes
MKFS = {"ext4": ("mkfs.ext4", "-q", "-F"), "xfs": ("mkfs.xfs", "-q", "-f")}
SBIN = ":/usr/sbin:/sbin"


@dataclass
class LoopDisk:
    image: Path
    path: Path

    def mount(self) -> None:
        subprocess.run(["mount", "-o", "loop", self.image, self.path], check=True)

    def cut(self) -> None:
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def restore(self) -> None:
        """A mount namespace of somebody who makes one just then keeps what was shut down alive for as long as it is
        there."""
        for _ in range(600):
            self.unmount()
            self.mount()
            try:
                (self.path / "probe").touch()
            except OSError as error:
                assert error.errno == errno.EIO
                threading.Event().wait(0.1)
            else:
                return
        raise AssertionError(f"{self.path} is kept by some mount namespace")

    def unmount(self) -> None:
        """Whoever was killed may need a moment to let go."""
        for _ in range(1200):
            done = subprocess.run(["umount", self.path], check=False, capture_output=True, text=True)
            if done.returncode == 0:
                return
            threading.Event().wait(0.05)
        raise AssertionError(f"{self.path} is still in use: {done.stderr}")


@contextmanager
def loop_disk(folder: Path, kind: str) -> Iterator[LoopDisk]:
    """Skips the test where there are no rights, no loop devices or no mkfs of that kind."""
    program = shutil.which(MKFS[kind][0], path=os.environ.get("PATH", "") + SBIN)
    if os.geteuid() != 0 or program is None or not os.path.exists("/dev/loop-control"):
        pytest.skip(f"needs root, loop devices and {MKFS[kind][0]}")
    disk = LoopDisk(folder / f"{kind}.image", folder / kind)
    disk.path.mkdir()
    with disk.image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run([program, *MKFS[kind][1:], disk.image], check=True)
    disk.mount()
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", disk.path], check=True)
