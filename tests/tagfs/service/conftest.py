from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tagfs.control.views import WorkView
from tagfs.service.verbs import Service
from tests.support.world import World, open_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    state = tmp_path / "state"
    state.mkdir()
    async with open_world(state) as opened:
        yield opened


@pytest.fixture
def service(world: World) -> Service:
    return Service(world.context, world.store)


class Reports(list[WorkView]):
    """A `Report` that keeps all it hears."""

    def __call__(self, view: WorkView) -> None:
        self.append(view)


@pytest.fixture
def report() -> Reports:
    return Reports()
