"""Everything at once for long, with a kill now and then (T-R2): nothing is lost, and nothing grows that should not.

TAGFS_SOAK is how many seconds, TAGFS_SEED which; the seed is printed.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.support.odd_mount import OddMount
from tests.support.promises_kept import Commander, Emptier, Fetcher, Hand, Leecher, Looker, Writer
from tests.support.rounds import Rounds, rounds_on

LIFE = 60.0  # seconds between two kills
WARM = 20.0  # seconds after which a daemon has what it needs
GROWTH = 1.1
SEEDED = 20  # descriptors for what is seeded, and for connections that are kept for a while
SLACK = 16 << 20  # bytes: what the heap of a process of some 100 MiB does by itself
HANDS: dict[str, type[Hand]] = {
    **{f"w{number}": Writer for number in range(3)},
    **{f"c{number}": Commander for number in range(2)},
    **{f"d{number}": Fetcher for number in range(5)},  # four downloads each
    "bt": Leecher,
    **{f"l{number}": Looker for number in range(3)},
    "e": Emptier,
}


def memory(pid: int) -> int:
    """Resident bytes."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def soak(rounds: Rounds, seconds: float) -> None:
    mount = rounds.mount
    rounds.start()
    assert mount.process is not None
    few = descriptors(mount.process.pid)
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        hands, emptied = rounds.work(emptying=1)
        assert mount.process is not None
        rounds.live(WARM)
        warm = memory(mount.process.pid)
        rounds.live(LIFE - WARM)
        late, open_files = memory(mount.process.pid), descriptors(mount.process.pid)
        assert late <= warm * GROWTH + SLACK, f"round {number}: from {warm >> 20} to {late >> 20} MiB"
        mount.crash()
        rounds.start_again(hands, number)
        rounds.check(number, emptied=emptied)
        number += 1
        rounds.say(number)
        print(f"{warm >> 20} to {late >> 20} MiB, {open_files} descriptors", flush=True)  # noqa: T201  # for who watches
    hands, _ = rounds.work(emptying=1)
    rounds.live(WARM)
    rounds.place.over.set()
    rounds.join(hands, number)
    rounds.check(number, emptied=True)
    rounds.arrive()
    assert descriptors(mount.process.pid) <= few + SEEDED
    assert mount.stop() == 0


@pytest.mark.long
@pytest.mark.timeout(14400)
def test_soak(odd: OddMount, tmp_path: Path) -> None:
    with rounds_on(odd, tmp_path, os.environ.get("TAGFS_SEED", "0"), HANDS) as rounds:
        soak(rounds, float(os.environ.get("TAGFS_SOAK", "1800")))
