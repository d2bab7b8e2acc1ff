"""One large file from one BitTorrent seeder on loopback, over TCP, without DHT: tagfs against other clients.

All get the same unmodified .torrent with a tracker that knows the seeder and fresh directories each time. They are
timed from being told of it until they say that they have it; tagfs until it has the blob, SHA-256 included.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.contest import Contender, Result, contest, cpu_of, run, table, until
from bench.transfer.content import fill, renew
from bench.transfer.ours import fresh
from tests.support.swarm import PLAINTEXT, Peer, peer
from tests.support.torrents import Torrent, Version, make_torrent
from tests.support.tracker import Tracker, tracker

PIECE = 1 << 20
CONFIG = (
    "[torrent]\nprivate_addresses = true\ndht = false\npex = false\n"  # of tagfs; the tracker is in a private network
)
TUNED: dict[str, Any] = {
    "hashing_threads": 2,
    "aio_threads": 4,
    "max_queued_disk_bytes": 64 << 20,
    "max_out_request_queue": 1500,
    "piece_extent_affinity": True,
    "seeding_outgoing_connections": False,
}


class Swarm:
    """The seeder and its tracker, with a torrent of other content each round."""

    def __init__(self, folder: Path, version: Version, seeds: Peer, announces: Tracker) -> None:
        self.folder = folder
        self.version = version
        self.seeds = seeds
        self.announces = announces
        self.torrent: Torrent | None = None
        announces.introduce(seeds.address)

    @property
    def file(self) -> Path:
        """The .torrent."""
        return self.folder / "large.torrent"

    def renew(self, number: int) -> None:
        if self.torrent is not None:
            self.seeds.remove(self.torrent)
            (self.folder / f"{number - 1}.bin").rename(self.folder / f"{number}.bin")
        content = self.folder / f"{number}.bin"
        renew(content)
        self.torrent = make_torrent(
            content, version=self.version, piece_size=PIECE, trackers=[self.announces.url]
        )  # fmt: skip
        self.torrent.save(self.file)
        self.seeds.seed(self.torrent, self.folder)


def measure(folder: Path, mib: int, rounds: int, version: Version, host: str) -> None:
    seeded = folder / "seeded"
    seeded.mkdir()
    fill(seeded / "0.bin", mib)
    with (
        peer(host=host, **TUNED) as seeds,
        tracker() as announces,
    ):
        swarm = Swarm(seeded, version, seeds, announces)
        out = folder / "out"

        def after() -> None:
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()

        def tagfs(number: int) -> Result:
            with fresh(folder, CONFIG) as ours:
                return ours.add(str(swarm.file), name=f"{number}.bin")

        after()
        contenders = [
            Contender("tagfs", tagfs),
            Contender("libtorrent, bare, tuned", lambda number: bare(swarm, out)),
            Contender("aria2c", lambda number: aria2c(swarm, out), ("aria2c",)),
            Contender("transmission-cli", lambda number: transmission(swarm, out), ("transmission-cli",)),
            Contender("qbittorrent-nox", lambda number: qbittorrent(swarm, out), ("qbittorrent-nox",)),
        ]
        standings = contest(
            [one for one in contenders if not unable(one.name, version, host)],
            rounds,
            before=swarm.renew,
            after=after,
        )
    table(standings, "tagfs", ("MB/s", lambda wall: mib * 1.048576 / wall))


def unable(name: str, version: Version, host: str) -> bool:
    """Whether it cannot take part, for a reason that is known and said."""
    reason = ""
    if name == "transmission-cli" and host.startswith("127."):
        reason = "it connects to no 127.x address"
    if name == "transmission-cli" and version != "v1" and shutil.which(name):
        found = subprocess.run([name, "--version"], capture_output=True, text=True, check=False)
        if " 3." in found.stdout + found.stderr:
            reason = "its version 3 has not finished a hybrid torrent here in 120 s"
    if name == "aria2c" and version != "v1" and shutil.which("aria2c"):
        found = subprocess.run(["aria2c", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
        if tuple(map(int, found.split("."))) <= (1, 36, 0):
            reason = f"{found} computes another info hash for v2 and hybrid torrents (its issue 1903)"
    if reason:
        print(f"  {name} is left out: {reason}")
    return bool(reason)


def bare(swarm: Swarm, out: Path) -> Result:
    """What the library itself can do, without hashing the whole, syncing or a catalogue."""
    assert swarm.torrent is not None
    with peer(host=swarm.seeds.host, **TUNED, **PLAINTEXT) as fresh:
        started, spent = time.perf_counter(), cpu_of(fresh.process.pid)
        fresh.leech(swarm.torrent, out)
        fresh.wait_complete(swarm.torrent)
        return Result(time.perf_counter() - started, cpu_of(fresh.process.pid) - spent)


def aria2c(swarm: Swarm, out: Path) -> Result:
    port = free_port()
    options = [
        "--seed-time=0", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--no-conf", "-q",
        "--enable-peer-exchange=false", f"--listen-port={port}", "--file-allocation=none", "--disable-ipv6",
    ]  # fmt: skip
    return run(["aria2c", *options, "-d", str(out), str(swarm.file)])


def transmission(swarm: Swarm, out: Path) -> Result:
    """It does not end by itself, but calls a script when it is done."""
    config = out / "config"
    config.mkdir()
    settings = {
        "utp-enabled": False, "dht-enabled": False, "lpd-enabled": False, "pex-enabled": False, "encryption": 0,
        "speed-limit-down-enabled": False, "speed-limit-up-enabled": False, "preallocation": 0, "cache-size-mb": 64,
    }  # fmt: skip
    (config / "settings.json").write_text(json.dumps(settings))
    script = out / "finished.sh"
    script.write_text(f"#!/bin/sh\ntouch {out}/finished\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    command = ["transmission-cli", "-g", str(config), "-w", str(out), "-p", str(free_port()), "-M", "-D", "-U", "-et"]
    return daemonic(
        [*command, "-f", str(script), str(swarm.file)], lambda: None, (out / "finished").exists, from_start=True
    )


def qbittorrent(swarm: Swarm, out: Path) -> Result:
    """Through its web interface, as a person would; its start is not counted."""
    web, port = free_port(), free_port()
    config = out / "profile/qBittorrent/config"
    config.mkdir(parents=True)
    (config / "qBittorrent.conf").write_text(
        "[LegalNotice]\nAccepted=true\n\n"
        f"[Preferences]\nWebUI\\LocalHostAuth=false\nWebUI\\Address=127.0.0.1\nWebUI\\Port={web}\n\n"
        f"[BitTorrent]\nSession\\DHTEnabled=false\nSession\\LSDEnabled=false\nSession\\PeXEnabled=false\n"
        f"Session\\BTProtocol=TCP\nSession\\Port={port}\nSession\\Preallocation=false\n"
        f"Session\\DefaultSavePath={out}\nSession\\Encryption=2\nSession\\UseUPnP=false\n"
    )
    address = f"http://127.0.0.1:{web}/api/v2"

    def add() -> None:
        boundary = "bench"
        body = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="torrents"; filename="t.torrent"\r\n'
            "Content-Type: application/x-bittorrent\r\n\r\n"
        ).encode()
        body += swarm.file.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        request = urllib.request.Request(f"{address}/torrents/add", body, kind)
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.read() == b"Ok.", "qbittorrent-nox did not take the torrent"

    def done() -> bool:
        with urllib.request.urlopen(f"{address}/torrents/info", timeout=10) as answer:
            found = json.load(answer)
        return bool(found) and found[0]["progress"] == 1 and found[0]["state"] in ("uploading", "stalledUP")

    def ready() -> bool:
        try:
            socket.create_connection(("127.0.0.1", web), 1).close()
        except OSError:
            return False
        return True

    return daemonic(["qbittorrent-nox", f"--profile={out}/profile"], add, done, ready=ready, every=0.05)


def daemonic(
    command: list[str],
    begin: Callable[[], None],
    done: Callable[[], bool],
    *,
    ready: Callable[[], bool] = lambda: True,
    from_start: bool = False,
    every: float = 0.01,
) -> Result:
    """A program that goes on seeding when it is done: from `begin`, or from its start, until `done`; then it ends."""
    started = time.perf_counter()
    environ = {**os.environ, "HOME": str(Path(command[-1]).parent)}
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ
    ) as process:
        try:
            until(ready, patience=20, every=every)
            spent = cpu_of(process.pid)
            if from_start:
                spent = 0.0
            else:
                started = time.perf_counter()
            begin()
            until(done, every=every)
            return Result(time.perf_counter() - started, cpu_of(process.pid) - spent)
        finally:
            process.send_signal(signal.SIGKILL)  # some take many seconds to say goodbye to their trackers


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
