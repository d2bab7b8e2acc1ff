"""A real mount in a process of its own, driven through the kernel like any user would."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.posix import Place, Places
from tests.support.starter import Process

START = 120.0
TOOLS = ("fusermount3", "setfattr", "getfattr", "rsync", "ffprobe", "unzip", "curl", "wget", "gio", "git", "sqlite3")


class Mount:
    """A daemon on `state`, mounted at `top`. A warning in its log fails the test, unless `expect_warnings`."""

    def __init__(self, folder: Path, options: str = "") -> None:
        self.state = folder / "state"
        self.top = folder / "mnt"
        self.log = folder / "log"
        self.options = options
        self.expect_warnings = False
        self.process: subprocess.Popen[bytes] | Process | None = None
        self.config = folder / "config.toml"
        self.top.mkdir(exist_ok=True)

    def __truediv__(self, path: str) -> Path:
        return self.top / path

    @property
    def environ(self) -> dict[str, str]:
        environ = {**os.environ, "TAGFS_STATE": str(self.state), "TAGFS_CONFIG": str(self.config)}
        environ.pop("XDG_RUNTIME_DIR", None)
        return environ

    @property
    def command(self) -> list[str]:
        options = ["-o", self.options] if self.options else []
        return [sys.executable, "-m", "tagfs", "mount", str(self.top), "-f", *options]

    def start(self) -> None:
        self.begin()
        self.wait_until_mounted()

    def begin(self) -> None:
        """Start the daemon, and wait for nothing."""
        self.config.touch()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, env=self.environ, stdout=log, stderr=log)

    def wait_until_mounted(self) -> None:
        assert self.process is not None
        for _ in range(int(START / 0.05)):
            if self.process.poll() is not None:
                raise AssertionError(f"the daemon ended with {self.process.returncode}: {self.log.read_text()}")
            if _answers(self.top):
                return
            try:
                self.process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        raise AssertionError(f"no mount after {START} s: {self.log.read_text()}")

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        """kill -9, as a crash; the mount stays, dead."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(60)

    def tagfs(self, *words: str, check: bool = True, input: str | None = None) -> str:
        """Run the command line against this daemon; its standard output."""
        command = [sys.executable, "-m", "tagfs", *words]
        done = subprocess.run(command, env=self.environ, input=input, capture_output=True, text=True, timeout=120)
        if check:
            assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """The command line while it runs; what runs longer than the block is killed."""
        command = [sys.executable, "-m", "tagfs", *words]
        with subprocess.Popen(
            command, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def json(self, *words: str) -> object:
        return json.loads(self.tagfs(*words, "--json"))

    def sh(self, script: str, *, check: bool = True) -> str:
        """Run a shell script in the mount; its standard output."""
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.top, env=self.environ, capture_output=True, text=True, timeout=120
        )
        if check:
            assert done.returncode == 0, (script, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def names(self, path: str) -> list[str]:
        return sorted(os.listdir(self.top / path))

    def put(self, path: str, content: bytes | str = b"") -> Path:
        """A new file, whole (sealed) when this returns."""
        file = self.top / path
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        self.settle(file)
        return file

    def settle(self, file: Path) -> None:
        """Wait until what was written has become a blob."""
        self.wait_for(lambda: os.getxattr(file, "user.tagfs.state") == b"complete")

    def wait_for(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        """Poll, since what is waited for happens in another process; each round asks that process."""
        assert self.process is not None
        for _ in range(int(seconds / 0.01)):
            if condition():
                return
            try:
                self.process.wait(0.01)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"the daemon ended: {self.log.read_text()}")
        raise AssertionError("it did not happen in time")

    def errors(self) -> str:
        return (self.top / ".tagfs/errors").read_text()

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if os.path.ismount(self.top) or _is_dead(self.top):
            subprocess.run(["fusermount3", "-u", "-z", str(self.top)], check=False)
        (self.state / "catalogue.sqlite.reserve").unlink(missing_ok=True)  # 16 MiB a mount would add up
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        if not self.expect_warnings:
            bad = [
                line
                for line in text.splitlines()
                if any(w in line for w in ("WARNING", "ERROR", "CRITICAL", "Traceback"))
            ]
            assert not bad, text


def _answers(path: Path) -> bool:
    """By listing, which asks the daemon: the kernel answers a stat of a dead mount from its cache."""
    try:
        return "tags" in os.listdir(path)
    except OSError:
        return False


def _is_dead(path: Path) -> bool:
    try:
        path.stat()
    except OSError:
        return True
    return False


@pytest.fixture
def new_mount(tmp_path: Path) -> Iterator[Callable[..., Mount]]:
    """Make further mounts, each below a folder of its own."""
    made: list[Mount] = []

    def make(name: str = "one", options: str = "") -> Mount:
        folder = tmp_path / name
        folder.mkdir()
        made.append(Mount(folder, options))
        return made[-1]

    yield make
    for mount in made:
        mount.close()


@pytest.fixture
def mount(new_mount: Callable[..., Mount]) -> Mount:
    """A fresh, empty mount."""
    fresh = new_mount()
    fresh.start()
    return fresh


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """Where calls are compared: tests/support/posix.py."""
    mount = Mount(tmp_path_factory.mktemp("posix"), "umask=000")  # which hides nothing
    with tempfile.TemporaryDirectory(dir="/dev/shm") as native:  # a tmpfs, which /tmp need not be
        try:
            mount.start()
            mount.sh("mkdir files/P tags/a tags/a/Q")
            made = Places(Place(Path(native)), (Place(mount / "files/P"), Place(mount / "tags/a/Q")))
            yield made
            for place in (made.native, *made.mounted):
                place.close()
            assert "no faults" in mount.tagfs("verify", "--data")
        finally:
            mount.close()


@pytest.fixture(scope="session", autouse=True)
def tools() -> None:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    assert not missing, f"install {missing}: make test does"
