"""One attempt at a download: connections as planned, until all is here or it cannot go on. On the trio thread.

    run ─▶ pass ─▶ plan ⇄ connections (a task each)     beside them: upkeep (checkpoints, hashing ahead)
            ▲  └─ verdict: complete ─▶ blob ─▶ Done     another version ─▶ begin anew     else Again, NoSpace
            └──────────────────────────────────────────────────────┘

Decisions are `plan` (which connection fetches what), `judge` (what an answer means) and `outcome` (what follows); this
is the shell that carries them out. Bytes and map are the StagedFile's, durable facts the Record's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import trio

from engine.errors import DigestMismatch, StoreFull
from engine.ports import Blobs
from engine.sources.stream import Fault, StreamSource
from engine.transfer.config import TransferConfig
from engine.transfer.connection import Connection
from engine.transfer.judge import Changed
from engine.transfer.outcome import Again, Done, NoSpace, Outcome
from engine.transfer.plan import Start, Stop, View, plan
from engine.transfer.reader import Arrival
from engine.transfer.record import Record
from engine.transfer.shared import Broken, Complete, Shared, Verdict
from engine.transfer.staged import StagedFile, StagingLost, disk_failures
from engine.transfer.upkeep import Upkeep
from engine.types import Blob

MAX_RESETS: Final = 3  # versions seen in one attempt before the server is given some time

_log = logging.getLogger(__name__)


class Attempt:
    """`run` once. `url` is the mirror to use."""

    def __init__(
        self,
        record: Record,
        arrival: Arrival,
        *,
        url: str,
        source: StreamSource,
        blobs: Blobs,
        config: TransferConfig,
        clock_ns: Callable[[], int],
    ) -> None:
        self._record = record
        self._arrival = arrival
        self._blobs = blobs
        self._config = config
        self._shared = Shared(record, arrival, source, config, url, clock_ns, spare=config.reader_connections)
        self._began_with = 0  # bytes
        self._resets = 0  # versions given up
        self._count = 0

    @property
    def connections(self) -> int:
        return len(self._shared.connections)

    def speed(self) -> float:
        """Bytes a second."""
        return self._shared.meter.speed(trio.current_time())

    async def run(self) -> Outcome:
        """Until the item is complete, or the attempt is over. NoSuchItem when the item has gone."""
        known = self._record.known_content(self._record.row.digests, None)
        if known is not None:
            await self._record.adopt(known)
            return Done()
        self._began_with = self._arrival.open().ranges.total
        while True:
            led_elsewhere = self._record.location is not None
            match await self._pass():
                case Complete():
                    return await self._finish()
                case Blob() as blob:
                    await self._record.adopt(blob)
                    return Done()
                case Changed(why):
                    await self._begin_anew(why)
                    if self._resets > MAX_RESETS:
                        return Again(why, Fault.STUBBORN)
                case Broken(why):
                    await self._begin_anew(why)
                    return Again(why)
                case Again(why) if led_elsewhere and not self._shared.is_open:
                    # Where redirects led some time ago may be gone by now: ask at the front door once more.
                    _log.debug("item %d: %s", self._record.item, why)
                    self._record.location = None
                case Again() as again:
                    return replace(again, progressed=self._progressed())
                case NoSpace() as no_space:
                    return no_space

    async def _pass(self) -> Verdict:
        """Connections to one version of the file until there is a verdict. All are closed when it returns."""
        shared, file = self._shared, self._arrival.open()
        upkeep = Upkeep(file, self._record, self._blobs, self._config)
        shared.verdict = None
        shared.is_open = False
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep_up, upkeep)
                while not file.is_complete and not shared.is_over:
                    bell = self._arrival.bell.next
                    self._carry_out(nursery, file, upkeep)
                    await bell.wait()
                nursery.cancel_scope.cancel()
        finally:
            if not file.is_complete and not isinstance(shared.verdict, Changed | Broken):
                await upkeep.last_checkpoint()
        return Complete() if file.is_complete else _decided(shared.verdict)

    def _carry_out(self, nursery: trio.Nursery, file: StagedFile, upkeep: Upkeep) -> None:
        shared = self._shared
        for action in plan(self._view(file)):
            match action:
                case Start() as start:
                    self._count += 1
                    connection = Connection(start, self._count, shared=shared, file=file, upkeep=upkeep)
                    shared.connections[connection.number] = connection
                    nursery.start_soon(connection.run)
                case Stop(number):
                    shared.connections[number].scope.cancel()

    def _view(self, file: StagedFile) -> View:
        shared, version = self._shared, file.version
        can_seek = shared.is_open and shared.has_ranges and version is not None and version.size is not None
        return View(
            have=file.ranges,
            size=file.size,
            running=tuple(one.running for one in shared.connections.values() if not one.scope.cancel_called),
            wanted=self._arrival.wanted,
            soon=self._arrival.soon(trio.current_time()),
            seekable=can_seek and version is not None and version.validator is not None,
            spare=shared.spare,
            near=shared.near(),
            window=self._config.window,
            skip=self._config.skip,
        )

    async def _keep_up(self, upkeep: Upkeep) -> None:
        try:
            await upkeep.run()
        except* (StagingLost, StoreFull) as errors:
            self._shared.disk_refused(_first(errors))

    async def _finish(self) -> Outcome:
        file = self._arrival.open()
        try:
            with disk_failures():
                await self._record.finish(file)
        except DigestMismatch as error:
            await self._begin_anew(str(error))
            return Again(str(error), Fault.STUBBORN)
        except StoreFull as error:
            return NoSpace(str(error))
        except StagingLost as error:
            await self._begin_anew(str(error))
            return Again(str(error))
        return Done()

    async def _begin_anew(self, why: str) -> None:
        """Nothing of what is here counts any more."""
        _log.info("item %d: from the beginning: %s", self._record.item, why)
        await self._record.begin_anew()
        self._arrival.replace(why)
        self._resets += 1

    def _progressed(self) -> bool:
        """Whether bytes came that the next attempt can build on. A file that changes all the time makes none."""
        file = self._arrival.open()
        is_kept = file.version is not None and file.version.validator is not None
        return is_kept and not self._resets and file.ranges.total > self._began_with


def _decided(verdict: Verdict | None) -> Verdict:
    assert verdict is not None
    return verdict


def _first(errors: ExceptionGroup[StagingLost | StoreFull]) -> StagingLost | StoreFull:
    found = errors.exceptions[0]
    return _first(found) if isinstance(found, ExceptionGroup) else found
