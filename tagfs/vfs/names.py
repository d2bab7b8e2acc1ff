"""How items are named in a listing, and how a name leads back. Pure.

The oldest item of a name shows it plainly, the others as `stem~ID.ext`. So does an item whose plain name means
something else in that directory (an operator, a tag). Should an item literally be called `stem~ID.ext`, one more `~`
follows the ID.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Protocol
from unicodedata import is_normalized

from engine.types import Item, ItemId

NAME_MAX = 255  # bytes
_TILDE = re.compile(r"~(\d{1,10})(~*)(?=\.[^.]*\Z|\Z)", re.ASCII)


def tilde_name(name: str, item: ItemId, extra: int = 0) -> str:
    """`film.mkv`, 4711 -> `film~4711.mkv`. The stem is cut where the whole would pass 255 bytes."""
    stem, ext = os.path.splitext(name)
    tail = os.fsencode(f"~{item}{'~' * extra}{ext}")
    if len(tail) > NAME_MAX - 1:  # an "extension" that leaves no room is no extension
        stem, tail = name, os.fsencode(f"~{item}{'~' * extra}")
    raw = os.fsencode(stem)[: NAME_MAX - len(tail)]
    while raw and stem.isprintable() and not _decodes(raw):
        raw = raw[:-1]  # not in the middle of a character
    return os.fsdecode(raw + tail)


def _decodes(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def tilde_ids(name: str) -> Iterator[tuple[ItemId, int]]:
    """The (item, extra) pairs that `name` may stand for, as `tilde_name` spells them."""
    for found in _TILDE.finditer(name):
        yield ItemId(int(found[1])), len(found[2])


def is_certain(name: str) -> bool:
    """Whether it is known which changes alter what `name` means in a query directory: those of items that have it, and
    of the tag of that name.

    Not so for what becomes part of a query when other tags are made (`-a`, `a,b`, `year:2000`, a name that is a tag's
    but for its Unicode normal form), nor for `stem~ID~.ext`, of which an item has any number."""
    if "," in name or ":" in name or name.startswith("-"):
        return False
    if not name.isascii() and not is_normalized("NFC", name):
        return False
    return "~" not in name or not any(extra for _, extra in tilde_ids(name))


def is_tidy(names: str) -> bool:
    """Of many names, joined by slashes: whether all are certain, and none is spelled as an operator or a term."""
    if not names.isascii() or any(mark in names for mark in ",:~"):
        return False
    return not any(mark in f"/{names}" for mark in ("/+", "/-", "/{", "/}", "/@"))


def is_tilde_name(shown: str, name: str, item: ItemId) -> bool:
    """Whether `shown` is `stem~ID.ext` of this item."""
    return any(found == item and tilde_name(name, item, extra) == shown for found, extra in tilde_ids(shown))


class Hiding(Protocol):
    """Which plain names mean something else in a directory."""

    def __call__(self, name: str) -> bool: ...

    def among(self, names: str) -> Collection[str]:
        """Those among `names`, which are joined by slashes."""


def show(items: Iterable[Item], hidden: Callable[[str], bool]) -> Iterator[tuple[str, Item]]:
    """Names for a listing of `items`, oldest first. `hidden`: whether a plain name means something else here."""
    rows = list(items)
    names = [item.name for item in rows]
    instead = shown_instead(names, [item.id for item in rows], set(filter(hidden, names)), hidden)
    for number, item in enumerate(rows):
        yield instead.get(number, item.name), item


def shown_instead(
    names: Sequence[str], ids: Sequence[int], hidden: Collection[str], hides: Callable[[str], bool]
) -> dict[int, str]:
    """By number, what is shown of a listing in place of names that cannot be: those that are `hidden`, which `hides`
    says of any other name, and those that an older item has. `ids` ascend."""
    plain = set(names)
    if len(plain) == len(names) and not hidden:
        return {}
    doubtful = {name for name, times in Counter(names).items() if times > 1}.union(hidden)
    seen: set[str] = set()
    instead: dict[int, str] = {}
    for number, name in enumerate(names):
        if name not in doubtful:
            continue
        if name not in seen and name not in hidden:
            seen.add(name)
            continue
        item, extra = ItemId(ids[number]), 0
        while (shown := tilde_name(name, item, extra)) in plain or hides(shown):
            extra += 1
        instead[number] = shown
    return instead
