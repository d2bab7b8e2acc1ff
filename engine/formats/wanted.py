"""One download that a file or a magnet names, before anybody has asked for it, and what reading a file gave. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from engine.ports import AddRequest
from engine.sources.urls import hidden
from engine.types import Pieces

MAX_FAULTS: Final = 20  # sentences kept of one file; the last says how many more there are
# Options of one download that mean nothing to the other kind.
_STREAMS: Final = frozenset({"cookies", "allow-downgrade", "any-type", "public-only", "split", "max-connections"})
_TORRENTS: Final = frozenset({"seed", "seed-ratio", "seed-time", "max-upload", "connections"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """`urls` are mirrors of one file, the best first, or one magnet; `torrent` the content of a .torrent file instead.

    `name` is fit to be a file's; `select` chooses files of a torrent as `--select` does (`1-3,7`, counted from 1)."""

    urls: tuple[str, ...] = ()
    torrent: bytes | None = None
    name: str | None = None
    size: int | None = None
    digests: Mapping[str, str] = field(default_factory=dict)  # algorithm -> lower-case hex
    pieces: Pieces | None = None
    select: str | None = None
    paused: bool = False
    by_stranger: bool = False  # whoever wrote the file may not send us into private networks
    options: Mapping[str, str] = field(default_factory=dict)

    def request(self, *, tags: Collection[str], paused: bool, options: Mapping[str, str]) -> AddRequest:
        """As it is asked for. What the file says of this one download wins over `options`, which are for all that a
        file names, as far as they mean something to each."""
        return AddRequest(
            self.urls,
            name=self.name,
            tags=tags,
            digests=self.digests,
            pieces=self.pieces,
            size=self.size,
            paused=paused or self.paused,
            options={
                **({"public-only": "yes"} if self.by_stranger else {}),
                **{name: value for name, value in options.items() if self.takes(name)},
                **self.options,
            },
            torrent=self.torrent,
            select=self.select,
        )

    def takes(self, option: str) -> bool:
        """Whether this kind of download may have the option; one that nobody knows is for the engine to refuse."""
        torrent = self.torrent is not None or any(url[:7].lower() == "magnet:" for url in self.urls)
        others = _STREAMS if torrent else _TORRENTS
        return not (option in others or (torrent and option.startswith("header.")))


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file holds. A fault is a download that cannot be had, a note something that was left out of one; each is
    one sentence that says where."""

    wanted: tuple[Wanted, ...] = ()
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def shown(text: str) -> str:
    """`text` for a sentence: quoted, not long, and without the secrets of a link in it."""
    return repr(hidden(text))


class Sentences:
    """A bounded list of them."""

    def __init__(self) -> None:
        self._kept: list[str] = []
        self._more = 0

    def add(self, sentence: str) -> None:
        if len(self._kept) < MAX_FAULTS:
            self._kept.append(sentence)
        else:
            self._more += 1

    def all(self) -> tuple[str, ...]:
        more = (f"There are {self._more} more like these.",) if self._more else ()
        return (*self._kept, *more)
