"""What a single download may be told, and what it remembers of its own between restarts. Pure.

Users say: `header.NAME` (sent to the origin of the URL), `allow-downgrade` and `any-type` (`yes` or `no`), `split` and
`max-connections` (numbers, instead of those of the configuration), `max-download` (bytes a second, 0 for no limit),
`cookies` (a file of them, in the format of Netscape),
`mode` (`full`, or `on-demand`: only what is read is fetched), and `public-only` (`yes`: a stranger wrote the URLs, so
that they may not lead into private networks).

A download itself keeps `home`, the URL whose ETag its bytes have, where that is not the first one, and `location`, the
URL that redirects led to from there: mirror directories name another mirror each time, and another mirror means another
ETag.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from engine.errors import BadRequest
from engine.sources.credentials import read_cookies

HEADER = "header."
MOST_CONNECTIONS: Final = 64
_SWITCHES = {"allow-downgrade", "any-type", "public-only"}
_NUMBERS = {"split", "max-connections"}
COOKIES: Final = "cookies"
RATE: Final = "max-download"
MOST_DIGITS: Final = 15
MODE: Final = "mode"
PIECES: Final = "pieces"  # of the file that is asked for, see `pieces`
SIZE: Final = "size"  # that the file must have
FULL: Final = "full"
ON_DEMAND: Final = "on-demand"
_HOME, _LOCATION, _LOCATION_PUBLIC = "home", "location", "location-public"


@dataclass(frozen=True, slots=True)
class Location:
    """Where redirects led. `public_only`: strangers led there, so that the address policy goes on to hold."""

    url: str
    public_only: bool


@dataclass(frozen=True, slots=True)
class Options:
    headers: Mapping[str, str] = field(default_factory=dict)
    allow_downgrade: bool = False
    any_type: bool = False
    public_only: bool = False  # all mirrors are strangers
    split: int | None = None  # main connections at once
    max_connections: int | None = None  # at once to one host
    cookies: str | None = None  # a file of them
    max_download: int | None = None  # bytes a second
    on_demand: bool = False  # only what readers ask for is fetched
    size: int | None = None  # that the file must have
    home: str | None = None
    location: Location | None = None


def check_options(options: Mapping[str, str]) -> dict[str, str]:
    """What a user gave. BadRequest for what is not known."""
    for name, value in options.items():
        if name in _SWITCHES:
            if value not in ("yes", "no"):
                raise BadRequest(f"The option {name} is yes or no, not {value!r}.")
        elif name in _NUMBERS:
            if not value.isascii() or not value.isdecimal() or not 1 <= int(value[:9]) <= MOST_CONNECTIONS:
                raise BadRequest(f"The option {name} is a number from 1 to {MOST_CONNECTIONS}, not {value!r}.")
        elif name == COOKIES:
            if not os.path.isabs(value):
                raise BadRequest(f"The option {name} is the absolute path of a file, not {value!r}.")
            read_cookies(value)
        elif name == RATE:
            if not value.isascii() or not value.isdecimal() or len(value) > MOST_DIGITS:
                raise BadRequest(f"The option {name} is bytes a second, a whole number, not {value!r}.")
        elif name == MODE:
            check_mode(value)
        elif not name.startswith(HEADER) or len(name) == len(HEADER):
            raise BadRequest(f"There is no option {name!r} for a download.")
        elif any(c in value or c in name for c in "\r\n\0"):
            raise BadRequest(f"The header {name.removeprefix(HEADER)!r} holds a line break.")
    return dict(options)


def check_mode(mode: str) -> None:
    """BadRequest for what is none."""
    if mode not in (FULL, ON_DEMAND):
        raise BadRequest(f"The mode of a download is {FULL} or {ON_DEMAND}, not {mode!r}.")


def read_options(options: Mapping[str, str]) -> Options:
    """Of a download row."""
    location = options.get(_LOCATION)
    return Options(
        headers={name.removeprefix(HEADER): value for name, value in options.items() if name.startswith(HEADER)},
        allow_downgrade=options.get("allow-downgrade") == "yes",
        any_type=options.get("any-type") == "yes",
        public_only=options.get("public-only") == "yes",
        split=_number(options.get("split")),
        max_connections=_number(options.get("max-connections")),
        cookies=options.get(COOKIES),
        max_download=_number(options.get(RATE)) or None,
        on_demand=options.get(MODE) == ON_DEMAND,
        size=_number(options.get(SIZE)),
        home=options.get(_HOME),
        location=None if location is None else Location(location, options.get(_LOCATION_PUBLIC) == "yes"),
    )


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def with_place(options: Mapping[str, str], home: str | None, location: Location | None) -> dict[str, str]:
    """`options` for the row, with the home and location that are true now."""
    kept = {name: value for name, value in options.items() if name not in (_HOME, _LOCATION, _LOCATION_PUBLIC)}
    if home is not None:
        kept[_HOME] = home
    if location is not None:
        kept |= {_LOCATION: location.url, _LOCATION_PUBLIC: "yes" if location.public_only else "no"}
    return kept
