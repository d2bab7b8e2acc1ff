"""`setfattr` of tags, each call durable: calls a second with 1, 8 and 64 processes, and with 8 ms more for each fsync.

python -m bench.scale.tagging [--items 1000000] [--rounds 3]

Beside it setxattr and fsync of files on the disk where the catalogue lies. The delay is strace's: it starts the daemon
and stops it at nothing but fsync and fdatasync (`--seccomp-bpf --inject=...:delay_exit=8000`), in whichever thread.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import Barrier, Pipe, Process
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier as BarrierType
from pathlib import Path
from statistics import median

from bench.contest import cpu_of
from bench.daemon import mounted
from bench.scale.bars import Bar, Options, count, options, percentile, show
from bench.scale.catalogues import copy, tag_name

SECONDS = 3.0
PROCESSES = (1, 8, 64)
GOALS = {1: 2_500, 8: 3_000, 64: 3_000}
SLOW_GOAL, SLOW_P99 = 1_500, 100.0
DELAY = (
    "strace",
    "-D",
    "-f",
    "--seccomp-bpf",
    "-qq",
    "-o",
    "/dev/null",
    "-e",
    "trace=fsync,fdatasync",
    "--inject=fsync,fdatasync:delay_exit=8000",
)


def main() -> None:
    show(measure(options(__doc__)))


def measure(chosen: Options) -> list[Bar]:
    bars: list[Bar] = []
    items = chosen.largest
    with copy(items) as (state, mountpoint):
        with mounted(state, mountpoint) as (process, _):
            paths = _paths(mountpoint)
            for processes in PROCESSES:
                rates, natives, p99s, cpus = [], [], [], []
                for _ in range(chosen.rounds):
                    before = cpu_of(process.pid)
                    rate, p99 = hammer(paths, processes, _tag)
                    cpus.append((cpu_of(process.pid) - before) / (rate * SECONDS))
                    rates.append(rate)
                    p99s.append(p99)
                    with _files(os.path.dirname(state), processes) as files:
                        natives.append(hammer(files, processes, _mark)[0])
                rate, goal = median(rates), GOALS[processes]
                said = f"{rate:,.0f} a second, p99 {median(p99s):.1f} ms, daemon's CPU {median(cpus) * 1e6:.0f} us each"
                ratio = f"{rate / median(natives):.2f} x setxattr and fsync on the disk ({median(natives):,.0f})"
                bars.append(
                    Bar(f"setfattr, {processes} processes, {count(items)}", f">= {goal:,}", said, ratio, rate >= goal)
                )
        if shutil.which("strace") is None:
            print("  strace is missing: no delayed fsync")
            return bars
        with mounted(state, mountpoint, wrap=DELAY):
            found = [hammer(_paths(mountpoint), 64, _tag) for _ in range(chosen.rounds)]
        rate, p99 = median(rate for rate, _ in found), median(p99 for _, p99 in found)
        bars.append(
            Bar(
                f"setfattr, 64 processes, 8 ms an fsync, {count(items)}",
                f">= {SLOW_GOAL:,}, p99 <= {SLOW_P99:.0f} ms",
                f"{rate:,.0f} a second, p99 {p99:.1f} ms",
                f"{rate / SLOW_GOAL:.2f} x goal",
                rate >= SLOW_GOAL and p99 <= SLOW_P99,
            )
        )
    return bars


def _paths(mountpoint: str) -> list[str]:
    directory = os.path.join(mountpoint, "tags", tag_name(200))
    return [os.path.join(directory, name) for name in os.listdir(directory)]


@contextmanager
def _files(place: str, number: int) -> Iterator[list[str]]:
    folder = Path(place, "files")
    folder.mkdir()
    for name in range(number):
        (folder / str(name)).touch()
    yield [str(path) for path in folder.iterdir()]
    shutil.rmtree(folder)


def _tag(path: str, turn: int) -> None:
    os.setxattr(path, "user.xdg.tags", b"-bench" if turn % 2 else b"+bench")


def _mark(path: str, turn: int) -> None:
    fd = os.open(path, os.O_RDONLY)
    os.setxattr(fd, "user.xdg.tags", b"%d" % turn)
    os.fsync(fd)
    os.close(fd)


def hammer(paths: list[str], processes: int, call: Callable[[str, int], None]) -> tuple[float, float]:
    """(calls a second of all together, 99th percentile in ms), each process on a path of its own."""
    ready = Barrier(processes + 1)
    pipes = [Pipe(duplex=False) for _ in range(processes)]
    workers = [
        Process(target=_work, args=(path, call, ready, send))
        for path, (_, send) in zip(paths[:processes], pipes, strict=True)
    ]
    for worker in workers:
        worker.start()
    ready.wait()
    times = [took for receive, _ in pipes for took in receive.recv()]
    for worker in workers:
        worker.join()
    return len(times) / SECONDS, percentile(times, 0.99) * 1000


def _work(path: str, call: Callable[[str, int], None], ready: BarrierType, send: Connection) -> None:
    times: list[float] = []
    call(path, 0)
    ready.wait()
    end = time.perf_counter() + SECONDS
    while (started := time.perf_counter()) < end:
        call(path, len(times) + 1)
        times.append(time.perf_counter() - started)
    send.send(times)


if __name__ == "__main__":
    main()
