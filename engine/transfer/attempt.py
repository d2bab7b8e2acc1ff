"""One attempt at a download: connections as planned, until all is here or it cannot go on. On the trio thread.

    run ─▶ pass ─▶ plan ⇄ connections (a task each)     beside them: upkeep (checkpoints, hashing ahead)
            ▲  └─ verdict: complete ─▶ blob ─▶ Done     another version ─▶ begin anew     else Again, NoSpace
            └──────────────────────────────────────────────────────┘

Decisions are `plan` (which connection fetches what), `judge` (what an answer means) and `outcome` (what follows); this
is the shell that carries them out. Bytes and map are the StagedFile's, durable facts the Record's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import trio

from engine.disk import Disk, full_is_store_full
from engine.errors import DigestMismatch, StoreFull
from engine.ports import Blobs
from engine.sources.stream import Fault, StreamSource
from engine.transfer.config import TransferConfig
from engine.transfer.connection import Connection
from engine.transfer.growth import Growth
from engine.transfer.hosts import Hosts
from engine.transfer.judge import Changed
from engine.transfer.looking import look_on
from engine.transfer.mirrors import Mirror, sample_of
from engine.transfer.outcome import Again, Done, Idle, NoSpace, Outcome
from engine.transfer.piece_check import PieceCheck
from engine.transfer.pieces import widened
from engine.transfer.plan import Start, Stop, Stretch, View, plan
from engine.transfer.rate import Limit, own_limits
from engine.transfer.reader import Arrival
from engine.transfer.record import Record
from engine.transfer.shared import Broken, Complete, Shared, Verdict
from engine.transfer.staged import StagedFile, StagingLost, disk_failures
from engine.transfer.upkeep import Upkeep
from engine.types import Blob, Pieces

FORGETTING: Final = 1.0  # seconds between two looks whether anybody still reads
MAX_RESETS: Final = 3  # versions seen in one attempt before the server is given some time

_log = logging.getLogger(__name__)


class Attempt:
    """`run` once. `urls` are its mirrors, the one to begin with first."""

    def __init__(
        self,
        record: Record,
        arrival: Arrival,
        *,
        urls: Sequence[str],
        source: StreamSource,
        blobs: Blobs,
        hosts: Hosts,
        disk: Disk,
        config: TransferConfig,
        limits: Sequence[Limit],
        clock_ns: Callable[[], int],
    ) -> None:
        self._record = record
        self._arrival = arrival
        self._blobs = blobs
        self._disk = disk
        self._config = config
        public_only = record.options.public_only and not config.http.private_redirects
        mirrors = [Mirror(url, public_only=public_only) for url in urls]
        self._shared = Shared(
            record,
            arrival,
            source,
            config,
            mirrors,
            mirrors[0],
            hosts,
            Growth(record.options.split or config.split),
            clock_ns,
            (*limits, *own_limits(record.options)),
            spare=config.reader_connections,
        )
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
        """Until the item is complete, or the attempt is over. NoSuchItem when the item has gone, StoreFull."""
        try:
            with disk_failures(), full_is_store_full():
                return await self._run()
        except StagingLost as error:  # where it could not even be opened
            return Again(str(error))

    async def _run(self) -> Outcome:
        known = self._record.known_content(self._record.row.digests, None)
        if known is not None and await self._record.adopt(known):
            return Done()
        self._began_with = self._arrival.open().ranges.total
        while True:
            led_elsewhere = self._record.location is not None
            match await self._pass():
                case Complete():
                    outcome = await self._finish()
                    if outcome is not None:
                        return outcome
                case Blob() as blob:
                    if await self._record.adopt(blob):
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
                    self._record.location = self._shared.home.location = None
                case Again() as again:
                    return replace(again, progressed=self._progressed())
                case NoSpace() | Idle() as other:
                    return other

    async def _pass(self) -> Verdict:
        """Connections to one version of the file until there is a verdict. All are closed when it returns."""
        await self._settle_home()
        shared, file = self._shared, self._arrival.open()
        upkeep = Upkeep(file, self._record, self._blobs, self._config)
        shared.verdict = None
        shared.is_open = False
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep_up, upkeep)
                nursery.start_soon(look_on, shared, file)
                nursery.start_soon(self._look_in_store, file)
                if self._record.pieces is not None:
                    nursery.start_soon(self._check_pieces, self._record.pieces, file, upkeep)
                while not file.is_complete and not shared.is_over:
                    bell = self._arrival.bell.next
                    self._carry_out(nursery, file, upkeep)
                    if self._is_idle(file):
                        shared.end(Idle())
                    # What readers will want soon is forgotten after a while, of which no bell tells.
                    with trio.move_on_after(FORGETTING if self._record.options.on_demand else float("inf")):
                        await bell.wait()
                nursery.cancel_scope.cancel()
        finally:
            if not file.is_complete and not isinstance(shared.verdict, Changed | Broken):
                await upkeep.last_checkpoint()
        return Complete() if file.is_complete else _decided(shared.verdict)

    async def _settle_home(self) -> None:
        """Whose bytes are here, or will be. Too few to compare are not worth staying for."""
        shared, file = self._shared, self._arrival.open()
        first = next((one for one in shared.mirrors if one.left is None), shared.mirrors[0])
        url = self._record.home or self._record.urls[0]
        home = next((one for one in shared.mirrors if one.url == url), None)
        if file.ranges.total and home is not first and sample_of(file.ranges) is None:
            await self._begin_anew("Too little is here to compare it with what another place has.")
            file = self._arrival.open()
        if not file.ranges.total:
            if first.url != url:
                self._record.location = None  # it led on from the other one
            home = first
            self._record.home = home.url
        elif home is None:
            home = Mirror(url, left="It will never give the file.")
        if shared.home is not home:
            shared.home.is_proven = False
            shared.home = home
        home.is_proven = True
        home.location = self._record.location

    def _carry_out(self, nursery: trio.Nursery, file: StagedFile, upkeep: Upkeep) -> None:
        shared = self._shared
        for action in plan(self._view(file)):
            match action:
                case Start() as start:
                    mirror = shared.mirror_for(start, file)
                    if mirror is None:
                        continue
                    self._count += 1
                    connection = Connection(start, self._count, mirror, shared=shared, file=file, upkeep=upkeep)
                    shared.opened(connection)
                    nursery.start_soon(connection.run)
                case Stop(number):
                    shared.connections[number].scope.cancel()

    def _is_idle(self, file: StagedFile) -> bool:
        """Whether only readers could give this something to do, and there are none."""
        shared, arrival = self._shared, self._arrival
        if not self._record.options.on_demand or shared.connections or file.is_here or not self._view(file).seekable:
            return False
        return not arrival.wanted and not arrival.soon(trio.current_time())

    def _view(self, file: StagedFile) -> View:
        shared, version = self._shared, file.version
        on_demand = self._record.options.on_demand
        # What a restart knows of the file is good enough to begin where a reader waits.
        can_seek = (shared.is_open or on_demand) and shared.has_ranges and version is not None
        seekable = can_seek and version is not None and version.size is not None and version.validator is not None
        return View(
            have=file.ranges,
            size=file.size,
            running=tuple(one.running for one in shared.connections.values() if not one.scope.cancel_called),
            wanted=self._wanted(file),
            soon=self._arrival.soon(trio.current_time()),
            seekable=seekable,
            spare=shared.spare,
            near=shared.near(),
            window=self._config.window,
            skip=self._config.skip,
            wish=0 if on_demand else shared.growth.wish,
            least=self._config.min_split_size,
        )

    def _wanted(self, file: StagedFile) -> tuple[Stretch, ...]:
        """What readers wait for; where pieces are checked before anybody sees them, the whole of each."""
        pieces, wanted = self._record.pieces, self._arrival.wanted
        return wanted if pieces is None else tuple(widened(each, pieces.length, file.size) for each in wanted)

    async def _keep_up(self, upkeep: Upkeep) -> None:
        try:
            await upkeep.run()
        except* (StagingLost, StoreFull) as errors:
            self._shared.disk_refused(_first(errors))

    async def _look_in_store(self, file: StagedFile) -> None:
        """While it arrives: perhaps it is here under a digest that nobody has recorded."""
        shared = self._shared
        while not shared.is_open or file.size is None:
            await self._arrival.bell.next.wait()
        try:
            blob = await self._record.look_closer(file.size, self._disk)
        except OSError as error:
            _log.info("item %d: content of the same size cannot be read: %s", self._record.item, error)
        else:
            if blob is not None:
                shared.end(blob)

    async def _check_pieces(self, pieces: Pieces, file: StagedFile, upkeep: Upkeep) -> None:
        try:
            await PieceCheck(pieces, file, self._shared, upkeep.wrote).run()
        except StagingLost as error:
            self._shared.disk_refused(error)

    async def _finish(self) -> Outcome | None:
        """None: once more, without places that nobody asked for."""
        file = self._arrival.open()
        try:
            with disk_failures():
                await self._record.finish(file)
        except DigestMismatch as error:
            if self._record.pieces is not None:
                return Again(f"Each piece is right, and the whole is not: {error}", Fault.FINAL)
            may_be_theirs = self._leave_strangers()
            await self._begin_anew(str(error))
            return None if may_be_theirs else Again(str(error), Fault.STUBBORN)
        except StoreFull as error:
            return NoSpace(str(error))
        except StagingLost as error:
            await self._begin_anew(str(error))
            return Again(str(error))
        return Done()

    def _leave_strangers(self) -> bool:
        """Whether any of them brought something."""
        strangers = [mirror for mirror in self._shared.mirrors if mirror.is_stranger]
        for mirror in strangers:
            mirror.left = "With what it brought, the whole was not what it should be."
        return any(mirror.received for mirror in strangers)

    async def _begin_anew(self, why: str) -> None:
        """Nothing of what is here counts any more."""
        _log.info("item %d: from the beginning: %s", self._record.item, why)
        await self._record.begin_anew()
        for mirror in self._shared.mirrors:
            mirror.forget()
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
