"""Handles that programs have closed and the kernel has not let go of yet. Trio thread.

close(2) returns when `flush` is answered; `release` follows, and where the kernel has much to send it may come after
the next open, which is sent at once. That one would be given the content from before what was closed, or go without the
page cache for a moment's sake, and could not be mapped shared (ENODEV). So it waits, where nobody else is in the way.

A handle may also stay after a close: its descriptor was duplicated, or what it has is mapped. It is waited for once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import trio

from tagfs.vfs.content import DraftFile, OpenFile
from tagfs.vfs.draft import Draft

PATIENCE: Final = 0.1  # seconds; releases follow within milliseconds


async def written_by(files: Iterable[OpenFile], draft: Draft) -> None:
    """Until those are released that write to the draft, if all of them were closed: it is what a reader gets then."""
    await _released(
        [opened for opened in files if isinstance(opened, DraftFile) and opened.draft is draft and opened.writing]
    )


async def let_go(files: Iterable[OpenFile], node: int) -> None:
    """Until those are released that use the pages of `node` and were closed, if these are all."""
    await _released([opened for opened in files if opened.node == node and not opened.direct_io])


async def _released(users: Sequence[OpenFile]) -> None:
    if not all(opened.closing for opened in users):
        return
    with trio.move_on_after(PATIENCE) as patience:
        for opened in users:
            if opened.released is None:
                opened.released = trio.Event()
            await opened.released.wait()
    if patience.cancelled_caught:
        for opened in users:
            opened.closing = False
