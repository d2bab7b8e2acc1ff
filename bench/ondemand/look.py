"""What one contender's file gave to a reader, and the table of it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

MIB = 1 << 20


@dataclass
class Look:
    """Seconds. `start` is from the command until there is a file of the right size; `rate` is bytes a second."""

    start: float = 0.0
    first: float | None = None
    randoms: list[float] = field(default_factory=list)
    sequential: int = 0
    seconds: float = 0.0
    stuck: str = ""

    @property
    def rate(self) -> float:
        return self.sequential / self.seconds if self.seconds else 0.0


def look(file: Path, size: int, started: float, *, mib: int, offsets: int, patience: float, seed: int) -> Look:
    """Wait for `file`, then read it: its first block, `offsets` blocks anywhere, its first `mib` MiB.

    Each read and the sequence may take `patience` seconds; then the reader is killed.
    """
    found = Look()
    deadline = time.perf_counter() + patience
    while not is_there(file, size):
        if time.perf_counter() > deadline:
            found.stuck = "no such file in time"
            return found
        time.sleep(0.002)  # another process has no event to wait for
    found.start = time.perf_counter() - started
    chance = random.Random(seed)  # the same places for everybody, none of them near the ones that are read in order
    places = [chance.randrange(size // 3, size - MIB) // MIB * MIB + chance.randrange(MIB // 2) for _ in range(offsets)]
    command = [sys.executable, "-m", "bench.ondemand.reader", str(file), str(mib), *map(str, places)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        with killer(process, patience) as clock:
            for line in process.stdout:
                said = json.loads(line)
                if "first" in said:
                    found.first = said["first"]
                elif "random" in said:
                    found.randoms.append(said["random"])
                elif "sequential" in said:
                    found.sequential, found.seconds = said["sequential"], said["seconds"]
                if "sequential" not in said or said["sequential"] == MIB:
                    clock.again()
        if process.wait() != 0:
            found.stuck = f"stopped after {patience:.0f} s at {found.sequential / MIB:.0f} MiB"
    return found


def is_there(file: Path, size: int) -> bool:
    try:
        return file.stat().st_size == size
    except OSError:  # a mount that is about to be there has errors of many kinds
        return False


class Clock:
    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.again()

    def again(self) -> None:
        self.deadline = time.perf_counter() + self.patience


@contextmanager
def killer(process: subprocess.Popen[str], patience: float) -> Iterator[Clock]:
    """Kills it when the clock runs out."""
    clock = Clock(patience)
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            if time.perf_counter() > clock.deadline:
                process.kill()
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield clock
    finally:
        done.set()
        thread.join()


def table(looks: dict[str, list[Look]], base: str) -> None:
    """Medians over the rounds, and how they compare with `base`: less is better for waits, more for rates."""
    print(f"  {'':<22} {'start ms':>9} {'first byte ms':>14} {'x':>6} {'random ms':>10} {'x':>6} {'MB/s':>7} {'x':>6}")
    against = summary(looks.get(base, []))
    for name, all_ in looks.items():
        own = summary(all_)
        stuck = [one.stuck for one in all_ if one.stuck]
        note = f"  ({len(stuck)} of {len(all_)}: {stuck[-1]})" if stuck else ""
        cells = f"{shown(own[0], 1e3):>9} {shown(own[1], 1e3):>14} {ratio(own[1], against[1]):>6} "
        cells += f"{shown(own[2], 1e3):>10} {ratio(own[2], against[2]):>6} "
        cells += f"{shown(own[3], 1e-6):>7} {ratio(own[3], against[3]):>6}"
        print(f"  {name:<22} {cells}{note}")


def summary(looks: list[Look]) -> tuple[float | None, ...]:
    return (
        _median([one.start for one in looks if one.start]),
        _median([one.first for one in looks if one.first is not None]),
        _median([wait for one in looks for wait in one.randoms]),
        _median([one.rate for one in looks if one.rate]),
    )


def _median(values: list[float]) -> float | None:
    return median(values) if values else None


def shown(value: float | None, factor: float) -> str:
    return "-" if value is None else f"{value * factor:.1f}"


def ratio(value: float | None, base: float | None) -> str:
    return "-" if value is None or not base else f"{value / base:.2f}"
