"""What the connections of one attempt have in common, and how it ends. Data; on the trio thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

import trio

from engine.errors import StoreFull
from engine.sources.stream import Head, StreamSource
from engine.transfer.bell import Bell
from engine.transfer.config import TransferConfig
from engine.transfer.growth import Growth
from engine.transfer.hosts import Hosts
from engine.transfer.judge import Changed
from engine.transfer.mirrors import Mirror, choose, sample_of
from engine.transfer.outcome import Again, Idle, NoSpace
from engine.transfer.pace import Speedometer
from engine.transfer.plan import Start
from engine.transfer.rate import Limit
from engine.transfer.reader import Arrival
from engine.transfer.record import Record
from engine.transfer.staged import StagedFile, StagingLost
from engine.types import Blob

if TYPE_CHECKING:
    from engine.transfer.connection import Connection

NO_MIRROR: Final = "There is no place left to ask for this file."
MAX_DISCOVERED: Final = 16  # places that a server may name
NEAR: Final = (64 << 10, 1 << 20)  # bytes, least and most, that a reader waits for without a connection of its own
NEAR_SECONDS: Final = 0.5  # of the download's speed, between these two


@dataclass(frozen=True, slots=True)
class Complete:
    """Every byte is in the staging file."""


@dataclass(frozen=True, slots=True)
class Broken:
    """What is in the staging file cannot be trusted any more."""

    why: str


Verdict: TypeAlias = Complete | Blob | Changed | Broken | Again | NoSpace | Idle


@dataclass
class Shared:
    """Of one attempt. `home` is the mirror whose validators the staged file has, one of `mirrors`."""

    record: Record
    arrival: Arrival
    source: StreamSource
    config: TransferConfig
    mirrors: list[Mirror]
    home: Mirror
    hosts: Hosts
    growth: Growth
    clock_ns: Callable[[], int]
    limits: tuple[Limit, ...]  # of speed
    spare: int  # connections that may be open beside the main ones
    has_ranges: bool = True  # until the server shows that it has not
    is_open: bool = False  # whether a server has answered in this pass
    verdict: Verdict | None = None
    connections: dict[int, Connection] = field(default_factory=dict)
    meter: Speedometer = field(default_factory=Speedometer)
    arrived: Bell = field(default_factory=Bell)  # rings for who checks pieces

    @property
    def is_over(self) -> bool:
        return self.verdict is not None

    def mains(self) -> list[Connection]:
        """Main connections that go on."""
        return [one for one in self.connections.values() if one.main and not one.scope.cancel_called]

    def opened(self, connection: Connection) -> None:
        self.connections[connection.number] = connection
        connection.mirror.connections += 1
        self.hosts.opened(connection.mirror.host)

    def closed(self, connection: Connection) -> None:
        del self.connections[connection.number]
        connection.mirror.connections -= 1
        self.hosts.closed(connection.mirror.host)
        self.arrival.bell.ring()

    def mirror_for(self, start: Start, file: StagedFile) -> Mirror | None:
        """Where a connection is to be opened. None: nowhere now; for the only main one the attempt is over then."""
        is_first = not self.mains()
        can_prove = (file.checked is not None or sample_of(file.ranges) is not None) and (is_first or self.is_open)
        if not start.main:
            home = self.home if self.home.left is None else None
            return home or choose(self.mirrors, self._room, is_first=True, can_prove=can_prove)
        mirror = choose(self.mirrors, self._room, is_first=is_first, can_prove=can_prove)
        if mirror is None and is_first:
            self.end(Again(self.mirrors[-1].left or NO_MIRROR))
        return mirror

    def _room(self, mirror: Mirror) -> int:
        """How many more main connections it may get."""
        most = self.record.options.max_connections
        room = self.hosts.room(mirror.host)
        return room if most is None else min(room, most - mirror.connections)

    def discover(self, head: Head) -> None:
        """Further places that the home knows of. Where nothing would tell whether they have the same file, they are
        of no use."""
        if self.record.pieces is None and not self.record.row.digests:
            return
        known = {mirror.url for mirror in self.mirrors}
        for found in head.mirrors[:MAX_DISCOVERED]:
            if found.url not in known:
                self.mirrors.append(Mirror(found.url, is_stranger=True, public_only=head.mirrors_public_only))

    async def move_home(self, mirror: Mirror, file: StagedFile) -> None:
        """From now on the staged file has the validators of `mirror`, which is proven. StoreFull, StagingLost."""
        assert mirror.version is not None
        await self.record.moved(mirror.url, mirror.location, mirror.version)
        self.home.version, self.home = file.version, mirror
        file.set_version(mirror.version)

    def end(self, verdict: Verdict) -> None:
        """The first verdict counts: later ones come of the connections that it closes."""
        if self.verdict is None:
            self.verdict = verdict
        self.arrival.bell.ring()

    def near(self) -> int:
        """Bytes that a reader had better wait for than have a connection opened."""
        return min(max(int(self.meter.speed(trio.current_time()) * NEAR_SECONDS), NEAR[0]), NEAR[1])

    def disk_refused(self, error: StagingLost | StoreFull) -> None:
        self.end(NoSpace(str(error)) if isinstance(error, StoreFull) else Broken(str(error)))
