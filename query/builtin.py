"""The keys that tagfs computes for each item. Imports nothing of tagfs; plain tables, any thread.

A built-in key reads like any `key:value` tag in a query but cannot be set. This table says how its values compare;
the engine says what they are.
"""

from __future__ import annotations

from enum import Enum
from typing import Final
from unicodedata import normalize


class Order(Enum):
    """How the values of a key compare, see query.values."""

    TYPED = "numbers, sizes and dates as such, all else as text"  # every key that users make up, too
    TEXT = "as text, exactly"
    FOLDED = "as text, in lower case"


BUILTIN: Final[dict[str, str]] = {
    "state": "where the download stands: queued, downloading, paused, complete, seeding, failed, missing or skipped",
    "type": "video, audio, image, text or archive, or a MIME type such as video/x-matroska; by content, else by name",
    "ext": "the extension of the name, without its dot and in any case",
    "size": "the full size in bytes; bounds may carry a unit, as in 700M or 1.5GiB",
    "added": "when the item was made, in UTC; bounds are dates or ages, as in 2026-11 or 7d",
    "source": "how the item came in: http, ftp, torrent, import or mount",
    "host": "the host of that address, in any case",
    "name": "the name of the item, exactly",
    "sha256": "the SHA-256 of the content, in hexadecimal",
    "is": "untagged: the item has no tag of its own",
}

BUILTIN_KEYS: Final[frozenset[str]] = frozenset(BUILTIN)

# The values that these keys can have. A query for another one is a typing mistake, not an empty result.
CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "state": ("queued", "downloading", "paused", "complete", "seeding", "failed", "missing", "skipped"),
    "is": ("untagged",),
}

_ORDERS: Final[dict[str, Order]] = {
    "size": Order.TYPED,
    "added": Order.TYPED,
    "ext": Order.FOLDED,
    "host": Order.FOLDED,
    "sha256": Order.FOLDED,
}


def order_of(key: str) -> Order:
    """How the values of `key` compare; keys that users make up are TYPED."""
    if key in BUILTIN_KEYS:
        return _ORDERS.get(key, Order.TEXT)
    return Order.TYPED


def fold(key: str, value: str) -> str:
    """`value` as the order of `key` compares it: in lower case for FOLDED keys, unchanged otherwise."""
    if _ORDERS.get(key) is not Order.FOLDED:
        return value
    # Lower case may decompose (J with a caron is two characters, j with one is not), and all texts here are NFC.
    return normalize("NFC", value.lower())
