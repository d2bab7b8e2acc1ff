"""Calls that come while others are under way share the next: one trip to a thread, one sync of a folder for many files.

    a ──▶ under way ────────────▶ done
    b ──▶ waits ─┐
    c ──▶ waits ─┴─ b takes both ──▶ under way ────▶ done

Groups form by themselves, and who is alone waits for nobody. On the trio thread. Imports disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import trio

from engine.disk import Disk

T = TypeVar("T")
R = TypeVar("R")

LANES: Final = 2  # groups under way at once
MOST: Final = 64  # calls in a group: bounds what the first one waits for the others


@dataclass(slots=True, eq=False)
class _Call(Generic[T, R]):
    """`turn` comes when it is done, or when it is to see to `group`, in which it is."""

    one: T
    group: list[_Call[T, R]] = field(default_factory=list)
    turn: trio.Event = field(default_factory=trio.Event)
    results: list[R | Exception] = field(default_factory=list)  # one, when done


class Together(Generic[T, R]):
    """`function` runs in a disk thread and returns for each what came of it, or what went wrong with it.

    Who is cancelled waits for the end, so that nothing works on behind anybody's back: groups are short."""

    def __init__(self, disk: Disk, function: Callable[[Sequence[T]], Sequence[R | Exception]]) -> None:
        self._disk = disk
        self._function = function
        self._waiting: list[_Call[T, R]] = []
        self._under_way = 0  # while it is below LANES nobody waits

    async def __call__(self, one: T) -> R:
        call = _Call[T, R](one)
        self._waiting.append(call)
        with trio.CancelScope(shield=True):
            if self._under_way < LANES:
                self._under_way += 1
                call.group = self._next()
            else:
                await call.turn.wait()
            if call.group:
                await self._see_to(call.group)
        return outcome(call.results)

    def _next(self) -> list[_Call[T, R]]:
        group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        return group

    async def _see_to(self, group: list[_Call[T, R]]) -> None:
        """And give the lane on to the first of those who wait, with its group: another lane may be given on at the same
        moment."""
        try:
            results = await self._disk.run(self._function, [call.one for call in group])
        except Exception as error:
            results = [error for _ in group]
        for call, result in zip(group, results, strict=True):
            call.results.append(result)
            call.turn.set()
        if self._waiting:
            first, *others = self._next()
            first.group = [first, *others]
            first.turn.set()
        else:
            self._under_way -= 1


def outcome(results: Sequence[R | Exception]) -> R:
    """Of a group of one."""
    [result] = results
    if isinstance(result, Exception):
        raise result
    return result
