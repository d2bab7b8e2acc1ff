"""The lines of a listing of items, kept as columns: an entry is made for who asks for it. Pure.

Of 100,000 files most are whole, and what is shown of them is a name and seven numbers: 0.1 KB each, and no object of
its own. All others (folders, symlinks, what arrives or is written) are entries from the start.

    catalogue.columns, some thousands at a time ──▶ add ──▶ add ──▶ name, once: which of them cannot show their own
"""

from __future__ import annotations

import stat
from array import array
from collections.abc import Mapping, Sequence
from typing import overload

from engine.columns import Columns
from engine.types import ItemId
from tagfs.vfs.attr import BLOCK, Attr
from tagfs.vfs.names import Hiding, is_certain, is_tidy, shown_instead
from tagfs.vfs.tree import Entry, ItemNode


class Lines(Sequence[Entry]):
    """The nth of each column is of the nth line; `entries` are those that are no whole files, by number. `uncertain`
    are the numbers of those whose name may come to mean something else (`names.is_certain`)."""

    __slots__ = ("ctimes_ns", "entries", "ids", "links", "modes", "mtimes_ns", "names", "sizes", "uncertain")

    def __init__(self) -> None:
        self.names: list[bytes] = []
        self.ids = array("I")
        self.sizes = array("q")  # bytes
        self.modes = array("I")
        self.links = array("I")
        self.mtimes_ns = array("q")
        self.ctimes_ns = array("q")
        self.entries: dict[int, Entry] = {}
        self.uncertain: set[int] = set()

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, number: int) -> Entry: ...
    @overload
    def __getitem__(self, number: slice) -> list[Entry]: ...
    def __getitem__(self, number: int | slice) -> Entry | list[Entry]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        known = self.entries.get(number)
        if known is not None:
            return known
        return Entry(_text(self.names[number]), ItemNode(ItemId(self.ids[number])), self._attr(number))

    def _attr(self, number: int) -> Attr:
        size = self.sizes[number]
        return Attr(
            self.ids[number],
            self.modes[number],
            size,
            -(-size // BLOCK),
            self.links[number],
            self.mtimes_ns[number],
            self.ctimes_ns[number],
        )

    def add(self, found: Columns, entries: Mapping[int, Entry]) -> None:
        """The next items, with the entries, by id, of those that are to be shown as such. What they are called in the
        end, `name` decides when all are there."""
        names = found.names.split(b"/") if found.ids else []
        if entries:
            for number, (item, name) in enumerate(zip(found.ids, names, strict=True), len(self.ids)):
                if item in entries:
                    self.entries[number] = entries[item]._replace(name=_text(name))
        self.names += names
        self.ids += found.ids
        self.sizes += found.sizes
        self.modes.extend([stat.S_IFREG | mode for mode in found.modes])
        self.links.extend([1 + paths for paths in found.paths])
        self.mtimes_ns += found.mtimes_ns
        self.ctimes_ns.extend(map(max, found.mtimes_ns, found.added_ns))

    def name(self, hiding: Hiding | None) -> None:
        """Once all are there. `hiding`: which names mean something else here; None: none do."""
        joined = _text(b"/".join(self.names))
        names = joined.split("/") if self.names else []
        hidden = hiding.among(joined) if hiding is not None and names else ()
        instead = shown_instead(names, self.ids, hidden, hiding or _hides_none)
        for number, name in instead.items():
            self.names[number] = name.encode("utf-8", "surrogateescape")
            names[number] = name
            if number in self.entries:
                self.entries[number] = self.entries[number]._replace(name=name)
        if instead or not is_tidy(joined):
            self.uncertain = {number for number, name in enumerate(names) if not is_certain(name)}


def _hides_none(_name: str) -> bool:
    return False


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
