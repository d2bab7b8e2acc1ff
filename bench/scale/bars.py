"""What is measured against what: bars, how they are said, and the clocks that the scripts here share."""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

SIZES = (10_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class Bar:
    """One line of the table. `ratio`: to what ran beside it, or to the goal. `met`: None where there is no goal."""

    what: str
    goal: str
    measured: str
    ratio: str
    met: bool | None


@dataclass(frozen=True)
class Options:
    sizes: tuple[int, ...]
    rounds: int

    @property
    def largest(self) -> int:
        return max(self.sizes)


def options(description: str | None) -> Options:
    """Of a script that is run alone."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--items", type=int, action="append", help="may be given several times")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    return Options(tuple(chosen.items or (100_000, 1_000_000)), chosen.rounds)


def show(bars: Sequence[Bar]) -> None:
    """The table, in Markdown, so that it can be kept."""
    print("\n| bar | goal | measured | ratio | met |\n|---|---|---|---|---|")
    for bar in bars:
        met = {True: "yes", False: "**no**", None: ""}[bar.met]
        print(f"| {bar.what} | {bar.goal} | {bar.measured} | {bar.ratio} | {met} |")


def count(number: int) -> str:
    """1,000,000 -> `1M`."""
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if number >= unit and number % unit == 0:
            return f"{number // unit}{name}"
    return f"{number:,}"


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def once(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def each(action: Callable[[], object], times: int) -> float:
    """Seconds for one of `times`."""
    return once(lambda: [action() for _ in range(times)]) / times


def drop_caches() -> None:
    """Dentries and inodes of all file systems; what processes keep stays. Needs root."""
    Path("/proc/sys/vm/drop_caches").write_text("2")


def drop_pages() -> None:
    """Clean pages as well."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


def ls(directory: str) -> None:
    subprocess.run(["ls", "-f", directory], stdout=subprocess.DEVNULL, check=True)
