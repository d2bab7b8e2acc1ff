"""Faults injected for real: full and failing disks, damage, kills. docs/faults.md says which test is for what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mount.conftest import mount, new_mount  # noqa: F401  # fixtures
from tests.support.odd_mount import OddMount, fusectl
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.starter import starter


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """64 MiB, of which the catalogue keeps two."""
    with small_disk(tmp_path / "disk", "64m") as made:
        yield made


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[OddMount]:
    """Not started."""
    folder = tmp_path / "odd"
    folder.mkdir()
    with starter() as begin, fusectl(tmp_path / "connections") as control:
        made = OddMount(folder, begin, control)
        yield made
        made.close()
