"""Ages, sizes and counts as people write and read them: `30d`, `10G`, `1.5 GiB`, `1 item`. Pure. Any thread."""

from __future__ import annotations

import re

_AGE = re.compile(r"(\d+(?:\.\d+)?)(s|min|h|d|w|y)", re.ASCII)
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", re.ASCII | re.IGNORECASE)
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def seconds(text: str) -> float | None:
    """Of an age such as `90s`, `30min`, `12h`, `30d`, `2w` or `1y`, as `added:` has them. None: it is none."""
    found = _AGE.fullmatch(text.strip())
    return None if found is None else float(found[1]) * _SECONDS[found[2]]


def size(text: str) -> int | None:
    """Bytes, of `500K`, `10G` or `1.5GiB`: powers of 1024. None: it is no size."""
    found = _SIZE.fullmatch(text.strip())
    return None if found is None else int(float(found[1]) * _BYTES[found[2].upper()])


def shown(count: float) -> str:
    """`1.5 GiB`; bytes below 1 KiB as they are."""
    if count < 1024:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        count /= 1024
        if count < 1023.95:
            return f"{count:.1f} {unit}"
    return f"{count / 1024:.1f} PiB"


def counted(count: int, noun: str) -> str:
    """`1 item`, `2 items`, `0 items`, for nouns whose plural ends in s."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
