"""A daemon in the background, as a user has one: its state directory, its mount point, and commands on them."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tagfs.daemon import state as state_module
from tagfs.daemon.mountinfo import mount_at

ROOT = Path(__file__).parents[2]


@dataclass
class Home:
    """A state directory, a mount point, and commands on them."""

    folder: Path

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def top(self) -> Path:
        return self.folder / "T"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "tagfs", *arguments, "--state", str(self.state)]

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "TAGFS_"))}
        return {**kept, "HOME": str(self.folder), "PYTHONPATH": str(ROOT)}

    def tagfs(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), env=self.environment, capture_output=True, text=True, check=False, timeout=120
        )

    def mount(self) -> int:
        """Mount in the background; the daemon's pid."""
        done = self.tagfs("mount", str(self.top))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), self.log()
        info = state_module.read_info(str(self.state))
        assert info is not None and info.mountpoint == str(self.top)
        return info.pid

    def mounted(self) -> bool:
        return mount_at(str(self.top)) is not None

    def log(self) -> str:
        file = self.state / "daemon.log"
        return file.read_text() if file.exists() else "(no log)"

    def clean_up(self) -> None:
        """Whatever state it is in, with force."""
        info = state_module.read_info(str(self.state))
        if info is not None and state_module.locked(str(self.state)):
            os.kill(info.pid, signal.SIGKILL)
            wait_gone(info.pid, 10)
        while self.mounted():
            subprocess.run(["fusermount3", "-u", "-z", str(self.top)], check=True)


def wait_gone(pid: int, patience: float) -> None:
    """Until the process, which is no child of ours, has ended."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ready, _, _ = select.select([process], [], [], patience)
    os.close(process)
    assert ready, f"the daemon has not ended within {patience} s"
