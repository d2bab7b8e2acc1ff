"""A catalogue of N items with eight tags each, Zipf-distributed over 1,000 tags: what the benchmarks run on."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from itertools import accumulate

from engine.blobs import BlobStore
from engine.catalogue import open_catalogue
from engine.ports import NewItem
from tagfs.config.paths import LOCK_NAME
from tagfs.daemon.state import prepare

TAGS = 1000
TAGS_AN_ITEM = 8
BATCH = 2000
KINDS = ("mkv", "iso", "txt", "mp3", "pdf")


def tag_name(rank: int) -> str:
    return f"tag{rank:03}"


def tag_sets(items: int, seed: int = 2026) -> Iterator[list[str]]:
    """The tags of each item: rank r is drawn with a weight of 1/r."""
    chance = random.Random(seed)
    weights = list(accumulate(1 / rank for rank in range(1, TAGS + 1)))
    names = [tag_name(rank) for rank in range(TAGS)]
    for _ in range(items):
        chosen: set[str] = set()
        while len(chosen) < TAGS_AN_ITEM:
            chosen.update(chance.choices(names, cum_weights=weights, k=TAGS_AN_ITEM - len(chosen)))
        yield sorted(chosen)


def item_name(number: int) -> str:
    return f"item-{number:07}.{KINDS[number % len(KINDS)]}"


async def fill(state: str, items: int) -> None:
    """Make the state directory `state`, through the same doors as everybody: one blob that all items share."""
    prepare(state)
    open(os.path.join(state, LOCK_NAME), "ab").close()  # by which the daemon knows its own
    store = BlobStore(state)
    staging, fd = store.create_staging()
    os.write(fd, b"x" * 1024)
    os.close(fd)
    blob = await store.ingest(staging, {})
    async with open_catalogue(os.path.join(state, "catalogue.sqlite")) as catalogue:
        batch: list[NewItem] = []
        for number, tags in enumerate(tag_sets(items)):
            batch.append(NewItem(item_name(number), tags=tags, size=blob.size, sha256=blob.sha256))
            if len(batch) == BATCH:
                await catalogue.add_many(batch)
                batch = []
        await catalogue.add_many(batch)
