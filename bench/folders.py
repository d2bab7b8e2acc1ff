"""A folder item with N files: making it, listing it, finding by tags of it, the trash; and what queries cost beside it.

python -m bench.folders [--files 100000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import TypeVar

import trio

from bench.daemon import memory_mb, mounted
from engine.catalogue import open_catalogue
from engine.index import BitmapIndex
from engine.ports import Edit, FolderFile, NewDownload, NewItem
from engine.types import State
from query.ast import And, Compare, Expr, Not, Op, Tag

T = TypeVar("T")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--files", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        state = os.path.join(folder, "state")
        os.mkdir(state, 0o700)
        Path(state, "daemon.lock").touch()
        trio.run(engine, state, chosen.files, chosen.rounds)
        mount(state, os.path.join(folder, "mnt"), chosen.rounds)


async def engine(state: str, count: int, rounds: int) -> None:
    """Half of the files lie in 100 folders of the folder, every tenth of all is a .mkv."""
    async with open_catalogue(os.path.join(state, "catalogue.sqlite")) as catalogue:
        index = await BitmapIndex.open(catalogue)
        item = await catalogue.add(NewItem("D", state=State.QUEUED, tags=["a"], download=NewDownload("s")))
        names = (f"{n:06}.{'mkv' if n % 10 == 0 else 'txt'}" for n in range(count))
        files = [FolderFile((f"s{n % 100}", name) if n % 2 else (name,), 1) for n, name in enumerate(names)]
        ids = await shown("unpack", lambda: catalogue.unpack(item.id, files))
        ext = Compare("ext", Op.EQ, "mkv")
        queries: list[Expr] = [Tag("a"), And((Tag("a"), ext)), And((ext, Not(Tag("b")))), And((Tag("a"), Tag("c")))]
        await catalogue.edit(ids[count // 2], Edit(add=["c"]))
        for expr in queries:
            await index.prepare(expr)
            took = [once(lambda expr=expr: index.topmost(index.evaluate(expr, now=0))) for _ in range(100)]
            print(f"evaluate  {len(index.evaluate(expr, now=0)):>7} matching: {median(took) * 1000:.3f} ms  {expr}")
        for _ in range(rounds):
            await shown("tag", lambda: catalogue.edit(item.id, Edit(add=["b"])))
            await shown("untag", lambda: catalogue.edit(item.id, Edit(remove=["b"])))
        await shown("trash", lambda: catalogue.trash(item.id))
        await shown("restore", lambda: catalogue.restore(item.id))
    connection = sqlite3.connect(os.path.join(state, "catalogue.sqlite"))
    with connection:  # whole, or the kernel would ask for their attributes each time
        connection.execute("INSERT INTO blob (id, sha256, size) VALUES (1, ?, 1)", ("0" * 64,))
        connection.execute("UPDATE item SET state = 'complete', size = 1, blob = 1 WHERE kind = 'file'")
    connection.close()


def mount(state: str, mountpoint: str, rounds: int) -> None:
    with mounted(state, mountpoint) as (process, start):
        print(f"start-up  {start:.2f} s; memory {memory_mb(process)[0]:.0f} MB")
        for path in ("files/D", "tags/a/D", "tags/ext:mkv"):
            took = [once(lambda path=path: os.listdir(os.path.join(mountpoint, path))) for _ in range(rounds)]
            print(f"ls        {len(os.listdir(os.path.join(mountpoint, path))):>7} entries of {path}:"
                  f" first {took[0] * 1000:.0f} ms, then {median(took[1:]) * 1000:.0f} ms")  # fmt: skip
        took = [once(lambda: walk(os.path.join(mountpoint, "files"))) for _ in range(2)]
        print(f"walk      all with stat: first {took[0]:.2f} s, then {took[1]:.2f} s; memory {memory_mb(process)} MB")
        folder = os.path.join(mountpoint, "files/D")
        for tags in (b"a,b", b"a"):
            print(f"setfattr  {once(lambda tags=tags: os.setxattr(folder, 'user.xdg.tags', tags)) * 1000:.0f} ms"
                  f" {tags.decode()} on D with all of /tags/ext:mkv known to the kernel")  # fmt: skip
        took = [once(lambda: os.rename(folder, os.path.join(mountpoint, "trash/D")))]
        took.append(once(lambda: shutil.rmtree(os.path.join(mountpoint, "trash/D/s1"))))
        print(f"mv        {took[0] * 1000:.0f} ms to the trash; rm -r of 1 % of it there {took[1] * 1000:.0f} ms")


def walk(top: str) -> None:
    for folder, _, files in os.walk(top):
        for name in files:
            os.lstat(os.path.join(folder, name))


async def shown(what: str, call: Callable[[], Awaitable[T]]) -> T:
    started = time.perf_counter()
    result = await call()
    print(f"{what:<9} {(time.perf_counter() - started) * 1000:.0f} ms")
    return result


def once(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
