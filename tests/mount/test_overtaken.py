"""A file whose size comes to be known between a stat and a read, where the kernel keeps no answer of the daemon: each
is overtaken by a message, as one is now and then on a busy machine. A read must not end where the file seemed to.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.mount.conftest import Mount
from tests.support.opening import DATABASE

ROOT = Path(__file__).parents[2]
CONTENT = os.urandom(300_000)
HALF = 150_000


class Overtaken(Mount):
    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.support.odd_daemon", str(self.top)]

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, "ODD": "overtaken-answers", "PYTHONPATH": str(ROOT)}

    def row(self) -> tuple[int | None, str]:
        """Size and state of the one item."""
        with closing(sqlite3.connect(f"file:{self.state / DATABASE}?mode=ro", uri=True)) as database:
            [row] = database.execute("SELECT size, state FROM item")
            return row

    def states(self) -> set[str]:
        with closing(sqlite3.connect(f"file:{self.state / DATABASE}?mode=ro", uri=True)) as database:
            return {state for (state,) in database.execute("SELECT state FROM item")}


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Overtaken]:
    mount = Overtaken(tmp_path)
    try:
        mount.start()
        yield mount
    finally:
        mount.close()


class Server(threading.Thread):
    """Says how large the file is when it is told to, and sends the second half when it is told to."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/f"
        self.sized, self.whole = threading.Event(), threading.Event()
        self.start()

    def run(self) -> None:
        client = self.listener.accept()[0]
        with client:
            client.recv(65536)
            self.sized.wait()
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(CONTENT) + CONTENT[:HALF])
            self.whole.wait()
            client.sendall(CONTENT[HALF:])


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    try:
        yield server
    finally:
        server.sized.set()
        server.whole.set()
        server.listener.close()


@pytest.fixture
def link(mount: Overtaken, server: Server) -> Path:
    """Which the kernel believes to be empty."""
    path = mount / "files/f"
    os.symlink(server.url, path)
    assert path.stat().st_size == 0
    return path


def test_while_it_arrives(mount: Overtaken, server: Server, link: Path) -> None:
    server.sized.set()
    mount.wait_for(lambda: mount.row()[0] is not None)
    with link.open("rb", buffering=0) as one, link.open("rb", buffering=0) as other:
        assert one.read(1000) == CONTENT[:1000]
        assert other.read(1000) == CONTENT[:1000]
    server.whole.set()
    mount.wait_for(lambda: mount.row()[1] == "complete")
    assert link.read_bytes() == CONTENT


def test_while_several_wait_for_the_size(mount: Overtaken, server: Server, link: Path) -> None:
    found: list[bytes] = []

    def read() -> None:
        with link.open("rb", buffering=0) as file:
            found.append(file.read(1000))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    server.sized.set()
    for reader in readers:
        reader.join()
    assert found == [CONTENT[:1000]] * 4


def test_when_it_is_here(mount: Overtaken, server: Server, link: Path) -> None:
    server.sized.set()
    server.whole.set()
    mount.wait_for(lambda: mount.row()[1] == "complete")
    with link.open("rb", buffering=0) as file:
        assert file.read(1000) == CONTENT[:1000]
    with link.open("r+b", buffering=0) as file:
        file.seek(0, os.SEEK_END)
        file.write(b"more")
    assert link.read_bytes() == CONTENT + b"more"


def test_after_a_rename_over_it_and_its_undo(mount: Overtaken) -> None:
    """A file is larger than it was, and nobody has written to its node."""
    path, other = mount / "files/f", mount / "files/tmp"
    for file, content in ((path, CONTENT[:1000]), (other, CONTENT)):
        file.write_bytes(content)
    mount.wait_for(lambda: mount.states() == {"complete"})
    assert path.read_bytes() == CONTENT[:1000]
    known = os.open(path, os.O_PATH)  # so the kernel keeps the node, and what it believes of it
    try:
        os.rename(other, path)
        assert path.read_bytes() == CONTENT
        mount.tagfs("undo")
        assert path.read_bytes() == CONTENT[:1000]
        mount.tagfs("redo")
        assert path.read_bytes() == CONTENT
    finally:
        os.close(known)
