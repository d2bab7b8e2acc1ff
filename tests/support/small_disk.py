"""A file system of a few MiB in memory, which can be filled to its last byte. Needs the rights to mount one."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

BLOCK = 4096


@dataclass
class SmallDisk:
    path: Path

    @property
    def free(self) -> int:
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize

    def fill(self, leave: int = 0) -> None:
        """Until only `leave` bytes are free."""
        with (self.path / "ballast").open("ab", buffering=0) as file:
            while (room := self.free - leave) >= BLOCK:
                try:
                    file.write(bytes(min(room, 1 << 20)))
                except OSError as error:
                    assert error.errno == errno.ENOSPC
                    return

    def empty(self) -> None:
        (self.path / "ballast").unlink()


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[SmallDisk]:
    """Mounted at `path`, which is made."""
    path.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(path)], check=False, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"needs the rights to mount a tmpfs: {done.stderr.strip()}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)
