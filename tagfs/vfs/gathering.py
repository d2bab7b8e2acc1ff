"""Who comes shortly after others gathers with those who follow, so that a stream of them goes in groups. Trio thread.

    a ──▶ alone for a while: at once
    b ──▶ ┐
    c ──▶ ├─▶ until nobody has come for QUIET, the first has waited for LONGEST, or there are MOST ──▶ all
    d ──▶ ┘

What a file costs to be stored is mostly what a group costs: ways to threads, syncs, commits, turns of the loop. Worse,
whoever copies many files waits for a commit for each, which has to wait for those syncs.
State: the group that gathers, and when the last one went.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Final

import trio

QUIET: Final = 0.03  # seconds
LONGEST: Final = 0.25  # seconds
MOST: Final = 64


@dataclass(slots=True, eq=False)
class _Group:
    latest: float  # when it goes, whoever comes
    patience: trio.CancelScope = field(default_factory=trio.CancelScope)
    members: int = 0
    goes: trio.Event = field(default_factory=trio.Event)


class Gathering:
    def __init__(self) -> None:
        self._group: _Group | None = None
        self._went = -inf

    async def wait(self) -> None:
        """Until the group of the caller goes."""
        now = trio.current_time()
        group = self._group
        if group is not None:
            self._join(group, now)
            await group.goes.wait()
        elif now - self._went >= LONGEST:
            self._went = now
        else:
            group = self._group = _Group(latest=now + LONGEST)
            self._join(group, now)
            await self._lead(group)

    @staticmethod
    def _join(group: _Group, now: float) -> None:
        group.members += 1
        group.patience.deadline = min(now + QUIET, group.latest) if group.members < MOST else -inf

    async def _lead(self, group: _Group) -> None:
        """By its first one. Should he be cancelled, the others go."""
        try:
            with group.patience:
                await trio.sleep_forever()
        finally:
            self._went = trio.current_time()
            self._group = None
            group.goes.set()
