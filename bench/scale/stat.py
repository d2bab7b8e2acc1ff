"""`stat` of one file in a directory of 1,000 among N items: cold, beside pyfuse3's example, and warm, beside tmpfs.

python -m bench.scale.stat [--items 1000000] [--rounds 5]

cold:  nothing of the path is known to the kernel (its dentries were dropped), so each component is asked for; the
       example passes an equally deep path of tmpfs through, and has the same names in it
new:   the directory is known, the name is not
warm:  again and again
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from pathlib import Path
from statistics import median

import trio

from bench.contest import cpu_of
from bench.daemon import mounted
from bench.scale.bars import Bar, Options, count, drop_caches, each, once, options, show
from bench.scale.beside import example, passing
from bench.scale.catalogues import copy
from bench.scale.listing import choose

COLD, WARM = 3.0, 1.2
AGAIN = 20_000


def main() -> None:
    show(measure(options(__doc__)))


def measure(chosen: Options) -> list[Bar]:
    bars: list[Bar] = []
    colds: dict[int, float] = {}
    for items in chosen.sizes:
        with copy(items) as (state, mountpoint), tempfile.TemporaryDirectory(prefix="bench-", dir="/dev/shm") as tmpfs:
            [path] = trio.run(choose, state, [1_000]).values()
            more, colds[items] = _compare(state, mountpoint, tmpfs, path, chosen.rounds, count(items))
            bars += more
    if {100_000, 1_000_000} <= colds.keys():
        small, large = colds[100_000], colds[1_000_000]
        bars.append(
            Bar(
                "growth of cold stat, 100k to 1M",
                "flat",
                f"{small * 1e6:.0f} -> {large * 1e6:.0f} us",
                f"{large / small:.2f} x",
                large < 1.3 * small,
            )
        )
    return bars


def _compare(state: str, mountpoint: str, tmpfs: str, path: str, rounds: int, items: str) -> tuple[list[Bar], float]:
    source = Path(tmpfs, "source")
    with mounted(state, mountpoint) as (process, _):
        ours = os.path.join(mountpoint, "tags", path)
        names = os.listdir(ours)
        native = source / "tags" / path
        native.mkdir(parents=True)
        for name in names:
            (native / name).touch()
        script = example()
        beside = os.path.join(tmpfs, "mnt")
        if script is None:
            return _against(process.pid, ours, None, str(native), names, rounds, items)
        with passing([sys.executable, script], str(source), beside):
            return _against(process.pid, ours, os.path.join(beside, "tags", path), str(native), names, rounds, items)


def _against(
    pid: int, ours: str, theirs: str | None, native: str, names: list[str], rounds: int, items: str
) -> tuple[list[Bar], float]:
    chance = random.Random(3)
    cold: dict[str, list[float]] = {directory: [] for directory in (ours, theirs) if directory}
    for name in chance.sample(names, min(len(names), rounds * 10)):
        for directory, took in cold.items():
            drop_caches()
            took.append(once(lambda directory=directory, name=name: os.stat(os.path.join(directory, name))))
    new: dict[str, list[float]] = {directory: [] for directory in cold}
    drop_caches()
    for directory, took in new.items():
        os.stat(directory)
        for name in names[: rounds * 50]:
            took.append(once(lambda directory=directory, name=name: os.stat(os.path.join(directory, name))))
    before, one = cpu_of(pid), names[0]
    warm, base = [], []
    for _ in range(rounds):
        warm.append(each(lambda: os.stat(os.path.join(ours, one)), AGAIN))
        base.append(each(lambda: os.stat(os.path.join(native, one)), AGAIN))
    daemon = cpu_of(pid) - before
    bars = []
    for what, took in (("cold", cold), ("new", new)):
        mine = median(took[ours]) * 1e6
        if theirs is None:
            bars.append(
                Bar(f"stat, {what}, {items}", f"< {COLD:.0f} x the example", f"{mine:.0f} us", "nothing beside", None)
            )
            continue
        other = median(took[theirs]) * 1e6
        bars.append(
            Bar(
                f"stat, {what}, {items}",
                f"< {COLD:.0f} x the example",
                f"{mine:.0f} us, the example {other:.0f}",
                f"{mine / other:.2f} x",
                mine < COLD * other,
            )
        )
    ratio = median(warm) / median(base)
    said = f"{median(warm) * 1e6:.2f} us, tmpfs {median(base) * 1e6:.2f}; daemon's CPU {daemon:.2f} s"
    bars.append(Bar(f"stat, warm, {items}", "native", said, f"{ratio:.2f} x tmpfs", ratio < WARM))
    return bars, median(cold[ours])


if __name__ == "__main__":
    main()
