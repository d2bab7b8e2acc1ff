from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pyfuse3
import pytest

from tests.support.kernel import Kernel, readdir_reply
from tests.support.world import World, open_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


@pytest.fixture
def kernel(world: World, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """A model of the kernel over `world`, without FUSE."""
    monkeypatch.setattr(pyfuse3, "readdir_reply", readdir_reply)
    return Kernel(world)
