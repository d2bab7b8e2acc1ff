"""Downloads, and how an arriving file is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from engine.history import Cause
from engine.types import (
    Item,
    ItemId,
    Pieces,
)


@dataclass(frozen=True, slots=True)
class Progress:
    """Of an arriving item. `done` and `total` are bytes, `speed` bytes a second (5 s window), `eta` seconds."""

    done: int
    total: int | None
    speed: float = 0.0
    eta: float | None = None
    connections: int = 0
    retry_at_ns: int | None = None


class RangeReader(Protocol):
    """An arriving file, as the vfs sees it."""

    @property
    def size(self) -> int | None: ...
    @property
    def present(self) -> int:
        """Bytes that are here."""

    def have(self, offset: int, length: int) -> bool: ...
    def hint(self, offset: int, length: int) -> None:
        """Somebody is about to read this: put it first. Starts the download if it waits in the queue."""

    async def wait_size(self, deadline: float) -> None:
        """Until `size` is known, or bytes come although it is not, or nothing will come, or `deadline` (trio clock).
        Puts the download first like a read of its beginning. Never fails: whoever reads on learns why."""

    async def pread(self, offset: int, length: int, deadline: float) -> bytes:
        """Exactly the bytes, cut only at the end of the file; of one whose size is not known what is here of them, at
        least one. Waits for them until `deadline` (trio clock).

        NotReady when too many wait already; SourceFailed when patience runs out or the source fails."""


@dataclass(frozen=True, slots=True)
class AddRequest:
    """A download to start. `urls` are mirrors of one file, or one magnet link; or there is none, and `torrent` is the
    content of a .torrent file. `select` chooses files of a torrent: `1-3,7`, counted from 1, or a pattern as `*.mkv`;
    None means all, or what the magnet link says."""

    urls: Sequence[str] = ()
    name: str | None = None  # None: from the server or the URL
    tags: Collection[str] = ()
    digests: Mapping[str, str] = field(default_factory=dict)  # algorithm -> hex
    pieces: Pieces | None = None  # of the one file that `urls` name
    size: int | None = None  # that it must have
    paused: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    torrent: bytes | None = None
    select: str | None = None
    cause: Cause = Cause.MOUNT  # who asks for it
    folder: ItemId | None = None  # the folder item that it is to be in


class Transfers(Protocol):
    async def add(self, request: AddRequest) -> Item:
        """The item is there (queued) when this returns; its name may still change once the server says better."""

    def reader(self, item: ItemId) -> RangeReader | None:
        """None for an item that is not arriving."""

    def progress(self, item: ItemId) -> Progress | None: ...
    async def pause(self, item: ItemId) -> None: ...
    async def resume(self, item: ItemId) -> None:
        """Also retries what failed."""

    async def stop(self, item: ItemId) -> None:
        """Before an item goes to the trash: let go of its connections and wait until nothing writes any more. A file in
        a torrent is not wanted any more."""

    async def skip(self, item: ItemId) -> None:
        """A file in a torrent is not wanted; `resume` wants it again. BadRequest for what is none."""

    def mode(self, item: ItemId) -> str | None:
        """`full`, or `on-demand`: only what readers ask for is fetched. None for an item that is not arriving."""

    async def set_mode(self, item: ItemId, mode: str) -> None:
        """BadRequest for another word, or where it cannot be changed. Nothing happens to what is not arriving."""
