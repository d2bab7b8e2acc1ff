"""Handles that programs have closed and the kernel has not let go of yet. Trio thread.

close(2) returns when `flush` is answered; `release` follows, and where the kernel has much to send it may come after
the next open of the same program. That would go without the page cache for a moment's sake, and could not be mapped
shared (ENODEV). So it waits, where nobody else is in the way.

A handle may also stay after a close: its descriptor was duplicated, or what it has is mapped. It is waited for once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import trio

from tagfs.vfs.content import OpenFile

PATIENCE: Final = 0.1  # seconds; releases follow within milliseconds


async def let_go(files: Iterable[OpenFile], node: int) -> None:
    """Until those are released that use the pages of `node` and were closed, if these are all."""
    users = [opened for opened in files if opened.node == node and not opened.direct_io]
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
