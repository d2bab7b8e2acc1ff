"""Which connection fetches what. Pure: a view of one download goes in, the connections to start and stop come out.

    file     ███████████▒▒▒▒▒▒────────────████▒▒▒▒▒────────██▒▒▒▒────────────
                        ▲main: from the    ▲beside it:       ▲another main one: took the second
                        first hole on      a window for a     half of what the first had before it
                                           reader there

The first main connection reads from the first hole on. As long as `wish` says that more of them are worth their cost,
each further one takes the largest stretch that is left: a hole that is nobody's, or the second half of what a running
one still has before it, which then ends there. A reader who waits far from every connection gets one beside them, as
long as there are spare ones, else one that nobody needs any more is moved, and where none may be opened at all a main
one. What a reader waits for goes before what a reader will want soon, and that before the rest. With a `wish` of 0
there is no rest: connections that serve nobody are stopped.
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

    def claims(self, position: int, me: Running) -> bool:
        """Whether the byte is its business rather than that of `me`: a main one leaves to the others what they were
        sent for, and what lies behind the start of a later main one."""
        if not self.start <= position or (self.end is not None and position >= self.end):
            return False
        return not self.main or (me.main and self.start > me.start)


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
    wish: int = 1  # main connections that are worth having; 0: only what readers want is fetched
    least: int = 1 << 20  # bytes that a further main connection must have to do


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
    if view.wish == 0 and view.seekable:
        return actions + [Stop(running.id) for running in view.running if running.id >= 0 and _is_idle(view, running)]
    actions += [Stop(running.id) for running in _surplus(view)]
    while (start := _another_main(view)) is not None:
        actions.append(start)
        view = _after(view, [start])
    return actions


def worth_going_on(me: Running, others: Iterable[Running], have: RangeMap, skip: int) -> bool:
    """Whether a connection that stands at `me.at` should read on. Not where a long stretch is here already, nor
    where another one has been sent. Asked after each piece."""
    if have.run_end(me.at) - me.at > skip:
        return False
    return not any(other.claims(me.at, me) for other in others)


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
    mains = [running for running in view.running if running.main]
    free = [running for running in mains if running.id >= 0 and not _is_needed(view, running)]
    if not view.spare and free and len(free) == len(mains):
        # The last one has the least behind it, and with it the least chance that the server keeps it going anyway.
        return [Stop(free[-1].id), Start(position, _end(view, position, view.have), main=True)]
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


def _is_idle(view: View, running: Running) -> bool:
    """Whether it brings nothing that anybody wants now or soon, nor what they would come back for in a moment."""
    for start, end in (*view.wanted, *view.soon):
        hole = next(iter(view.have.missing(start, end)), (end, end))[0]
        if running.brings(hole, view.window) or end <= running.at <= end + view.near:
            return False
    return True


def _surplus(view: View) -> list[Running]:
    """Main connections beyond the wish: the latest ones. What they leave is the others' again."""
    mains = [running for running in view.running if running.main]
    return [running for running in mains[max(view.wish, 1) :] if running.id >= 0]


def _another_main(view: View) -> Start | None:
    """The next main connection that is worth having, if there is one."""
    mains = [running for running in view.running if running.main]
    if mains and (not view.seekable or view.size is None or len(mains) >= view.wish):
        return None
    taken = _taken(view)
    if not mains:
        start = taken.prefix
        if view.size is not None and start >= view.size:
            return None
        return Start(start, _end(view, start, taken), main=True)
    assert view.size is not None
    start, left = max(_free(view, taken), key=lambda free: free[1], default=(0, 0))
    half, rest = max(_halves(view, mains), key=lambda half: half[1], default=(0, 0))
    if left and left >= rest:
        return Start(start, _end(view, start, taken), main=True)
    if rest < view.least:
        return None
    whole = view.have.copy()  # up to where somebody else goes on
    for running in view.running:
        if running.at > half:
            whole.add(running.at, running.at + 1 + view.skip)
    return Start(half, _end(view, half, whole), main=True)


def _free(view: View, taken: RangeMap) -> Iterable[tuple[int, int]]:
    """(start, length) of what is neither here nor anybody's."""
    assert view.size is not None
    return ((start, end - start) for start, end in taken.missing(0, view.size))


def _halves(view: View, mains: Iterable[Running]) -> Iterable[tuple[int, int]]:
    """(start, length) of what each main connection could leave to another: the second half of the hole that it stands
    in, and the holes behind that."""
    for running in mains:
        for index, (start, end) in enumerate(view.have.missing(running.at, _reach_of(view, running))):
            half = start if index else start + (end - start) // 2
            yield half, end - half


def _reach_of(view: View, running: Running) -> int:
    """Where its stretch ends, with those of the others begun."""
    others = [other for other in view.running if other.id != running.id]
    if any(other.claims(running.at, running) for other in others):
        return running.at  # it is over
    ends = [other.start for other in others if other.start > running.at and other.claims(other.start, running)]
    return min(end for end in (running.end, view.size, *ends) if end is not None)


def _end(view: View, start: int, taken: RangeMap) -> int | None:
    """Up to the next long stretch that is taken, over short ones; None for the end of the file."""
    position = start
    while (following := taken.next_start(position)) is not None:
        position = taken.run_end(following)
        if position - following > view.skip or (view.size is not None and position >= view.size):
            return following
    return None


def _window_end(view: View, start: int) -> int:
    """As far as a reader may want to read, but not into what another connection brings."""
    ends = [start + view.window, view.size, _end(view, start, view.have)]
    ends += [running.at for running in view.running if running.main and running.at > start]
    return min(end for end in ends if end is not None)


def _taken(view: View) -> RangeMap:
    """What is here, or on its way. Of an open end without a size, nothing is known."""
    taken = view.have.copy()
    for running in view.running:
        if running.end is not None or view.size is not None:
            taken.add(running.at, _reach_of(view, running))
    return taken
