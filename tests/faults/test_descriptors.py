"""C14: few file descriptors. Who comes too late is told, nothing leaks, and all goes on."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.mount.conftest import Mount

LIMIT = 120


@pytest.fixture
def poor(new_mount: Callable[..., Mount], monkeypatch: pytest.MonkeyPatch) -> Iterator[Mount]:
    """A mount whose daemon may have LIMIT files open."""
    mount = new_mount()
    popen = subprocess.Popen

    def limited(*args: object, **kwargs: object) -> object:
        return popen(*args, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT)), **kwargs)  # type: ignore[call-overload]

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", limited)
        mount.start()
    yield mount
    mount.expect_warnings = True


def open_files(mount: Mount) -> int:
    assert mount.process is not None
    return len(os.listdir(f"/proc/{mount.process.pid}/fd"))


def status(mount: Mount) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tagfs", "status"]
    return subprocess.run(command, env=mount.environ, capture_output=True, text=True, timeout=120, check=False)


def test_without_descriptors_each_caller_is_told_and_all_goes_on(poor: Mount) -> None:
    file = poor.put("files/f", b"content")
    poor.put("files/g", b"other")
    base = open_files(poor)
    with ExitStack() as held:
        with pytest.raises(OSError) as refused:
            for _ in range(LIMIT):
                held.callback(os.close, os.open(file, os.O_RDONLY | os.O_DIRECT))
        assert refused.value.errno == errno.EMFILE
        for _ in range(3):
            told = status(poor)
            assert (told.returncode, told.stdout) == (1, "")
            assert told.stderr.startswith("tagfs: The daemon has no file descriptor left"), told.stderr
        assert poor.names("files") == ["f", "g"]
        os.setxattr(file, "user.tags", b"+tagged")
        with pytest.raises(OSError, check=lambda error: error.errno == errno.EMFILE):
            (poor / "files/new").write_bytes(b"x")
    assert status(poor).returncode == 0
    assert poor.names("tags/tagged") == ["f"]
    poor.put("files/new", b"new")
    poor.wait_for(lambda: open_files(poor) <= base)
    text = poor.log.read_text()
    assert text.count("no file descriptor is left") == 1
    assert "Traceback" not in text


@pytest.mark.long
def test_no_descriptor_leaks(poor: Mount) -> None:
    file = poor.put("files/f", b"content")
    poor.put("files/h", b"x")
    base = open_files(poor)
    for number in range(10_000):
        os.close(os.open(file, os.O_RDONLY))
        if number % 10 == 0:
            (poor / "files/h").write_bytes(b"%d" % number)
        if number % 100 == 0:
            assert status(poor).returncode == 0
    poor.settle(poor / "files/h")
    poor.wait_for(lambda: open_files(poor) <= base)
