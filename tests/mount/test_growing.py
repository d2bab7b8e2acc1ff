"""A download that comes from its begin only: who reads at its end waits for it. Where nobody says its size it grows."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.mount.conftest import Mount

FIRST, REST = b"a" * 70_000, b"b" * 30_000


class Server(ThreadingHTTPServer):
    """Sends the first part at once and the rest when it is told to; the end of the connection is the end. It knows
    nothing of ranges, and says how much comes of `/sized` only."""

    go_on: threading.Event


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        if self.path == "/sized":
            self.send_header("Content-Length", str(len(FIRST + REST)))
        self.end_headers()
        self.wfile.write(FIRST)
        self.wfile.flush()
        self.server.go_on.wait(60)
        self.wfile.write(REST)

    def log_message(self, *_: object) -> None:
        """Not on the terminal of the tests."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as made:
        made.go_on = threading.Event()
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.go_on.set()
        made.shutdown()
        thread.join()


def test_it_grows_and_a_read_at_the_end_waits_for_more(mount: Mount, server: Server) -> None:
    mount.sh(f"ln -s http://127.0.0.1:{server.server_port}/stream files/")
    file = mount / "files/stream"
    mount.wait_for(lambda: file.stat().st_size == len(FIRST))
    assert file.stat().st_blocks * 512 >= len(FIRST)
    found: list[bytes] = []

    def follow() -> None:
        with file.open("rb", buffering=0) as stream:
            while chunk := stream.read(1 << 16):
                found.append(chunk)

    reader = threading.Thread(target=follow)
    reader.start()
    mount.wait_for(lambda: sum(map(len, found)) == len(FIRST))
    assert reader.is_alive()
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(BlockingIOError):
        os.pread(descriptor, 10, len(FIRST))
    os.close(descriptor)
    server.go_on.set()
    reader.join(60)
    assert not reader.is_alive()
    assert b"".join(found) == FIRST + REST
    mount.settle(file)
    assert file.stat().st_size == len(FIRST + REST)
    assert file.read_bytes() == FIRST + REST


def test_tail_of_a_link_just_made_waits_where_the_server_has_no_ranges(mount: Mount, server: Server) -> None:
    file = mount / "files/sized"
    os.symlink(f"http://127.0.0.1:{server.server_port}/sized", file)
    with subprocess.Popen(["tail", "-c", "20000", str(file)], stdout=subprocess.PIPE) as tail:
        mount.wait_for(lambda: tail.poll() is not None or has_open(tail.pid, file))
        mount.wait_for(lambda: os.getxattr(file, "user.tagfs.state") == b"downloading")
        assert tail.poll() is None
        server.go_on.set()
        assert tail.communicate(timeout=120)[0] == (FIRST + REST)[-20_000:]
    assert tail.returncode == 0


def has_open(process: int, file: Path) -> bool:
    folder = Path(f"/proc/{process}/fd")
    return str(file) in {os.readlink(each) for each in folder.iterdir() if each.is_symlink()}
