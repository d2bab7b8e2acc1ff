"""A daemon that was killed and does not end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagfs.daemon import mountpoint, state, wreck
from tagfs.daemon.errors import StartError
from tests.tagfs.daemon.conftest import Mounted


@pytest.fixture
def zombie() -> Iterator[int]:
    """A process that has ended and is not gone, as one is whose thread the kernel keeps."""
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process.pid
    process.wait()


@pytest.fixture
def connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root may mount fusectl")
    control = tmp_path / "connections"
    control.mkdir()
    subprocess.run(["mount", "-t", "fusectl", "none", control], check=True)
    monkeypatch.setattr(wreck, "CONNECTIONS", str(control))
    yield control
    subprocess.run(["umount", control], check=True)


def test_who_was_killed(zombie: int) -> None:
    assert wreck.killed(zombie)
    assert not wreck.killed(os.getpid())
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert not wreck.killed(gone.pid)


@pytest.mark.mount
def test_the_mount_of_a_killed_daemon_is_freed(
    fuse_mount: Mounted, zombie: int, connections: Path, tmp_path: Path
) -> None:
    path = tmp_path / "T"
    path.mkdir()
    fuse_mount(path)
    wreck.free(os.getpid(), str(path))  # of one that lives it is left alone
    assert mountpoint.alive(str(path))
    wreck.free(zombie, str(path))
    assert not mountpoint.alive(str(path))


@pytest.mark.mount
def test_where_it_cannot_be_freed_the_sentence_says_how(
    fuse_mount: Mounted, zombie: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wreck, "CONNECTIONS", str(tmp_path / "nowhere"))
    path = tmp_path / "T"
    path.mkdir()
    fuse_mount(path)
    home = tmp_path / "state"
    state.prepare(str(home))
    held = state.lock(str(home))
    try:
        state.write_info(str(home), state.DaemonInfo(zombie, "", str(path), ""))
        with pytest.raises(
            StartError, match=r"was killed and cannot end. As root: mount -t fusectl none .*; echo 1 > "
        ):
            state.lock(str(home))
    finally:
        os.close(held)
    assert mountpoint.alive(str(path))


def test_no_mount_is_nothing_to_free(zombie: int, tmp_path: Path) -> None:
    wreck.free(zombie, str(tmp_path))
