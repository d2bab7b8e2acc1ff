"""What a single download may be told, and what it remembers of its own between restarts. Pure.

Users say: `header.NAME` (sent to the origin of the URL), `allow-downgrade` and `any-type` (`yes` or `no`). A download
itself keeps `location`, the URL that redirects led to: mirror directories name another mirror each time, and another
mirror means another ETag and everything from the beginning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.errors import BadRequest

HEADER = "header."
_SWITCHES = {"allow-downgrade", "any-type"}
_LOCATION, _LOCATION_PUBLIC = "location", "location-public"


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
    location: Location | None = None


def check_options(options: Mapping[str, str]) -> dict[str, str]:
    """What a user gave. BadRequest for what is not known."""
    for name, value in options.items():
        if name in _SWITCHES:
            if value not in ("yes", "no"):
                raise BadRequest(f"The option {name} is yes or no, not {value!r}.")
        elif not name.startswith(HEADER) or len(name) == len(HEADER):
            raise BadRequest(f"There is no option {name!r} for a download.")
        elif any(c in value or c in name for c in "\r\n\0"):
            raise BadRequest(f"The header {name.removeprefix(HEADER)!r} holds a line break.")
    return dict(options)


def read_options(options: Mapping[str, str]) -> Options:
    """Of a download row."""
    location = options.get(_LOCATION)
    return Options(
        headers={name.removeprefix(HEADER): value for name, value in options.items() if name.startswith(HEADER)},
        allow_downgrade=options.get("allow-downgrade") == "yes",
        any_type=options.get("any-type") == "yes",
        location=None if location is None else Location(location, options.get(_LOCATION_PUBLIC) == "yes"),
    )


def with_location(options: Mapping[str, str], location: Location | None) -> dict[str, str]:
    """`options` for the row, with the location that is true now."""
    kept = {name: value for name, value in options.items() if name not in (_LOCATION, _LOCATION_PUBLIC)}
    if location is None:
        return kept
    return {**kept, _LOCATION: location.url, _LOCATION_PUBLIC: "yes" if location.public_only else "no"}
