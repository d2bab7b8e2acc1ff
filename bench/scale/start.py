"""From the start of `tagfs mount` to a mount that answers, and the memory of the daemon then and after use.

python -m bench.scale.start [--items 1000000] [--rounds 5]

Beside it a daemon on an empty catalogue, and `python -c "import trio, pyfuse3"`: what is lost before N counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from statistics import median

from bench.contest import cpu_of
from bench.daemon import memory_mb, mounted
from bench.scale.bars import Bar, Options, count, ls, once, options, show
from bench.scale.catalogues import copy, folder, tag_name

START, MEMORY = 1.0, 300.0  # seconds, MB


def main() -> None:
    show(measure(options(__doc__)))


def measure(chosen: Options) -> list[Bar]:
    bars: list[Bar] = []
    empty, bare = [], []
    for items in chosen.sizes:
        with copy(items) as (state, mountpoint), tempfile.TemporaryDirectory(dir=folder()) as beside:
            starts: list[float] = []
            cpus: list[float] = []
            with mounted(state, mountpoint):
                pass  # the first after a change of the code compiles it
            for _ in range(chosen.rounds):
                with mounted(state, mountpoint) as (process, start):
                    starts.append(start)
                    cpus.append(cpu_of(process.pid))
                    fresh = memory_mb(process)[0]
                with mounted(os.path.join(beside, "state"), os.path.join(beside, "mnt")) as (_, start):
                    empty.append(start)
                bare.append(once(lambda: subprocess.run([sys.executable, "-c", "import trio, pyfuse3"], check=True)))
            with mounted(state, mountpoint) as (process, _):
                use(mountpoint, items)
                used, peak = memory_mb(process)
        took = median(starts)
        beside_it = f"{took / median(empty):.2f} x an empty one, {took / median(bare):.1f} x the bare imports"
        bars.append(
            Bar(
                f"start-up, {count(items)}",
                f"< {START:.0f} s",
                f"{took:.2f} s, daemon's CPU {median(cpus):.2f} s",
                beside_it,
                took < START,
            )
        )
        said = f"{fresh:.0f} MB mounted, {used:.0f} MB used, {peak:.0f} MB at most"
        bars.append(
            Bar(f"memory, {count(items)}", f"< {MEMORY:.0f} MB", said, f"{peak / MEMORY:.2f} x goal", peak < MEMORY)
        )
    return bars


def use(mountpoint: str, items: int) -> None:
    """All bitmaps, the keys of sizes, times and kinds, and listings of together 150,000 entries."""
    tags = os.path.join(mountpoint, "tags")
    ls(os.path.join(tags, tag_name(0), ".tags"))
    for key in ("size:/gt/1G", "added:7d", "type:video", "ext:mkv"):
        os.stat(os.path.join(tags, tag_name(1), key))
        os.path.lexists(os.path.join(tags, tag_name(1), key, "none"))
    listed = 0
    for rank in range(len(os.listdir(tags)) - 1, 0, -1):
        try:
            listed += len(os.listdir(os.path.join(tags, tag_name(rank))))
        except FileNotFoundError:
            continue
        if listed > min(150_000, items // 2):
            return


if __name__ == "__main__":
    main()
