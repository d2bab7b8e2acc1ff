"""Opening what has not said yet how large it is."""

from __future__ import annotations

import pytest

from engine.ports import NewDownload, NewItem
from engine.types import State
from tagfs.vfs.content import ArrivingFile
from tests.support.world import World


class Reader:
    """Of a file whose size may be known as soon as somebody waits for it."""

    def __init__(self, size: int | None, later: int | None) -> None:
        self.size = size
        self.later = later

    async def wait_size(self, deadline: float) -> None:
        self.size = self.later


@pytest.mark.parametrize(("size", "later", "direct"), [(None, 1000, False), (1000, 1000, False), (None, None, True)])
async def test_the_kernel_keeps_no_pages_while_nobody_knows_the_size(
    world: World, size: int | None, later: int | None, direct: bool
) -> None:
    item = await world.catalogue.add(NewItem("f", state=State.DOWNLOADING, download=NewDownload("s")))
    file = ArrivingFile(world.context, item.id, Reader(size, later), wait=True, fetch=True)
    await file.prepare()
    assert (file.direct_io, file.size) == (direct, later)
