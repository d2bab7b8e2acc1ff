"""One torrent in the session, as its job sees it: what the session does in a while becomes an await. Trio thread.

State: what the session said last. `layout` knows the pieces that are complete, `safe` those of them that are in the
files for certain: a piece is complete before it is written.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from engine.errors import EngineError
from engine.sources.torrent.events import (
    Added,
    Checked,
    Described,
    Ended,
    Event,
    Failed,
    Flushed,
    Gone,
    Lost,
    Misled,
    NoRoom,
    PieceDone,
    Saved,
    Status,
    Warned,
)
from engine.sources.torrent.params import Start
from engine.sources.torrent.session import FLUSHES, SessionLost, TorrentSession
from engine.torrents.layout import Layout
from engine.transfer.bell import Bell
from engine.types import ItemId

NO_ROOM = "There is no space left where the store lives."
PATIENCE = 60.0  # seconds for what the session does at once when all is well


class SwarmFailed(EngineError):
    """The torrent stopped; `str()` is a sentence."""


class FileLost(EngineError):
    """A file of the torrent cannot be read or written."""


class NoRoomLeft(EngineError):
    """ENOSPC where the torrent writes."""


class WrongMetadata(EngineError):
    """Peers described another torrent."""


class Swarm:
    """`came` is told of each piece that is complete, once; `reset` when all of them have been looked at anew."""

    def __init__(self, session: TorrentSession[ItemId], item: ItemId) -> None:
        self.item = item
        self.session = session
        self.status = Status(0, 0, 0, 0, 0)
        self.trouble: str | None = None  # of a tracker, web seed or peer, the last one
        self.bell = Bell()
        self.layout: Layout | None = None
        self.safe = bytearray()
        self.came: Callable[[int, list[int]], None] = _ignore
        self.reset: Callable[[], None] = lambda: None
        self._failure: EngineError | None = None
        self._asked = False  # the session will add it, or say why it cannot
        self._added = False
        self._leaving = False
        self._gone = False
        self._info: bytes | None = None
        self._misled: str | None = None
        self._checks = 0
        self._flushes = 0
        self._saves: list[bytes | None] = []
        self._flushing = trio.Lock()
        self._saving = trio.Lock()

    def follow(self, layout: Layout) -> None:
        """Before `begin`, where the files are known."""
        self.layout = layout
        self.safe = bytearray(layout.have)

    @property
    def checks(self) -> int:
        """How often all pieces have been looked at: what was complete before one may not be so afterwards."""
        return self._checks

    @property
    def is_here(self) -> bool:
        return self._added and not self._leaving

    def hear(self, event: Event) -> None:
        """Instant."""
        match event:
            case PieceDone(piece):
                self._piece(piece)
            case Status():
                self.status = event
            case Checked(pieces):
                self._checks += 1
                self._look(pieces)
            case Added():
                self._added = True
            case Gone():
                self._gone = True
            case Ended(why):
                self._gone = self._leaving = True
                self._failure = SessionLost(why)
            case Described(info):
                self._info = info
            case Flushed():
                self._flushes += 1
            case Saved(data):
                self._saves.append(data)
            case Lost(why):
                self._failure = FileLost(why)
            case Failed(why):
                self._failure = self._failure or SwarmFailed(why)  # which follows the loss of a file
            case NoRoom():
                self._failure = NoRoomLeft(NO_ROOM)
            case Warned(why):
                self.trouble = why
            case Misled(why):
                self._misled = self.trouble = why
        self.bell.ring()

    def _piece(self, piece: int) -> None:
        layout = self.layout
        if layout is not None and piece < len(layout.have) and not layout.have[piece]:
            self.came(piece, layout.came(piece))

    def _look(self, pieces: bytes) -> None:
        layout = self.layout
        if layout is None or len(pieces) < len(layout.have):
            return
        pieces = pieces[: len(layout.have)]
        if pieces != layout.have:
            layout.reset(pieces)
            self.safe = bytearray(map(min, self.safe, pieces))
            self.reset()

    # -- what may wait ---------------------------------------------------------------------------------------------
    async def begin(self, start: Start) -> None:
        """Until it is in the session. SwarmFailed, BadRequest."""
        await self.session.add(self.item, start)
        self._asked = True
        await self._until(lambda: self._added)

    async def checked(self) -> None:
        """Until it is known what is on disk; a full check may take minutes, so there is no deadline."""
        await self._until(lambda: self._checks > 0, patience=float("inf"))

    async def described(self) -> bytes:
        """The info dictionary, once the swarm has sent it. WrongMetadata if it sent another one: then libtorrent
        listens to nobody who does not agree with the liar about its size, until the torrent leaves the session."""
        await self._until(lambda: self._info is not None or self._misled is not None, patience=float("inf"))
        if self._info is None:
            raise WrongMetadata(self._misled)
        return self._info

    async def flush(self, *, anyway: bool = False) -> None:
        """Every piece that is complete now is `safe` afterwards. `anyway`: although all of them are."""
        layout = self.layout
        assert layout is not None
        wanted = bytes(layout.have)
        async with self._flushing:
            if wanted == self.safe and not anyway:
                return
            wanted = bytes(layout.have)
            target = self._flushes + FLUSHES
            self._require()
            self.session.flush(self.item)
            await self._until(lambda: self._flushes >= target)
            self.safe = bytearray(map(min, wanted, layout.have))

    async def save(self) -> bytes | None:
        """libtorrent's notes for the next start."""
        async with self._saving:
            self._saves.clear()
            self._require()
            self.session.save(self.item)
            await self._until(lambda: bool(self._saves))
            return self._saves[-1]

    def halt(self) -> None:
        """No further piece comes."""
        if self.is_here:
            self.session.halt(self.item)

    async def end(self) -> None:
        """Until it is out of the session, and nothing writes to its files any more."""
        if not self._asked or self._gone:
            return
        if not self._added:  # told to stop in the moment that it was added
            try:
                await self._until(lambda: self._added)
            except SwarmFailed:
                return  # it never got in
        self._leaving = True
        self.session.remove(self.item)
        self._failure = None
        await self._until(lambda: self._gone)

    def _require(self) -> None:
        if not self.is_here:
            raise SwarmFailed("The torrent left the session.")

    def raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _until(self, condition: Callable[[], bool], patience: float = PATIENCE) -> None:
        with trio.move_on_after(patience) as scope:
            while not condition():
                self.raise_failure()
                if self._gone:
                    raise SwarmFailed("The torrent left the session.")
                await self.bell.next.wait()
        if scope.cancelled_caught:
            raise SwarmFailed("libtorrent did not answer in time.")


def _ignore(piece: int, whole: list[int]) -> None:
    """Nobody listens yet."""
