"""kill -9 at each step of storing, of gc and of what is kept for going on (C4): one test for each `kill_point`.

The daemon is told to kill itself there; the world of programs gets it to that point.
"""

from __future__ import annotations

import ast
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.catalogue import open_catalogue
from tests.support.odd_mount import OddMount
from tests.support.opening import DATABASE, opened_until
from tests.support.promises_kept import Known, Memory
from tests.support.rounds import Rounds, rounds_on

ROOT = Path(__file__).parents[2]
OPENING = ("create.built", "create.renamed", "migrate.changed", "migrate.committed")
AT_THE_STOP = ("checkpoint.synced", "checkpoint.kept", "pieces.synced", "pieces.kept")  # else minutes would pass
AT_WORK = (
    "ingest.hashed", "ingest.fsynced", "ingest.renamed", "ingest.placed", "put.fsynced", "put.renamed", "put.placed",
    "adopt.linked", "finish.committed", "landing.committed", "gc.forgotten", "gc.condemned",
    "draft.copied", "draft.started", "draft.synced", "draft.sealed", "replace.begun",
)  # fmt: skip
ELSEWHERE = ("backup.copied",)  # an error in its place, in tests/faults/test_backup.py
LIFE = 1.5  # seconds of work before a stop
SLOW = 20_000_000  # bytes; some seven seconds


def points() -> Iterator[str]:
    for folder in ("engine", "tagfs"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.Call(func=ast.Name(id="kill_point"), args=[ast.Constant(value=str(name))]):
                        yield name


def test_there_is_a_test_of_each_point() -> None:
    assert sorted(points()) == sorted(OPENING + AT_THE_STOP + AT_WORK + ELSEWHERE)


@pytest.mark.long
@pytest.mark.parametrize("point", AT_WORK + AT_THE_STOP)
def test_killed_at(odd: OddMount, tmp_path: Path, point: str) -> None:
    with rounds_on(odd, tmp_path, point) as rounds:
        rounds.memories["d2"] = Memory("d2", rounds.random)  # of downloads that no hand looks after
        rounds.start()
        work(rounds, LIFE)  # so that there is something to change
        odd.kill_at = point
        odd.start()
        hands, emptied = rounds.work(emptying=point.startswith("gc."))
        assert odd.process is not None
        if point in AT_THE_STOP:
            add_slow(rounds)
            rounds.live(LIFE)
            odd.process.terminate()
        try:
            ended = odd.process.wait(240)  # which is no measure of anything on a busy machine
        except subprocess.TimeoutExpired:  # killed, and one of its threads cannot end
            assert odd.is_stuck(), f"it never came to {point}"
            ended = -signal.SIGKILL
        assert ended == -signal.SIGKILL, odd.log.read_text()
        odd.kill_at = ""
        rounds.start_again(hands, 1)
        rounds.check(1, emptied=emptied)
        rounds.finish()


def add_slow(rounds: Rounds) -> None:
    """A download that does not end before the stop."""
    content = rounds.random.randbytes(SLOW)
    (rounds.place.served / "slow").write_bytes(content)
    with rounds.mount.connect() as client:
        client.call("add", {"urls": (rounds.place.url("slow"),)})
    rounds.memories["d2"].known["slow"] = Known(content, arriving=True)


def work(rounds: Rounds, seconds: float) -> None:
    hands, emptied = rounds.work(emptying=0)
    rounds.live(seconds)
    rounds.mount.crash()
    rounds.start_again(hands, 0)
    rounds.check(0, emptied=emptied)
    assert rounds.mount.stop() == 0


@pytest.mark.parametrize("point", OPENING)
async def test_killed_while_the_database_is_made_or_migrated(tmp_path: Path, point: str) -> None:
    opened_until(tmp_path, point)
    async with open_catalogue(str(tmp_path / DATABASE)) as catalogue:
        assert await catalogue.check() == []
    assert {DATABASE, f"{DATABASE}.reserve"} >= set(os.listdir(tmp_path))
