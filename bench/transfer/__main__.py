"""Transfers against the programs that people use, side by side.

python -m bench.transfer [--only http-large] [--rounds 5] [--mib 1024]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.network import own_network
from bench.transfer import http_large, http_long_line, http_small, torrent

SCENARIOS: dict[str, Callable[[Path, int, int, str], None]] = {
    "http-large": lambda folder, mib, rounds, host: http_large.measure(folder, mib, rounds),
    "http-small": lambda folder, mib, rounds, host: http_small.measure(folder, rounds),
    "http-long-line": lambda folder, mib, rounds, host: http_long_line.measure(folder, mib, rounds),
    "torrent-v1": lambda folder, mib, rounds, host: torrent.measure(folder, mib, rounds, "v1", host),
    "torrent-hybrid": lambda folder, mib, rounds, host: torrent.measure(folder, mib, rounds, "hybrid", host),
}


def main() -> None:
    options = argparse.ArgumentParser(prog="bench.transfer", description=__doc__)
    options.add_argument("--only", choices=SCENARIOS, action="append", help="one of them; may be given again")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--mib", type=int, default=1024, help="size of the file")
    chosen = options.parse_args()
    host = own_network().address
    for name in chosen.only or SCENARIOS:
        load = os.getloadavg()[0]
        print(f"{name}: {chosen.mib} MiB, medians of {chosen.rounds} alternating rounds, load before {load:.1f}")
        with tempfile.TemporaryDirectory(prefix="bench-", dir=os.environ.get("BENCH_DIR")) as folder:
            SCENARIOS[name](Path(folder), chosen.mib, chosen.rounds, host)


if __name__ == "__main__":
    main()
