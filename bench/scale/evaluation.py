"""Evaluation of queries, without listing: AND, OR, NOT, groups and ranges over N items, and 10M for the index alone.

python -m bench.scale.evaluation [--items 1000000] [--items 10000000]

A thousand queries of a kind, their tags drawn as often as items carry them. Ten million items are the bitmaps of one
million ten times, one after the other; no catalogue is behind them. CPU time is the thread's own, so that a busy
machine does not show in it.
"""

from __future__ import annotations

import random
import sqlite3
import time
from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from statistics import median

import trio
from pyroaring import BitMap

from bench.catalogue import TAGS
from bench.scale.bars import Bar, Options, count, options, percentile, show
from bench.scale.catalogues import CATALOGUE, kept, tag_name
from engine.catalogue import feed
from engine.catalogue.database import open_reader, raw
from engine.index import BitmapIndex
from engine.ports import Feed, Observer, Opening
from engine.types import FIRST_ITEM_ID, Facts, ItemId
from query.ast import And, Compare, Expr, Not, Or, Range, Tag

QUERIES = 1000
BASE = 1_000_000  # what larger ones are made of


def main() -> None:
    chosen = options(__doc__)
    show(measure(Options((*chosen.sizes, 10_000_000), chosen.rounds)))


def measure(chosen: Options) -> list[Bar]:
    bars: list[Bar] = []
    took: dict[tuple[str, int], float] = {}
    for items in chosen.sizes:
        goal = 5.0 if items > BASE else 1.0
        for kind, times in trio.run(_evaluate, Copies(items)).items():
            walls, cpus = ([pair[n] * 1000 for pair in times] for n in (0, 1))
            wall, cpu, took[kind, items] = percentile(walls, 0.99), percentile(cpus, 0.99), median(cpus)
            said = f"p50 {median(walls):.3f} ms, p99 {wall:.3f} ms (CPU {cpu:.3f})"
            bars.append(
                Bar(
                    f"evaluate {kind}, {count(items)}",
                    f"p99 < {goal:.0f} ms",
                    said,
                    f"{wall / goal:.2f} x goal",
                    wall < goal,
                )
            )
    if {100_000, BASE} <= set(chosen.sizes):
        for kind in KINDS:
            small, large = took[kind, 100_000], took[kind, BASE]
            bars.append(
                Bar(
                    f"growth of evaluate {kind}",
                    "flat",
                    f"p50 {small:.4f} -> {large:.4f} ms of CPU",
                    f"{large / small:.1f} x",
                    large < 0.1 or large < 3 * small,
                )
            )
    return bars


async def _evaluate(feed_: Feed) -> dict[str, list[tuple[float, float]]]:
    index = await BitmapIndex.open(feed_)
    chance = random.Random(7)
    found: dict[str, list[tuple[float, float]]] = {}
    for kind, make in KINDS.items():
        found[kind] = times = []
        for _ in range(QUERIES if len(index.live) <= BASE else QUERIES // 5):
            expr = make(chance)
            await index.prepare(expr)
            wall, cpu = time.perf_counter(), time.thread_time()
            index.topmost(index.evaluate(expr, now=0.0))
            times.append((time.perf_counter() - wall, time.thread_time() - cpu))
    return found


WEIGHTS = [1 / (rank + 1) for rank in range(TAGS)]


def _tags(chance: random.Random, number: int) -> list[Tag | Compare]:
    """Different ones, the more frequent the oftener."""
    ranks: set[int] = set()
    while len(ranks) < number:
        ranks.update(rank for rank in chance.choices(range(TAGS), WEIGHTS, k=number - len(ranks)) if rank % 16 != 15)
    return [Tag(tag_name(rank)) for rank in sorted(ranks)]


def _and(chance: random.Random) -> Expr:
    return And(tuple(_tags(chance, 2)))


def _or(chance: random.Random) -> Expr:
    return Or(tuple(_tags(chance, 2)))


def _not(chance: random.Random) -> Expr:
    a, b = _tags(chance, 2)
    return And((a, Not(b)))


def _only_not(chance: random.Random) -> Expr:
    return Not(_tags(chance, 1)[0])


def _group(chance: random.Random) -> Expr:
    """a/{/b/c/d/}/-/{/e/f/}"""
    a, b, c, d, e, f = _tags(chance, 6)
    return And((a, Or((b, c, d)), Not(Or((e, f)))))


def _years(chance: random.Random) -> Expr:
    low = chance.randrange(1958, 2020)
    return And((_tags(chance, 1)[0], Range("year", str(low), str(low + chance.randrange(20)))))


def _sizes(chance: random.Random) -> Expr:
    """Sizes are spread from some bytes to gigabytes."""
    low, high = sorted(int(chance.lognormvariate(15, 3)) for _ in range(2))
    return And((_tags(chance, 1)[0], Range("size", str(low), str(high))))


KINDS: Mapping[str, Callable[[random.Random], Expr]] = {
    "AND": _and,
    "OR": _or,
    "a NOT b": _not,
    "NOT": _only_not,
    "group": _group,
    "year: range": _years,
    "size: range": _sizes,
}


class Copies:
    """The feed of an index of N items: those of the largest catalogue that N is a multiple of, again and again."""

    def __init__(self, items: int) -> None:
        self._times, self._step = (items // BASE, BASE) if items > BASE else (1, items)
        self._database = open_reader(f"{kept(self._step)}/{CATALOGUE}")

    def _again(self, bitmap: BitMap) -> BitMap:
        return BitMap.union(*(bitmap.shift(n * self._step) for n in range(self._times)))

    async def follow(self, observer: Observer, start: Callable[[Opening], None]) -> Callable[[], None]:
        live = BitMap(range(FIRST_ITEM_ID, FIRST_ITEM_ID + self._step * self._times))
        tags = raw(self._database).execute(feed.ALL_TAGS).fetchall()
        start(Opening({"complete": live}, tags))
        return lambda: None

    def facts(self, item: ItemId) -> Facts | None:
        raise AssertionError

    def ancestors(self, item: ItemId) -> Sequence[ItemId]:
        return ()

    async def tagged(self, tags: Collection[int]) -> Mapping[int, BitMap]:
        return {tag: self._again(ids) for tag, ids in feed.tagged(self._database, tags)[0].items()}

    async def valued(self, key: str) -> Mapping[str, BitMap]:
        return {value: self._again(ids) for value, ids in feed.valued(self._database, key).items()}

    async def ordered(self, key: str) -> tuple[array[int], array[int]]:
        values, ids = feed.ordered(self._database, key)
        if self._times == 1:
            return values, ids
        steps = [n * self._step for n in range(self._times)]
        return (
            array("q", (value for value in values for _ in steps)),
            array("I", (item + step for item in ids for step in steps)),
        )

    async def search(self, leaf: Compare | Range) -> BitMap:
        raise sqlite3.NotSupportedError(leaf)


if __name__ == "__main__":
    main()
