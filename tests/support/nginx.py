"""A real nginx in the foreground, serving one folder of a test on loopback, with an access log to read.

with nginx(tmp_path / "nginx", root=folder) as server:
    server.url("film.mkv"); server.log() -> [Access(path="/film.mkv", range="bytes=0-", status=206, sent=..), ...]
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SYNC = 5.0  # seconds; a test may have stopped it, or ended it
BINARY = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")

_CONFIG = """
daemon off;
{user}
worker_processes 1;
pid {prefix}/nginx.pid;
error_log {prefix}/error.log;
events {{ worker_connections 1024; }}
http {{
    log_format json escape=json '{{"path":"$uri","range":"$http_range","if_range":"$http_if_range",'
        '"status":$status,"sent":$body_bytes_sent,"connection":$connection}}';
    access_log {prefix}/access.log json;
    default_type application/octet-stream;
    types {{ text/plain txt; video/x-matroska mkv; }}
    sendfile on;
    client_body_temp_path {prefix}/body; proxy_temp_path {prefix}/proxy; fastcgi_temp_path {prefix}/fastcgi;
    uwsgi_temp_path {prefix}/uwsgi; scgi_temp_path {prefix}/scgi;
    {extra}
    server {{
        listen 127.0.0.1:{port};
        root {root};
        location = /.sync {{ access_log off; return 204; }}
        {limit}
    }}
}}
"""


@dataclass(frozen=True)
class Access:
    """One line of the access log. `sent` is body bytes handed to the kernel, also of a cut answer."""

    path: str
    range: str
    if_range: str
    status: int
    sent: int
    connection: int

    @property
    def start(self) -> int:
        """First byte asked for."""
        return int(self.range.removeprefix("bytes=").partition("-")[0]) if self.range else 0


@dataclass
class Nginx:
    port: int
    prefix: Path
    process: subprocess.Popen[bytes]

    def hurry(self) -> None:
        """Answers to what is asked from now on are not held back any more. Those that are under way still are."""
        (self.prefix / "quick").touch()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path.lstrip('/')}"

    def log(self) -> list[Access]:
        """Every answer so far; one line is written when an answer ends. The one worker does one thing after the other:
        who has all of an answer finds it here, though the line is written after the last byte was sent."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), SYNC) as sync:
            sync.sendall(b"GET /.sync HTTP/1.0\r\n\r\n")
            sync.recv(1)
        path = self.prefix / "access.log"
        return [Access(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


@contextlib.contextmanager
def nginx(prefix: Path, root: Path, *, limit_rate: str | None = None, extra: str = "") -> Iterator[Nginx]:
    """Serve `root` until the block ends. `limit_rate` (`500k`) is bytes a second of each connection, until `hurry`."""
    assert BINARY is not None, "these tests need nginx (apt-get install nginx-light)"
    prefix.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    config = prefix / "nginx.conf"
    config.write_text(
        _CONFIG.format(
            prefix=prefix,
            root=root,
            port=port,
            user="user root;" if os.geteuid() == 0 else "",
            limit=f"set $held {limit_rate}; if (-f {prefix}/quick) {{ set $held 0; }} limit_rate $held;"
            if limit_rate
            else "",
            extra=extra,
        )
    )
    process = subprocess.Popen(
        [BINARY, "-p", str(prefix), "-c", str(config), "-e", str(prefix / "error.log")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_open(port, process, prefix)
        yield Nginx(port, prefix, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _free_port() -> int:
    """nginx cannot be told to choose one itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_open(port: int, process: subprocess.Popen[bytes], prefix: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert process.poll() is None, f"nginx did not start: {(prefix / 'error.log').read_text()}"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.01)  # noqa: TID251 -- another process has no event to wait for
        else:
            return
    raise AssertionError("nginx did not listen in time")
