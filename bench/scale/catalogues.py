"""Catalogues of N items x 8 tags for these benchmarks, written by plain SQL and kept for the next run.

    $BENCH_DIR (or the temporary directory)/tagfs-bench-<uid>/items-<N>-<schema>/    a state directory, only read
    copy(N)                                                                          a copy of it, for one benchmark

Tags are drawn as in `bench.catalogue`; every sixteenth is a year, so that there is a key to compare. Each item has a
blob row of its own (without a file), a source, a size and a time at which it was added.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import trio

from bench.catalogue import TAGS, item_name, tag_sets
from engine.catalogue import open_catalogue
from engine.catalogue.writes.tagging import tag_row
from engine.types import FIRST_ITEM_ID
from tagfs.config.paths import LOCK_NAME

CATALOGUE = "catalogue.sqlite"
CHUNK = 20_000
HOSTS = 50
DAY = 86_400


def tag_name(rank: int) -> str:
    """Of the tag that is the `rank`th most frequent, from 0: every sixteenth is a year."""
    return f"year:{1958 + rank // 16}" if rank % 16 == 15 else f"tag{rank:03}"


def folder() -> str:
    """Where everything lies that is kept."""
    where = os.path.join(os.environ.get("BENCH_DIR") or tempfile.gettempdir(), f"tagfs-bench-{os.getuid()}")
    os.makedirs(where, mode=0o700, exist_ok=True)
    return where


@contextmanager
def copy(items: int) -> Iterator[tuple[str, str]]:
    """(state directory, mount point) for one benchmark, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="run-", dir=folder()) as place:
        state = os.path.join(place, "state")
        shutil.copytree(kept(items), state)
        os.chmod(state, 0o700)
        yield state, os.path.join(place, "mnt")


def kept(items: int) -> str:
    """The state directory with so many items, made if it is not there."""
    where = os.path.join(folder(), f"items-{items}-{_schema()}")
    if not os.path.isdir(where):
        started = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="new-", dir=folder()) as place:
            state = os.path.join(place, "state")
            os.makedirs(state, mode=0o700)
            Path(state, LOCK_NAME).touch()  # by which the daemon knows its own
            trio.run(_create, os.path.join(state, CATALOGUE))
            _fill(os.path.join(state, CATALOGUE), items)
            os.rename(state, where)
        print(f"  made a catalogue of {items:,} items in {time.perf_counter() - started:.0f} s")
    return where


def _schema() -> str:
    """Of the code that runs: a catalogue of another schema is made anew."""
    with tempfile.TemporaryDirectory() as place:
        path = os.path.join(place, CATALOGUE)
        trio.run(_create, path)
        connection = sqlite3.connect(path)
        text = repr(connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall())
        connection.close()
    return hashlib.sha256(text.encode() + Path(__file__).read_bytes()).hexdigest()[:10]


async def _create(path: str) -> None:
    async with open_catalogue(path):
        pass


def _fill(path: str, items: int) -> None:
    """Rows in the order of their keys first, indexes afterwards."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=off", "synchronous=off", "foreign_keys=off", "cache_size=-262144"):
        connection.execute(f"PRAGMA {pragma}")
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        " AND tbl_name IN ('blob', 'item', 'tagging', 'source')"
    ).fetchall()
    connection.execute("BEGIN")
    for name, _ in indexes:
        connection.execute(f'DROP INDEX "{name}"')
    chance, now = random.Random(items), int(time.time())
    counts: Counter[int] = Counter()
    ranks = {f"tag{rank:03}": rank for rank in range(TAGS)}
    chosen = (sorted(ranks[name] for name in names) for names in tag_sets(items))
    for first in range(0, items, CHUNK):
        numbers = range(first, min(first + CHUNK, items))
        sizes = [int(chance.lognormvariate(15, 3)) + 1 for _ in numbers]
        moments = [(now - (items - n) * 730 * DAY // items) * 10**9 for n in numbers]
        connection.executemany(
            "INSERT INTO blob (id, sha256, size, mime) VALUES (?, ?, ?, '')",
            ((n + 1, hashlib.sha256(b"%d" % n).hexdigest(), size) for n, size in zip(numbers, sizes, strict=True)),
        )
        connection.executemany(
            "INSERT INTO item (id, name, kind, state, size, blob, mtime_ns, mtime_given, added_ns, mode, looked)"
            " VALUES (?, ?, 'file', 'complete', ?, ?, ?, 0, ?, 420, 2)",
            (
                (FIRST_ITEM_ID + n, item_name(n).encode(), size, n + 1, moment, moment)
                for n, size, moment in zip(numbers, sizes, moments, strict=True)
            ),
        )
        connection.executemany(
            "INSERT INTO source (item, position, kind, url, public_url, host) VALUES (?, 0, 'http', ?, ?, ?)",
            (
                (FIRST_ITEM_ID + n, f"https://{host}/{n}", f"https://{host}/{n}", host)
                for n, host in ((n, f"host{chance.randrange(HOSTS)}.example.org") for n in numbers)
            ),
        )
        taggings: list[tuple[int, int]] = []
        for n, tags in zip(numbers, islice(chosen, len(numbers)), strict=True):
            counts.update(tags)
            taggings.extend((FIRST_ITEM_ID + n, rank + 1) for rank in tags)
        connection.executemany("INSERT INTO tagging (item, tag) VALUES (?, ?)", taggings)
    connection.executemany(
        "INSERT INTO tag (id, name, key, value, value_kind, value_number, items) VALUES (?, ?, ?, ?, ?, ?, ?)",
        ((rank + 1, *tag_row(tag_name(rank)), counts[rank]) for rank in range(TAGS)),
    )
    for _, sql in indexes:
        connection.execute(sql)
    _follow_columns(connection)
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=wal")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _follow_columns(connection: sqlite3.Connection) -> None:
    """What the catalogue keeps twice, where it does."""
    columns = {row[1] for row in connection.execute("PRAGMA table_info(item)")}
    if "tag_count" in columns:
        connection.execute("UPDATE item SET tag_count = (SELECT count(*) FROM tagging WHERE item = item.id)")
