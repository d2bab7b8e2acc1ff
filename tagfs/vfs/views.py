"""The live query directories: which of them does a change touch? Trio thread; single owner of the listing cache.

A *view* is one normalised query with all directories (node ids) that the kernel knows of it. Views are found by the
tags and keys in their query, so that a change looks only at those that it can concern:

    change ──▶ tags that came or went, built-in keys whose value changed ──▶ views that name them
           ──▶ an item that appeared or vanished ──▶ also the views that match without any positive tag (`-watched`)

`apply` (instant, at commit) drops the cached listings that are out of date; `settle` (before the call that made the
change returns) has the kernel forget the names that are.
"""

from __future__ import annotations

import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from pyroaring import BitMap

from engine.ports import Catalogue
from engine.types import Change, Facts, Kind, State, TagChange, TagEvent
from query.ages import is_relative
from query.ast import Expr, Tag
from query.builtin import BUILTIN_KEYS
from query.evaluate import leaves, matches
from query.names import split_pair
from tagfs.vfs import numbers
from tagfs.vfs.names import tilde_name
from tagfs.vfs.tree import Entry, Snapshot

CACHED_ENTRIES = 400_000  # in all cached listings together; about 0.5 KB each with what the kernel side keeps
_BARE = Facts("", Kind.FILE, State.COMPLETE, None, None, 0, trashed=False)  # an item with nothing to it


class Kernel(Protocol):
    """What the kernel has cached, to be forgotten. Implemented above, by the mount."""

    async def forget(self, names: Sequence[tuple[int, str]], inodes: Sequence[int]) -> None:
        """`names`: (node id of the directory, name). `inodes`: attributes to be asked for again."""


class View:
    """`version` grows with each change of membership or of a member."""

    __slots__ = ("changed_ns", "directories", "expr", "keys", "open_ended", "relative", "tags", "version")

    def __init__(self, expr: Expr) -> None:
        self.expr = expr
        self.directories: set[int] = set()
        self.version = 0
        self.changed_ns = time.time_ns()
        self.tags: set[str] = set()
        self.keys: set[str] = set()
        for leaf in leaves(expr):
            if isinstance(leaf, Tag):
                self.tags.add(leaf.name)
            else:
                self.keys.add(leaf.key)
        self.relative = is_relative(expr)
        self.open_ended = matches(expr, _BARE, now=0.0) or bool(self.keys & BUILTIN_KEYS)


class Listing(Snapshot):
    """The items of a view, as of `version`."""

    def __init__(self, view: View, entries: Sequence[Entry], members: BitMap, version: int) -> None:
        self.entries = entries
        self.members = members
        self._view = view
        self._version = version

    def stale(self) -> bool:
        return self._version != self._view.version or self._view.relative


