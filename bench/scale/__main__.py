"""All bars of scale in one table.

python -m bench.scale --all           some ten minutes
python -m bench.scale stat listing    some of them

The figures are those of the machine as it is; what ran beside each is in its ratio. Needs root, which may drop caches.
"""

from __future__ import annotations

import argparse
import os
import time

from bench.scale import (
    adding,
    bars,
    evaluation,
    listing,
    narrowing,
    reading,
    start,
    stat,
    tagging,
    walking,
)

MILLION = (100_000, 1_000_000)
PARTS = {
    "evaluation": lambda: evaluation.measure(bars.Options((*MILLION, 10_000_000), 1)),
    "listing": lambda: listing.measure(bars.Options(MILLION, 3)),
    "stat": lambda: stat.measure(bars.Options(MILLION, 5)),
    "tagging": lambda: tagging.measure(bars.Options((1_000_000,), 3)),
    "adding": lambda: adding.measure(bars.Options((1_000_000,), 3)),
    "start": lambda: start.measure(bars.Options(MILLION, 5)),
    "narrowing": lambda: narrowing.measure(bars.Options(MILLION, 5)),
    "walking": lambda: walking.measure(bars.Options((10_000, 100_000), 1)),
    "reading": lambda: reading.measure(bars.Options((10_000,), 5)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--all", action="store_true")
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    found: list[bars.Bar] = []
    for name in PARTS if chosen.all else chosen.parts:
        started, load = time.perf_counter(), os.getloadavg()[0]
        more = PARTS[name]()
        found += more
        print(f"{name}: {time.perf_counter() - started:.0f} s, load {load:.1f}", flush=True)
        for bar in more:
            print(f"  {bar.what}: {bar.measured}; {bar.ratio}; goal {bar.goal}", flush=True)
    bars.show(found)


if __name__ == "__main__":
    main()
