"""Content under random reads, writes, cuts and maps, buffered and direct, in folders and out of them.

TAGFS_FSX_STEPS is how many of them a long test does in each place (20,000), TAGFS_SEED with which seed it begins.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.mount.conftest import Mount
from tests.support.fsx import FAULTS, Faulty, Mismatch, check, seeded

PLACES = ("files/D", "files", "tags/a", "tags/a/E/s")


def run(mount: Mount, place: str, seed: int, steps: int) -> None:
    folder = mount / place

    def settle() -> Path:
        (left,) = (path for path in (folder / "f", folder / "g") if path.exists())
        mount.settle(left)
        return left

    with seeded(seed):
        sha256 = check(folder / "f", seed=seed, steps=steps, settle=settle)
    left = settle()
    assert os.getxattr(left, "user.tagfs.sha256").decode() == sha256
    os.unlink(left)
    if place == "tags/a":
        os.unlink(mount / "files" / left.name)


@pytest.fixture
def laid_out(mount: Mount) -> Mount:
    mount.sh("mkdir -p files/D tags/a/E/s")
    return mount


def test_every_byte_is_what_was_written_last(laid_out: Mount) -> None:
    for number, place in enumerate(PLACES):
        run(laid_out, place, number, 150)
    assert "no faults" in laid_out.tagfs("verify", "--data")


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_every_byte_for_long(laid_out: Mount) -> None:
    steps, first = int(os.environ.get("TAGFS_FSX_STEPS", "20000")), int(os.environ.get("TAGFS_SEED", "1000"))
    for number, place in enumerate(PLACES):
        for seed in range(first, first + steps // 2000):
            run(laid_out, place, seed * 10 + number, 2000)
    assert "no faults" in laid_out.tagfs("verify", "--data")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_found(tmp_path: Path, fault: type[Faulty]) -> None:
    """On a plain directory, where nothing is found without it."""
    for seed, every in enumerate((1, 2, 3)):
        folder = tmp_path / str(seed)
        folder.mkdir()
        check(folder / "f", seed=seed, steps=400, direct=0)
        os.unlink(next(folder.iterdir()))
        with pytest.raises(Mismatch):
            check(folder / "f", seed=seed, steps=400, calls=fault(every), direct=0)
