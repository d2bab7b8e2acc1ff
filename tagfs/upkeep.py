"""What is done once a day and at the start, in the background: the old end of the history goes. Trio thread.

In small transactions, so that nobody who writes meanwhile waits for more than one of them. State: none.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

import trio

from engine.errors import CatalogueFailed, EngineError
from engine.history import Cause
from engine.ports import Catalogue
from tagfs.amounts import seconds
from tagfs.config.settings import History

log = logging.getLogger(__name__)

PERIOD: Final = 86_400.0  # seconds
PAUSE: Final = 0.05  # seconds between two transactions: they take less than one tenth of the writer's time


class Upkeep:
    """`clock` gives seconds since the epoch."""

    def __init__(self, catalogue: Catalogue, history: History, *, clock: Callable[[], float] = time.time) -> None:
        self._catalogue = catalogue.by(Cause.UPKEEP)
        self._history = history
        self._clock = clock

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
        await self.cut_history()

    async def cut_history(self) -> None:
        keep = seconds(self._history.keep)
        before_ns = None if keep is None else int((self._clock() - keep) * 10**9)
        more = True
        while more:
            more = await self._catalogue.cut_history(before_ns, self._history.max_changes)
            await trio.sleep(PAUSE)
