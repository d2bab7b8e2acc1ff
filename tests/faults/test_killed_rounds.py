"""kill -9 at random instants, again and again, while everything that can be done is done (I1, I2, I3, R16).

TAGFS_ROUNDS and TAGFS_SEED choose how many rounds and which; the seed is printed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.odd_mount import OddMount
from tests.support.rounds import Rounds, rounds_on


@pytest.fixture
def rounds(odd: OddMount, tmp_path: Path) -> Iterator[Rounds]:
    with rounds_on(odd, tmp_path, os.environ.get("TAGFS_SEED", "0")) as made:
        yield made


def run(rounds: Rounds, count: int) -> None:
    rounds.start()
    for number in range(count):
        rounds.round(number)
        if number % 10 == 9:
            rounds.say(number + 1)
    rounds.finish()
    rounds.say(count)


def test_killed_a_few_times(rounds: Rounds) -> None:
    run(rounds, 2)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_killed_hundreds_of_times(rounds: Rounds) -> None:
    run(rounds, int(os.environ.get("TAGFS_ROUNDS", "500")))
    assert all(memory.done for memory in rounds.memories.values())
