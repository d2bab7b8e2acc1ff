"""Reads of a file of which nothing is here, timed, in a process of its own: one that is stuck can be killed.

python -m bench.ondemand.reader FILE MIB OFFSET...     prints a JSON line for each thing that is done:
    with offsets        {"first": s}, {"random": s} for each of them
    without             {"sequential": bytes, "seconds": s} for each MiB up to MIB, after a block at the end, for which
                        the contender has found its peers
"""

from __future__ import annotations

import json
import os
import sys
import time

BLOCK = 4096
PIECE = 1 << 17  # what programs such as cp read at once
MIB = 1 << 20


def main() -> None:
    file, mib, *offsets = sys.argv[1:]
    descriptor = os.open(file, os.O_RDONLY)
    if offsets:
        say(first=timed(descriptor, 0))
        for offset in offsets:
            say(random=timed(descriptor, int(offset)))
        return
    timed(descriptor, os.fstat(descriptor).st_size - BLOCK)
    started = time.perf_counter()
    done = 0
    while done < int(mib) * MIB:
        count = len(os.pread(descriptor, PIECE, done))
        if not count:
            break
        done += count
        if done % MIB == 0:
            say(sequential=done, seconds=time.perf_counter() - started)


def timed(descriptor: int, offset: int) -> float:
    started = time.perf_counter()
    assert len(os.pread(descriptor, BLOCK, offset)) == BLOCK
    return time.perf_counter() - started


def say(**values: float) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    main()
