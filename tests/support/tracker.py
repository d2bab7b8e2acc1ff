"""A real HTTP tracker on loopback (BEP 3, compact answers of BEP 23), in a thread, which counts what it is asked.

with tracker() as announces:
    make_torrent(folder, trackers=[announces.url]); announces.introduce(seeds.address)
    ... announces.seen -> [Announce(info_hash=.., port=.., event="started", left=..), ...]
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from tests.support.torrents import bencode

INTERVAL = 2  # seconds until a client may ask again


@dataclass(frozen=True)
class Announce:
    """`info_hash` is 40 hex digits: a v2 hash is sent truncated."""

    info_hash: str
    host: str
    port: int
    event: str
    left: int
    uploaded: int
    downloaded: int


@dataclass
class Tracker:
    port: int
    seen: list[Announce] = field(default_factory=list)
    failure: str = ""  # told to whoever asks, instead of peers
    raw: bytes | None = None  # answered instead, whatever it is
    announced: bool = True  # False: nobody is told of those who announce themselves, only of those who were introduced
    _introduced: set[tuple[str, int]] = field(default_factory=set)
    _swarms: dict[str, set[tuple[str, int]]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/announce"

    def introduce(self, address: str) -> None:
        """A peer of every swarm, although it does not announce itself."""
        host, _, port = address.rpartition(":")
        self._introduced.add((host, int(port)))

    def answer(self, announce: Announce) -> bytes:
        self.seen.append(announce)
        if self.raw is not None:
            return self.raw
        if self.failure:
            return bencode({"failure reason": os.fsencode(self.failure)})
        swarm = self._swarms.setdefault(announce.info_hash, set())
        here = (announce.host, announce.port)
        peers = (self._introduced | (swarm if self.announced else set())) - {here}
        if announce.event == "stopped":
            swarm.discard(here)
        else:
            swarm.add(here)
        return bencode({"interval": INTERVAL, "min interval": 1, "peers": b"".join(_compact(*peer) for peer in peers)})


@contextmanager
def tracker() -> Iterator[Tracker]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = dict(parse_qsl(urlsplit(self.path).query, encoding="latin-1"))
            if not urlsplit(self.path).path.startswith("/announce"):
                self.send_error(404)  # scrapes, which some clients guess
                return
            body = known.answer(
                Announce(
                    info_hash=asked["info_hash"].encode("latin-1").hex(),
                    host=asked.get("ip") or self.client_address[0],
                    port=int(asked["port"]),
                    event=asked.get("event", ""),
                    left=int(asked.get("left", 0)),
                    uploaded=int(asked.get("uploaded", 0)),
                    downloaded=int(asked.get("downloaded", 0)),
                )
            )
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # whoever asked is gone
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """`seen` is the log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known = Tracker(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _compact(host: str, port: int) -> bytes:
    return bytes(map(int, host.split("."))) + port.to_bytes(2, "big")
