"""Walks of the whole mount: `find`, one that looks at each file as updatedb does, and rsync: time and entries.

python -m bench.scale.walking [--items 10000] [--items 100000]

There must be an end to it: each item once in /files, once as its blob, and once below each of its tags. So the number
of entries, and the time, grow as the taggings do. Beside each walk the same number of files on tmpfs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.catalogue import TAGS, TAGS_AN_ITEM
from bench.contest import cpu_of
from bench.daemon import memory_mb, mounted
from bench.scale.bars import Bar, Options, count, drop_caches, once, options, show
from bench.scale.catalogues import copy

WALKS = {
    "find": ("find", "{}"),
    "find -printf (as updatedb)": ("find", "{}", "-printf", "%s %T@ %m %p\\n"),
    "rsync -an": ("rsync", "-an", "--list-only", "{}/"),
}
PLAIN = 20_000  # files of the baseline


def main() -> None:
    chosen = options(__doc__)
    show(measure(chosen))


def measure(chosen: Options) -> list[Bar]:
    bars: list[Bar] = []
    each: dict[tuple[str, int], float] = {}
    sizes = [items for items in chosen.sizes if items <= 100_000]
    plain = _plain()
    for items in sizes:
        expected = items * (TAGS_AN_ITEM + 2)  # below its tags, in /files, in /blobs
        with copy(items) as (state, mountpoint), mounted(state, mountpoint) as (process, _):
            for name, command in WALKS.items():
                if shutil.which(command[0]) is None:
                    print(f"  {command[0]} is missing and left out")
                    continue
                drop_caches()
                before = cpu_of(process.pid)
                took, entries = _walk(command, mountpoint)
                cpu = cpu_of(process.pid) - before
                each[name, items] = took / entries
                said = f"{took:.1f} s, {entries:,} entries, daemon's CPU {cpu:.1f} s"
                said += f", {memory_mb(process)[1]:.0f} MB at most"
                linear = expected <= entries <= expected + 3 * TAGS + 100
                ratio = f"{took / entries * 1e6:.1f} us an entry, tmpfs {plain[name] * 1e6:.1f}"
                bars.append(Bar(f"{name}, {count(items)}", f"{expected:,} entries and some", said, ratio, linear))
    if len(sizes) > 1:
        small, large = sizes[-2:]
        for name in WALKS:
            if (name, small) in each:
                grown = each[name, large] / each[name, small]
                bars.append(
                    Bar(
                        f"growth of {name} an entry, {count(small)} to {count(large)}",
                        "linear",
                        f"{each[name, small] * 1e6:.1f} -> {each[name, large] * 1e6:.1f} us",
                        f"{grown:.2f} x",
                        grown < 1.5,
                    )
                )
    return bars


def _plain() -> dict[str, float]:
    """Seconds an entry on tmpfs."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/dev/shm") as tmpfs:
        for number in range(PLAIN):
            Path(tmpfs, f"item-{number:07}.txt").touch()
        found = {}
        for name, command in WALKS.items():
            if shutil.which(command[0]) is not None:
                took, entries = _walk(command, tmpfs)
                found[name] = took / entries
        return found


def _walk(command: Sequence[str], top: str) -> tuple[float, int]:
    with tempfile.TemporaryFile() as out:
        words = [word.format(top) for word in command]
        took = once(lambda: subprocess.run(words, stdout=out, check=True, env={**os.environ, "LC_ALL": "C"}))
        out.seek(0)
        return took, sum(1 for _ in out)


if __name__ == "__main__":
    main()
