"""The live query directories: which of them does a change touch? Trio thread; single owner of the listing cache.

A *view* is one normalised query with all directories (node ids) that the kernel knows of it. Views are found by the
tags and keys in their query, so that a change looks only at those that it can concern:

    change ──▶ tags that came or went, built-in keys whose value changed ──▶ views that name them
           ──▶ an item that appeared or vanished ──▶ also the views that match without any positive tag (`-watched`)

`apply` (instant, at commit) drops the listings that are out of date; `settle` (before the call that made the change
returns) has the kernel forget the names that are. Which these are is decided in `forgetting.py`.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

from pyroaring import BitMap

from engine.ports import Catalogue, Index
from engine.types import Change, TagChange, TagEvent
from query.ages import is_relative
from query.ast import Expr, Leaf
from query.builtin import BUILTIN_KEYS
from query.evaluate import leaves, matches
from tagfs.vfs import numbers
from tagfs.vfs.forgetting import (
    BARE,
    is_live,
    is_moved,
    is_trashed,
    key_of,
    keys_of_change,
    named_as,
    named_in,
    stale_names,
    tags_of_change,
)
from tagfs.vfs.listings import Listing, Listings

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kernel(Protocol):
    """What the kernel has cached, to be forgotten. Implemented above, by the mount."""

    async def forget(self, names: Sequence[tuple[int, str]], inodes: Sequence[int]) -> None:
        """`names`: (node id of the directory, name), which for a directory means all below it, too. `inodes`:
        attributes to be asked for again."""


class View:
    """One normalised query. `directories` are the node ids by which the kernel knows it."""

    __slots__ = ("changed_ns", "directories", "expr", "keys", "open_ended", "relative", "tags")

    def __init__(self, expr: Expr) -> None:
        self.expr = expr
        self.directories: set[int] = set()
        self.changed_ns = time.time_ns()
        self.tags, self.keys = named_in(leaves(expr))
        self.relative = is_relative(expr)
        self.open_ended = matches(expr, BARE, now=0.0) or bool(self.keys & BUILTIN_KEYS)


class Path(NamedTuple):
    """How the kernel came to a directory: by `name` in the directory with node id `parent`. `named` are the tags and
    terms of the whole path as it was typed, of which the normalised query may have lost some."""

    parent: int
    name: str
    named: tuple[Leaf, ...]


class Views:
    """Also an `engine.ports.Observer`, which must come after the index."""

    def __init__(self, catalogue: Catalogue, index: Index) -> None:
        self._catalogue = catalogue
        self._index = index
        self._kernel: Kernel | None = None
        self._views: dict[Expr, View] = {}
        self._by_tag: defaultdict[str, set[View]] = defaultdict(set)
        self._by_key: defaultdict[str, set[View]] = defaultdict(set)
        self._open_ended: set[View] = set()
        self._listings = Listings(self._retire)
        self._paths: dict[int, Path] = {}  # by directory
        self._named: defaultdict[str, set[int]] = defaultdict(set)  # tag, or `key:` -> directories whose path names it
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

    def attach(self, view: View, directory: int, path: Path) -> View:
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
        self._follow(directory, path)
        return view

    def detach(self, view: View, directory: int) -> None:
        """The kernel has forgotten that node id. A listing that is cached outlives it: it may be asked for again."""
        view.directories.discard(directory)
        self._unfollow(directory)
        self._retire(view)

    def _retire(self, view: View) -> None:
        """Follow a view no longer that neither the kernel nor the cache knows."""
        if view.directories or self._listings.keeps(view) or self._views.get(view.expr) is not view:
            return
        del self._views[view.expr]
        for tag in view.tags:
            _drop(self._by_tag, tag, view)
        for key in view.keys:
            _drop(self._by_key, key, view)
        self._open_ended.discard(view)

    def attach_unfinished(self, directory: int, path: Path) -> None:
        """The kernel knows an unfinished query (`/tags/a/+`, `/tags/year:`) as this node id: its children are tags."""
        self._follow(directory, path)
        self._unfinished.add(directory)

    def detach_unfinished(self, directory: int) -> None:
        self._unfollow(directory)
        self._unfinished.discard(directory)

    def _follow(self, directory: int, path: Path) -> None:
        self._paths[directory] = path
        for leaf in path.named:
            self._named[named_as(leaf)].add(directory)

    def _unfollow(self, directory: int) -> None:
        path = self._paths.pop(directory, None)
        for leaf in path.named if path is not None else ():
            _drop(self._named, named_as(leaf), directory)

    # -- listings ----------------------------------------------------------------------------------------------

    def listing(self, view: View, members: BitMap) -> Listing:
        """A listing of `members`, which match now; its entries are for the caller to fill in."""
        return self._listings.new(view, members)

    def cached(self, view: View, *, items_only: bool) -> Listing | None:
        return self._listings.cached(view, items_only=items_only)

    def cache(self, listing: Listing, *, items_only: bool) -> None:
        """Only views that are followed are kept current."""
        if self._views.get(listing.view.expr) is listing.view:
            self._listings.cache(listing, items_only=items_only)

    # -- changes -----------------------------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        now = time.time_ns()
        touched: set[View] = set()
        for change in changes:
            touched |= self._candidates(change)
        for change_of_tag in tags:
            touched |= self._naming(change_of_tag)
        for view in touched:
            view.changed_ns = now
        if changes:
            self.version += 1
            self.changed_ns = now
        if tags:
            self.tags_changed_ns = now
        items = BitMap([change.item for change in changes])
        coming_or_going = [name for change in tags for name in (change.name, change.new_name) if name]
        hides = any(map(self._catalogue.named, coming_or_going))  # an item of the name of a tag that came or went

        def changed(listing: Listing) -> bool:
            if listing.view in touched or listing.members.intersect(items):
                return True
            return hides or (bool(tags) and listing.has_uncertain_names())

        self._listings.overtake(changed)

    def _candidates(self, change: Change) -> set[View]:
        """Views whose membership this change may alter."""
        found: set[View] = set()
        for tag in tags_of_change(change.before, change.after):
            found |= self._naming_tag(tag)
        if is_live(change.before) != is_live(change.after):
            return found | self._open_ended
        for key in keys_of_change(change.before, change.after, self._by_key.keys()):
            found |= self._by_key[key]
        return found

    def _naming(self, change: TagChange) -> set[View]:
        """Views whose query names the tag, by its old or its new name, or a key of it."""
        return set().union(*map(self._naming_tag, filter(None, (change.name, change.new_name))))

    def _naming_tag(self, tag: str) -> set[View]:
        key = key_of(tag)
        found = set(self._by_tag.get(tag, ()))
        return found if key is None else found.union(self._by_key.get(key, ()))

    # -- what the kernel is told -------------------------------------------------------------------------------

    async def settle(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        if self._kernel is None:
            return
        names: dict[tuple[int, str], None] = {}
        inodes: dict[int, None] = dict.fromkeys((numbers.FILES, numbers.TRASH, numbers.BLOBS)) if changes else {}
        for change in changes:
            candidates = self._candidates(change)
            names.update(dict.fromkeys(self._stale_items(change, candidates)))
            inodes.update(dict.fromkeys(directory for view in candidates for directory in view.directories))
            inodes[change.item] = None
        for change_of_tag in tags:
            names.update(dict.fromkeys(self._stale_directories(change_of_tag)))
            names.update(dict.fromkeys(self._hidden_items(change_of_tag, tags)))
            inodes.update(dict.fromkeys((numbers.TAGS, *self._unfinished)))
            inodes.update(dict.fromkeys(d for view in self._naming(change_of_tag) for d in view.directories))
        await self._kernel.forget(list(names), list(inodes))

    def _stale_items(self, change: Change, candidates: Iterable[View]) -> Iterator[tuple[int, str]]:
        before, after = change.before, change.after
        renamed = before is not None and after is not None and before.name != after.name
        shared = after is not None and self._is_shared(after.name)

        def stale(directories: Iterable[int], *, was: bool, is_: bool) -> Iterator[tuple[int, str]]:
            for name in stale_names(change.item, before, after, was=was, is_=is_, shared=shared):
                for directory in directories:
                    yield directory, name

        yield from stale([numbers.FILES], was=is_live(before), is_=is_live(after))
        yield from stale([numbers.TRASH], was=is_trashed(before), is_=is_trashed(after))
        now = time.time()
        for view in list(self._views.values() if renamed else candidates):
            was = is_live(before) and before is not None and matches(view.expr, before, now=now)
            is_ = is_live(after) and after is not None and matches(view.expr, after, now=now)
            yield from stale(view.directories, was=was, is_=is_)

    def _is_shared(self, name: str) -> bool:
        return len(self._catalogue.named(name)) + len(self._catalogue.trashed(name)) > 1

    def _stale_directories(self, change: TagChange) -> Iterator[tuple[int, str]]:
        """Directories whose path names a tag or key that is no more; and, where a tag was renamed, those that may have
        had other members before."""
        if change.event is TagEvent.CREATED:
            return
        key = key_of(change.name)
        for directory in self._named.get(change.name, set()) | self._named.get(f"{key}:", set()):
            path = self._paths[directory]
            if any(self._index.unknown(leaf) is not None for leaf in path.named):
                yield path.parent, path.name
        for view in self._naming(change):
            if change.new_name is not None and is_moved(view.expr, change.name, change.new_name):
                yield from ((self._paths[d].parent, self._paths[d].name) for d in view.directories)

    def _hidden_items(self, change: TagChange, tags: Sequence[TagChange]) -> Iterator[tuple[int, str]]:
        """Items of the name of a tag that is new are hidden by it from now on."""
        tag = change.new_name or change.name
        replaced = any(other.event is TagEvent.REMOVED and other.name == tag for other in tags)
        if change.event is TagEvent.REMOVED or replaced:
            return
        for facts in filter(None, map(self._catalogue.facts, self._catalogue.named(tag))):
            for view in self._views.values():
                if matches(view.expr, facts, now=time.time()):
                    yield from ((directory, tag) for directory in view.directories)


def _drop(index: defaultdict[K, set[V]], key: K, view: V) -> None:
    views = index.get(key)
    if views is not None:
        views.discard(view)
        if not views:
            del index[key]
