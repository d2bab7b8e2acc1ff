"""The tags that narrow a result, over 1,000 tags: in the index, and as `ls` of `.tags` on the mount.

python -m bench.scale.narrowing [--items 1000000] [--rounds 5]
"""

from __future__ import annotations

import os
import time
from statistics import median

import trio

from bench.daemon import mounted
from bench.scale.bars import Bar, Options, count, ls, once, options, show
from bench.scale.catalogues import CATALOGUE, copy, tag_name
from engine.catalogue import open_catalogue
from engine.index import BitmapIndex
from query.ast import And, Expr, Tag

GOAL = 20.0  # ms


def main() -> None:
    show(measure(options(__doc__)))


def measure(chosen: Options) -> list[Bar]:
    bars: list[Bar] = []
    for items in chosen.sizes:
        with copy(items) as (state, mountpoint):
            first, walls, cpus = trio.run(_narrow, state, chosen.rounds)
            print(f"  narrowing at {count(items)}: the first, which loads all bitmaps, takes {first:.2f} s")
            said = f"{median(walls) * 1000:.1f} ms (CPU {median(cpus) * 1000:.1f}), first {first:.2f} s"
            bars.append(_bar(f"narrowing tags, {count(items)}", said, median(walls)))
            with mounted(state, mountpoint):
                directory = os.path.join(mountpoint, "tags", tag_name(1), ".tags")
                cold = once(lambda directory=directory: ls(directory))
                took = [once(lambda directory=directory: ls(directory)) for _ in range(chosen.rounds)]
            said = f"{median(took) * 1000:.1f} ms, first {cold:.2f} s"
            bars.append(_bar(f"`ls` of `.tags`, {count(items)}", said, median(took)))
    return bars


def _bar(what: str, said: str, took: float) -> Bar:
    return Bar(what, f"< {GOAL:.0f} ms", said, f"{took * 1000 / GOAL:.2f} x goal", took * 1000 < GOAL)


async def _narrow(state: str, rounds: int) -> tuple[float, list[float], list[float]]:
    exprs: list[Expr] = [
        Tag(tag_name(0)),
        Tag(tag_name(1)),
        And((Tag(tag_name(0)), Tag(tag_name(2)))),
        Tag(tag_name(300)),
    ]
    async with open_catalogue(os.path.join(state, CATALOGUE)) as catalogue:
        index = await BitmapIndex.open(catalogue)
        started = time.perf_counter()
        await index.narrowing(exprs[0], now=0.0)
        first = time.perf_counter() - started
        walls, cpus = [], []
        for _ in range(rounds * 3):
            for expr in exprs:
                wall, cpu = time.perf_counter(), time.thread_time()
                await index.narrowing(expr, now=0.0)
                walls.append(time.perf_counter() - wall)
                cpus.append(time.thread_time() - cpu)
    return first, walls, cpus


if __name__ == "__main__":
    main()
