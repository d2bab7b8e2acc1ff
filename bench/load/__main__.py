"""How a mount holds out: processes that tag, list, read and write, while downloads run from a server beside it.

python -m bench.load                     64 processes, 200 downloads, ten minutes
python -m bench.load --minutes 1         a short one

Each process keeps in mind what it has done, and holds every answer to that: an answer that is older than its own last
call is stale. One process without downloads before, on the same mount, gives the idle figures. Exit code 1 where there
were errors, stale answers or faults. Needs nginx.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bench.daemon import compiled, memory_mb, mounted
from bench.load.worker import BLOCK
from tests.support.nginx import nginx

WORKER = Path(__file__).with_name("worker.py")
RATE = 20_000  # bytes a second of each connection
CONFIG = """
[transfer]
max_active = {downloads}
max_per_host = {downloads}
split = 1
[torrent]
dht = false
listen = "127.0.0.1:0"
"""


class Watch:
    """Memory and descriptors of the daemon, looked at each second."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._ended = threading.Event()
        self.descriptors: list[int] = []
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.wait(1):
            self.descriptors.append(len(os.listdir(f"/proc/{self._process.pid}/fd")))

    def end(self) -> None:
        self._ended.set()
        self._thread.join()


def work(mountpoint: str, first: int, processes: int, seconds: float, downloads: int) -> list[dict[str, Any]]:
    running = [
        subprocess.Popen(
            [sys.executable, "-IS", str(WORKER), mountpoint, str(first + number), str(seconds), str(downloads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    for process in running:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise SystemExit("a process did not begin")
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.close()
    found = []
    for process in running:
        assert process.stdout is not None
        found.append(json.loads(process.stdout.read()))
        process.wait()
    return found


def percentiles(reports: list[dict[str, Any]], what: str) -> tuple[float, float, int]:
    """(p50, p99) in ms, and of how many."""
    times = sorted(time for report in reports for time in report["times"][what])
    if not times:
        return 0.0, 0.0, 0
    return times[len(times) // 2] / 1000, times[min(len(times) - 1, len(times) * 99 // 100)] / 1000, len(times)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--processes", type=int, default=64)
    parser.add_argument("--downloads", type=int, default=200)
    options = parser.parse_args()
    seconds = options.minutes * 60
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        state, mountpoint, served = f"{folder}/state", f"{folder}/mnt", Path(folder, "served")
        served.mkdir()
        size = int(RATE * seconds * 1.5) // len(BLOCK) * len(BLOCK) + len(BLOCK)
        with (served / "file").open("wb") as file:
            for _ in range(size // len(BLOCK)):
                file.write(BLOCK)
        for number in range(options.downloads):
            os.link(served / "file", served / f"arriving-{number}")
        config = CONFIG.format(downloads=options.downloads)
        with (
            nginx(Path(folder, "nginx"), served, limit_rate=str(RATE)) as server,
            mounted(state, mountpoint, config) as (daemon, _seconds),
        ):
            idle = work(mountpoint, 1000, 1, min(20, seconds / 3), 0)
            before = memory_mb(daemon)[0]
            for number in range(options.downloads):
                os.symlink(server.url(f"arriving-{number}"), f"{mountpoint}/files/arriving-{number}")
            watch, started = Watch(daemon), time.monotonic()
            loaded = work(mountpoint, 0, options.processes, seconds, options.downloads)
            took = time.monotonic() - started
            watch.end()
            states = Counter(
                os.getxattr(f"{mountpoint}/files/arriving-{number}", "user.tagfs.state").decode()
                for number in range(options.downloads)
            )
            peak = memory_mb(daemon)[1]
            left = len(os.listdir(f"/proc/{daemon.pid}/fd"))
            environ = {**compiled(), "TAGFS_STATE": state, "TAGFS_CONFIG": state + ".toml"}
            for number in range(options.downloads):
                os.unlink(f"{mountpoint}/files/arriving-{number}")
            verified = subprocess.run(
                [sys.executable, "-m", "tagfs", "verify", "--data"],
                env=environ,
                capture_output=True,
                text=True,
                check=False,
            )
        log = Path(state + ".log").read_text(errors="replace")
    report = [*idle, *loaded]
    errors = [error for one in report for error in one["errors"]]
    stale = [one for each in report for one in each["stale"]]
    warnings = [line for line in log.splitlines() if " WARNING " in line or " ERROR " in line]
    counts: Counter[str] = Counter()
    for one in loaded:
        counts.update(one["counts"])
    total = sum(counts.values())
    print(f"{options.processes} processes, {options.downloads} downloads, {took:.0f} s")
    print(
        f"operations    {total}, {total / took:.0f} a second: " + ", ".join(f"{n} {k}" for k, n in counts.most_common())
    )
    print(f"errors        {len(errors)} {errors[:5]}")
    print(f"stale answers {len(stale)} {stale[:5]}")
    for what in ("stat", "look-up", "readdir", "query"):
        quiet, busy = percentiles(idle, what), percentiles(loaded, what)
        print(
            f"{what:13} idle p50 {quiet[0]:.3f}, p99 {quiet[1]:.2f} ms of {quiet[2]};"
            f" loaded p50 {busy[0]:.3f}, p99 {busy[1]:.1f} ms of {busy[2]}"
        )
    print(f"memory        {before:.0f} MB before, {peak:.0f} MB at most")
    print(f"descriptors   {max(watch.descriptors, default=0)} at most, {left} at the end")
    print(f"downloads     {dict(states)}")
    print(f"daemon's log  {len(warnings)} warnings {warnings[:3]}")
    print(f"verify        {verified.stdout.strip().splitlines()[-1:]}, exit code {verified.returncode}")
    sys.exit(1 if errors or stale or warnings or verified.returncode else 0)


if __name__ == "__main__":
    main()
