"""Whether a directory can be mounted at, each refusal a sentence; and a dead mount is taken away."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tagfs.config.mount_options import MountOptions
from tagfs.daemon import mountpoint
from tagfs.daemon.errors import StartError
from tagfs.daemon.mountinfo import mount_at
from tests.tagfs.daemon.conftest import Mounted

NORMAL = MountOptions()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "T").mkdir()
    return tmp_path / "T"


def prepare(path: Path | str, state: Path | str = "/nowhere/state", options: MountOptions = NORMAL) -> str:
    return mountpoint.prepare(str(path), str(state), options)


def test_an_empty_directory_will_do(directory: Path) -> None:
    assert prepare(directory) == str(directory)
    (directory.parent / "link").symlink_to("T")
    assert prepare(directory.parent / "link") == str(directory)


def test_what_is_wrong_with_the_directory(directory: Path) -> None:
    (directory.parent / "file").touch()
    with pytest.raises(StartError, match="file is not a directory"):
        prepare(directory.parent / "file")
    with pytest.raises(StartError, match="nowhere does not exist; make it with mkdir"):
        prepare(directory.parent / "nowhere")
    with pytest.raises(StartError, match="cannot be used: Not a directory"):
        prepare(directory.parent / "file/below")
    for state in (directory, directory / "below", directory.parent):
        with pytest.raises(StartError, match="must not lie in each other"):
            prepare(directory, state)
    (directory / "something").touch()
    with pytest.raises(StartError, match="T is not empty"):
        prepare(directory)


def test_somebody_elses_directory(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = directory.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(StartError, match=rf"belongs to another user \(uid {owner}\)"):
        prepare(directory)


def test_what_is_wrong_with_the_system(directory: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(mountpoint, "FUSE_DEVICE", "/dev/nowhere")
        with pytest.raises(StartError, match="/dev/nowhere is missing"):
            prepare(directory)
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: path != "/dev/fuse")
        with pytest.raises(StartError, match="may not be used by this user"):
            prepare(directory)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        with pytest.raises(StartError, match="install the package fuse3"):
            prepare(directory)
        with pytest.raises(StartError, match="install the package fuse3"):
            mountpoint.unmount(str(directory))


def test_allow_other_needs_the_administrators_word(
    directory: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    conf = tmp_path / "fuse.conf"
    monkeypatch.setattr(mountpoint, "FUSE_CONF", str(conf))
    monkeypatch.setattr(os, "geteuid", lambda: directory.stat().st_uid or 1000)
    if directory.stat().st_uid == 0:
        os.chown(directory, 1000, 1000)
    wanted = MountOptions(allow_other=True)
    for text in (None, "", "# user_allow_other\n"):
        if text is not None:
            conf.write_text(text)
        with pytest.raises(StartError, match="needs the line user_allow_other in"):
            prepare(directory, options=wanted)
    conf.write_text("# x\nuser_allow_other\n")
    assert prepare(directory, options=wanted) == str(directory)


@pytest.mark.mount
def test_a_live_mount_is_left_alone(directory: Path, fuse_mount: Mounted) -> None:
    fuse_mount(directory)
    with pytest.raises(StartError, match=r"A tagfs is mounted at .*T already"):
        prepare(directory)
    assert mount_at(str(directory)) is not None
    mountpoint.unmount(str(directory))
    assert prepare(directory) == str(directory)


@pytest.mark.mount
def test_a_dead_mount_is_taken_away(directory: Path, fuse_mount: Mounted) -> None:
    process = fuse_mount(directory)
    process.kill()
    process.wait()
    with pytest.raises(OSError, match="Transport endpoint is not connected"):
        os.stat(directory)
    assert prepare(directory) == str(directory)
    assert mount_at(str(directory)) is None


@pytest.mark.mount
def test_a_dead_mount_of_another_program_is_not_ours_to_touch(directory: Path, fuse_mount: Mounted) -> None:
    process = fuse_mount(directory, "other")
    process.kill()
    process.wait()
    with pytest.raises(StartError, match=r"Another filesystem \(fuse.other\) is mounted at"):
        prepare(directory)
    assert mount_at(str(directory)) is not None


@pytest.mark.mount
def test_a_daemon_that_is_stopped_is_alive(
    directory: Path, fuse_mount: Mounted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mountpoint, "PATIENCE", 0.2)
    process = fuse_mount(directory)
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(StartError, match="is mounted at"):
        prepare(directory)
    process.send_signal(signal.SIGCONT)
    os.stat(directory)


@pytest.mark.mount
def test_a_busy_mount_says_so_and_lazily_goes(directory: Path, fuse_mount: Mounted) -> None:
    fuse_mount(directory)
    sleeper = subprocess.Popen([shutil.which("cat") or "cat"], cwd=directory, stdin=subprocess.PIPE)
    try:
        with pytest.raises(StartError, match=r"cannot be unmounted: .*busy"):
            mountpoint.unmount(str(directory))
        mountpoint.unmount(str(directory), lazy=True)
        assert mount_at(str(directory)) is None
    finally:
        sleeper.communicate()
