"""An open that meets a handle which its program has closed: the release comes later."""

from __future__ import annotations

import os

import pytest
import trio
import trio.testing

from tagfs.mount import closing
from tests.support.kernel import CONTEXT, Kernel
from tests.support.world import World


async def test_who_opens_after_a_close_has_the_page_cache(world: World, kernel: Kernel) -> None:
    item = await world.item("f")
    node = await kernel.lookup(await kernel.walk("files"), "f")
    reader = (await kernel.ops.open(node, os.O_RDONLY, CONTEXT)).fh
    busy = await kernel.ops.open(node, os.O_RDWR, CONTEXT)
    assert busy.direct_io  # somebody reads the old content
    await kernel.ops.release(busy.fh)
    await kernel.ops.flush(reader)
    found: list[bool] = []

    async def write() -> None:
        opened = await kernel.ops.open(node, os.O_RDWR, CONTEXT)
        found.append(opened.direct_io)
        await kernel.ops.release(opened.fh)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        nursery.start_soon(write)
        await trio.testing.wait_all_tasks_blocked()
        await kernel.ops.release(reader)
    assert found == [False, False]
    assert world.drafts.get(item.id) is None


async def test_a_handle_that_stays_is_waited_for_once(
    world: World, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.item("f")
    node = await kernel.lookup(await kernel.walk("files"), "f")
    mapped = (await kernel.ops.open(node, os.O_RDONLY, CONTEXT)).fh
    await kernel.ops.flush(mapped)
    for patience in (0.0, float("inf")):
        monkeypatch.setattr(closing, "PATIENCE", patience)
        opened = await kernel.ops.open(node, os.O_RDWR, CONTEXT)
        assert opened.direct_io
        await kernel.ops.release(opened.fh)
    await kernel.ops.release(mapped)


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_WRONLY | os.O_TRUNC, os.O_WRONLY | os.O_APPEND])
async def test_who_reads_after_a_close_reads_what_was_closed(world: World, kernel: Kernel, flags: int) -> None:
    """Though the release comes after his open."""
    await world.item("f", content=b"old")
    node = await kernel.lookup(await kernel.walk("files"), "f")
    writer = (await kernel.ops.open(node, flags, CONTEXT)).fh
    await kernel.ops.write(writer, 0, b"newer")
    await kernel.ops.flush(writer)
    found: list[bytes] = []

    async def read() -> None:
        opened = await kernel.ops.open(node, os.O_RDONLY, CONTEXT)
        found.append(await kernel.ops.read(opened.fh, 0, 100))
        await kernel.ops.release(opened.fh)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        await kernel.ops.release(writer)
    assert found == [b"newer" if not flags & os.O_APPEND else b"oldnewer"]


async def test_what_is_still_written_by_a_copy_of_a_descriptor_shows_with_its_last_close(
    world: World, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.item("f", content=b"old")
    node = await kernel.lookup(await kernel.walk("files"), "f")
    writer = (await kernel.ops.open(node, os.O_WRONLY | os.O_TRUNC, CONTEXT)).fh
    await kernel.ops.write(writer, 0, b"newer")
    await kernel.ops.flush(writer)
    found = []
    for patience in (0.0, float("inf")):
        monkeypatch.setattr(closing, "PATIENCE", patience)
        opened = await kernel.ops.open(node, os.O_RDONLY, CONTEXT)
        found.append(await kernel.ops.read(opened.fh, 0, 100))
        await kernel.ops.release(opened.fh)
    assert found == [b"old", b"old"]
    await kernel.ops.release(writer)
