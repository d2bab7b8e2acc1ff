"""Opening what has not said yet how large it is."""

from __future__ import annotations

import pytest

from engine.ports import NewDownload, NewItem
from engine.types import State
from tagfs.vfs.content import ArrivingFile
from tests.support.world import World


class Reader:
    """Of a file whose size is known as soon as somebody waits for it."""

    def __init__(self, size: int | None) -> None:
        self.size = size

    async def wait_size(self, deadline: float) -> None:
        self.size = 1000


@pytest.mark.parametrize(("size", "sized", "direct"), [(None, False, True), (1000, False, True), (1000, True, False)])
async def test_the_kernel_keeps_no_pages_for_who_had_to_wait_for_the_size(
    world: World, size: int | None, sized: bool, direct: bool
) -> None:
    """It may have an answer from before, by which the file ends where it begins; also where others have waited."""
    item = await world.catalogue.add(NewItem("f", state=State.DOWNLOADING, download=NewDownload("s")))
    reader = Reader(size)
    file = ArrivingFile(world.context, item.id, reader, wait=True, fetch=True, sized=sized)
    await file.prepare()
    assert (file.direct_io, reader.size) == (direct, 1000)
