"""A download is a file, there at once: what stat, read, tail, getfattr and kill -9 find while it arrives."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from tests.mount.conftest import Mount
from tests.support.nginx import Nginx, nginx

MIB = 1 << 20
SIZE = 32 * MIB  # what the stalled server promises
BIG = int(os.environ.get("TAGFS_BIG_MIB", "64"))  # 1024 for the full bar
OVERLAP = 4096  # bytes read again where a download goes on, to catch servers that lie about offsets


def make(path: Path, size: int) -> str:
    """A file of random bytes; its SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        while size > 0:
            chunk = os.urandom(min(size, 8 * MIB))
            digest.update(chunk)
            file.write(chunk)
            size -= len(chunk)
    return digest.hexdigest()


@pytest.fixture
def served(tmp_path: Path) -> Path:
    folder = tmp_path / "served"
    folder.mkdir()
    return folder


@pytest.fixture
def slow(tmp_path: Path, served: Path) -> Iterator[Nginx]:
    """However busy the machine is, the big file is not here before the server is told to hurry."""
    with nginx(tmp_path / "slow", served, limit_rate=f"{max(BIG // 64, 1)}m") as server:
        yield server


@dataclass
class Stalled:
    """A server that promises a file and sends none of it."""

    port: int
    requests: list[bytes] = field(default_factory=list)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"


@pytest.fixture
def stalled() -> Iterator[Stalled]:
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as open_:
        server = Stalled(listener.getsockname()[1])

        def accept() -> None:
            with contextlib.suppress(OSError):  # the listener is closed at the end
                while True:
                    client = open_.enter_context(listener.accept()[0])
                    request = client.recv(65536)
                    server.requests.append(request)
                    found = re.search(rb"(?i)range: bytes=(\d+)-", request)
                    start = int(found[1]) if found else 0
                    head = (
                        f"206 Partial Content\r\nContent-Range: bytes {start}-{SIZE - 1}/{SIZE}" if found else "200 OK"
                    )
                    client.sendall(
                        f'HTTP/1.1 {head}\r\nContent-Length: {SIZE - start}\r\nETag: "1"\r\n'
                        "Accept-Ranges: bytes\r\n\r\n".encode()
                    )

        thread = threading.Thread(target=accept)
        thread.start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def hurry(server: Nginx, file: Path) -> None:
    """What it still lacks is asked for anew."""
    server.hurry()
    os.setxattr(file, "user.tagfs.state", b"paused")
    os.setxattr(file, "user.tagfs.state", b"queued")


def state(path: Path) -> str:
    return os.getxattr(path, "user.tagfs.state").decode()


def test_the_last_byte_comes_first(mount: Mount, served: Path, slow: Nginx) -> None:
    """Bar 3: tail of a cold file answers before the download ends, and the blob is the server's file."""
    sha256 = make(served / "big.iso", BIG * MIB)
    with (served / "big.iso").open("rb") as original:
        original.seek(-1, os.SEEK_END)
        last = original.read()
    (mount / "tags/iso").mkdir()
    mount.sh(f"ln -s {slow.url('big.iso')} tags/iso/")
    file = mount / "tags/iso/big.iso"
    mount.wait_for(lambda: file.stat().st_size == BIG * MIB)
    started = time.monotonic()
    assert subprocess.run(["tail", "-c1", str(file)], capture_output=True, check=True, timeout=120).stdout == last
    took = time.monotonic() - started
    progress = float(os.getxattr(file, "user.tagfs.progress"))
    assert state(file) == "downloading"
    assert progress < 0.9, (progress, took)
    assert file.stat().st_blocks * 512 < BIG * MIB
    hurry(slow, file)
    mount.settle(file)
    assert os.getxattr(file, "user.tagfs.sha256").decode() == sha256
    assert file.stat().st_blocks * 512 == BIG * MIB
    assert subprocess.run(["cmp", str(file), str(served / "big.iso")], check=False).returncode == 0
    assert any(access.start >= BIG * MIB - 16 * MIB and access.start > 0 for access in slow.log())


