"""tagfs as a contender: from the command until the item is whole, hashed, synced and committed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.contest import Result, TookTooLong, cpu_of, cpu_of_children
from bench.daemon import mounted

DONE = (b"complete", b"seeding")


@contextmanager
def fresh(folder: Path, config: str = "") -> Iterator[Tagfs]:
    """A daemon with a state directory of its own, gone at the end, as the files of other contenders are: on a virtual
    machine, memory that was used before is cheaper than memory that its host has to find first."""
    own = folder / "own"
    with mounted(f"{own}/state", f"{own}/mnt", config) as (daemon, _):
        yield Tagfs(daemon.pid, own)
    shutil.rmtree(own)


class Tagfs:
    """A mounted daemon, whose CPU is counted."""

    def __init__(self, pid: int, folder: Path) -> None:
        self.pid = pid
        self.state = folder / "state"
        self.mount = folder / "mnt"

    def link(self, url: str) -> Result:
        """`ln -s URL files/`, as a file manager does it."""
        file = self.mount / "files" / url.rpartition("/")[2]
        started, spent = time.perf_counter(), cpu_of(self.pid)
        os.symlink(url, file)
        self.wait(file)
        return Result(time.perf_counter() - started, cpu_of(self.pid) - spent)

    def add(self, *words: str, name: str) -> Result:
        """`tagfs add`, start-up of the command line included."""
        started, spent, children = time.perf_counter(), cpu_of(self.pid), cpu_of_children()
        self.run("add", *words)
        self.wait(self.mount / "files" / name)
        return Result(time.perf_counter() - started, cpu_of(self.pid) - spent + cpu_of_children() - children)

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "tagfs", *words, "--state", str(self.state)],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        if done.returncode:
            raise subprocess.SubprocessError(f"tagfs {words[0]}: {done.stderr.strip().splitlines()[-1]}")
        return done.stdout

    def wait(self, file: Path, patience: float = 120.0) -> None:
        """Until it is whole. Each look costs the daemon some 0.1 ms, so 100 a second cost it 1 %."""
        deadline = time.perf_counter() + patience
        while (state := os.getxattr(file, "user.tagfs.state")) not in DONE:
            if state == b"failed":
                raise OSError(os.getxattr(file, "user.tagfs.error").decode())
            if time.perf_counter() > deadline:
                progress = os.getxattr(file, "user.tagfs.progress").decode()
                raise TookTooLong(f"not done after {patience:.0f} s: {state.decode()}, {progress}")
            time.sleep(0.01)  # another process has no event to wait for

    def forget(self) -> None:
        """All items and their blobs."""
        for folder in ("files", "trash"):
            for name in os.listdir(self.mount / folder):
                os.unlink(self.mount / folder / name)
