"""What is done once a day and at the start, in the background: what is old goes, out of the history and, where the
config file says so, out of the trash. Trio thread.

In small transactions, so that nobody who writes meanwhile waits for more than one of them. State: none.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import trio

from engine.clock import Ages
from engine.errors import BadRequest, CatalogueFailed, EngineError
from engine.history import Cause
from engine.ports import Catalogue
from engine.trash import expired
from engine.types import ItemId
from tagfs.amounts import counted, seconds, size
from tagfs.config.settings import History, Trash

log = logging.getLogger(__name__)

PERIOD: Final = 86_400.0  # seconds
PAUSE: Final = 0.05  # seconds between two transactions: they take less than one tenth of the writer's time


TOGETHER: Final = 50  # items that end in one transaction


async def end(catalogue: Catalogue, items: Sequence[ItemId]) -> None:
    """End what is in the trash for good, a few at a time. What somebody took out of it meanwhile stays."""
    for start in range(0, len(items), TOGETHER):
        while True:
            rows = map(catalogue.item, items[start : start + TOGETHER])
            try:
                await catalogue.purge([row.id for row in rows if row is not None and row.trashed_ns is not None])
            except BadRequest:  # one was taken out between the look and the transaction, so it is left out next time
                continue
            break


class Upkeep:
    """`ages` says by which time something is old."""

    def __init__(self, catalogue: Catalogue, history: History, trash: Trash, *, ages: Ages | None = None) -> None:
        self._catalogue = catalogue.by(Cause.UPKEEP)
        self._history = history
        self._trash = trash
        self._ages = ages or Ages()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """For ever. What fails is tried again the next day; only a broken catalogue ends it."""
        task_status.started()
        while True:
            try:
                await self.once()
            except CatalogueFailed:
                raise
            except EngineError as error:  # a full disk: deleting needs space, too
                log.error("the daily upkeep stopped early: %s", error)
            await trio.sleep(PERIOD)

    async def once(self) -> None:
        last = await self._catalogue.log(limit=1)
        now = self._ages.now(last[0].at_ns / 10**9 if last else None)
        await self.empty_trash(now)
        await self.cut_history(now)

    async def empty_trash(self, now: float) -> None:
        max_age, max_size = seconds(self._trash.max_age), size(self._trash.max_size)
        if max_age is None and max_size is None:
            return
        heap = await self._catalogue.trash_heap()
        gone = expired(heap, now_ns=int(now * 10**9), max_age=max_age, max_size=max_size)
        await end(self._catalogue, gone)
        if gone:
            log.info(
                "%s ended in the trash, which frees %d bytes", counted(len(gone), "item"), heap.freed(frozenset(gone))
            )

    async def cut_history(self, now: float) -> None:
        keep = seconds(self._history.keep)
        before_ns = None if keep is None else int((now - keep) * 10**9)
        more = True
        while more:
            more = await self._catalogue.cut_history(before_ns, self._history.max_changes)
            await trio.sleep(PAUSE)
