"""The short way for small files of which nothing is here: one request, memory, the store. On the trio thread.

    ask ─▶ a small whole file, that comes at once ─▶ digests ─▶ landing ─▶ Done
     └─ anything else ─▶ the answer, for an ordinary attempt to go on with

An ordinary attempt makes a staging file, tasks, and three durable writes, which is right for what lasts and five times
the cost of the request for what does not. Nothing is lost by the short way: bytes that did not make it to the store
would be fetched again after a kill, but they are `SMALL` at most and came within `PATIENCE`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

import trio

from engine.errors import StoreFull
from engine.ports import Arrived
from engine.sources.answer import Answer
from engine.sources.stream import Fault, Framing, Head, StreamSource
from engine.sources.urls import host_of
from engine.transfer.hosts import Hosts
from engine.transfer.judge import Asked, Take, judge
from engine.transfer.landing import Landing
from engine.transfer.mirrors import Mirror
from engine.transfer.outcome import Again, Done, NoSpace, Outcome
from engine.transfer.proving import request
from engine.transfer.reader import Arrival
from engine.transfer.record import Record
from engine.transfer.staged import SPACE_STEP

SMALL: Final = 1 << 20  # bytes
PATIENCE: Final = 0.5  # seconds that the body may take: what takes longer should show its progress


class Quick:
    """`free` is how many bytes the store may still take; `private`: strangers may lead to private addresses."""

    def __init__(
        self, source: StreamSource, landing: Landing, hosts: Hosts, free: Callable[[], int], *, private: bool
    ) -> None:
        self._source = source
        self._landing = landing
        self._hosts = hosts
        self._space = 0  # bytes that may come before looking again
        self._free = free
        self._private = private

    async def fetch(self, record: Record, arrival: Arrival, url: str, arrived: Callable[[], None]) -> Outcome | Answer:
        """An Answer is the caller's to use and to close. `arrived` is called when all bytes are here."""
        options = record.options
        place = Mirror(url, public_only=options.public_only and not self._private)
        ask = request(place, options, None, None, None)
        answer = Answer(self._source, ask)
        self._hosts.opened(host_of(url))
        try:
            await answer.begin()
            is_here = await self._read(answer, record, arrival, url)
        except BaseException:
            await answer.close()
            raise
        finally:
            self._hosts.closed(host_of(url))
        if not is_here:
            return answer
        await answer.close()
        assert answer.head is not None
        return await self._land(record, answer.head, answer.read, arrived)

    async def _read(self, answer: Answer, record: Record, arrival: Arrival, url: str) -> bool:
        """Whether it is small, and all of it in `answer.read`."""
        head = answer.head
        if head is None:
            return False
        take = judge(Asked(None, None, None, 0, url, record.options.any_type, record.options.size), head)
        if not isinstance(take, Take) or take.size is None or head.framing is not Framing.LENGTH:
            return False
        if take.size > SMALL or record.known_content(head.digests, take.size) is not None:
            return False
        if not self._has_space(take.size):
            return False
        if not answer.is_cancellable:
            return False
        with trio.move_on_after(PATIENCE):
            while await answer.receive() and arrival.is_untouched:
                pass
        return not answer.has_failed and len(answer.read) == take.size

    def _has_space(self, size: int) -> bool:
        """For so many bytes. Looks at the file system once for some MiB."""
        if size > self._space:
            free = self._free()
            if size > free:
                return False
            self._space = min(free, SPACE_STEP)
        self._space -= size
        return True

    async def _land(self, record: Record, head: Head, data: bytearray, arrived: Callable[[], None]) -> Outcome:
        found = {"sha256": hashlib.sha256(data).hexdigest()}
        for algorithm, promised in {**head.digests, **record.row.digests}.items():
            if algorithm not in found:
                found[algorithm] = hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()
            if found[algorithm] != promised:
                why = f"The content has the {algorithm} digest {found[algorithm]}, but {promised} was promised."
                return Again(why, Fault.STUBBORN)
        arrived()
        whole = Arrived(record.item, found["sha256"], len(data), found, edit=record.described_by(head, len(data)))
        try:
            await self._landing.land(whole, data)
        except StoreFull as error:
            return NoSpace(str(error))
        except OSError as error:
            return Again(f"The disk failed: {error.strerror or error}.")
        return Done()
