"""Services that are begun anew when they fail, and what is said of them. Imports errors. Trio thread.

    fails ─▶ pause of 1 s, 2 s, 4 s ... 60 s ─▶ begins anew        more than MOST times in PERIOD ─▶ rests for REST

A service here is one that the rest goes on without: what it did not do, it does when it is back. What everything needs
is not kept alive this way: its failure ends the daemon, which begins again from the catalogue. So does a catalogue that
failed, whoever noticed it.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

import trio

from engine.errors import CatalogueFailed, first_of

MOST: Final = 5  # failures
PERIOD: Final = 300.0  # seconds in which they count
REST: Final = 3600.0
FIRST: Final = 1.0  # the first pause; each further one is twice as long
LONGEST: Final = 60.0

_log = logging.getLogger(__name__)


class Run(Protocol):
    """A service: `started` is called once it is ready; it ends when it has nothing more to do."""

    def __call__(self, task_status: trio.TaskStatus[None], /) -> Awaitable[None]: ...


class Restarts:
    """How often something failed lately, and so how long it should rest. `now` in seconds of one clock."""

    def __init__(self) -> None:
        self._failures: deque[float] = deque(maxlen=MOST + 1)

    def pause(self, now: float) -> float:
        """It failed: the seconds until it may begin anew."""
        self._failures.append(now)
        lately = self.lately(now)
        return REST if lately > MOST else min(FIRST * 2 ** (lately - 1), LONGEST)

    def lately(self, now: float) -> int:
        return sum(now - failure < PERIOD for failure in self._failures)


class Supervisor:
    """State: `degraded`, what does not work now, by the name of the service, with a sentence."""

    def __init__(self) -> None:
        self._degraded: dict[str, str] = {}

    @property
    def degraded(self) -> Mapping[str, str]:
        return MappingProxyType(self._degraded)

    async def keep(
        self, name: str, begin: Callable[[], Run], task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Run what `begin` makes until it ends of itself. Started when it is, or has failed for the first time.

        Raises nothing but CatalogueFailed, and what is no Exception."""
        restarts, started = Restarts(), _Once(task_status)
        while True:
            try:
                await self._attempt(name, begin(), started)
                return
            except* CatalogueFailed:
                raise
            except* Exception as group:
                pause = restarts.pause(trio.current_time())
                _log.exception("%s failed, and begins anew in %.0f s", name, pause)
                why = type(first_of(group)).__name__
                self._degraded[name] = f"{name} failed ({why}) and begins anew in {pause:.0f} s; the log says more."
            started()
            await trio.sleep(pause)

    async def _attempt(self, name: str, run: Run, started: _Once) -> None:
        async with trio.open_nursery() as nursery:

            async def whole(task_status: trio.TaskStatus[None]) -> None:
                await run(task_status)
                nursery.cancel_scope.cancel()

            await nursery.start(whole)
            started()
            await trio.sleep(PERIOD)
            self._degraded.pop(name, None)


class _Once:
    """Says that a service is there, the first time it is called."""

    def __init__(self, task_status: trio.TaskStatus[None]) -> None:
        self._waiting: trio.TaskStatus[None] | None = task_status

    def __call__(self) -> None:
        if self._waiting is not None:
            self._waiting.started()
            self._waiting = None
