"""A tiny FUSE mount of type fuse.tagfs, whose daemon can be killed, stopped and asked to leave."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tagfs.daemon.mountinfo import mount_at

CODE = """
import sys, pyfuse3, trio
class Empty(pyfuse3.Operations):
    async def getattr(self, inode, ctx=None):
        entry = pyfuse3.EntryAttributes()
        entry.st_ino, entry.st_mode = inode, 0o40755
        return entry
pyfuse3.init(Empty(), sys.argv[1], {"fsname=tagfs", sys.argv[2]})
print(flush=True)
trio.run(pyfuse3.main)
pyfuse3.close()
"""

Mounted = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def fuse_mount() -> Iterator[Mounted]:
    """Mount at a path: `fuse_mount(path, subtype="tagfs")`. Everything is taken away afterwards."""
    made: list[tuple[str, subprocess.Popen[bytes]]] = []

    def mount(path: Path, subtype: str = "tagfs") -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, str(path), f"subtype={subtype}"], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        made.append((str(path), process))
        assert process.stdout.readline() == b"\n"
        return process

    yield mount
    for path, process in made:
        process.kill()
        process.communicate()
        while mount_at(os.path.realpath(path)) is not None:
            subprocess.run(["fusermount3", "-u", "-z", path], check=True)
