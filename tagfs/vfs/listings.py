"""Listings of query directories: those that somebody shows, and those that are kept for the next reader. Trio thread.

A listing is followed from before its rows are read until nobody holds it any more: whatever changes while it is made
or shown is noticed, and then the kernel is told to cache nothing of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from pyroaring import BitMap

from engine.types import ItemId
from tagfs.vfs.lines import Lines
from tagfs.vfs.tree import Snapshot

if TYPE_CHECKING:
    from tagfs.vfs.known import View

CACHED_ENTRIES: Final = 250_000  # in all cached listings together; about 0.3 KB each with what the kernel side keeps
FOLDER_ENTRIES: Final = 200_000  # the same of folder items: one of 100,000 files, and as much again


class Listing(Snapshot):
    """The items of a view, as of one moment. Whoever made it fills in the entries."""

    def __init__(self, view: View, members: BitMap) -> None:
        self.entries: Lines = Lines()
        self.members = members
        self.view = view
        self.overtaken = view.relative  # by a change of what it shows, or by the clock at any time

    def stale(self) -> bool:
        return self.overtaken

    def has_uncertain_names(self) -> bool:
        """Of a listing that is still being made, nobody knows."""
        return not self.entries or bool(self.entries.uncertain)


class Listings:
    """State: which listings are up to date, and which of them are kept; `retire` hears of views that have none left."""

    def __init__(self, retire: Callable[[View], None]) -> None:
        self._retire = retire
        self._followed: WeakSet[Listing] = WeakSet()
        self._cached: OrderedDict[tuple[View, bool], Listing] = OrderedDict()  # bool: as below `@`, nothing hidden
        self._cached_entries = 0

    def new(self, view: View, members: BitMap) -> Listing:
        """Of `members`, which match now."""
        listing = Listing(view, members)
        self._followed.add(listing)
        return listing

    def cached(self, view: View, *, items_only: bool) -> Listing | None:
        listing = self._cached.get((view, items_only))
        if listing is not None:
            self._cached.move_to_end((view, items_only))
        return listing

    def cache(self, listing: Listing, *, items_only: bool) -> None:
        """Keep it until it is overtaken or room is needed."""
        if listing.overtaken or len(listing.entries) > CACHED_ENTRIES // 2:
            return
        key = (listing.view, items_only)
        self._cached_entries -= len(old.entries) if (old := self._cached.get(key)) else 0
        self._cached[key] = listing
        self._cached_entries += len(listing.entries)
        while self._cached_entries > CACHED_ENTRIES:
            self._uncache(next(iter(self._cached))[0])

    def keeps(self, view: View) -> bool:
        return (view, False) in self._cached or (view, True) in self._cached

    def overtake(self, changed: Callable[[Listing], bool]) -> None:
        for listing in list(self._followed):
            if changed(listing):
                listing.overtaken = True
                self._followed.discard(listing)
                self._uncache(listing.view)

    def _uncache(self, view: View) -> None:
        for items_only in (False, True):
            listing = self._cached.pop((view, items_only), None)
            if listing is not None:
                self._cached_entries -= len(listing.entries)
        self._retire(view)


class FolderListings:
    """Listings of folder items that are kept for the next reader: what they hold seldom changes, and some hold 100,000
    files. State: the listings, least recently used first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[ItemId, Snapshot] = OrderedDict()
        self._entries = 0

    def get(self, folder: ItemId) -> Snapshot | None:
        listing = self._kept.get(folder)
        if listing is None:
            return None
        if listing.stale():
            self._drop(folder)
            return None
        self._kept.move_to_end(folder)
        return listing

    def keep(self, folder: ItemId, listing: Snapshot) -> None:
        if listing.stale() or len(listing.entries) > FOLDER_ENTRIES:
            return
        self._drop(folder)
        self._kept[folder] = listing
        self._entries += len(listing.entries)
        while self._entries > FOLDER_ENTRIES:
            self._drop(next(iter(self._kept)))

    def _drop(self, folder: ItemId) -> None:
        listing = self._kept.pop(folder, None)
        self._entries -= len(listing.entries) if listing is not None else 0
