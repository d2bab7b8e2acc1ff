"""Rounds of work and sudden ends: a daemon that dies, another one that is held to what was promised."""

from __future__ import annotations

import filecmp
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from tagfs.control.views_work import VerifyView
from tests.support.nginx import nginx
from tests.support.odd_mount import OddMount
from tests.support.promises_kept import (
    TAGS,
    Commander,
    Emptier,
    Fetcher,
    Found,
    Hand,
    Leecher,
    Memory,
    Place,
    Writer,
    told,
)
from tests.support.swarm import peer
from tests.support.torrents import make_torrent
from tests.support.tracker import tracker

CONFIG = """[transfer]
reserve = 0
[torrent]
listen = "127.0.0.1:0"
outgoing = "127.0.0.1"
dht = false
private_addresses = true
seed_ratio = 0
"""
LIFE = 0.8  # seconds that a daemon lives for at most, once it is mounted
PATIENCE = 30.0  # seconds until what was closed is stored
HANDS: Mapping[str, type[Hand]] = {
    "w1": Writer,
    "w2": Writer,
    "w3": Writer,
    "c1": Commander,
    "c2": Commander,
    "d": Fetcher,
    "bt": Leecher,
    "e": Emptier,
}


@dataclass
class Rounds:
    mount: OddMount
    place: Place
    random: Random
    kinds: Mapping[str, type[Hand]]
    memories: dict[str, Memory]
    seed: str
    orphans: int = 0
    checked: int = 0
    began: float = field(default_factory=time.monotonic)

    def start(self) -> None:
        """For the first time."""
        self.mount.start()
        for tag in TAGS:
            os.mkdir(self.mount / "tags" / tag)

    def work(self, *, emptying: float = 0.25) -> tuple[list[Hand], bool]:
        """All hands, and whether the trash is emptied all the time, which is so likely."""
        self.place.over = threading.Event()
        emptied = "e" in self.kinds and self.random.random() < emptying
        kinds = {name: kind for name, kind in self.kinds.items() if kind is not Emptier or emptied}
        return [kind(self.memories[name], self.place) for name, kind in kinds.items()], emptied

    def round(self, number: int) -> None:
        """Work, a kill at some instant, at times another one during the start, a start, and the check."""
        hands, emptied = self.work()
        self.live(self.random.uniform(0, LIFE))
        self.mount.crash()
        if self.random.random() < 0.2:
            self.mount.begin()
            self.live(self.random.uniform(0, LIFE))
            self.mount.crash()
        self.start_again(hands, number)
        self.check(number, emptied=emptied)

    def start_again(self, hands: list[Hand], number: int) -> None:
        """After the end of a daemon. No hand that was slow to begin works with the next one."""
        self.place.over.set()
        self.mount.start()
        self.join(hands, number)

    @staticmethod
    def join(hands: list[Hand], number: int) -> None:
        for hand in hands:
            hand.join(60)
            assert not hand.is_alive(), f"{hand.name} still hangs in the dead mount"
            if hand.failure is not None:
                raise AssertionError(f"round {number}: {hand.name} failed") from hand.failure

    def live(self, seconds: float) -> None:
        assert self.mount.process is not None
        try:
            code = self.mount.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return
        raise AssertionError(f"the daemon ended by itself with {code}: {self.mount.log.read_text()[-5000:]}")

    def check(self, number: int, *, emptied: bool) -> None:
        with self.mount.connect() as client:
            deadline = time.monotonic() + PATIENCE
            while True:
                found = Found.ask(client)
                wrong = [line for memory in self.memories.values() for line in memory.wrong(found, emptied=emptied)]
                if not wrong or time.monotonic() > deadline:
                    break
                threading.Event().wait(0.05)
            assert not wrong, f"round {number}:\n" + "\n".join(wrong)
            verified: VerifyView = client.call("verify", {"data": True}, VerifyView)
        kinds = [fault.kind for fault in verified.faults]
        assert set(kinds) <= {"orphan"}, verified.faults
        assert len(kinds) <= self.orphans + len(self.kinds) * 12, "more than each operation under way can leave"
        self.orphans = len(kinds)
        shown = os.listdir(self.mount / "files")
        assert sorted(shown) == sorted(found.live), "the mount shows what the socket does"
        for memory in self.memories.values():
            memory.settle(found, emptied=emptied)
            self._arrived(memory, found)
            for name in self.random.sample(sorted(memory.known), min(3, len(memory.known))):
                known = memory.known[name]
                if not (known.trashed or known.arriving or known.folder):
                    assert told(self.mount / "files" / name) == known, f"round {number}: {name} of the mount"
                    self.checked += 1

    def _arrived(self, memory: Memory, found: Found) -> None:
        """What has come is there for good."""
        for name, known in list(memory.known.items()):
            if known.arriving and found.live[name][0].state in ("complete", "seeding"):
                if known.folder is not None:
                    same(known.folder, self.mount / "files" / name)
                memory.known[name] = replace(known, arriving=False)

    def finish(self) -> None:
        self.arrive()
        assert self.mount.stop() == 0

    def arrive(self) -> None:
        """All that was added does."""

        def have_arrived() -> bool:
            with self.mount.connect() as client:
                found = Found.ask(client)
            for memory in self.memories.values():
                self._arrived(memory, found)
            return not any(known.arriving for memory in self.memories.values() for known in memory.known.values())

        self.mount.wait_for(have_arrived, 120)
        self.check(-1, emptied=False)

    def say(self, count: int) -> None:
        """For whoever runs it for long."""
        done = {name: memory.done for name, memory in self.memories.items()}
        print(  # noqa: T201
            f"{count} rounds in {time.monotonic() - self.began:.0f} s, seed {self.seed}: {sum(done.values())} "
            f"operations returned {done if len(done) < 10 else ''}, {self.orphans} orphans, {self.checked} files read",
            flush=True,
        )


def same(one: Path, other: Path) -> None:
    for folder, _, files in os.walk(one):
        for name in files:
            path = Path(folder, name)
            assert filecmp.cmp(path, other / path.relative_to(one), shallow=False), path


@contextmanager
def rounds_on(mount: OddMount, folder: Path, seed: str, hands: Mapping[str, type[Hand]] = HANDS) -> Iterator[Rounds]:
    """With all the servers that the hands need. The daemon is not started."""
    mount.oddities = ("eager-gc",)
    mount.config.write_text(CONFIG)
    folders = [folder / name for name in ("scratch", "served", "seeded")]
    for one in folders:
        one.mkdir()
    with nginx(folder / "nginx", folders[1], limit_rate="3m") as server, tracker() as announces, peer() as seeds:
        announces.introduce(seeds.address)

        def seed_it(shared: Path) -> str:
            torrent = make_torrent(shared, version="hybrid", piece_size=16384)
            seeds.seed(torrent, shared.parent, limit=400_000)
            return torrent.magnet(trackers=[announces.url], peers=[seeds.address])

        place = Place(mount.top, *folders, mount.connect, server.url, seed_it)
        memories = {name: Memory(name, Random(f"{seed} {name}")) for name in hands}
        yield Rounds(mount, place, Random(seed), hands, memories, seed)
