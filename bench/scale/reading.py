"""Reading finished files, beside a careful passthrough (`bench.passthrough`) of the same bytes, and the disk itself.

python -m bench.scale.reading [--rounds 5]

sequential:  256 MiB in steps of 1 MiB, no page of it in memory
random:      4 KiB at 2,000 places, likewise
warm:        256 MiB again, out of the kernel's page cache: at no cost to the daemon
8 readers:   32 MiB each, of one file each, at once
blocked:     stat of names that nobody asked for yet, while 500 readers wait for a server that sends nothing
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median

from bench.contest import cpu_of, until
from bench.daemon import compiled, mounted
from bench.scale.bars import Bar, Options, drop_pages, once, options, percentile, show
from bench.scale.beside import careful, passing
from bench.scale.catalogues import copy

MIB = 1 << 20
LARGE, SMALL, READERS, PLACES = 256, 32, 8, 2_000
BLOCKED, PATIENCE = 500, 50.0  # readers; ms
NAMES = ["large", *(f"small{number}" for number in range(READERS))]


def main() -> None:
    show(measure(options(__doc__)))


def measure(chosen: Options) -> list[Bar]:
    bars: list[Bar] = []
    with copy(10_000) as (state, mountpoint):
        source = Path(os.path.dirname(state), "source")
        source.mkdir()
        for name in NAMES:
            with open(source / name, "wb") as file:
                file.writelines(os.urandom(MIB) for _ in range(LARGE if name == "large" else SMALL))
        beside = os.path.join(os.path.dirname(state), "beside")
        with mounted(state, mountpoint) as (process, _), passing(careful(), str(source), beside) as other:
            command = [sys.executable, "-m", "tagfs", "import", str(source), "-t", "reading"]
            subprocess.run(command, env={**compiled(), "TAGFS_STATE": state}, check=True, stdout=subprocess.DEVNULL)
            places = {
                "ours": (os.path.join(mountpoint, "tags", "reading"), process.pid),
                "passthrough": (beside, other.pid),
                "disk": (str(source), os.getpid()),
            }
            bars += _compare("sequential, cold", _sequential, places, chosen.rounds, 0.8, LARGE, "MB/s")
            bars += _compare("random 4K, cold", _random, places, chosen.rounds, 0.6, PLACES, "reads a second")
            bars += _compare("8 readers, cold", _together, places, chosen.rounds, 0.8, SMALL * READERS, "MB/s")
            bars += _compare("warm", _sequential, places, chosen.rounds, 0.9, LARGE, "MB/s", warm=True)
            bars.append(_blocked(mountpoint))
    return bars


def _compare(
    what: str,
    read: Callable[[str], None],
    places: dict[str, tuple[str, int]],
    rounds: int,
    goal: float,
    amount: int,
    unit: str,
    *,
    warm: bool = False,
) -> list[Bar]:
    """Warm reads are the kernel's own, of which the daemon hears nothing."""
    walls: dict[str, list[float]] = {name: [] for name in places}
    cpus: dict[str, list[float]] = {name: [] for name in places}
    for turn in range(rounds):
        for number in range(len(places)):
            name = list(places)[(turn + number) % len(places)]
            directory, pid = places[name]
            if warm:
                read(directory)
            else:
                drop_pages()
            before = cpu_of(pid)
            walls[name].append(once(lambda directory=directory: read(directory)))
            cpus[name].append(cpu_of(pid) - before)
        rate = {name: amount / median(times) for name, times in walls.items()}
    said = f"{rate['ours']:,.0f} {unit}; passthrough {rate['passthrough']:,.0f}, disk {rate['disk']:,.0f}"
    said += f"; CPU {median(cpus['ours']):.2f} s, passthrough {median(cpus['passthrough']):.2f}"
    ratio = rate["ours"] / rate["passthrough"]
    met = ratio >= goal and not (warm and median(cpus["ours"]))
    return [Bar(f"reading, {what}", f">= {goal} x passthrough", said, f"{ratio:.2f} x passthrough", met)]


def _sequential(directory: str, name: str = "large") -> None:
    buffer = bytearray(MIB)
    with open(os.path.join(directory, name), "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def _random(directory: str) -> None:
    chance = random.Random(11)
    fd = os.open(os.path.join(directory, "large"), os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    for _ in range(PLACES):
        os.pread(fd, 4096, chance.randrange(LARGE * 256) * 4096)
    os.close(fd)


def _together(directory: str) -> None:
    readers = [threading.Thread(target=partial(_sequential, directory, name)) for name in NAMES[1:]]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()


class Silent(BaseHTTPRequestHandler):
    """Says how long it is, and sends none of it."""

    ended = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(64 * MIB))
        self.end_headers()
        self.wfile.flush()
        self.ended.wait(120)

    def log_message(self, format: str, *args: object) -> None:  # as the base class calls it
        """Nothing."""


READ = """
import os, sys, threading
fds = [os.open(sys.argv[1], os.O_RDONLY) for _ in range(int(sys.argv[2]))]
def read(number, fd):
    try: os.pread(fd, 4096, number * 128 * 1024 % (60 << 20))
    except OSError: pass
threads = [threading.Thread(target=read, args=pair, daemon=True) for pair in enumerate(fds)]
for thread in threads: thread.start()
print("all", flush=True)
for thread in threads: thread.join()
"""


def _blocked(mountpoint: str) -> Bar:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    link = os.path.join(mountpoint, "files", "silent")
    os.symlink(f"http://127.0.0.1:{server.server_address[1]}/silent", link)
    until(lambda: os.stat(link).st_size == 64 * MIB)
    tags = os.path.join(mountpoint, "tags")
    fresh = [os.path.join(tags, tag, "@") for tag in os.listdir(tags)]
    with subprocess.Popen([sys.executable, "-c", READ, link, str(BLOCKED)], stdout=subprocess.PIPE) as readers:
        assert readers.stdout is not None
        readers.stdout.readline()
        tasks = len(os.listdir(f"/proc/{readers.pid}/task")) - 1
        free = [once(lambda path=path: os.stat(path)) * 1000 for path in fresh]
        still = len(os.listdir(f"/proc/{readers.pid}/task")) - 1
        os.unlink(link)
        readers.kill()
    Silent.ended.set()
    server.shutdown()
    worst = percentile(free, 0.99)
    said = f"p50 {median(free):.2f} ms, p99 {worst:.1f} ms of {len(free)}; {tasks} waited before, {still} after"
    return Bar(
        f"stat with {BLOCKED} blocked readers",
        f"p99 <= {PATIENCE:.0f} ms",
        said,
        f"{worst / PATIENCE:.2f} x goal",
        worst <= PATIENCE and still >= BLOCKED,
    )


if __name__ == "__main__":
    main()
