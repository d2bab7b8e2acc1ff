"""One request of a download and its answer: asked for as planned, judged, poured into the staged file. Trio thread.

What the connections of one attempt have in common is `Shared`; a connection ends by itself (its stretch is done, or
others have it), or by ending the attempt with a verdict.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

import trio

from engine.errors import StoreFull
from engine.sources.stream import Ask, Body, Fault, FetchFailed, Framing, Head
from engine.transfer.growth import FIRST_LOOK
from engine.transfer.judge import AllHere, Asked, Changed, Failed, Take, Unusable, judge
from engine.transfer.mirrors import SAMPLE, Mirror
from engine.transfer.outcome import Again
from engine.transfer.pace import Patience
from engine.transfer.pieces import fits
from engine.transfer.plan import Running, Start, worth_going_on
from engine.transfer.proving import prove, request
from engine.transfer.rate import piece
from engine.transfer.shared import Complete, Shared
from engine.transfer.staged import Differs, StagedFile, StagingLost
from engine.transfer.upkeep import Upkeep
from engine.transfer.version import Version, version_of

YIELD: Final = 1.0  # seconds that the main connection pauses for a reader before it brings one more piece

_log = logging.getLogger(__name__)


class Connection:
    """Carries out `start` at `mirror`; `run` once, in a task. `scope` stops it."""

    def __init__(
        self, start: Start, number: int, mirror: Mirror, *, shared: Shared, file: StagedFile, upkeep: Upkeep
    ) -> None:
        self.number = number
        self.mirror = mirror
        self.scope = trio.CancelScope()
        self.is_flowing = False  # its answer was accepted
        self.main = start.main
        self._start = self._at = start.at
        self._end = start.end
        self._shared = shared
        self._file = file
        self._upkeep = upkeep
        self._fresh = 0  # bytes that were not here

    @property
    def running(self) -> Running:
        """As `plan` sees it."""
        return Running(self.number, self._start, self._at, self._end, self.main)

    async def run(self) -> None:
        shared = self._shared
        try:
            with self.scope:
                if self.mirror.is_proven or await self._prove():
                    await self._fetch()
        except FetchFailed as error:
            self._lost(Again(str(error), error.fault))
        except Differs as error:
            if self.mirror is shared.home:
                for other in shared.mirrors:  # it is the home's word against theirs
                    if other is not shared.home and other.received:
                        other.left = f"{other.host} has other bytes."
            self._contradicted(str(error))
        except (StagingLost, StoreFull) as error:
            shared.disk_refused(error)
        finally:
            shared.closed(self)

    def _others(self) -> list[Connection]:
        return [one for one in self._shared.mains() if one is not self]

    def _lost(self, again: Again) -> None:
        """The last main connection decides what becomes of the attempt. Any other shows that there had better be fewer
        of its kind, if it brought nothing or ended too often."""
        shared, mirror = self._shared, self.mirror
        _log.debug("item %d: a connection to %s: %s", shared.record.item, mirror.host, again.why)
        if len(shared.connections) == 1 and mirror is shared.home:
            shared.end(again)
            return
        if not self.main:
            shared.spare = max(0, shared.spare - 1)
            return
        mirror.cuts += 1
        if mirror is shared.home and not self._others():
            shared.end(again)
        elif not self._fresh or mirror.cuts > shared.config.retries:
            flowing = sum(one.is_flowing for one in shared.connections.values() if one.mirror is mirror)
            if flowing and again.fault is not Fault.FINAL:
                mirror.limit = flowing
            else:
                mirror.left = again.why

    def _contradicted(self, why: str) -> None:
        """The bytes here and those of this place are not of one file. Without piece hashes nobody can tell what of
        them is right, so whatever another place has brought goes with it."""
        shared, mirror = self._shared, self.mirror
        if mirror is shared.home:
            shared.end(Changed(why))
            return
        mirror.left = why
        _log.info("item %d: %s has another file: %s", shared.record.item, mirror.host, why)
        if mirror.received and self._file.checked is None:
            shared.end(Changed(why))

    async def _prove(self) -> bool:
        """Whether this place has the file that is here."""
        shared, mirror = self._shared, self.mirror
        found = await prove(mirror, shared, self._file)
        if isinstance(found, Failed):
            self._lost(Again(found.why, found.fault, found.retry_after))
        elif found is not None:
            if not shared.is_open and not self._others():
                shared.end(Changed(found))
            mirror.left = found
            _log.info("item %d: a mirror is not used: %s", shared.record.item, found)
        elif not shared.is_open and mirror.version is not None and mirror.version.validator is not None:
            await shared.move_home(mirror, self._file)
        return found is None

    async def _fetch(self) -> None:
        shared, file = self._shared, self._file
        ask, known = self._paced_ask(), self._known()
        options = shared.record.options
        asked = Asked(
            ask.start, ask.end, known, file.ranges.total, self.mirror.url, options.any_type, options.size,
            beside=not self._is_alone(),
        )  # fmt: skip
        async with shared.source.open(ask) as body:
            match judge(asked, body.head):
                case Take() as take:
                    if ask.start is not None and take.start != ask.start and not self._has_no_ranges():
                        return
                    await self._opened(body.head, take)
                    if not shared.is_over:
                        began = trio.current_time()
                        await self._pump(body, take)
                        self._note_rate(trio.current_time() - began, self._at - self._start)
                case Changed(why):
                    self._contradicted(why)
                case AllHere(size):
                    assert file.version is not None
                    file.set_version(replace(file.version, size=size))
                    shared.end(Complete())
                case Unusable(why):
                    if self._has_no_ranges():
                        shared.end(Changed(why))
                case Failed(why, fault, retry_after):
                    self._lost(Again(why, fault, retry_after))

    def _note_rate(self, seconds: float, size: int) -> None:
        """What this place brought, for comparison with others, once this connection is gone."""
        if size >= SAMPLE:
            self.mirror.rate = size / max(seconds, FIRST_LOOK)

    def _has_no_ranges(self) -> bool:
        """Note it. True where this connection is the only one, and thus has to make do without."""
        shared = self._shared
        if self.mirror is not shared.home:
            self.mirror.left = f"{self.mirror.host} gives no ranges."
            return False
        shared.has_ranges = False
        return self._is_alone()

    def _is_alone(self) -> bool:
        return self.main and not self._others()

    def _known(self) -> Version | None:
        return self._file.version if self.mirror is self._shared.home else self.mirror.version

    def _paced_ask(self) -> Ask:
        """In pieces that no limit of speed makes a reader wait long for."""
        ask = self._ask()
        return replace(ask, piece=piece(self._shared.limits)) if self._shared.limits else ask

    def _ask(self) -> Ask:
        """The request. A plain one where nothing is here yet: all servers understand that. Where a download goes on,
        a little of what is here is asked for again, to compare."""
        shared, file = self._shared, self._file
        known = self._known()
        validator = known.validator if known is not None else None
        start = self._start
        if self.mirror is not shared.home:
            return request(self.mirror, shared.record.options, start, self._end, validator)
        if self.main and not shared.is_open:
            again = max(start - shared.config.overlap, 0)
            start = again if file.ranges.covers(again, start) else start
        is_plain = validator is None or not shared.has_ranges or (file.ranges.total == 0 and self.main)
        if is_plain:
            return request(self.mirror, shared.record.options, None, None, None)
        return request(self.mirror, shared.record.options, start, self._end, validator)

    async def _opened(self, head: Head, take: Take) -> None:
        """An answer was accepted. The first one of a pass tells what the file is."""
        shared, file = self._shared, self._file
        self.mirror.led_to(head)
        if self.mirror is not shared.home:
            shared.is_open = True  # what the file is, the home has said before
            shared.arrival.bell.ring()
            return
        version = file.version
        if version is None or not file.ranges.total:
            version = version_of(head, take.size, shared.clock_ns())
        elif version.size is None and take.size is not None:
            version = replace(version, size=take.size)
        if version != file.version:
            file.set_version(version)
            shared.arrival.wake_all()
        if shared.is_open:
            return
        shared.has_ranges = shared.has_ranges and head.ranges is not False
        shared.record.location = self.mirror.location
        pieces = shared.record.pieces
        if pieces is not None and take.size is not None and not fits(pieces, take.size):
            shared.end(
                Again(
                    f"{self.mirror.host} has another file: its {take.size} bytes are not those of the pieces.",
                    Fault.FINAL,
                )
            )
            return
        await shared.record.described(head, take.size)
        shared.discover(head)
        shared.is_open = True
        shared.arrival.bell.ring()
        known = shared.record.known_content(head.digests, take.size)
        if known is not None:
            shared.end(known)

    async def _pump(self, body: Body, take: Take) -> None:
        """The body into the file, for as long as that is worth it."""
        shared, file, config = self._shared, self._file, self._shared.config
        self._start = self._at = take.start
        self.is_flowing = True
        patience = Patience(config.min_rate, config.rate_window, trio.current_time())
        while data := await body.receive():
            start, end = self._at, self._at + len(data)
            limit = file.size if take.end is None else take.end
            if limit is not None and end > limit:
                self._contradicted(f"The server announced {limit} bytes and sent more.")
                return
            self._fresh += file.write(start, data)
            self._at = end
            now = trio.current_time()
            shared.meter.count(len(data), now)
            self.mirror.received += len(data)
            if file.checked is not None:
                self.mirror.brought.add(start, end)
                shared.arrived.ring()
            shared.arrival.wake(start, end)
            self._upkeep.wrote()
            for spent in shared.limits:
                await spent.spend(len(data))
                patience.restart(trio.current_time())
            if end == take.end and body.head.framing is Framing.LENGTH:
                continue  # its proper end comes without waiting, and lets the connection be used again
            if file.is_here or not self._goes_on():
                return
            if patience.is_lost(len(data), now):
                raise FetchFailed(f"Fewer than {config.min_rate} bytes a second came for {config.rate_window:.0f} s.")
            if await self._upkeep.room() or await self._yield_to_readers():
                patience.restart(trio.current_time())
        self._ended(body.head, take)

    def _goes_on(self) -> bool:
        if not self._shared.has_ranges:
            return True  # there is no other way to what lies behind
        if self._end is not None and self._at >= self._end:
            return False
        others = [other.running for other in self._shared.connections.values() if other is not self]
        return worth_going_on(self.running, others, self._file.ranges, self._shared.config.skip)

    def _ended(self, head: Head, take: Take) -> None:
        """The body came to its proper end; where no size was announced, this is it."""
        file = self._file
        if take.end is not None:
            if self._at < take.end:
                raise FetchFailed("The server ended a range before its end.")
        elif file.size is None:
            assert file.version is not None
            file.is_length_verified = head.framing is not Framing.CLOSE
            file.set_version(replace(file.version, size=self._at))
            self._shared.arrival.wake_all()
        elif not file.is_here:
            raise FetchFailed(f"The server ended the file after {self._at} of {file.size} bytes.")

    async def _yield_to_readers(self) -> bool:
        """Let the main connection pause while readers are being served by others; returns whether it did."""
        if not self.main or not self._reader_is_served_elsewhere():
            return False
        with trio.move_on_after(YIELD):
            while self._reader_is_served_elsewhere():
                await self._shared.arrival.bell.next.wait()
        return True

    def _reader_is_served_elsewhere(self) -> bool:
        beside = [other.running for other in self._shared.connections.values() if other.is_flowing and not other.main]
        near, window = self._shared.near(), self._shared.config.window
        return bool(beside) and any(
            not self.running.brings(start, near) and any(other.brings(start, window) for other in beside)
            for start, _ in self._shared.arrival.wanted
        )
