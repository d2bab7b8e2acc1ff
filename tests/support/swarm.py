"""Real BitTorrent peers on loopback, each a libtorrent session in a process of its own: seeders, and fresh leechers.

with peer() as seeds:
    seeds.seed(torrent, folder)            # `folder` holds the file or the folder that the torrent names
    torrent.magnet(peers=[seeds.address])  # or a tests.support.tracker for unmodified .torrent files
    ... seeds.uploaded(torrent)            # payload bytes

with peer() as fresh:                      # do *we* seed?
    fresh.leech(torrent, folder, from_=["127.0.0.1:6881"]); fresh.wait_complete(torrent)

All calls block: from trio tests go through `trio.to_thread.run_sync` where the other side is in the same process.
No DHT, LSD, UPnP or uTP unless a setting says so. Several peers in one swarm want a `host` each (127.0.0.2 ...), since
libtorrent connects once to an address.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.torrents import Torrent

ROOT = Path(__file__).parents[2]
QUIET: dict[str, Any] = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
    "allow_multiple_connections_per_ip": True,
    "alert_mask": 0x7FFFFFFF & ~0x1FFA00,  # without logs, picker and blocks
    "max_failcount": 100,
    "min_reconnect_time": 1,
    "active_limit": -1,
    "active_seeds": -1,
    "active_downloads": -1,
    "unchoke_slots_limit": -1,
}
PLAINTEXT: dict[str, Any] = {"in_enc_policy": 2, "out_enc_policy": 2}  # pe_disabled
ENCRYPTED: dict[str, Any] = {"in_enc_policy": 0, "out_enc_policy": 0, "allowed_enc_level": 2}  # pe_forced, RC4
UTP_ONLY: dict[str, Any] = {
    "enable_incoming_utp": True,
    "enable_outgoing_utp": True,
    "enable_incoming_tcp": False,
    "enable_outgoing_tcp": False,
}


@dataclass(frozen=True)
class PeerStatus:
    """Payload bytes, without the protocol's own."""

    state: str
    seeding: bool
    uploaded: int
    downloaded: int
    done: int
    peers: int
    error: str


class Peer:
    def __init__(self, host: str, settings: dict[str, Any], prefix: Sequence[str] = ()) -> None:
        self.host = host
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-W", "ignore", "-m", "tests.support.seeder", json.dumps(settings)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.port = int(self._ask("port")["port"])

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def seed(self, torrent: Torrent, folder: Path, *, limit: int = 0, only: int = 0) -> None:
        """All of it lies in `folder`, the parent of what the torrent names. `limit` is bytes a second of it. `only`:
        the first so many pieces, and no others, which this peer says it lacks, until it is removed and seeds again."""
        self._add(torrent.save(folder / f"{torrent.id}.seeded"), folder, torrent, seed=True, limit=limit, only=only)

    def leech(self, torrent: Torrent, folder: Path, *, from_: Iterable[str] = (), magnet: str | None = None) -> None:
        """Download into `folder`, by the .torrent or by a magnet."""
        folder.mkdir(parents=True, exist_ok=True)
        self._add(magnet or torrent.save(folder / f"{torrent.id}.leeched"), folder, torrent, seed=False)
        for address in from_:
            self.connect(torrent, address)

    def connect(self, torrent: Torrent, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._ask("connect", id=torrent.id, host=host, port=int(port))

    def remove(self, torrent: Torrent) -> None:
        self._ask("remove", id=torrent.id)

    def status(self, torrent: Torrent) -> PeerStatus:
        return PeerStatus(**self._ask("status", id=torrent.id))

    def uploaded(self, torrent: Torrent) -> int:
        return self.status(torrent).uploaded

    def wait_complete(self, torrent: Torrent) -> PeerStatus:
        """Until it has everything, and its files on disk have it too."""
        return self._wait(torrent, seeding=True)

    def wait_done(self, torrent: Torrent, count: int) -> PeerStatus:
        """Until so many bytes are here and checked."""
        return self._wait(torrent, done=count)

    def wait_uploaded(self, torrent: Torrent, count: int) -> PeerStatus:
        return self._wait(torrent, uploaded=count)

    def set(self, **settings: Any) -> None:
        """libtorrent's settings, such as `upload_rate_limit`."""
        self._ask("settings", values=settings)

    def kill(self) -> None:
        """As a crash: connections are cut, nothing is said."""
        self.process.kill()
        self.close()

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:  # a session says goodbye to its trackers first
            self.process.kill()
            self.process.wait(60)
        self.process.stdout.close()

    def _add(
        self, what: Path | str, folder: Path, torrent: Torrent, *, seed: bool, limit: int = 0, only: int = 0
    ) -> None:
        renamed = {str(index): name for index, name in torrent.renamed.items()}
        options = {"seed": seed, "renamed": renamed, "upload_limit": limit, "only": only}
        answer = self._ask("add", torrent=str(what), folder=str(folder), **options)
        assert answer["id"] == torrent.id, (answer, torrent.id)

    def _wait(self, torrent: Torrent, *, seeding: bool = False, done: int = 0, uploaded: int = 0) -> PeerStatus:
        answer = self._ask("wait", id=torrent.id, seeding=seeding, done=done, uploaded=uploaded)
        assert answer.pop("reached"), f"the peer did not get there: {answer}"
        return PeerStatus(**answer)

    def _ask(self, verb: str, **arguments: object) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": verb, **arguments}).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the peer ended with {self.process.wait(5)}"
        answer = json.loads(line)
        assert isinstance(answer, dict)
        assert "failed" not in answer, (verb, answer["failed"])
        return answer


@contextmanager
def peer(*, host: str = "127.0.0.1", port: int = 0, prefix: Sequence[str] = (), **settings: Any) -> Iterator[Peer]:
    """A session that listens on `host`; `settings` are libtorrent's, on top of QUIET. `port` 0: any free one.

    `prefix` comes before its command: `nsenter` and its options put it elsewhere.
    """
    own = {"listen_interfaces": f"{host}:{port}", "outgoing_interfaces": host}
    one = Peer(host, {**QUIET, **own, **settings}, prefix)
    try:
        yield one
    finally:
        one.close()