class Views:
    """Also an `engine.ports.Observer`."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._kernel: Kernel | None = None
        self._views: dict[Expr, View] = {}
        self._by_tag: defaultdict[str, set[View]] = defaultdict(set)
        self._by_key: defaultdict[str, set[View]] = defaultdict(set)
        self._open_ended: set[View] = set()
        self._cached: OrderedDict[tuple[View, bool], Listing] = OrderedDict()  # bool: as below `@`, nothing hidden
        self._cached_entries = 0
        self._unfinished: set[int] = set()
        self.version = 0  # of /files and /trash: grows with each change of any item
        self.changed_ns = time.time_ns()
        self.tags_changed_ns = self.changed_ns

    def connect(self, kernel: Kernel) -> None:
        self._kernel = kernel

    # -- which views there are ---------------------------------------------------------------------------------

    def view(self, expr: Expr) -> View:
        """The view of a normalised query; it lives as long as a directory or the cache refers to it."""
        return self._views.get(expr) or View(expr)

    def attach(self, view: View, directory: int) -> View:
        """The kernel knows this query as node id `directory` now; returns the one view that is followed for it."""
        view = self._views.get(view.expr, view)
        if view.expr not in self._views:
            self._views[view.expr] = view
            for tag in view.tags:
                self._by_tag[tag].add(view)
            for key in view.keys:
                self._by_key[key].add(view)
            if view.open_ended:
                self._open_ended.add(view)
        view.directories.add(directory)
        return view

    def detach(self, view: View, directory: int) -> None:
        """The kernel has forgotten that node id. A listing that is cached outlives it: it may be asked for again."""
        view.directories.discard(directory)
        self._retire(view)

    def _retire(self, view: View) -> None:
        """Follow a view no longer that neither the kernel nor the cache knows."""
        if view.directories or any((view, items_only) in self._cached for items_only in (False, True)):
            return
        self._views.pop(view.expr, None)
        for tag in view.tags:
            _drop(self._by_tag, tag, view)
        for key in view.keys:
            _drop(self._by_key, key, view)
        self._open_ended.discard(view)

    def attach_unfinished(self, directory: int) -> None:
        """The kernel knows an unfinished query (`/tags/a/+`, `/tags/year:`) as this node id: its children are tags."""
        self._unfinished.add(directory)

    def detach_unfinished(self, directory: int) -> None:
        self._unfinished.discard(directory)

    # -- listings ----------------------------------------------------------------------------------------------

    def cached(self, view: View, *, items_only: bool) -> Listing | None:
        listing = self._cached.get((view, items_only))
        if listing is not None:
            self._cached.move_to_end((view, items_only))
        return listing

    def cache(self, view: View, listing: Listing, *, items_only: bool) -> None:
        """Keep it until a member changes or room is needed. Only views that are followed are kept current."""
        if self._views.get(view.expr) is not view or listing.stale() or len(listing.entries) > CACHED_ENTRIES // 2:
            return
        self._cached_entries -= len(old.entries) if (old := self._cached.get((view, items_only))) else 0
        self._cached[view, items_only] = listing
        self._cached_entries += len(listing.entries)
        while self._cached_entries > CACHED_ENTRIES:
            self._uncache(next(iter(self._cached))[0])

    def _uncache(self, view: View) -> None:
        for items_only in (False, True):
            listing = self._cached.pop((view, items_only), None)
            if listing is not None:
                self._cached_entries -= len(listing.entries)
        self._retire(view)

    # -- changes -----------------------------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        now = time.time_ns()
        for change in changes:
            self.version += 1
            self.changed_ns = now
            for view in self._candidates(change):
                self._touch(view, now)
            for (view, _), listing in list(self._cached.items()):
                if change.item in listing.members:
                    self._touch(view, now)
        for change_of_tag in tags:
            self.tags_changed_ns = now
            if change_of_tag.event is TagEvent.RENAMED:
                for view in list(self._views.values()):
                    self._touch(view, now)
            for view in list(self._by_tag.get(change_of_tag.new_name or change_of_tag.name, ())):
                self._touch(view, now)
            if change_of_tag.event is TagEvent.CREATED:  # items of that name are hidden by it from now on
                for view, _ in list(self._cached):
                    self._touch(view, now)

    def _touch(self, view: View, now: int) -> None:
        view.version += 1
        view.changed_ns = now
        self._uncache(view)

    def _candidates(self, change: Change) -> set[View]:
        """Views whose membership this change may alter."""
        before, after = change.before, change.after
        old = before.tags if _is_live(before) and before else frozenset[str]()
        new = after.tags if _is_live(after) and after else frozenset[str]()
        found: set[View] = set()
        appeared_or_vanished = _is_live(before) != _is_live(after)
        for tag in old | new if appeared_or_vanished else old ^ new:
            found |= self._by_tag.get(tag, set())
            pair = split_pair(tag)
            if pair:
                found |= self._by_key.get(pair[0], set())
        if appeared_or_vanished:
            return found | self._open_ended
        if before and after:
            for key in BUILTIN_KEYS & self._by_key.keys():
                if before.values(key) != after.values(key):
                    found |= self._by_key[key]
        return found

    async def settle(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        if self._kernel is None:
            return
        names: dict[tuple[int, str], None] = {}
        inodes: dict[int, None] = {}
        for change in changes:
            names.update(dict.fromkeys(self._stale_names(change)))
            inodes[change.item] = None
        for change_of_tag in tags:
            names.update(dict.fromkeys(self._stale_tag_names(change_of_tag)))
        for view in {view for change in changes for view in self._candidates(change)}:
            inodes.update(dict.fromkeys(view.directories))
        inodes[numbers.FILES] = None
        inodes[numbers.TRASH] = None
        await self._kernel.forget(list(names), list(inodes))

    def _stale_names(self, change: Change) -> Iterator[tuple[int, str]]:
        before, after = change.before, change.after
        renamed = before is not None and after is not None and before.name != after.name
        shown = {facts.name for facts in (before, after) if facts is not None}
        was, is_ = _is_live(before), _is_live(after)
        shared = any(len(self._catalogue.named(name)) > 1 for name in shown)
        everywhere = [numbers.FILES, numbers.TRASH] if renamed or was != is_ else []
        views: Iterable[View] = self._views.values() if renamed else self._candidates(change)
        for view in list(views):
            member = was and before is not None and matches(view.expr, before, now=time.time())
            stays = is_ and after is not None and matches(view.expr, after, now=time.time())
            if (member != stays and (member or shared)) or (member and renamed):
                everywhere.extend(view.directories)
        for name in shown:
            for directory in everywhere:
                yield directory, name
                yield directory, tilde_name(name, change.item)

    def _stale_tag_names(self, change: TagChange) -> Iterator[tuple[int, str]]:
        """Wherever the tag is a directory, or hides an item: a tag that comes or goes is rare, so all directories."""
        for tag in filter(None, (change.name, change.new_name)):
            if change.event is TagEvent.CREATED and not self._catalogue.named(tag):
                continue
            pair = split_pair(tag)
            spellings = (tag, f"-{tag}", *((pair[1], f"{pair[0]}:") if pair else ()))
            directories = {d for view in self._views.values() for d in view.directories}
            for directory in directories | self._unfinished | {numbers.TAGS}:
                for name in spellings:
                    yield directory, name


def _is_live(facts: Facts | None) -> bool:
    return facts is not None and not facts.trashed


def _drop(index: defaultdict[str, set[View]], key: str, view: View) -> None:
    views = index.get(key)
    if views is not None:
        views.discard(view)
        if not views:
            del index[key]
