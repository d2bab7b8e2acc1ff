"""Who may download next: limits over all and for each host, fair between hosts, first come first served within one.

    later ──(its time comes)──▶ waiting, by host ──(a place is free)──▶ active ──▶ gone, or pushed again

Plain data without I/O; the caller brings the clock (seconds, any that only goes forward). Memory is a few words for
each entry; `take` looks at each host that has something to do at most once.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Host(Generic[T]):
    waiting: dict[T, None] = field(default_factory=dict)  # in order
    active: int = 0
    closed_until: float = 0.0  # the server asked for a pause
    in_ring: bool = False


class Queue(Generic[T]):
    """Entries are hashable and unique. `extra` more than each limit may run for entries that were promoted."""

    def __init__(self, max_active: int, max_per_host: int, extra: int = 1) -> None:
        self._max_active = max_active
        self._max_per_host = max_per_host
        self._extra = extra
        self._hosts: dict[str, _Host[T]] = {}
        self._ring: deque[str] = deque()  # hosts with something waiting; the next to be served first
        self._host_of: dict[T, str] = {}  # of waiting and later ones
        self._promoted: dict[T, None] = {}  # waiting ones that a reader waits for
        self._due: dict[T, float] = {}  # of later ones
        self._later: list[tuple[float, int, T]] = []  # heap; entries that `_due` does not confirm are stale
        self._count = 0
        self.active: dict[T, str] = {}

    def push(self, entry: T, host: str, *, due: float = 0.0, now: float = 0.0) -> None:
        """Queue it behind the others of its host, from `due` on. It must not be queued or active."""
        self._host_of[entry] = host
        if due > now:
            self._due[entry] = due
            self._count += 1
            heapq.heappush(self._later, (due, self._count, entry))
        else:
            self._wait(entry)

    def promote(self, entry: T) -> None:
        """A reader waits for it: it goes before the others, and may exceed the limits by `extra`. A later one stays
        later. Nothing happens to one that is active or unknown."""
        if entry in self._host_of:
            self._promoted[entry] = None

    def hurry(self, entry: T, due: float, now: float) -> None:
        """Let a later one be due at `due` if that is sooner."""
        if self._due.get(entry, 0.0) > due:
            host = self._host_of[entry]
            del self._due[entry]
            self.push(entry, host, due=due, now=now)

    def remove(self, entry: T) -> bool:
        """Take it out of the queue; False when it is not in it (active ones are not)."""
        host = self._host_of.pop(entry, None)
        if host is None:
            return False
        self._promoted.pop(entry, None)
        if self._due.pop(entry, None) is None:
            self._hosts[host].waiting.pop(entry, None)
            self._tidy(host)
        return True

    def take(self, now: float) -> T | None:
        """The entry that may run now; it counts as active until `release`. None when nothing may."""
        self._ripen(now)
        if len(self.active) >= self._max_active + self._extra:
            return None
        for entry in self._promoted:
            host = self._hosts.get(self._host_of[entry])
            if entry not in self._due and host is not None and self._may_run(host, now, self._extra):
                return self._start(entry)
        for _ in range(len(self._ring)):
            name = self._ring.popleft()
            host = self._hosts[name]
            host.in_ring = bool(host.waiting)
            if not host.in_ring:
                self._tidy(name)
                continue
            self._ring.append(name)
            if self._may_run(host, now, 0):
                return self._start(next(iter(host.waiting)))
        return None

    def release(self, entry: T) -> None:
        """It runs no more."""
        name = self.active.pop(entry)
        self._hosts[name].active -= 1
        self._tidy(name)

    def close_host(self, host: str, until: float) -> None:
        """The server asked to be left alone until then."""
        found = self._hosts.setdefault(host, _Host())
        found.closed_until = max(found.closed_until, until)

    def next_due(self, now: float) -> float | None:
        """When `take` may give something that it does not give now, if nothing else happens before."""
        self._forget_stale()
        times = [self._later[0][0]] if self._later else []
        for name, host in list(self._hosts.items()):
            if host.closed_until > now and host.waiting:
                times.append(host.closed_until)
            elif host.closed_until <= now:
                host.closed_until = 0.0
                self._tidy(name)
        return min(times, default=None)

    def active_at(self, host: str) -> int:
        found = self._hosts.get(host)
        return 0 if found is None else found.active

    def __contains__(self, entry: T) -> bool:
        return entry in self._host_of

    def _may_run(self, host: _Host[T], now: float, extra: int) -> bool:
        return (
            now >= host.closed_until
            and host.active < self._max_per_host + extra
            and len(self.active) < self._max_active + extra
        )

    def _start(self, entry: T) -> T:
        name = self._host_of.pop(entry)
        self._promoted.pop(entry, None)
        host = self._hosts[name]
        del host.waiting[entry]
        host.active += 1
        self.active[entry] = name
        return entry

    def _wait(self, entry: T) -> None:
        name = self._host_of[entry]
        host = self._hosts.setdefault(name, _Host())
        host.waiting[entry] = None
        if not host.in_ring:
            host.in_ring = True
            self._ring.append(name)

    def _ripen(self, now: float) -> None:
        self._forget_stale()
        while self._later and self._later[0][0] <= now:
            _, _, entry = heapq.heappop(self._later)
            del self._due[entry]
            self._wait(entry)
            self._forget_stale()

    def _forget_stale(self) -> None:
        while self._later and self._due.get(self._later[0][2]) != self._later[0][0]:
            heapq.heappop(self._later)

    def _tidy(self, name: str) -> None:
        """Forget a host that nothing is known of; those in the ring go when their turn comes."""
        host = self._hosts.get(name)
        if host is not None and not host.waiting and not host.active and not host.in_ring and not host.closed_until:
            del self._hosts[name]
