"""A mount whose daemon is not quite what users run, and dies in ways that may leave everybody hanging."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tagfs.config.load import load
from tagfs.control.client import Client
from tagfs.daemon import wreck
from tagfs.daemon.mountinfo import mount_at
from tests.mount.conftest import Mount
from tests.support.starter import Begin

ROOT = Path(__file__).parents[2]
FUSECTL = "/sys/fs/fuse/connections"


class OddMount(Mount):
    """`oddities` are words of tests.support.odd_daemon. What a crash leaves behind is worth a warning."""

    def __init__(self, folder: Path, begin: Begin, control: str) -> None:
        super().__init__(folder)
        self.oddities: tuple[str, ...] = ()
        self.expect_warnings = True
        self.control = control
        self.kill_at = ""  # a point of engine.disk.kill_point
        self.boot = 0  # of the machine; 0: as it is
        self._begin = begin

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.support.odd_daemon", str(self.top)]

    @property
    def environ(self) -> dict[str, str]:
        odd = {"ODD": " ".join(self.oddities), "ODD_FUSECTL": self.control, "PYTHONPATH": str(ROOT)}
        if self.kill_at:
            odd["TAGFS_KILL_AT"] = self.kill_at
        return {**super().environ, **odd, **({"ODD_BOOT": str(self.boot)} if self.boot else {})}

    def begin(self) -> None:
        self.config.touch()
        self.process = self._begin(self.command, self.environ, self.log)

    def connect(self) -> Client:
        """NoDaemon where none runs."""
        return Client(load(self.environ).socket)

    def close(self) -> None:
        """Whatever hangs in the mount is freed before anything is done that could hang as well."""
        if self.process is not None and (self.process.poll() is not None or self.is_stuck()):
            self.abort()
        super().close()

    def abort(self) -> None:
        """End the connection, so that everybody who waits for the daemon gets an error."""
        found = mount_at(str(self.top))
        if found is not None:
            with suppress(FileNotFoundError):
                Path(self.control, str(os.minor(found.device)), "abort").write_text("1")

    def is_stuck(self) -> bool:
        """Whether the daemon was killed and cannot end."""
        assert self.process is not None
        return wreck.killed(self.process.pid)

    def crash(self) -> None:
        """kill -9. Who cannot end although it was killed is left to the next daemon."""
        assert self.process is not None
        self.process.kill()
        try:
            self.process.wait(0.3)
        except subprocess.TimeoutExpired:
            print("the daemon was killed and cannot end")  # noqa: T201  # shown where the test fails


@contextmanager
def fusectl(folder: Path) -> Iterator[str]:
    """Where connections can be aborted: systemd mounts that, containers often do not have it."""
    if os.path.ismount(FUSECTL):
        yield FUSECTL
        return
    if os.geteuid() != 0:
        pytest.skip(f"{FUSECTL} is not mounted, and only root may mount it")
    folder.mkdir()
    subprocess.run(["mount", "-t", "fusectl", "none", folder], check=True)
    try:
        yield str(folder)
    finally:
        subprocess.run(["umount", folder], check=True)
