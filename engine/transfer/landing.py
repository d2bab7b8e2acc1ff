"""Where small downloads come to rest: many at a time share the syncs of the disk and a commit. On the trio thread.

    quick ──▶ waiting ──(a group)──▶ blobs.put_many ──▶ catalogue.complete_many ──▶ whoever waits goes on

A thousand files of 100 KiB that each take their own three trips to a thread and their own transaction spend more time
on handing over than on being downloaded. Groups form by themselves: what comes while one is under way is the next.
Two are under way at once, one at the disk while the other is committed.

State: the entries that wait to be taken. Imports disk, errors and ports.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import Final

import trio

from engine.disk import kill_point
from engine.errors import EngineError
from engine.ports import Arrived, Blobs, Catalogue, Content
from engine.transfer.bell import Bell

GROUP: Final = 64  # entries: bounds what the first one waits for the others
LANES: Final = 2
ROOM: Final = 16 << 20  # bytes that may wait here before those who bring more keep their place in the queue

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Entry:
    arrived: Arrived
    data: bytes | bytearray
    done: trio.Event = field(default_factory=trio.Event)
    error: EngineError | OSError | None = None


class Landing:
    """`run` is its service."""

    def __init__(self, catalogue: Catalogue, blobs: Blobs) -> None:
        self._catalogue = catalogue
        self._blobs = blobs
        self._waiting: list[_Entry] = []
        self._bytes = 0  # of those that wait or are under way
        self._bell = Bell()

    @property
    def has_room(self) -> bool:
        return self._bytes < ROOM

    async def run(self) -> None:
        """Until cancelled; a group under way is finished."""
        async with trio.open_nursery() as nursery:
            for _ in range(LANES):
                nursery.start_soon(self._lane)

    async def land(self, arrived: Arrived, data: bytes | bytearray) -> None:
        """Until the content is in the store and the item complete, or has gone. StoreFull, OSError, EngineError.

        Who is cancelled while it waits to be taken leaves; later it stays to the end, for a blob that is placed while
        its row is not written would be fetched a second time.
        """
        entry = _Entry(arrived, data)
        self._waiting.append(entry)
        self._bytes += len(data)
        self._bell.ring()
        try:
            await entry.done.wait()
        except trio.Cancelled:
            if entry in self._waiting:
                self._waiting.remove(entry)
            else:
                with trio.CancelScope(shield=True):
                    await entry.done.wait()
            raise
        finally:
            self._bytes -= len(data)
        if entry.error is not None:
            raise entry.error

    async def _lane(self) -> None:
        while True:
            while not self._waiting:
                await self._bell.next.wait()
            group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
            with trio.CancelScope(shield=True):
                try:
                    await self._land(group)
                finally:
                    for entry in group:
                        entry.done.set()

    async def _land(self, group: list[_Entry]) -> None:
        for entry in group:
            self._blobs.hold(entry.arrived.sha256)
        try:
            contents = [Content(entry.arrived.sha256, entry.data) for entry in group]
            for entry, error in zip(group, await self._blobs.put_many(contents), strict=True):
                entry.error = error
            placed = [entry for entry in group if entry.error is None]
            for entry, mime in zip(placed, await self._looks(placed), strict=True):
                entry.arrived = replace(entry.arrived, mime=mime)
            await self._complete(placed)
            kill_point("landing.committed")
        finally:
            for entry in group:
                self._blobs.release(entry.arrived.sha256)

    async def _looks(self, group: list[_Entry]) -> list[str | None]:
        """What each is. Where the disk fails nobody knows yet, which is no reason to fetch it again."""
        try:
            return await self._blobs.looks([entry.arrived.sha256 for entry in group])
        except OSError as error:
            _log.warning("%d downloads could not be looked at: %s", len(group), error)
            return [None] * len(group)

    async def _complete(self, group: list[_Entry]) -> None:
        """In one transaction; where that is refused in one each, so that one refusal costs no other."""
        if not group:
            return
        try:
            await self._catalogue.complete_many([entry.arrived for entry in group])
        except EngineError as error:
            if len(group) == 1:
                group[0].error = error
                return
            _log.info("%d downloads could not be completed together: %s", len(group), error)
            for entry in group:
                await self._complete([entry])
