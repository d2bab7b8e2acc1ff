"""What a single torrent may be told. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from engine.errors import BadRequest

_NUMBERS: Final = {
    "max-download": "bytes a second",
    "max-upload": "bytes a second",
    "connections": "a number",
    "seed-ratio": "a ratio, 0 for no such goal",
    "seed-time": "seconds, 0 for no such goal",
}
_WORDS: Final = {"seed": ("yes", "no"), "mode": ("full", "on-demand")}


def check_options(options: Mapping[str, str]) -> dict[str, str]:
    """What a user gave. BadRequest for what is not known."""
    for name, value in options.items():
        if name in _WORDS:
            if value not in _WORDS[name]:
                raise BadRequest(f"The option {name} is {' or '.join(_WORDS[name])}, not {value!r}.")
        elif name in _NUMBERS:
            _check_number(name, value)
        else:
            raise BadRequest(f"There is no option {name!r} for a torrent.")
    return dict(options)


def _check_number(name: str, value: str) -> None:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    whole = name in ("max-download", "max-upload", "connections")
    if not math.isfinite(number) or number < 0 or (whole and not value.isdigit()):
        raise BadRequest(f"The option {name} is {_NUMBERS[name]}, not {value!r}.")
