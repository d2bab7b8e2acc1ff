"""Transfers against the programs that people use, side by side.

python -m bench.transfer [--only http-large] [--rounds 5] [--mib 1024] [--host ADDRESS]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.transfer import http_large, http_long_line, http_small, torrent

SCENARIOS: dict[str, Callable[[Path, argparse.Namespace], None]] = {
    "http-large": lambda folder, chosen: http_large.measure(folder, chosen.mib, chosen.rounds),
    "http-small": lambda folder, chosen: http_small.measure(folder, chosen.rounds),
    "http-long-line": lambda folder, chosen: http_long_line.measure(folder, chosen.mib, chosen.rounds),
    "torrent-v1": lambda folder, chosen: torrent.measure(folder, chosen.mib, chosen.rounds, "v1", chosen.host),
    "torrent-hybrid": lambda folder, chosen: torrent.measure(folder, chosen.mib, chosen.rounds, "hybrid", chosen.host),
}


def main() -> None:
    options = argparse.ArgumentParser(prog="bench.transfer", description=__doc__)
    options.add_argument("--only", choices=SCENARIOS, action="append", help="one of them; may be given again")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--mib", type=int, default=1024, help="size of the file")
    options.add_argument("--host", default="127.0.0.1", help="address of the seeder, one of this machine's own")
    chosen = options.parse_args()
    for name in chosen.only or SCENARIOS:
        load = os.getloadavg()[0]
        print(f"{name}: {chosen.mib} MiB, medians of {chosen.rounds} alternating rounds, load before {load:.1f}")
        with tempfile.TemporaryDirectory(prefix="bench-", dir=os.environ.get("BENCH_DIR")) as folder:
            SCENARIOS[name](Path(folder), chosen)


if __name__ == "__main__":
    main()
