"""Random reads of arriving files while servers cut, users pause and daemons restart: no byte is ever wrong."""

import os
import random

import pytest
import trio

from engine.errors import NotReady, SourceFailed
from engine.types import State
from tests.support.faultserver import Resource, fault_server
from tests.support.transfers import rig

SIZE = 3_000_000
SMALL = {"window": 200_000, "skip": 50_000, "checkpoint_bytes": 200_000, "checkpoint_seconds": 0.02}


class Unreliable(Resource):
    """Cuts every other body somewhere, and is slow enough for the rest of the test to happen."""

    def __init__(self, chance, content, **fields):
        super().__init__(content, piece=20_000, **fields)
        self._chance = chance

    async def __call__(self, request, stream):
        self.cut_at = [self._chance.randrange(10_000, SIZE)] if self._chance.random() < 0.5 else []
        await super().__call__(request, stream)

    async def _send_body(self, stream, start, end, cut, *, holding):
        await trio.sleep(self._chance.random() * 0.01)
        await super()._send_body(stream, start, end, cut, holding=holding)


async def read_about(here, item, content, chance, reads):
    reader = here.manager.reader(item.id)
    for _ in range(reads):
        if reader is None:
            return
        offset, length = chance.randrange(SIZE + 1000), chance.randrange(1, 150_000)
        is_stream = reader.size is None
        try:
            data = await reader.pread(offset, length, trio.current_time() + 30)
        except (NotReady, SourceFailed):
            await trio.sleep(0.002)
            reader = here.manager.reader(item.id)
        else:
            wanted = content[offset : offset + length]
            assert data == wanted or (is_stream and data and wanted.startswith(data))


async def pause_about(here, items, chance):
    while True:
        await trio.sleep(chance.random() * 0.05)
        item = chance.choice(items)
        await here.manager.pause(item.id)
        await trio.sleep(chance.random() * 0.01)
        await here.manager.resume(item.id)


@pytest.mark.parametrize("seed", range(6))
async def test_no_byte_is_ever_wrong(tmp_path, seed):
    chance = random.Random(seed)
    contents = [os.urandom(SIZE) for _ in range(3)]
    kinds = [{}, {"etag": None, "last_modified": "Sun, 06 Nov 1994 08:49:37 GMT"}, {"chunked": seed % 2 == 0}]
    async with fault_server() as server:
        urls = [
            server.add(f"/{n}", Unreliable(chance, content, **kind))
            for n, (content, kind) in enumerate(zip(contents, kinds, strict=True))
        ]
        items = []
        for _ in range(4):  # the daemon is stopped in the middle three times
            async with rig(tmp_path, retries=10_000, **SMALL) as here:
                items = items or [await here.add(url) for url in urls]
                with trio.move_on_after(0.15 + chance.random() * 0.3):
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(pause_about, here, items, chance)
                        for item, content in zip(items, contents, strict=True):
                            for _ in range(3):
                                nursery.start_soon(read_about, here, item, content, chance, 30)
        async with rig(tmp_path, retries=10_000, **SMALL) as here:
            for item, content in zip(items, contents, strict=True):
                await here.manager.resume(item.id)
                assert here.content(await here.until(item, State.COMPLETE)) == content
            assert here.staged == []
