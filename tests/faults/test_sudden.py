"""A daemon that is killed, stopped, suspended or cut off while programs are inside (C5 to C7)."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagfs.vfs.sealing import CUT_SHORT
from tests.support.nginx import Nginx, nginx
from tests.support.odd_mount import OddMount

DEAD = (errno.ENOTCONN, errno.ECONNABORTED)
SIZE = 1_000_000
BACK_WITHIN = 3.0  # seconds


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Nginx]:
    served = tmp_path / "served"
    served.mkdir()
    (served / "slow").write_bytes(os.urandom(SIZE))
    with nginx(tmp_path / "nginx", served, limit_rate="60k") as one:  # until it is told to hurry
        yield one


@pytest.fixture
def inside(odd: OddMount) -> Iterator[subprocess.Popen[bytes]]:
    """A program that works in a directory of the mount. Started from outside, so that nobody else has files there."""
    odd.config.write_text("[transfer]\nreserve = 0\n")
    odd.start()
    os.mkdir(odd / "tags/a")
    for name in ("read", "other"):
        odd.put(f"tags/a/{name}", name)
    with subprocess.Popen(["sleep", "600"], cwd=odd / "tags/a") as process:
        yield process
        process.kill()


def is_dead(error: OSError) -> bool:
    return error.errno in DEAD


def add(mount: OddMount, url: str) -> None:
    with mount.connect() as client:
        client.call("add", {"urls": (url,)})


def arrived(mount: OddMount, name: str) -> float:
    return float(os.getxattr(mount / "files" / name, "user.tagfs.progress"))


def killed(mount: OddMount, inside: subprocess.Popen[bytes]) -> float:
    """Kill it, look at what is left, and start another one; how long that took."""
    reading = os.open(mount / "tags/a/read", os.O_RDONLY)
    writing = os.open(mount / "files/new", os.O_CREAT | os.O_WRONLY)
    try:
        os.write(writing, b"half")
        mount.crash()
        with pytest.raises(OSError, check=is_dead):
            os.pwrite(writing, b"more", 4)
        began = time.monotonic()
        mount.start()
        took = time.monotonic() - began
        with pytest.raises(OSError, check=is_dead):
            os.getxattr(reading, "user.tagfs.id")  # its bytes the kernel may have, from a round before
        with pytest.raises(OSError, check=is_dead):
            os.listdir(f"/proc/{inside.pid}/cwd")
        assert (mount / "tags/a/read").read_bytes() == b"read"
        assert (mount / "files/new").read_bytes() == b"half"
        assert os.getxattr(mount / "files/new", "user.tagfs.error").decode() == CUT_SHORT
        os.unlink(mount / "files/new")
        return took
    finally:
        for fd in (reading, writing):
            try:
                os.close(fd)
            except OSError as error:
                assert is_dead(error)


def test_killed_with_open_files_and_a_working_directory_inside(odd: OddMount, inside: subprocess.Popen[bytes]) -> None:
    killed(odd, inside)


@pytest.mark.long
def test_after_a_kill_the_mount_is_back_in_time(odd: OddMount, inside: subprocess.Popen[bytes]) -> None:
    """The best of a few: the machine may have other things to do."""
    assert min(killed(odd, inside) for _ in range(5)) <= BACK_WITHIN


def test_stopped_with_open_files_and_a_running_download(
    odd: OddMount, inside: subprocess.Popen[bytes], server: Nginx
) -> None:
    """It ends by itself (after its own deadline it would end with another code), unmounted, with a checkpoint."""
    add(odd, server.url("slow"))
    writing = os.open(odd / "files/new", os.O_CREAT | os.O_WRONLY)
    os.write(writing, b"half")
    odd.wait_for(lambda: arrived(odd, "slow") > 0.05)
    assert odd.stop() == 0
    server.hurry()
    assert not os.path.ismount(odd.top)
    with sqlite3.connect(odd.state / "catalogue.sqlite") as connection:
        rows = connection.execute("SELECT ranges FROM download WHERE ranges != ''").fetchall()
    connection.close()
    assert len(rows) == 1
    with pytest.raises(OSError, check=is_dead):
        os.pwrite(writing, b"more", 4)
    with pytest.raises(OSError, check=is_dead):
        os.close(writing)
    odd.start()
    assert arrived(odd, "slow") > 0.04
    odd.wait_for(lambda: arrived(odd, "slow") == 1)
    assert sum(access.start == 0 for access in server.log()) == 1


def stands_still(odd: OddMount) -> bool:
    assert odd.process is not None
    threads = Path(f"/proc/{odd.process.pid}/task").glob("*/stat")
    return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in threads)


def suspended(odd: OddMount, server: Nginx, seconds: float) -> None:
    """Callers wait, and then are answered; what was arriving arrives, once."""
    assert odd.process is not None
    add(odd, server.url("slow"))
    odd.wait_for(lambda: arrived(odd, "slow") > 0.05)
    answers: list[object] = []

    def ask() -> None:
        answers.append(os.statvfs(odd.top).f_bsize > 0)
        answers.append((odd / "tags/a/other").read_bytes())
        os.setxattr(odd / "tags/a/other", "user.tag.b", b"")
        answers.append(sorted(os.listdir(odd / "tags/b")))

    odd.process.send_signal(signal.SIGSTOP)
    odd.wait_for(lambda: stands_still(odd))
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    assert asking.is_alive()
    assert answers == []
    server.hurry()
    odd.process.send_signal(signal.SIGCONT)
    asking.join(60)
    assert answers == [True, b"other", ["other"]]
    odd.wait_for(lambda: arrived(odd, "slow") == 1, 60)
    with odd.connect() as client:
        page = client.call("ls", {})
        assert sorted(item["name"] for item in page["items"]) == ["other", "read", "slow"]
        assert client.call("verify", {"data": True})["faults_total"] == 0


def test_suspended_for_a_moment(odd: OddMount, inside: subprocess.Popen[bytes], server: Nginx) -> None:
    suspended(odd, server, 0.5)


@pytest.mark.long
def test_suspended_for_half_a_minute(odd: OddMount, inside: subprocess.Popen[bytes], server: Nginx) -> None:
    suspended(odd, server, 35)


def test_the_connection_is_aborted(odd: OddMount, inside: subprocess.Popen[bytes], server: Nginx) -> None:
    """Whoever waits gets an error, the daemon ends, and the next one is at the same place."""
    add(odd, server.url("slow"))
    odd.wait_for(lambda: arrived(odd, "slow") > 0.05)
    errors: list[OSError] = []

    def read() -> None:
        try:
            with open(odd / "files/slow", "rb", buffering=0) as file:
                os.pread(file.fileno(), 10, SIZE - 10)
                while True:
                    os.statvfs(odd.top)
        except OSError as error:
            errors.append(error)

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    server.hurry()
    odd.abort()
    reading.join(60)
    assert [is_dead(error) for error in errors] == [True]
    assert odd.process is not None
    odd.process.wait(60)
    odd.start()
    assert (odd / "tags/a/read").read_bytes() == b"read"
    odd.wait_for(lambda: arrived(odd, "slow") == 1)
