"""What the kernel is to forget after a change, before the call that made it returns. Trio thread.

Which names of an item are stale is decided in `forgetting.py`; here it is said in which directories. The kernel's own
locks decide how it is told, see `mount/invalidate.py`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Final, Protocol

import trio
from pyroaring import BitMap

from engine.ports import Catalogue, Index
from engine.types import COMING_OR_GOING, SAVING, Change, ItemId, TagChange, TagEvent
from query.ast import Or, Tag
from query.evaluate import matches
from query.terms import exact
from tagfs.vfs import numbers
from tagfs.vfs.along import Move, Renaming
from tagfs.vfs.forgetting import (
    folders_of,
    is_listed_in,
    is_on_top,
    is_put_elsewhere,
    is_relisted,
    is_renamed,
    is_trashed,
    retagged_items,
    stale_names,
)
from tagfs.vfs.known import Known, View
from tagfs.vfs.names import tilde_ids, tilde_name
from tagfs.vfs.turning import Turning

# Names in one view: from here on it is quicker to forget the directory with all that is in it. It takes the working
# directory of whoever is in it out of the tree, so it is not done lightly.
MANY: Final = 1000
NO_ITEMS: Final = BitMap()  # not to be changed
LISTED: Final = (numbers.FILES, numbers.TRASH, numbers.BLOBS)
FEW: Final = 20  # changes of one transaction that are looked through in the turn in which it arrives: 0.5 ms
AT_ONCE: Final = 500  # changes that are looked through before other tasks get a turn: some 5 ms


class Kernel(Protocol):
    """What the kernel has cached, to be forgotten. Implemented above, by the mount."""

    async def forget(self, names: Sequence[tuple[int, str]], inodes: Sequence[int], items: BitMap = NO_ITEMS) -> None:
        """`names`: (node id of the directory, name), which for a directory means all below it that is not in use, too.
        `inodes`: attributes to be asked for again; those of `items` as well, which may be millions."""

    def forget_attributes(self, inodes: Iterable[int]) -> None:
        """Of a few, at once."""

    def in_use(self) -> BitMap:
        """Items that somebody has open: the kernel holds a name of each that forgetting the directory does not end."""


class Settling:
    """State: how many commits are on their way to the kernel."""

    def __init__(self, catalogue: Catalogue, index: Index, known: Known, turning: Turning) -> None:
        self._catalogue = catalogue
        self._index = index
        self._known = known
        self._turning = turning
        self._kernel: Kernel | None = None
        self._unsettled = 0  # commits that were applied and not settled yet

    def connect(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def begin(self) -> None:
        """A commit is applied; `settle` follows."""
        self._unsettled += 1

    def settle(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> Awaitable[None] | None:
        if self._kernel is not None and not self._settle_at_once(self._kernel, changes, tags):
            return self._settle_in_turns(self._kernel, changes, tags)
        self._has_settled()
        return None

    def _settle_at_once(self, kernel: Kernel, changes: Sequence[Change], tags: Sequence[TagChange]) -> bool:
        """Where nothing but attributes of a few are to be forgotten, as after most changes; whether it is done."""
        concerned = {} if tags or len(changes) > FEW else self._known.concerned(changes)
        if tags or len(changes) > FEW or any(concerned.values()):
            return False
        inodes: dict[int, None] = dict.fromkeys(LISTED if any(map(is_relisted, changes)) else ())
        for change in changes:
            if any(True for _ in self._stale_items(change)):
                return False
            inodes.update(dict.fromkeys(self._stale_attributes(change)))
        for view in concerned:
            inodes.update(dict.fromkeys(view.directories))
        kernel.forget_attributes(inodes)
        return True

    def _has_settled(self) -> None:
        """Rows may be newer than what was told: who reads them for a move can miss the name of before, so that it does
        not end before what changed them has been told, too. That one then ends it."""
        self._unsettled -= 1
        if self._unsettled == 0 and self._catalogue.has_told_all():
            self._turning.end()

    async def _settle_in_turns(self, kernel: Kernel, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        try:
            await self._settle(kernel, changes, tags)
        finally:
            self._has_settled()

    async def _settle(self, kernel: Kernel, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        names: dict[tuple[int, str], None] = {}
        items = retagged_items(tags)
        inodes: dict[int, None] = dict.fromkeys(LISTED if any(map(is_relisted, changes)) else ())
        for number, change in enumerate(changes):
            if number % AT_ONCE == AT_ONCE - 1:
                await trio.lowlevel.checkpoint()
            names.update(dict.fromkeys(self._stale_items(change)))
            inodes.update(dict.fromkeys(self._stale_attributes(change)))
        for view, inner in self._known.concerned(changes).items():
            inodes.update(dict.fromkeys(view.directories))
            if inner and view.directories:
                await self._index.prepare(view.expr)
                names.update(dict.fromkeys(self._stale_inner(view, inner, changes)))
        if items:
            folders = map(ItemId, items & BitMap(self._known.folders))
            inodes.update(dict.fromkeys(directory for folder in folders for directory in self._known.folders[folder]))
            concerned = {directory for view in self._known.retagged(tags) for directory in view.directories}
            async for stale in self._stale_of_many(items, concerned):
                names[stale] = None
        for view in self._known.retagged(tags):
            inodes.update(dict.fromkeys(view.directories))
        moves = self._turning.untold() if tags else []
        renamings = list(self._turning.renamings) if tags else []
        for renaming in renamings:
            names.update(dict.fromkeys(renaming.names))
            async for stale in self._stale_renamed(renaming):
                names[stale] = None
        for change_of_tag in tags:
            if change_of_tag.event in SAVING:
                inodes[numbers.QUERIES] = None
            if change_of_tag.event is TagEvent.FORGOTTEN:
                names[numbers.QUERIES, change_of_tag.name] = None
            if change_of_tag.event not in COMING_OR_GOING:
                continue
            names.update(dict.fromkeys(self._stale_directories(change_of_tag)))
            names.update(dict.fromkeys(self._hidden_items(change_of_tag, tags)))
            inodes.update(dict.fromkeys((numbers.TAGS, *self._known.unfinished)))
            inodes.update(dict.fromkeys(d for view in self._known.naming(change_of_tag) for d in view.directories))
        for move in moves:
            inodes.update(dict.fromkeys(move.old.directories | move.new.directories))  # their time of change, too
            names.update(dict.fromkeys(await self._stale_in_move(move)))
        await kernel.forget(list(names), list(inodes), items)
        self._turning.told(moves, renamings)

    async def _stale_in_move(self, move: Move) -> list[tuple[int, str]]:
        """Names in a directory of what it showed and shows no more, and of what may have taken over a name there (of
        what may have lost one, where those are fewer). All else that happens to an item is told of with its own change,
        which finds the directory by both views."""
        path = self._known.paths.get(move.directory)
        if path is None or move.old is move.new:
            return []
        carried = Or(tuple(map(Tag, sorted(move.renamed)))) if move.renamed else None
        asked = (move.was, move.old.expr, move.new.expr)
        await self._index.prepare(Or(asked if carried is None else (*asked, carried)))
        now = time.time()
        was, other, is_ = (self._index.evaluate(expr, now=now) for expr in asked)
        if carried is not None:  # another spelling of the value does not go along with the tag
            carriers = self._index.evaluate(carried, now=now)
            was = (was & carriers) | (other - carriers)
        old, new = map(self._index.topmost, (was, is_))
        come, kept = new - old, old & new
        reached = ((old | move.old.inner) - new) | (kept if len(come) > max(MANY, len(kept)) else come)
        stale = [(path.parent, path.name)] if len(reached) > MANY else []
        for item in map(ItemId, self._to_be_named(reached)):
            name = self._name(item)
            if item not in new or self._is_shared(name) or any(True for _ in tilde_ids(name)):
                stale += ((move.directory, name), (move.directory, tilde_name(name, item)))
        return stale

    def _stale_attributes(self, change: Change) -> Iterator[int]:
        """Of the item itself, and of the folders that hold it: their modification time."""
        if change.before is not None:
            yield change.item
            yield from self._known.folders.get(change.item, ())
        for folder in folders_of(change):
            yield from self._known.folders.get(folder, ())

    def _stale_items(self, change: Change) -> Iterator[tuple[int, str]]:
        """Names of the item itself."""
        before, after = change.before, change.after
        renamed, folders = is_renamed(before, after), folders_of(change)

        def stale(
            directories: Iterable[int], *, was: bool, is_: bool, shared: Callable[[str], bool] = self._is_shared
        ) -> Iterator[tuple[int, str]]:
            for name in stale_names(change.item, before, after, was=was, is_=is_, shared=shared):
                for directory in directories:
                    yield directory, name

        yield from stale([numbers.TRASH], was=is_trashed(before), is_=is_trashed(after))
        for folder in folders:
            if directories := self._known.folders.get(folder):
                was, is_ = is_listed_in(before, folder), is_listed_in(after, folder)
                yield from stale(directories, was=was, is_=is_, shared=partial(self._is_shared_in, folder, change.item))
        for view in self._known.views.values() if folders and renamed else ():
            if change.item in view.inner:  # whether it stays there is for `_stale_inner` to say
                yield from stale(view.directories, was=True, is_=True)
        if not is_on_top(before) and not is_on_top(after):
            return
        yield from stale([numbers.FILES], was=is_on_top(before), is_=is_on_top(after))
        now = time.time()
        any_view = renamed or is_put_elsewhere(before, after)
        for view in list(self._known.views.values() if any_view else self._known.candidates(change)):
            was = is_on_top(before) and before is not None and matches(view.expr, before, now=now)
            is_ = is_on_top(after) and after is not None and matches(view.expr, after, now=now)
            yield from stale(view.directories, was=was, is_=is_)

    def _stale_inner(self, view: View, items: BitMap, changes: Sequence[Change]) -> Iterator[tuple[int, str]]:
        """Names in a prepared view of `items`, which folders hold: of those that are shown there no more, and of those
        that are shown now and may have taken over a name. Where they are very many, the directory is forgotten, and by
        name what is in use in it."""
        shown = self._index.topmost(self._index.evaluate(view.expr, now=time.time()))
        gone, come = (view.inner & items) - shown, (shown & items) - view.inner
        view.inner -= gone
        reached = gone | come
        if len(reached) > MANY:
            yield from ((self._known.paths[d].parent, self._known.paths[d].name) for d in view.directories)
        old = {change.item: change.before.name for change in changes if change.before is not None}
        names: list[str] = []
        for item in map(ItemId, self._to_be_named(reached)):
            name = old.get(item) or self._name(item)
            if item not in come:
                names += (name, tilde_name(name, item))
            elif self._is_shared(name) or any(True for _ in tilde_ids(name)):
                names.append(name)
        yield from ((directory, name) for name in names for directory in view.directories)

    async def _stale_renamed(self, renaming: Renaming) -> AsyncIterator[tuple[int, str]]:
        """Names in the directories that saw what carries the tag come or go when it was renamed."""
        if renaming.tag is not None and renaming.directories:
            leaf = exact(renaming.tag)
            await self._index.prepare(leaf)
            items = self._index.evaluate(leaf, now=time.time()).copy()
            async for stale in self._stale_of_many(items, renaming.directories):
                yield stale

    async def _stale_of_many(self, items: BitMap, directories: Collection[int]) -> AsyncIterator[tuple[int, str]]:
        """Names in `directories` of `items`, and of what they hold, that may have come or gone there. Where those are
        many, the directories are forgotten, and what is in use in them by name: the kernel keeps that when it forgets
        a directory."""
        reached = items | self._index.under(items)
        by_name: list[tuple[ItemId, str]] | None = None
        for view in {
            self._known.followers[directory].view for directory in directories if directory in self._known.followers
        }:
            await self._index.prepare(view.expr)
            shown = self._index.topmost(self._index.evaluate(view.expr, now=time.time()))
            view.inner -= (view.inner & reached) - shown
            concerned = view.directories.intersection(directories)
            if len(reached) > MANY:
                for directory in concerned:
                    yield self._known.paths[directory].parent, self._known.paths[directory].name
            if by_name is None:
                by_name = [(item, self._name(item)) for item in map(ItemId, self._to_be_named(reached))]
            for item, name in by_name:
                if item not in shown or self._is_shared(name) or any(True for _ in tilde_ids(name)):
                    for directory in concerned:
                        yield directory, name
                        yield directory, tilde_name(name, item)

    def _to_be_named(self, reached: BitMap) -> BitMap:
        """Of items whose membership may have changed: the few, or those of the many that are in use, with all in use
        that may have lost their name to another one."""
        if len(reached) <= MANY:
            return reached
        assert self._kernel is not None
        used = self._kernel.in_use() | BitMap(self._known.folders)
        return BitMap([item for item in used if item in reached or self._is_shared(self._name(ItemId(item)))])

    def _name(self, item: ItemId) -> str:
        """Of one that is gone meanwhile, none: that is told of with its own change."""
        row = self._catalogue.item(item)
        return "" if row is None else row.name

    def _is_shared(self, name: str) -> bool:
        return len(self._catalogue.named(name)) + len(self._catalogue.trashed(name)) > 1

    def _is_shared_in(self, folder: ItemId, item: ItemId, name: str) -> bool:
        """The same among what a folder holds, whose oldest item of a name shows it plainly."""
        return self._catalogue.child(folder, name) != item or self._catalogue.has_namesake(folder, name, item)

    def _stale_directories(self, change: TagChange) -> Iterator[tuple[int, str]]:
        """Directories whose path names a tag or key that is no more."""
        if change.event is TagEvent.CREATED:
            return
        for directory in self._known.named_by(change.name):
            path = self._known.paths[directory]
            if any(self._index.unknown(leaf) is not None for leaf in path.named):
                yield path.parent, path.name

    def _hidden_items(self, change: TagChange, tags: Sequence[TagChange]) -> Iterator[tuple[int, str]]:
        """Items of the name of a tag that is new are hidden by it from now on."""
        tag = change.new_name or change.name
        replaced = any(other.event is TagEvent.REMOVED and other.name == tag for other in tags)
        if change.event is TagEvent.REMOVED or replaced:
            return
        named = self._catalogue.named(tag)
        top = [item for item in named if item not in self._index.inner]
        inner = BitMap(named) & self._index.inner
        for view in self._known.views.values():
            facts = filter(None, map(self._catalogue.facts, top))
            if view.inner.intersect(inner) or any(matches(view.expr, one, now=time.time()) for one in facts):
                yield from ((directory, tag) for directory in view.directories)
