"""Reading a file of which nothing is here: tagfs against btfs (BitTorrent) and rclone mount (HTTP), on the same server.

python -m bench.ondemand [--only torrent-near] [--rounds 3] [--mib 1024]

near is loopback; far is 50 ms and 50 Mbit/s for all connections together. Each contender starts afresh each round,
without a cache; the mount of tagfs is there already, as it is on a desktop.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.daemon import mounted
from bench.network import Place, another_machine, own_network
from bench.ondemand.look import Look, look, table
from bench.relay import relay
from bench.transfer.content import fill, renew
from bench.transfer.ours import Tagfs
from bench.transfer.torrent import CONFIG, PIECE, TUNED
from tests.support.nginx import nginx
from tests.support.swarm import Peer, peer
from tests.support.torrents import make_torrent
from tests.support.tracker import tracker

RTT, RATE = 0.05, 50e6 / 8
OFFSETS = 8
PATIENCE = 60.0


@dataclass(frozen=True)
class Task:
    """What a contender is given: a .torrent or a URL, and where to work."""

    what: str
    name: str
    size: int
    folder: Path
    look: Callable[[Path, float], Look]  # (file, when it was told to begin)


Contenders = dict[str, tuple[str, Callable[[Task], Look]]]  # name: (program, run)


def main() -> None:
    options = argparse.ArgumentParser(prog="bench.ondemand", description=__doc__)
    options.add_argument("--only", action="append", choices=["torrent-near", "torrent-far", "http-near", "http-far"])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--mib", type=int, default=1024, help="size of the file")
    options.add_argument("--sequential", type=int, default=256, help="MiB to read in order; far is a quarter of it")
    chosen = options.parse_args()
    server = another_machine() if own_network().address != "127.0.0.1" else Place()
    for name in chosen.only or ["torrent-near", "torrent-far", "http-near", "http-far"]:
        far = name.endswith("far")
        print(f"{name}: {chosen.mib} MiB, medians of {chosen.rounds} rounds, load before {os.getloadavg()[0]:.1f}")
        with tempfile.TemporaryDirectory(prefix="bench-", dir=os.environ.get("BENCH_DIR")) as folder:
            sequential = chosen.sequential // (4 if far else 1)
            if name.startswith("torrent"):
                torrent(Path(folder), chosen.mib, chosen.rounds, sequential, far, server)
            else:
                http(Path(folder), chosen.mib, chosen.rounds, sequential, far)


def torrent(folder: Path, mib: int, rounds: int, sequential: int, far: bool, server: Place) -> None:
    seeded = folder / "seeded"
    seeded.mkdir()
    fill(seeded / "0.bin", mib)
    with ExitStack() as stack:
        seeds = stack.enter_context(peer(host=server.address, prefix=server.prefix, **TUNED))
        announces = stack.enter_context(tracker())
        announces.announced = False  # btfs listens on several ports, and would be told of itself
        announces.introduce(stack.enter_context(line(server, seeds.port)) if far else seeds.address)
        daemon = stack.enter_context(mounted(f"{folder}/state", f"{folder}/mnt", CONFIG))[0]
        ours = Tagfs(daemon.pid, folder)

        def prepare(number: int) -> str:
            return next_torrent(seeded, number, seeds, announces.url)

        contenders: Contenders = {
            "btfs": ("btfs", btfs),
            "tagfs": ("python3", partial(tagfs, ours, ())),
            "tagfs --on-demand": ("python3", partial(tagfs, ours, ("--on-demand",))),
        }
        run(folder, contenders, rounds, prepare, mib, sequential, "btfs")


def next_torrent(seeded: Path, number: int, seeds: Peer, tracker_url: str) -> str:
    """The .torrent of other content than before: nobody shall know it already."""
    content = seeded / f"{number}.bin"
    if number:
        (seeded / f"{number - 1}.bin").rename(content)
    renew(content)
    made = make_torrent(content, piece_size=PIECE, trackers=[tracker_url])
    seeds.seed(made, seeded)
    return str(made.save(seeded / "t.torrent"))


def http(folder: Path, mib: int, rounds: int, sequential: int, far: bool) -> None:
    served = folder / "served"
    served.mkdir()
    fill(served / "large.bin", mib)
    with ExitStack() as stack:
        port = stack.enter_context(nginx(folder / "nginx", served, extra="autoindex on;")).port  # for rclone
        if far:
            port = int(stack.enter_context(line(Place(), port)).rpartition(":")[2])
        daemon = stack.enter_context(mounted(f"{folder}/state", f"{folder}/mnt"))[0]
        ours = Tagfs(daemon.pid, folder)

        def prepare(number: int) -> str:
            renew(served / "large.bin")
            (served / f"{number}.bin").hardlink_to(served / "large.bin")
            return f"http://127.0.0.1:{port}/{number}.bin"

        contenders: Contenders = {
            "rclone, cache full": ("rclone", partial(rclone, "full")),
            "rclone, cache off": ("rclone", partial(rclone, "off")),
            "tagfs": ("python3", partial(tagfs, ours, ())),
            "tagfs --on-demand": ("python3", partial(tagfs, ours, ("--on-demand",))),
        }
        run(folder, contenders, rounds, prepare, mib, sequential, "rclone, cache full")


@contextmanager
def line(server: Place, port: int) -> Iterator[str]:
    """The address of a long line to it."""
    there = relay(port, host=server.address, prefix=server.prefix, rtt=RTT, rate=RATE, shared=True)
    with there as before:
        yield f"{server.address}:{before}"


def run(
    folder: Path,
    contenders: Contenders,
    rounds: int,
    prepare: Callable[[int], str],
    mib: int,
    sequential: int,
    base: str,
) -> None:
    able = {name: how for name, (program, how) in contenders.items() if shutil.which(program)}
    for name in contenders.keys() - able.keys():
        print(f"  {name} is left out: not found")
    looks: dict[str, list[Look]] = {name: [] for name in able}
    size = mib << 20
    for number in range(2 * rounds):
        # By turns: jumps in a cold file, and its beginning in order. In one go, what a contender fetches without being
        # asked while it jumps would count as its speed.
        jumps = number % 2 == 0
        what = prepare(number)
        order = list(able)
        for name in order[number % len(order) :] + order[: number % len(order)]:
            os.sync()
            work = folder / "work"
            work.mkdir()
            see = partial(see_, size, 0 if jumps else sequential, OFFSETS if jumps else 0, number)
            try:
                looks[name].append(able[name](Task(what, f"{number}.bin", size, work, see)))
            except (OSError, subprocess.SubprocessError) as error:
                looks[name].append(Look(stuck=f"{type(error).__name__}: {error}"))
            shutil.rmtree(work)
    table(looks, base)


def see_(size: int, sequential: int, offsets: int, seed: int, file: Path, started: float) -> Look:
    return look(file, size, started, mib=sequential, offsets=offsets, patience=PATIENCE, seed=seed)


def tagfs(ours: Tagfs, words: tuple[str, ...], task: Task) -> Look:
    started = time.perf_counter()
    ours.run("add", *words, task.what)
    try:
        return task.look(ours.mount / "files" / task.name, started)
    finally:
        ours.forget()


def btfs(task: Task) -> Look:
    command = ["btfs", "-f", f"--data-directory={task.folder}/data", task.what]
    with foreign_mount(command, task.folder) as (mount, started):
        return task.look(mount / task.name, started)


def rclone(mode: str, task: Task) -> Look:
    server, _, _ = task.what.rpartition("/")
    command = ["rclone", "mount", ":http:", "--http-url", server, "--vfs-cache-mode", mode, "--read-only"]
    command += ["--cache-dir", f"{task.folder}/cache", "--config", f"{task.folder}/none"]
    with foreign_mount(command, task.folder) as (mount, started):
        return task.look(mount / task.name, started)


@contextmanager
def foreign_mount(command: list[str], folder: Path) -> Iterator[tuple[Path, float]]:
    """(mount point, when it was started) of a program that mounts in the foreground."""
    mount = folder / "mnt"
    mount.mkdir()
    started = time.perf_counter()
    with (folder / "log").open("wb") as log:
        place = command.index(":http:") + 1 if ":http:" in command else len(command)
        process = subprocess.Popen([*command[:place], str(mount), *command[place:]], stdout=log, stderr=log)
    try:
        yield mount, started
    finally:
        subprocess.run(["fusermount3", "-u", "-z", str(mount)], check=False, capture_output=True)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
