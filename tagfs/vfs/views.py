"""The live query directories: their listings, and what a change does to them. Trio thread; owner of the listing cache.

`apply` (instant, at commit) drops the listings that are out of date; `settle` (before the call that made the change
returns) has the kernel forget the names that are. Three parts do the work, each with a state of its own:

    known.py      which directories the kernel knows, and which of them a change can touch
    turning.py    directories whose query means something else since a commit
    settling.py   what the kernel is to forget
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Sequence

from pyroaring import BitMap

from engine.ports import Catalogue, Index
from engine.types import COMING_OR_GOING, SAVING, Change, ItemId, TagChange, TagEvent
from tagfs.vfs.along import Places
from tagfs.vfs.forgetting import folders_of, is_relisted, retagged_items
from tagfs.vfs.known import Known, View
from tagfs.vfs.listings import Listing, Listings
from tagfs.vfs.settling import Kernel, Settling
from tagfs.vfs.turning import Turning


class Views:
    """Also an `engine.ports.Observer`, which must come after the index."""

    def __init__(self, catalogue: Catalogue, index: Index) -> None:
        self._catalogue = catalogue
        self._index = index
        self.known = Known(index, self._is_kept)
        self._listings = Listings(self.known.retire)
        self._turning = Turning(self.known)
        self._settling = Settling(catalogue, index, self.known, self._turning)
        self._versions: Counter[ItemId] = Counter()  # of the listings of folder items
        self._retaggings = 0  # so often were many items in folders retagged at once: concerns all such listings
        self.version = 0  # of /files and /trash: grows with each change of any item
        self.changed_ns = time.time_ns()  # of any item in any way
        self.listed_ns = self.changed_ns  # of what /files, /trash and /blobs list
        self.tags_changed_ns = self.changed_ns
        self.relations_changed_ns = self.changed_ns
        self.queries_changed_ns = self.changed_ns  # those that are saved

    def connect(self, kernel: Kernel) -> None:
        self._settling.connect(kernel)

    def connect_places(self, places: Places) -> None:
        self._turning.connect(places)

    # -- which directories there are ---------------------------------------------------------------------------

    def detach(self, directory: int) -> None:
        """The kernel has forgotten that node id."""
        self.known.detach(directory, self._turning.leave(directory))

    def version_of(self, folder: ItemId) -> int:
        """Grows with each change of what is directly in the folder."""
        return self._versions[folder] + self._retaggings

    def _is_kept(self, view: View) -> bool:
        return self._listings.keeps(view)

    # -- listings ----------------------------------------------------------------------------------------------

    def listing(self, view: View, members: BitMap) -> Listing:
        """A listing of `members`, which are shown now; its entries are for the caller to fill in."""
        view.inner |= members & self._index.inner
        return self._listings.new(view, members)

    def show(self, view: View, item: ItemId) -> None:
        """The kernel is about to learn a name of this item there."""
        if item in self._index.inner:
            view.inner.add(item)

    def cached(self, view: View, *, items_only: bool) -> Listing | None:
        return self._listings.cached(view, items_only=items_only)

    def cache(self, listing: Listing, *, items_only: bool) -> None:
        """Only views that are followed are kept current."""
        if self.known.views.get(listing.view.expr) is listing.view:
            self._listings.cache(listing, items_only=items_only)

    # -- changes -----------------------------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        self._settling.begin()
        now = time.time_ns()
        turned = self._turning.turn(tags)
        touched = set(self.known.concerned(changes)) | self.known.retagged(tags) | turned
        for change_of_tag in tags:
            if change_of_tag.event in COMING_OR_GOING:
                touched |= self.known.naming(change_of_tag)
        for view in touched:
            view.changed_ns = now
        items = retagged_items(tags)
        if changes or items:
            self.version += 1
            self.changed_ns = now
            if any(map(is_relisted, changes)):
                self.listed_ns = now
        self._retaggings += items.intersect(self._index.inner)
        self._versions.update(folder for change in changes for folder in folders_of(change))
        if any(change.event in COMING_OR_GOING for change in tags):
            self.tags_changed_ns = now
        tags = [change for change in tags if change.event is not TagEvent.RETAGGED]
        if any(change.event is not TagEvent.CREATED and change.event not in SAVING for change in tags):
            self.relations_changed_ns = now
        if any(change.event in SAVING for change in tags):
            self.queries_changed_ns = now
        items.update(change.item for change in changes)
        named = [(change.name, change.new_name) for change in tags if change.event in COMING_OR_GOING]
        coming_or_going = [name for names in named for name in names if name]
        hides = any(map(self._catalogue.named, coming_or_going))  # an item of the name of a tag that came or went

        def changed(listing: Listing) -> bool:
            if listing.view in touched or listing.members.intersect(items):
                return True
            return hides or (bool(tags) and listing.has_uncertain_names())

        self._listings.overtake(changed)

    def overwritten(self, item: ItemId) -> None:
        """Somebody begins to write over its content: from now on size and date change without a commit, so listings
        that show what they were are not to be shown again."""
        self.version += 1
        row = self._catalogue.item(item)
        if row is not None and row.parent is not None:
            self._versions[row.parent] += 1
        self._listings.overtake(lambda listing: item in listing.members)

    def settle(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> Awaitable[None] | None:
        return self._settling.settle(changes, tags)
