"""The query directories and folders that the kernel knows, and which of them a change can touch. Trio thread.

A *view* is one normalised query with all directories (node ids) that the kernel knows of it. Views are found by the
tags and keys in their query, so that a change looks only at those that it can concern:

    change ──▶ tags that came or went, built-in keys whose value changed ──▶ views that name them
           ──▶ an item that appeared or vanished ──▶ also the views that match without any positive tag (`-watched`)
           ──▶ a folder item ──▶ in each of these also what it holds, which follows it without changes of its own
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Protocol, TypeVar

from pyroaring import BitMap

from engine.ports import Index
from engine.types import Change, ItemId, TagChange, TagEvent
from query.ages import is_relative
from query.ast import Expr
from query.builtin import BUILTIN_KEYS
from query.evaluate import leaves, matches
from tagfs.vfs.along import Path
from tagfs.vfs.forgetting import (
    BARE,
    folders_of,
    is_live,
    is_put_elsewhere,
    key_of,
    keys_of_change,
    named_as,
    named_in,
    tags_of_change,
)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class View:
    """One normalised query. `directories` are the node ids by which the kernel knows it; `inner` is what was shown in
    it though a folder holds it, so that the kernel may know its name there."""

    __slots__ = ("changed_ns", "directories", "expr", "inner", "keys", "open_ended", "relative", "tags")

    def __init__(self, expr: Expr) -> None:
        self.expr = expr
        self.directories: set[int] = set()
        self.inner = BitMap()
        self.changed_ns = time.time_ns()
        self.tags, self.keys = named_in(leaves(expr))
        self.relative = is_relative(expr)
        self.open_ended = matches(expr, BARE, now=0.0) or bool(self.keys & BUILTIN_KEYS)


class Follower(Protocol):
    """A query directory that the kernel knows."""

    view: View

    def meaning(self) -> Expr:
        """The normalised query, as the relations are and as it is saved now."""

    def follow(self, view: View) -> None:
        """That is what it shows from now on."""


class Known:
    """State: all of its attributes, which others only read. `is_kept`: a view that outlives its directories."""

    def __init__(self, index: Index, is_kept: Callable[[View], bool]) -> None:
        self._index = index
        self._is_kept = is_kept
        self.views: dict[Expr, View] = {}
        self._by_tag: defaultdict[str, set[View]] = defaultdict(set)
        self._by_key: defaultdict[str, set[View]] = defaultdict(set)
        self._open_ended: set[View] = set()
        self.followers: dict[int, Follower] = {}  # by directory
        self.paths: dict[int, Path] = {}  # by directory
        self._named: defaultdict[str, set[int]] = defaultdict(set)  # tag, or `key:` -> directories whose path names it
        self.unfinished: set[int] = set()
        self.folders: defaultdict[ItemId, set[int]] = defaultdict(set)  # folder item -> its node ids

    # -- what the kernel knows ---------------------------------------------------------------------------------

    def view(self, expr: Expr) -> View:
        """The view of a normalised query; it lives as long as a directory or the cache refers to it."""
        return self.views.get(expr) or View(expr)

    def attach(self, follower: Follower, directory: int, path: Path) -> None:
        """The kernel knows this query as node id `directory` now; it shows the one view that is followed for it."""
        self.followers[directory] = follower
        meaning = follower.meaning()
        view = follower.view if follower.view.expr == meaning else self.view(meaning)
        follower.follow(self.join(view, directory))
        self._follow(directory, path)

    def join(self, view: View, directory: int) -> View:
        view = self.views.get(view.expr, view)
        if view.expr not in self.views:
            self.views[view.expr] = view
            for tag in view.tags:
                self._by_tag[tag].add(view)
            for key in view.keys:
                self._by_key[key].add(view)
            if view.open_ended:
                self._open_ended.add(view)
        view.directories.add(directory)
        return view

    def detach(self, directory: int, also: Iterable[View]) -> None:
        """The kernel has forgotten that node id, which stood for the views `also` as well. A listing that is cached
        outlives it: it may be asked for again."""
        left = [self.followers.pop(directory).view, *also]
        self._unfollow(directory)
        for view in left:
            view.directories.discard(directory)
            self.retire(view)

    def retire(self, view: View) -> None:
        """Follow a view no longer that neither the kernel nor the cache knows."""
        if view.directories or self._is_kept(view) or self.views.get(view.expr) is not view:
            return
        del self.views[view.expr]
        for tag in view.tags:
            _drop(self._by_tag, tag, view)
        for key in view.keys:
            _drop(self._by_key, key, view)
        self._open_ended.discard(view)

    def attach_unfinished(self, directory: int, path: Path) -> None:
        """The kernel knows an unfinished query (`/tags/a/+`, `/tags/year:`) as this node id: its children are tags."""
        self._follow(directory, path)
        self.unfinished.add(directory)

    def detach_unfinished(self, directory: int) -> None:
        self._unfollow(directory)
        self.unfinished.discard(directory)

    def attach_folder(self, folder: ItemId, directory: int) -> None:
        """The kernel knows a folder item as this node id."""
        self.folders[folder].add(directory)

    def detach_folder(self, folder: ItemId, directory: int) -> None:
        _drop(self.folders, folder, directory)

    def path(self, directory: int) -> Path | None:
        """How the kernel came to a query directory, finished or not."""
        return self.paths.get(directory)

    def relocate(self, directory: int, path: Path) -> None:
        """The way to it is another one since something was renamed."""
        self._unfollow(directory)
        self._follow(directory, path)

    def _follow(self, directory: int, path: Path) -> None:
        self.paths[directory] = path
        for leaf in path.named:
            self._named[named_as(leaf)].add(directory)

    def _unfollow(self, directory: int) -> None:
        path = self.paths.pop(directory, None)
        for leaf in path.named if path is not None else ():
            _drop(self._named, named_as(leaf), directory)

    # -- what a change can touch -------------------------------------------------------------------------------

    def named_by(self, tag: str) -> set[int]:
        """Directories whose path names the tag, or all values of its key."""
        return self._named.get(tag, set()) | self._named.get(f"{key_of(tag)}:", set())

    def concerned(self, changes: Sequence[Change]) -> dict[View, BitMap]:
        """Views whose membership the changes may alter, and for each which items that a folder holds may come or go
        there. The 100,000 files of a new folder have no tags, and concern the same views."""
        found: defaultdict[View, BitMap] = defaultdict(BitMap)
        alike = BitMap()
        for change in changes:
            candidates, below = self.candidates(change), self._index.below(change.item)
            is_inner = bool(folders_of(change))
            elsewhere = is_put_elsewhere(change.before, change.after)
            if candidates is self._open_ended and is_inner and not below and not elsewhere:
                alike.add(change.item)
                continue
            if elsewhere or (below and is_live(change.before) != is_live(change.after)):
                candidates = set(self.views.values())  # it inherits other tags, and is hidden by other folders
            for view in candidates:
                inner = found[view]
                inner |= below
                if is_inner:
                    inner.add(change.item)
        for view in self._open_ended if alike else ():
            found[view] |= alike
        return found

    def candidates(self, change: Change) -> set[View]:
        """Views whose membership this change may alter, as far as the item itself goes. Not to be changed."""
        found: set[View] = set()
        for tag in tags_of_change(change.before, change.after):
            found |= self.naming_tag(tag)
        if is_live(change.before) != is_live(change.after):
            return found | self._open_ended if found else self._open_ended
        for key in keys_of_change(change.before, change.after, self._by_key.keys()):
            found |= self._by_key[key]
        return found

    def retagged(self, tags: Sequence[TagChange]) -> set[View]:
        """Views whose membership the bulk changes among `tags` may alter."""
        found: set[View] = set()
        for change in tags:
            if change.event is TagEvent.RETAGGED:
                found |= self.naming_tag(change.name)
            if change.bare or change.clothed:
                found |= self._by_key.get("is", set())
        return found

    def naming(self, change: TagChange) -> set[View]:
        """Views whose query names the tag, by its old or its new name, or one of two between which a relation changed;
        or a key of them: what the old name implied, `year:1990..` means since it is called `year:1999`."""
        names = (change.relation.tag, change.relation.other) if change.relation else (change.name, change.new_name)
        return set().union(*map(self.naming_tag, filter(None, names)))

    def naming_tag(self, tag: str) -> set[View]:
        key = key_of(tag)
        found = set(self._by_tag.get(tag, ()))
        return found if key is None else found.union(self._by_key.get(key, ()))


def _drop(index: defaultdict[K, set[V]], key: K, view: V) -> None:
    views = index.get(key)
    if views is not None:
        views.discard(view)
        if not views:
            del index[key]
