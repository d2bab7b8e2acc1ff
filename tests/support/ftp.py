"""A real FTP server (pyftpdlib) in a thread, on loopback, serving one folder. It logs commands and can cut transfers.
`talker` is one that says what it is told to and nothing else.

with ftp_server(folder, cut_at=[100_000]) as server:
    server.url("film.mkv"); server.commands -> ["TYPE I", "SIZE film.mkv", ...]
"""

from __future__ import annotations

import logging
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it is built on asyncore, which goes with Python 3.12 and comes back as a package
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import DTPHandler, FTPHandler
    from pyftpdlib.servers import FTPServer


@dataclass
class Server:
    port: int
    commands: list[str] = field(default_factory=list)
    cut_at: list[int] = field(default_factory=list)  # one transfer each: closed after so many bytes

    def url(self, path: str, login: str = "") -> str:
        return f"ftp://{login}127.0.0.1:{self.port}/{path}"

    def started(self, verb: str) -> list[str]:
        return [command for command in self.commands if command.startswith(verb)]


@contextmanager
def ftp_server(
    folder: Path,
    *,
    cut_at: list[int] | None = None,
    unknown: tuple[str, ...] = (),
    pasv: str | None = None,
    greeting: str = "here",
) -> Iterator[Server]:
    """`unknown` are commands that it does not know; `pasv` is an address that it lies about in PASV. The user `me` has
    the password `p:w`; anonymous is welcome."""

    class Cutting(DTPHandler):
        limit: int | None = None

        def send(self, data: bytes) -> int:
            if self.limit is None and server.cut_at:
                self.limit = server.cut_at.pop(0)
            if self.limit is not None and self.tot_bytes_sent + len(data) > self.limit:
                data = data[: self.limit - self.tot_bytes_sent]
                if not data:
                    self.cmd_channel.close()
                    self.close()
                    return 0
            sent = super().send(data)
            return int(sent or 0)

    class Handler(FTPHandler):
        authorizer = DummyAuthorizer()
        dtp_handler = Cutting
        use_sendfile = False
        banner = greeting
        masquerade_address = pasv

        def process_command(self, cmd, *args, **kwargs) -> None:
            if args or cmd != "PASS":
                server.commands.append(" ".join([cmd, *map(str, args)]) if cmd != "PASS" else "PASS")
            super().process_command(cmd, *args, **kwargs)

    Handler.authorizer.add_anonymous(str(folder))
    Handler.authorizer.add_user("me", "p:w", str(folder))
    Handler.proto_cmds = {name: value for name, value in FTPHandler.proto_cmds.items() if name not in unknown}
    logging.getLogger("pyftpdlib").setLevel(logging.CRITICAL)
    ftpd = FTPServer(("127.0.0.1", 0), Handler)
    server = Server(ftpd.socket.getsockname()[1], cut_at=cut_at or [])
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            ftpd.serve_forever(timeout=0.02, blocking=False)
        ftpd.close_all()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server
    finally:
        over.set()
        thread.join()


@contextmanager
def talker(words: bytes) -> Iterator[int]:
    """A server that says `words` to each who comes, whatever he says, and waits for him to leave. The port."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                connection, _ = listener.accept()
                with connection:
                    if over.is_set():
                        return
                    try:
                        connection.sendall(words)
                        while connection.recv(1 << 16):
                            pass
                    except OSError:
                        pass  # he left in the middle

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            socket.create_connection(listener.getsockname()).close()
            thread.join()
