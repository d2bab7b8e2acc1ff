"""Opens that come a moment too late: sent back to look the name up anew, and what those hear who come again."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

import pyfuse3
import pytest

from engine.types import State
from tagfs.mount.sentback import MOST, SentBack
from tests.support.kernel import Kernel
from tests.support.world import World

ME, YOU = 4711, 4712


@dataclass
class Caller:
    pid: int


async def opened(kernel: Kernel, node: int, thread: int = ME, flags: int = os.O_WRONLY) -> int:
    """The errno, 0 for none."""
    try:
        await kernel.ops.release((await kernel.ops.open(node, flags, Caller(thread))).fh)
    except pyfuse3.FUSEError as error:
        return error.errno
    return 0


async def test_what_went_to_the_trash_is_looked_up_anew_and_then_refused(world: World, kernel: Kernel) -> None:
    item, other = await world.item("f", "a"), await world.item("g", "a")
    for node in (item, other):
        await kernel.lookup(await kernel.walk("files"), node.name)
    assert await opened(kernel, item.id) == 0
    await world.catalogue.trash(item.id)
    assert [await opened(kernel, item.id, thread) for thread in (ME, YOU)] == [errno.ESTALE, errno.ESTALE]
    assert [await opened(kernel, item.id, thread) for thread in (ME, YOU)] == [errno.EPERM, errno.EPERM]
    assert await opened(kernel, item.id) == errno.ESTALE  # of another open
    assert await opened(kernel, other.id) == 0  # that was made anew, say
    assert await opened(kernel, item.id) == errno.ESTALE
    assert await opened(kernel, item.id, flags=os.O_RDONLY) == 0


async def test_what_is_gone_is_looked_up_anew(world: World, kernel: Kernel) -> None:
    item = await world.item("f", "a")
    node = await kernel.lookup(await kernel.walk("files"), "f")
    await world.catalogue.trash(item.id)
    await world.catalogue.purge([item.id])
    assert await opened(kernel, node, flags=os.O_RDONLY) == errno.ESTALE
    with pytest.raises(pyfuse3.FUSEError, match=os.strerror(errno.ESTALE)):
        await kernel.ops.getattr(node, Caller(ME))


async def test_who_was_sent_back_is_not_sent_back_for_another_node_of_the_item(world: World, kernel: Kernel) -> None:
    """He looks up once only."""
    item, target, gone = [await world.item(name) for name in ("tmp", "f", "gone")]
    for each in (item, target, gone):
        await kernel.lookup(await kernel.walk("files"), each.name)
    await world.drafts.replace(target.id, item.id)
    await world.catalogue.trash(gone.id)
    assert await opened(kernel, item.id) == errno.ESTALE
    assert await opened(kernel, item.id, YOU) == 0  # who cannot look up, as /proc/self/fd/3
    assert await opened(kernel, gone.id) == errno.ESTALE
    assert await opened(kernel, item.id) == 0


async def test_a_row_of_before_is_read_anew(world: World, kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what was stored and is written to again, the row that was kept may say that it is still written."""
    item = await world.item("f")
    node = await kernel.lookup(await kernel.walk("files"), "f")
    draft = await world.drafts.write_to(item)
    monkeypatch.setattr(kernel.ops._opening, "row", lambda _: item._replace(state=State.WRITING, sha256=None))
    assert await opened(kernel, node, flags=os.O_RDONLY) == 0
    world.drafts.leave(draft, writing=True)


async def test_a_name_that_came_by_itself_is_opened_and_not_made(world: World, kernel: Kernel) -> None:
    """By an undo, which the kernel knows nothing of."""
    await world.folder("D", {"f": b""})
    folder = await kernel.walk("files/D")
    for flags, number in ((os.O_CREAT, errno.ESTALE), (os.O_CREAT | os.O_EXCL, errno.EEXIST)):
        with pytest.raises(pyfuse3.FUSEError) as refused:
            await kernel.ops.create(folder, b"f", 0o644, os.O_WRONLY | flags, Caller(ME))
        assert refused.value.errno == number


def test_as_many_as_can_be_are_remembered() -> None:
    sent = SentBack()
    for thread in range(MOST + 10):
        sent.add(thread, 7)
    assert [thread for thread in range(MOST + 10) if sent.take(thread) == 7] == list(range(10, MOST + 10))