def test_a_metalink_gets_a_wrong_piece_from_another_mirror(
    mount: Mount, served: Path, slow: Nginx, tmp_path: Path
) -> None:
    """The first mirror has one byte wrong, and the reader never sees it."""
    sha256 = make(served / "good.bin", 2 * MIB)
    content = (served / "good.bin").read_bytes()
    (served / "bad.bin").write_bytes(content[:MIB] + bytes([content[MIB] ^ 1]) + content[MIB + 1 :])
    pieces = [hashlib.sha256(content[at : at + MIB // 2]).hexdigest() for at in range(0, 2 * MIB, MIB // 2)]
    hashes = "".join(f"<hash>{each}</hash>" for each in pieces)
    (tmp_path / "x.meta4").write_text(
        f'<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="film.bin"><size>{2 * MIB}</size>'
        f'<pieces length="{MIB // 2}" type="sha-256">{hashes}</pieces>'
        f'<url priority="1">{slow.url("bad.bin")}</url><url priority="2">{slow.url("good.bin")}</url></file></metalink>'
    )
    mount.stop()
    mount.config.write_text("[transfer]\nprivate_redirects = true\n")
    mount.start()
    slow.hurry()
    mount.tagfs("add", str(tmp_path / "x.meta4"))
    file = mount / "files/film.bin"
    assert file.read_bytes() == content
    mount.settle(file)
    assert os.getxattr(file, "user.tagfs.sha256").decode() == sha256
    assert {access.path for access in slow.log()} == {"/bad.bin", "/good.bin"}


def test_on_demand_only_what_is_read_is_here(mount: Mount, served: Path, slow: Nginx) -> None:
    sha256 = make(served / "f.bin", BIG * MIB)
    mount.tagfs("add", "--on-demand", slow.url("f.bin"))
    file = mount / "files/f.bin"
    mount.wait_for(lambda: file.stat().st_size == BIG * MIB)
    with file.open("rb") as ours, (served / "f.bin").open("rb") as original:
        for there in (ours, original):
            there.seek(-5000, os.SEEK_END)
        assert ours.read() == original.read()
    assert os.getxattr(file, "user.tagfs.mode") == b"on-demand"
    assert file.stat().st_blocks * 512 < BIG * MIB
    with pytest.raises(OSError, match="Invalid argument"):
        os.setxattr(file, "user.tagfs.mode", b"sometimes")
    slow.hurry()
    os.setxattr(file, "user.tagfs.mode", b"full")
    mount.settle(file)
    assert os.getxattr(file, "user.tagfs.sha256").decode() == sha256
    with pytest.raises(OSError, match="No data available"):
        os.getxattr(file, "user.tagfs.mode")
    with pytest.raises(OSError, match="not permitted"):
        os.setxattr(file, "user.tagfs.mode", b"full")


def test_reading_waits_and_sees_the_right_bytes(mount: Mount, served: Path, slow: Nginx) -> None:
    make(served / "f.bin", 4 * MIB)
    mount.sh(f"ln -s {slow.url('f.bin')} files/")
    assert (mount / "files/f.bin").read_bytes() == (served / "f.bin").read_bytes()


def test_killed_in_the_middle_of_ten_downloads(mount: Mount, served: Path, slow: Nginx) -> None:
    """Bar 4: all finish after the restart, with the right digests, and what was here is not fetched again."""
    size = 6 * MIB
    sums = {f"f{number}": make(served / f"f{number}", size) for number in range(10)}
    mount.stop()
    mount.config.write_text("[transfer]\nmax_active = 10\nmax_per_host = 10\nsplit = 1\n")
    with nginx(slow.prefix.parent / "ten", served, limit_rate="512k") as server:  # 12 s for each
        mount.start()
        mount.tagfs("add", *(server.url(name) for name in sums))
        files = {name: mount / "files" / name for name in sums}
        mount.wait_for(lambda: all(float(os.getxattr(f, "user.tagfs.progress")) > 0.15 for f in files.values()))
        mount.kill()
        server.hurry()
        here = {name: _staged_bytes(mount, name) for name in sums}
        mount.start()
        for name, file in files.items():
            mount.settle(file)
            assert os.getxattr(file, "user.tagfs.sha256").decode() == sums[name]
        for name in sums:
            resumed = [access for access in server.log() if access.path == f"/{name}" and access.start > 0]
            assert resumed, f"{name} was fetched again from its beginning"
            assert min(access.start for access in resumed) >= MIB // 4
            assert all(access.if_range for access in resumed)
            ranges = sorted((access.start, size) for access in resumed)
            assert sum(end - start for start, end in ranges) <= size - here[name] + OVERLAP * len(ranges)


def _staged_bytes(mount: Mount, name: str) -> int:
    """Bytes of an arriving item that are on disk after a kill, by the item's staging file (sequential, so its size)."""
    import sqlite3

    with sqlite3.connect(f"file:{mount.state}/catalogue.sqlite?mode=ro", uri=True) as database:
        row = database.execute(
            "SELECT d.staging FROM download d JOIN item i ON i.id = d.item WHERE i.name = ?", (name.encode(),)
        ).fetchone()
    assert row is not None
    return (mount.state / "staging" / row[0]).stat().st_size


def test_a_read_gives_up_after_patience(mount: Mount, stalled: Stalled) -> None:
    mount.stop()
    mount.config.write_text("[transfer]\nread_patience = 0.5\n")
    mount.start()
    mount.sh(f"ln -s {stalled.url('slow.bin')} files/")
    file = mount / "files/slow.bin"
    mount.wait_for(lambda: file.stat().st_size == SIZE)
    descriptor = os.open(file, os.O_RDONLY)
    with pytest.raises(OSError) as caught:
        os.pread(descriptor, 1000, SIZE // 2)
    os.close(descriptor)
    assert caught.value.errno == errno.EIO


def test_nonblocking_readers_and_noatime_openers_do_not_wait(mount: Mount, stalled: Stalled) -> None:
    mount.tagfs("add", "--paused", stalled.url("slow.bin"))
    file = mount / "files/slow.bin"
    for flags in (os.O_RDONLY | os.O_NONBLOCK, os.O_RDONLY | os.O_NOATIME):
        descriptor = os.open(file, flags)
        try:
            with pytest.raises(BlockingIOError):
                os.pread(descriptor, 10, 2 * MIB)
        finally:
            os.close(descriptor)
    assert state(file) == "paused"
    assert stalled.requests == []


def test_thumbnailers_start_nothing(mount: Mount, stalled: Stalled, tmp_path: Path) -> None:
    """tumblerd opens like anybody else; the same program by another name reads, and so fetches."""
    for name in ("tumblerd", "viewer"):
        shutil.copy(shutil.which("cat") or "/bin/cat", tmp_path / name)
    mount.tagfs("add", "--on-demand", stalled.url("slow.bin"))
    file = mount / "files/slow.bin"
    mount.wait_for(lambda: file.stat().st_size == SIZE)
    before = len(stalled.requests)
    done = subprocess.run([tmp_path / "tumblerd", file], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and "No data available" in done.stderr
    assert len(stalled.requests) == before
    mount.tagfs("pause", "slow.bin")
    done = subprocess.run([tmp_path / "tumblerd", file], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and "No data available" in done.stderr
    mount.tagfs("resume", "slow.bin")
    with subprocess.Popen([tmp_path / "viewer", file], stdout=subprocess.DEVNULL) as viewer:
        mount.wait_for(lambda: len(stalled.requests) > before)
        viewer.kill()


def test_stuck_readers_hold_up_nobody(mount: Mount, stalled: Stalled) -> None:
    """I8: what is here is answered while 90 reads wait for the network."""
    mount.put("files/here", "here")
    mount.sh(f"ln -s {stalled.url('slow.bin')} files/")
    file = mount / "files/slow.bin"
    mount.wait_for(lambda: file.stat().st_size == SIZE)
    stop = threading.Event()

    def wait_for_bytes(number: int) -> None:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            while not stop.is_set():
                os.pread(descriptor, 4096, (8 + number // 4) * MIB + number * 4096)
        except OSError:
            pass  # the daemon is gone at the end of the test
        finally:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    readers = [threading.Thread(target=wait_for_bytes, args=(number,), daemon=True) for number in range(90)]
    for reader in readers:
        reader.start()
    for _ in range(50):
        assert (mount / "files/here").read_text() == "here"
        assert "slow.bin" in mount.names("files")
        os.setxattr(mount / "files/here", "user.xdg.tags", b"a")
    stop.set()
    mount.stop()
    for reader in readers:
        reader.join(60)
    assert not any(reader.is_alive() for reader in readers)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_a_waiting_reader_can_be_ended(mount: Mount, stalled: Stalled, number: signal.Signals) -> None:
    """By Ctrl-C too, long before its patience (60 s) is over."""
    mount.sh(f"ln -s {stalled.url('slow.bin')} files/")
    file = mount / "files/slow.bin"
    mount.wait_for(lambda: file.stat().st_size == SIZE)
    # What is started in the background ignores SIGINT, and so does all that it starts.
    cat = ["env", "--default-signal=INT", "cat", str(file)]
    with subprocess.Popen(cat, stdout=subprocess.DEVNULL) as reader:
        mount.wait_for(partial(waits_for, reader.pid, str(file)))
        reader.send_signal(number)
        assert reader.wait(30) == -number
    assert mount.put("files/here", "here").read_text() == "here"


def waits_for(pid: int, file: str) -> bool:
    """Whether it has the file open and does nothing."""
    proc = Path(f"/proc/{pid}")
    opened = []
    for descriptor in (proc / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            opened.append(os.readlink(descriptor))
    return file in opened and (proc / "stat").read_text().rpartition(")")[2].split()[0] in "SD"


def has_size(file: Path) -> bool:
    return file.stat().st_size == SIZE


def test_walking_by_names_and_attributes_fetches_nothing(mount: Mount, stalled: Stalled) -> None:
    for number in range(10):
        mount.tagfs("add", "--on-demand", stalled.url(f"{number}.mkv"), "-t", "a")
    for number in range(10):
        file = mount / f"files/{number}.mkv"
        mount.wait_for(partial(has_size, file))
    before = len(stalled.requests)
    for walk in (
        "ls -lR . > /dev/null", "find . -size +1k -newermt 2000-01-01 > /dev/null", "du -a . > /dev/null",
        "getfattr -R -d files tags > /dev/null", "rsync -an files/ /tmp/nowhere-at-all > /dev/null",
        "stat files/* tags/a/* > /dev/null",
    ):  # fmt: skip
        mount.sh(walk)
    assert len(stalled.requests) == before


def test_pause_and_resume_by_attribute(mount: Mount, served: Path, slow: Nginx) -> None:
    sha256 = make(served / "f.bin", BIG * MIB)
    mount.sh(f"ln -s {slow.url('f.bin')} files/")
    file = mount / "files/f.bin"
    mount.wait_for(lambda: float(os.getxattr(file, "user.tagfs.progress")) > 0.05)
    os.setxattr(file, "user.tagfs.state", b"paused")
    assert state(file) == "paused"
    assert mount.names("tags/state:paused") == ["f.bin"]
    slow.hurry()
    os.setxattr(file, "user.tagfs.state", b"queued")
    mount.settle(file)
    assert os.getxattr(file, "user.tagfs.sha256").decode() == sha256
    assert mount.names("tags/state:paused") == []


def test_a_download_that_fails_says_so(mount: Mount, served: Path, slow: Nginx) -> None:
    mount.sh(f"ln -s {slow.url('missing.iso')} files/")
    file = mount / "files/missing.iso"
    mount.wait_for(lambda: state(file) == "failed")
    assert b"404" in os.getxattr(file, "user.tagfs.error")
    descriptor = os.open(file, os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        os.read(descriptor, 10)
    os.close(descriptor)
    assert mount.names("tags/state:failed") == ["missing.iso"]


def test_attributes_tell_where_it_came_from_without_secrets(mount: Mount, served: Path, slow: Nginx) -> None:
    make(served / "f.bin", 1000)
    url = slow.url("f.bin").replace("http://", "http://user:secret@")
    mount.sh(f"ln -s {url} files/")
    file = mount / "files/f.bin"
    mount.settle(file)
    attributes = {name: os.getxattr(file, name) for name in os.listxattr(file)}
    assert attributes["user.xdg.origin.url"] == slow.url("f.bin").encode()
    assert not any(b"secret" in value for value in attributes.values())
    assert mount.names("tags/host:127.0.0.1") == ["f.bin"]
    assert mount.names("tags/source:http") == ["f.bin"]


def test_removed_while_it_arrives_and_brought_back(mount: Mount, served: Path, slow: Nginx) -> None:
    sha256 = make(served / "f.bin", BIG * MIB)
    (mount / "tags/a").mkdir()
    mount.sh(f"ln -s {slow.url('f.bin')} tags/a/")
    file = mount / "files/f.bin"
    mount.wait_for(lambda: float(os.getxattr(file, "user.tagfs.progress")) > 0.05)
    os.unlink(file)
    assert mount.names("files") == []
    slow.hurry()
    os.rename(mount / "trash/f.bin", file)
    mount.settle(file)
    assert os.getxattr(file, "user.tagfs.sha256").decode() == sha256
    assert mount.names("tags/a") == ["f.bin"]


def test_dead_mount_after_a_crash_is_an_error_not_an_empty_directory(mount: Mount) -> None:
    mount.put("files/f", "x")
    mount.kill()
    with pytest.raises(OSError) as caught:
        os.listdir(mount.top)
    assert caught.value.errno == errno.ENOTCONN
    mount.start()
    assert mount.names("files") == ["f"]
    assert mount.stop() == 0
    assert os.listdir(mount.top) == []
