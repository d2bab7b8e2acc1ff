"""Listing, stat, evaluation, memory, start-up with N items x 8 tags: each beside the same names on tmpfs.

python -m bench.listing [--items 100000] [--hits 10000] [--rounds 7] [--keep DIR]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import trio

from bench.catalogue import TAGS, fill, tag_name
from bench.daemon import memory_mb, mounted
from engine.catalogue import open_catalogue
from engine.index import BitmapIndex
from query.ast import And, Expr, Not, Or, Tag

Query = tuple[str, str, Expr]  # label, path below /tags, expression


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--items", type=int, default=100_000)
    options.add_argument("--hits", type=int, default=10_000)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--keep", help="a state directory to use, made if it is not there")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        state = chosen.keep or os.path.join(folder, "state")
        if not os.path.exists(os.path.join(state, "catalogue.sqlite")):
            started = time.perf_counter()
            trio.run(fill, state, chosen.items)
            took = time.perf_counter() - started
            print(f"filled    {chosen.items} items x 8 tags in {took:.1f} s, {chosen.items / took:.0f} items/s")
        queries = trio.run(choose_and_evaluate, state, chosen.hits)
        measure(state, os.path.join(folder, "mnt"), queries, chosen.rounds)


async def choose_and_evaluate(state: str, hits: int) -> list[Query]:
    """An AND, an OR and a NOT whose results are nearest to `hits`; prints how long each takes to evaluate."""
    async with open_catalogue(os.path.join(state, "catalogue.sqlite")) as catalogue:
        index = await BitmapIndex.open(catalogue)
        counts = {tag.name: tag.items for tag in index.tag_list()}

        async def size(expr: Expr) -> int:
            await index.prepare(expr)
            return len(index.evaluate(expr, now=0))

        common = [tag_name(rank) for rank in range(12)]
        pairs = [(a, b) for a in common for b in common if a < b]
        ands = {(a, b): await size(And((Tag(a), Tag(b)))) for a, b in pairs}
        a, b = min(ands, key=lambda pair: abs(ands[pair] - hits))
        rare = sorted((tag_name(rank) for rank in range(TAGS)), key=lambda name: abs(counts.get(name, 0) - hits / 2))
        c, d = rare[:2]
        nots = {(x, y): await size(And((Tag(x), Not(Tag(y))))) for x in common for y in common if x != y}
        e, f = min(nots, key=lambda pair: abs(nots[pair] - hits))
        queries: list[Query] = [
            ("AND", f"{a}/{b}", And((Tag(a), Tag(b)))),
            ("OR", f"{c}/+/{d}", Or((Tag(c), Tag(d)))),
            ("NOT", f"{e}/-/{f}", And((Tag(e), Not(Tag(f))))),
        ]
        for label, path, expr in queries:
            await index.prepare(expr)
            took = timed(lambda expr=expr: index.evaluate(expr, now=0), 200)
            print(f"evaluate  {label:<4} {path:<18} {await size(expr):>7} hits  {took * 1000:.4f} ms")
        return queries


def measure(state: str, mountpoint: str, queries: list[Query], rounds: int) -> None:
    for label, path, _ in queries:
        with mounted(state, mountpoint) as (process, start):
            print(f"start-up  {start:.2f} s to a mount that answers; memory {memory_mb(process)[0]:.0f} MB")
            directory = os.path.join(mountpoint, "tags", path)
            tmpfs = Path(tempfile.mkdtemp(prefix="bench-", dir="/dev/shm"))
            try:
                compare(label, directory, tmpfs, rounds)
            finally:
                shutil.rmtree(tmpfs)
            resident, peak = memory_mb(process)
            print(f"memory    {resident:.0f} MB after it, {peak:.0f} MB at most")


def compare(label: str, directory: str, tmpfs: Path, rounds: int) -> None:
    first = once(lambda: ls(directory))
    names = os.listdir(directory)
    for name in names:
        (tmpfs / name).touch()
    cold, warm, native = [first], [], []
    for _ in range(rounds):
        drop_caches()
        cold.append(once(lambda: ls(directory)))
        warm.append(once(lambda: ls(directory)))
        native.append(once(lambda: ls(str(tmpfs))))
    base = median(native)
    print(
        f"ls -f     {label:<4} {len(names):>6} entries: first {first * 1000:.0f} ms, "
        f"cold {median(cold) * 1000:.0f} ms ({median(cold) / base:.1f}x tmpfs), "
        f"warm {median(warm) * 1000:.0f} ms ({median(warm) / base:.1f}x), tmpfs {base * 1000:.1f} ms"
    )
    one = names[len(names) // 2]
    ls(directory)
    cold_stat = []
    for name in names[:200]:
        drop_caches()
        cold_stat.append(once(lambda name=name: os.stat(os.path.join(directory, name))))
        if len(cold_stat) >= rounds * 3:
            break
    warm_stat = timed(lambda: os.stat(os.path.join(directory, one)), 20_000)
    native_stat = timed(lambda: os.stat(tmpfs / one), 20_000)
    print(
        f"stat      {label:<4} cold {median(cold_stat) * 1e6:.0f} us, warm {warm_stat * 1e6:.2f} us "
        f"({warm_stat / native_stat:.2f}x tmpfs's {native_stat * 1e6:.2f} us)"
    )


def ls(directory: str) -> None:
    subprocess.run(["ls", "-f", directory], stdout=subprocess.DEVNULL, check=True)


def drop_caches() -> None:
    """Dentries and inodes; the daemon keeps its own memory."""
    Path("/proc/sys/vm/drop_caches").write_text("2")


def once(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def timed(action: Callable[[], object], times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        action()
    return (time.perf_counter() - started) / times


if __name__ == "__main__":
    main()
