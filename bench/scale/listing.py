"""`ls -f` of some 10, 1,000 and 100,000 items among N, beside `ls -f` of the same names on tmpfs.

python -m bench.scale.listing [--items 1000000] [--rounds 5]

ever:  nobody has asked for these tags before                                      bitmaps come from taggings
first: nobody has listed the directory in this daemon's life (one daemon a round)    rows come from SQLite
cold:  the kernel's dentries and inodes were dropped                               the daemon keeps the listing
warm:  again
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from statistics import median

import trio

from bench.contest import cpu_of
from bench.daemon import mounted
from bench.scale.bars import Bar, Options, count, drop_caches, ls, once, options, show
from bench.scale.catalogues import CATALOGUE, copy, tag_name
from engine.catalogue import open_catalogue
from engine.index import BitmapIndex
from query.ast import And, Tag

HITS = (10, 1_000, 100_000)
COLD, WARM = 10.0, 2.0  # times tmpfs
SETTLED = 5.0  # seconds in which a daemon has kept who carries the tags (engine.catalogue.pages)


def main() -> None:
    show(measure(options(__doc__)))


def measure(chosen: Options) -> list[Bar]:
    bars: list[Bar] = []
    for items in chosen.sizes:
        with copy(items) as (state, mountpoint):
            for hits, path in trio.run(choose, state, [hits for hits in HITS if hits <= items // 2]).items():
                bars += _list(state, mountpoint, path, f"~{count(hits)} of {count(items)}", chosen.rounds)
    return bars


async def choose(state: str, wanted: list[int]) -> dict[int, str]:
    """For each number of hits the AND of two tags that comes nearest to it, as a path below /tags."""
    async with open_catalogue(os.path.join(state, CATALOGUE)) as catalogue:
        index = await BitmapIndex.open(catalogue)
        sizes: dict[str, int] = {}
        for a, b in _pairs():
            await index.prepare(And((Tag(a), Tag(b))))
            sizes[f"{a}/{b}"] = len(index.evaluate(And((Tag(a), Tag(b))), now=0.0))
        return {hits: min(sizes, key=lambda path: abs(sizes[path] - hits)) for hits in wanted}


def _pairs() -> Iterator[tuple[str, str]]:
    ranks = [*range(15), *range(16, 400, 23)]
    return combinations([tag_name(rank) for rank in ranks if rank % 16 != 15], 2)


def _list(state: str, mountpoint: str, path: str, what: str, rounds: int) -> list[Bar]:
    first, cold, warm, native = [], [], [], []
    cpu_first, cpu_warm = [], []
    directory = os.path.join(mountpoint, "tags", path)
    tmpfs = Path(tempfile.mkdtemp(prefix="bench-", dir="/dev/shm"))
    try:
        with mounted(state, mountpoint):
            ever = once(lambda: ls(directory))
            time.sleep(SETTLED)
        for _ in range(rounds):
            with mounted(state, mountpoint) as (process, _):
                os.stat(os.path.join(mountpoint, "tags"))
                before = cpu_of(process.pid)
                first.append(once(lambda: ls(directory)))
                cpu_first.append(cpu_of(process.pid) - before)
                names = os.listdir(directory)
                if not any(tmpfs.iterdir()):
                    for name in names:
                        (tmpfs / name).touch()
                for _ in range(2):
                    native.append(once(lambda: ls(str(tmpfs))))
                    drop_caches()
                    cold.append(once(lambda: ls(directory)))
                    before = cpu_of(process.pid)
                    warm.append(once(lambda: ls(directory)))
                    cpu_warm.append(cpu_of(process.pid) - before)
    finally:
        shutil.rmtree(tmpfs)
    base = median(native)
    said = f"{ever * 1000:.1f} ms (tmpfs {base * 1000:.1f})"
    bars = [Bar(f"`ls -f` {len(names):,}, {what}, ever", "", said, f"{ever / base:.1f} x tmpfs", None)]
    for name, took, goal in (("first", first, COLD), ("cold", cold, COLD), ("warm", warm, WARM)):
        cpu = {"first": cpu_first, "warm": cpu_warm}.get(name)
        said = f"{median(took) * 1000:.1f} ms (tmpfs {base * 1000:.1f})"
        said += f", daemon's CPU {median(cpu) * 1000:.0f}" if cpu else ""
        ratio = median(took) / base
        bars.append(
            Bar(
                f"`ls -f` {len(names):,}, {what}, {name}",
                f"{goal:.0f} x tmpfs",
                said,
                f"{ratio:.1f} x tmpfs",
                ratio <= goal,
            )
        )
    return bars


if __name__ == "__main__":
    main()
