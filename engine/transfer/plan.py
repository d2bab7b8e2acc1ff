"""Which connection fetches what. Pure: a view of one download goes in, the connections to start and stop come out.

    file     ██████████████▒▒▒▒▒▒──────────────────────████▒▒▒▒▒───────────────
                           ▲main: goes on to the end        ▲beside it: a window for a reader who waits there

One main connection reads from the first hole on. A reader who waits far from every connection gets one beside it, as
long as there are spare ones, else one that nobody needs any more is moved, and where none may be opened at all the
main one. What a reader waits for goes before what a reader will want soon, and that before the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from engine.transfer.ranges import RangeMap

Stretch: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Running:
    """A connection: asked for `[start, end)` (None: to the end of the file), and `at` is the next byte it brings."""

    id: int
    start: int
    at: int
    end: int | None
    main: bool

    def brings(self, position: int, within: int) -> bool:
        """Whether it reaches `position` before `within` other bytes."""
        return self.at <= position <= self.at + within and (self.end is None or position < self.end)

    def claims(self, position: int) -> bool:
        """Whether the byte is its business rather than another's. The main one takes what is left."""
        return not self.main and self.start <= position and (self.end is None or position < self.end)


@dataclass(frozen=True, slots=True)
class View:
    have: RangeMap
    size: int | None
    running: tuple[Running, ...]
    wanted: tuple[Stretch, ...]  # what readers wait for, the oldest first
    soon: tuple[Stretch, ...]  # what they will want if they read on
    seekable: bool  # this server gives ranges of this version
    spare: int  # connections allowed beside the main one
    near: int  # bytes that a reader had better wait for than have a connection opened
    window: int
    skip: int


@dataclass(frozen=True, slots=True)
class Start:
    at: int
    end: int | None
    main: bool


@dataclass(frozen=True, slots=True)
class Stop:
    id: int


Action: TypeAlias = Start | Stop


def plan(view: View) -> list[Action]:
    """What to do now. Empty when all is on its way; nothing is running and nothing starts only when all is here."""
    actions: list[Action] = []
    if view.seekable:
        for position in _unserved(view, view.wanted, view.near):
            if any(running.brings(position, view.near) for running in view.running):
                continue
            step = _reach(view, position, urgent=True)
            actions += step
            view = _after(view, step)
        for position in _unserved(view, _due(view), view.window):
            step = _reach(view, position, urgent=False)
            actions += step
            view = _after(view, step)
    if not any(running.main for running in view.running):
        hole = _first_hole(view)
        if hole is not None:
            actions.append(Start(*hole, main=True))
    return actions


def worth_going_on(me: Running, others: Iterable[Running], have: RangeMap, skip: int) -> bool:
    """Whether a connection that stands at `me.at` should read on. Not where a long stretch is here already, nor
    where another one has been sent. Asked after each piece."""
    if have.run_end(me.at) - me.at > skip:
        return False
    return not any(other.claims(me.at) for other in others)


def _unserved(view: View, stretches: Iterable[Stretch], near: int) -> list[int]:
    """The first missing byte of each stretch, where no connection brings it before `near` others."""
    positions = []
    for start, end in stretches:
        for hole, _ in view.have.missing(start, end if view.size is None else min(end, view.size)):
            if not any(running.brings(hole, near) for running in view.running) and hole not in positions:
                positions.append(hole)
            break
    return positions


def _due(view: View) -> list[Stretch]:
    """Of what will be wanted soon, that whose first half has holes: asking earlier would make for small requests."""
    return [(start, start + (end - start) // 2) for start, end in view.soon]


def _reach(view: View, position: int, *, urgent: bool) -> list[Action]:
    """Get a connection to `position`, if there is a way. Those that this very plan starts (negative) stay."""
    beside = [running for running in view.running if not running.main]
    start = Start(position, _window_end(view, position), main=False)
    if len(beside) < view.spare:
        return [start]
    if not urgent:
        return []
    for running in beside:
        if running.id >= 0 and not _is_needed(view, running):
            return [Stop(running.id), start]
    if not view.spare and not any(running.id < 0 or _is_needed(view, running) for running in view.running):
        stops: list[Action] = [Stop(running.id) for running in view.running]
        return [*stops, Start(position, _end(view, position, view.have), main=True)]
    return []  # their turn comes when a connection has done its window


def _is_needed(view: View, running: Running) -> bool:
    return any(running.brings(hole, view.window) for hole in _holes(view, view.wanted))


def _holes(view: View, stretches: Iterable[Stretch]) -> Iterable[int]:
    return (next(iter(view.have.missing(start, end)), (end, end))[0] for start, end in stretches)


def _after(view: View, actions: Iterable[Action]) -> View:
    """The view once `actions` are carried out. New connections get negative numbers."""
    running = list(view.running)
    for action in actions:
        match action:
            case Stop(id):
                running = [one for one in running if one.id != id]
            case Start(at, end, main):
                running.append(Running(-1 - len(running), at, at, end, main))
    return replace(view, running=tuple(running))


def _first_hole(view: View) -> tuple[int, int | None] | None:
    """Where a main connection begins and ends: the first bytes that are neither here nor on their way."""
    taken = _taken(view)
    start = taken.prefix
    if view.size is not None and start >= view.size:
        return None
    return start, _end(view, start, taken)


def _end(view: View, start: int, taken: RangeMap) -> int | None:
    """Up to the next long stretch that is taken, over short ones; None for the end of the file."""
    position = start
    while (following := taken.next_start(position)) is not None:
        position = taken.run_end(following)
        if position - following > view.skip or (view.size is not None and position >= view.size):
            return following
    return None


def _window_end(view: View, start: int) -> int:
    end = start + view.window
    if view.size is not None:
        end = min(end, view.size)
    stretch = _end(view, start, view.have)
    return end if stretch is None else min(end, stretch)


def _taken(view: View) -> RangeMap:
    """What is here or on its way beside the main connection."""
    taken = view.have.copy()
    for running in view.running:
        if not running.main and running.end is not None:
            taken.add(running.at, running.end)
    return taken
