"""What the session tells of a torrent: frozen values of our own, made of libtorrent's alerts at once, since those are
gone at the next look. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Added:
    """It is in the session."""


@dataclass(frozen=True, slots=True)
class Gone:
    """It is not in the session any more."""


@dataclass(frozen=True, slots=True)
class Described:
    """The info dictionary of a magnet's torrent, as the swarm has it: checked against the infohash."""

    info: bytes


@dataclass(frozen=True, slots=True)
class Checked:
    """What is on disk is known: `pieces` has one byte a piece, 1 for those that are there."""

    pieces: bytes


@dataclass(frozen=True, slots=True)
class PieceDone:
    """Complete and of the right hash. Perhaps not in the file yet: see TorrentSession.flush."""

    piece: int


@dataclass(frozen=True, slots=True)
class Flushed:
    """What was done before the flush was asked for is in the files."""


@dataclass(frozen=True, slots=True)
class Saved:
    """libtorrent's own notes for the next start; None where it had none to give."""

    data: bytes | None


@dataclass(frozen=True, slots=True)
class Status:
    """Totals are payload bytes over all sessions; `seeding` seconds likewise. Rates are bytes a second."""

    download_rate: int
    upload_rate: int
    peers: int
    uploaded: int
    seeding: int


@dataclass(frozen=True, slots=True)
class Failed:
    """It stopped, for a reason that will not go away by itself. `why` is a sentence."""

    why: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A file cannot be read or written. The torrent stopped. `why` is a sentence."""

    why: str


@dataclass(frozen=True, slots=True)
class NoRoom:
    """The disk is full."""


@dataclass(frozen=True, slots=True)
class Warned:
    """A tracker, web seed or peer failed or lied. Others are asked, or it is again. `why` is a sentence."""

    why: str


@dataclass(frozen=True, slots=True)
class Misled:
    """What peers sent as its description is not. libtorrent keeps to the size that the liar named."""

    why: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The session is no more, and nothing writes to the torrent's files; another one can be begun."""

    why: str


Event = (
    Added
    | Gone
    | Ended
    | Described
    | Checked
    | PieceDone
    | Flushed
    | Saved
    | Status
    | Failed
    | Lost
    | NoRoom
    | Warned
    | Misled
)
