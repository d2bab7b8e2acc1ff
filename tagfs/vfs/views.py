"""The live query directories: which of them does a change touch? Trio thread; single owner of the listing cache.

A *view* is one normalised query with all directories (node ids) that the kernel knows of it. Views are found by the
tags and keys in their query, so that a change looks only at those that it can concern:

    change ──▶ tags that came or went, built-in keys whose value changed ──▶ views that name them
           ──▶ an item that appeared or vanished ──▶ also the views that match without any positive tag (`-watched`)
           ──▶ a folder item ──▶ in each of these also what it holds, which follows it without changes of its own

`apply` (instant, at commit) drops the listings that are out of date; `settle` (before the call that made the change
returns) has the kernel forget the names that are. Which these are is decided in `forgetting.py`.

Where relations between tags change, or the text of a saved query, a directory means another query from then on: it goes
over to another view at commit, and stays with the old one as well until the kernel has forgotten the names of that. So
it does where a tag that its path names is renamed: it is found by the new name from then on (`along.py`).
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Hashable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final, Protocol, TypeVar

import trio
from pyroaring import BitMap

from engine.ports import Catalogue, Index
from engine.types import COMING_OR_GOING, SAVING, Change, ItemId, TagChange, TagEvent
from query.ages import is_relative
from query.ast import Expr, Or
from query.builtin import BUILTIN_KEYS
from query.evaluate import leaves, matches
from query.renaming import renamed_expr
from query.terms import exact
from tagfs.vfs import numbers
from tagfs.vfs.along import Along, Move, Path, Places, Renaming
from tagfs.vfs.forgetting import (
    BARE,
    folders_of,
    follows,
    is_listed_in,
    is_live,
    is_moved,
    is_on_top,
    is_put_elsewhere,
    is_relisted,
    is_renamed,
    is_trashed,
    key_of,
    keys_of_change,
    named_as,
    named_in,
    retagged_items,
    stale_names,
    tags_of_change,
)
from tagfs.vfs.listings import Listing, Listings
from tagfs.vfs.names import tilde_ids, tilde_name

# Names in one view: from here on it is quicker to forget the directory with all that is in it. It takes the working
# directory of whoever is in it out of the tree, so it is not done lightly.
MANY: Final = 1000
NO_ITEMS: Final = BitMap()  # not to be changed
LISTED: Final = (numbers.FILES, numbers.TRASH, numbers.BLOBS)
FEW: Final = 20  # changes of one transaction that are looked through in the turn in which it arrives: 0.5 ms
AT_ONCE: Final = 500  # changes that are looked through before other tasks get a turn: some 5 ms

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kernel(Protocol):
    """What the kernel has cached, to be forgotten. Implemented above, by the mount."""

    async def forget(self, names: Sequence[tuple[int, str]], inodes: Sequence[int], items: BitMap = NO_ITEMS) -> None:
        """`names`: (node id of the directory, name), which for a directory means all below it that is not in use, too.
        `inodes`: attributes to be asked for again; those of `items` as well, which may be millions."""

    def forget_attributes(self, inodes: Iterable[int]) -> None:
        """Of a few, at once."""

    def in_use(self) -> BitMap:
        """Items that somebody has open: the kernel holds a name of each that forgetting the directory does not end."""


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
        self._followers: dict[int, Follower] = {}  # by directory
        self._places: Places | None = None
        self._renamings: list[Renaming] = []
        self._moves: list[Move] = []  # of which the kernel may still hold names
        self._told: list[Move] = []  # those among them of which it was told
        self._unsettled = 0  # commits that were applied and not settled yet
        self._paths: dict[int, Path] = {}  # by directory
        self._named: defaultdict[str, set[int]] = defaultdict(set)  # tag, or `key:` -> directories whose path names it
        self._unfinished: set[int] = set()
        self._folders: defaultdict[ItemId, set[int]] = defaultdict(set)  # folder item -> its node ids
        self._versions: Counter[ItemId] = Counter()  # of the listings of folder items
        self._retaggings = 0  # so often were many items in folders retagged at once: concerns all such listings
        self.version = 0  # of /files and /trash: grows with each change of any item
        self.changed_ns = time.time_ns()  # of any item in any way
        self.listed_ns = self.changed_ns  # of what /files, /trash and /blobs list
        self.tags_changed_ns = self.changed_ns
        self.relations_changed_ns = self.changed_ns
        self.queries_changed_ns = self.changed_ns  # those that are saved

    def connect(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def connect_places(self, places: Places) -> None:
        self._places = places

    # -- which views there are ---------------------------------------------------------------------------------

    def view(self, expr: Expr) -> View:
        """The view of a normalised query; it lives as long as a directory or the cache refers to it."""
        return self._views.get(expr) or View(expr)

    def attach(self, follower: Follower, directory: int, path: Path) -> None:
        """The kernel knows this query as node id `directory` now; it shows the one view that is followed for it."""
        self._followers[directory] = follower
        meaning = follower.meaning()
        view = follower.view if follower.view.expr == meaning else self.view(meaning)
        follower.follow(self._join(view, directory))
        self._follow(directory, path)

    def _join(self, view: View, directory: int) -> View:
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

    def detach(self, directory: int) -> None:
        """The kernel has forgotten that node id. A listing that is cached outlives it: it may be asked for again."""
        left = [self._followers.pop(directory).view, *(move.old for move in self._moves if move.directory == directory)]
        self._moves = [move for move in self._moves if move.directory != directory]
        self._unfollow(directory)
        for view in left:
            view.directories.discard(directory)
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

    def attach_folder(self, folder: ItemId, directory: int) -> None:
        """The kernel knows a folder item as this node id."""
        self._folders[folder].add(directory)

    def detach_folder(self, folder: ItemId, directory: int) -> None:
        _drop(self._folders, folder, directory)

    def version_of(self, folder: ItemId) -> int:
        """Grows with each change of what is directly in the folder."""
        return self._versions[folder] + self._retaggings

    def path(self, directory: int) -> Path | None:
        """How the kernel came to a query directory, finished or not."""
        return self._paths.get(directory)

    def relocate(self, directory: int, path: Path) -> None:
        """The way to it is another one since something was renamed."""
        self._unfollow(directory)
        self._follow(directory, path)

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
        if self._views.get(listing.view.expr) is listing.view:
            self._listings.cache(listing, items_only=items_only)

    # -- changes -----------------------------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        self._unsettled += 1
        now = time.time_ns()
        turned = self._turn(tags)
        touched = set(self._concerned(changes)) | self._retagged(tags) | turned
        for change_of_tag in tags:
            if change_of_tag.event in COMING_OR_GOING:
                touched |= self._naming(change_of_tag)
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

    def _turn(self, tags: Sequence[TagChange]) -> set[View]:
        """Bring directories to the view that their query means now; returns the views that they have left and joined.

        What a relation alters in a query names one of its tags already, see `query.relations`."""
        candidates: set[int] = set()
        renamings = [(change.name, self._rename(change, candidates)) for change in tags if _is_rename(change)]
        again: set[int] = set()  # what they state may be another matter though what they match is the same
        for change in tags:
            if change.event in SAVING:
                again.update(d for d, path in self._paths.items() if path[:2] == (numbers.QUERIES, change.name))
            elif change.event not in (TagEvent.CREATED, TagEvent.RETAGGED):
                for view in self._naming(change):
                    candidates |= view.directories
        turned: set[View] = set()
        for directory in candidates | again:
            follower = self._followers.get(directory)
            if follower is None:
                continue
            old, meaning = follower.view, follower.meaning()
            if meaning != old.expr or directory in again:
                new = self._join(self.view(meaning), directory)
                new.inner |= old.inner
                follower.follow(new)
                self._moves.append(_move(directory, old, new, renamings))
                turned |= {old, new}
        self._renamings += [renaming for _, renaming in renamings]
        return turned

    def _rename(self, change: TagChange, along: set[int]) -> Renaming:
        """Take `along` the directories whose path names the tag or saved query. What a merge does to items is told of
        by itself."""
        old, new = change.name, change.new_name or change.heir
        assert new is not None
        if change.event in SAVING:
            renaming = Renaming(None, [], set())
            self._go_along([] if self._places is None else self._places.query_renamed(old, new), renaming, along)
            return renaming
        for earlier in self._renamings:
            earlier.tag = new if earlier.tag == old else earlier.tag
        for move in self._moves:
            move.was = renamed_expr(move.was, old, new)
        is_merge = change.new_name is None
        views = () if is_merge else [view for view in self._naming(change) if is_moved(view.expr, old, new)]
        renaming = Renaming(new, [], {directory for view in views for directory in view.directories})
        named = self._named.get(old, set()) | self._named.get(f"{key_of(old)}:", set())
        went = [] if self._places is None else self._places.tag_renamed(named, old, new, replace=not is_merge)
        self._go_along(went, renaming, along)
        return renaming

    def _go_along(self, went: Iterable[Along], renaming: Renaming, along: set[int]) -> None:
        for directory, name, terms, replaces in went:
            parent, before, _ = self._paths[directory]
            self.relocate(directory, Path(parent, name, terms))
            renaming.names += [(parent, before)] if name != before else []
            renaming.names += [(parent, name)] if replaces else []
            along.add(directory)

    def _concerned(self, changes: Sequence[Change]) -> dict[View, BitMap]:
        """Views whose membership the changes may alter, and for each which items that a folder holds may come or go
        there. The 100,000 files of a new folder have no tags, and concern the same views."""
        found: defaultdict[View, BitMap] = defaultdict(BitMap)
        alike = BitMap()
        for change in changes:
            candidates, below = self._candidates(change), self._index.below(change.item)
            is_inner = bool(folders_of(change))
            elsewhere = is_put_elsewhere(change.before, change.after)
            if candidates is self._open_ended and is_inner and not below and not elsewhere:
                alike.add(change.item)
                continue
            if elsewhere or (below and is_live(change.before) != is_live(change.after)):
                candidates = set(self._views.values())  # it inherits other tags, and is hidden by other folders
            for view in candidates:
                inner = found[view]
                inner |= below
                if is_inner:
                    inner.add(change.item)
        for view in self._open_ended if alike else ():
            found[view] |= alike
        return found

    def _candidates(self, change: Change) -> set[View]:
        """Views whose membership this change may alter, as far as the item itself goes. Not to be changed."""
        found: set[View] = set()
        for tag in tags_of_change(change.before, change.after):
            found |= self._naming_tag(tag)
        if is_live(change.before) != is_live(change.after):
            return found | self._open_ended if found else self._open_ended
        for key in keys_of_change(change.before, change.after, self._by_key.keys()):
            found |= self._by_key[key]
        return found

    def _retagged(self, tags: Sequence[TagChange]) -> set[View]:
        """Views whose membership the bulk changes among `tags` may alter."""
        found: set[View] = set()
        for change in tags:
            if change.event is TagEvent.RETAGGED:
                found |= self._naming_tag(change.name)
            if change.bare or change.clothed:
                found |= self._by_key.get("is", set())
        return found

    def _naming(self, change: TagChange) -> set[View]:
        """Views whose query names the tag, by its old or its new name, or one of two between which a relation changed;
        or a key of them: what the old name implied, `year:1990..` means since it is called `year:1999`."""
        names = (change.relation.tag, change.relation.other) if change.relation else (change.name, change.new_name)
        return set().union(*map(self._naming_tag, filter(None, names)))

    def _naming_tag(self, tag: str) -> set[View]:
        key = key_of(tag)
        found = set(self._by_tag.get(tag, ()))
        return found if key is None else found.union(self._by_key.get(key, ()))

    # -- what the kernel is told -------------------------------------------------------------------------------

    def settle(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> Awaitable[None] | None:
        if self._kernel is not None and not self._settle_at_once(self._kernel, changes, tags):
            return self._settle_in_turns(self._kernel, changes, tags)
        self._has_settled()
        return None

    def _settle_at_once(self, kernel: Kernel, changes: Sequence[Change], tags: Sequence[TagChange]) -> bool:
        """Where nothing but attributes of a few are to be forgotten, as after most changes; whether it is done."""
        concerned = {} if tags or len(changes) > FEW else self._concerned(changes)
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
        self._unsettled -= 1
        if self._unsettled == 0:
            self._end_moves()

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
        for view, inner in self._concerned(changes).items():
            inodes.update(dict.fromkeys(view.directories))
            if inner and view.directories:
                await self._index.prepare(view.expr)
                names.update(dict.fromkeys(self._stale_inner(view, inner, changes)))
        if items:
            folders = map(ItemId, items & BitMap(self._folders))
            inodes.update(dict.fromkeys(directory for folder in folders for directory in self._folders[folder]))
            concerned = {directory for view in self._retagged(tags) for directory in view.directories}
            async for stale in self._stale_of_many(items, concerned):
                names[stale] = None
        for view in self._retagged(tags):
            inodes.update(dict.fromkeys(view.directories))
        moves = [move for move in self._moves if move not in self._told] if tags else []
        renamings = list(self._renamings) if tags else []
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
            inodes.update(dict.fromkeys((numbers.TAGS, *self._unfinished)))
            inodes.update(dict.fromkeys(d for view in self._naming(change_of_tag) for d in view.directories))
        for move in moves:
            inodes.update(dict.fromkeys(move.old.directories | move.new.directories))  # their time of change, too
            names.update(dict.fromkeys(await self._stale_in_move(move)))
        await kernel.forget(list(names), list(inodes), items)
        self._told += moves
        self._renamings = [renaming for renaming in self._renamings if renaming not in renamings]

    async def _stale_in_move(self, move: Move) -> list[tuple[int, str]]:
        """Names in a directory of what it showed and shows no more, and of what may have taken over a name there. All
        else that happens to an item is told of with its own change, which finds the directory by both views."""
        path = self._paths.get(move.directory)
        if path is None or move.old is move.new:
            return []
        was, is_ = move.was, move.new.expr
        await self._index.prepare(Or((was, is_)))
        now = time.time()
        old, new = (self._index.topmost(self._index.evaluate(expr, now=now)) for expr in (was, is_))
        reached = ((old | move.old.inner) - new) | (new - old)
        stale = [(path.parent, path.name)] if len(reached) > MANY else []
        for item in map(ItemId, self._to_be_named(reached)):
            name = self._name(item)
            if item not in new or self._is_shared(name) or any(True for _ in tilde_ids(name)):
                stale += ((move.directory, name), (move.directory, tilde_name(name, item)))
        return stale

    def _end_moves(self) -> None:
        """Of those that were told the kernel knows nothing by their old views any more. Not before all commits have
        settled that were applied when it was told: what they did to an item was left for them to tell."""
        ended, self._told = self._told, []
        self._moves = [move for move in self._moves if move not in ended]
        for move in ended:
            follower = self._followers.get(move.directory)
            pending = any(other.old is move.old and other.directory == move.directory for other in self._moves)
            if not pending and (follower is None or follower.view is not move.old):
                move.old.directories.discard(move.directory)
                self._retire(move.old)

    def _stale_attributes(self, change: Change) -> Iterator[int]:
        """Of the item itself, and of the folders that hold it: their modification time."""
        if change.before is not None:
            yield change.item
            yield from self._folders.get(change.item, ())
        for folder in folders_of(change):
            yield from self._folders.get(folder, ())

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
            if directories := self._folders.get(folder):
                was, is_ = is_listed_in(before, folder), is_listed_in(after, folder)
                yield from stale(directories, was=was, is_=is_, shared=partial(self._is_shared_in, folder, change.item))
        for view in self._views.values() if folders and renamed else ():
            if change.item in view.inner:  # whether it stays there is for `_stale_inner` to say
                yield from stale(view.directories, was=True, is_=True)
        if not is_on_top(before) and not is_on_top(after):
            return
        yield from stale([numbers.FILES], was=is_on_top(before), is_=is_on_top(after))
        now = time.time()
        any_view = renamed or is_put_elsewhere(before, after)
        for view in list(self._views.values() if any_view else self._candidates(change)):
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
            yield from ((self._paths[d].parent, self._paths[d].name) for d in view.directories)
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
        for view in {self._followers[directory].view for directory in directories if directory in self._followers}:
            await self._index.prepare(view.expr)
            shown = self._index.topmost(self._index.evaluate(view.expr, now=time.time()))
            view.inner -= (view.inner & reached) - shown
            concerned = view.directories.intersection(directories)
            if len(reached) > MANY:
                for directory in concerned:
                    yield self._paths[directory].parent, self._paths[directory].name
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
        used = self._kernel.in_use() | BitMap(self._folders)
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
        key = key_of(change.name)
        for directory in self._named.get(change.name, set()) | self._named.get(f"{key}:", set()):
            path = self._paths[directory]
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
        for view in self._views.values():
            facts = filter(None, map(self._catalogue.facts, top))
            if view.inner.intersect(inner) or any(matches(view.expr, one, now=time.time()) for one in facts):
                yield from ((directory, tag) for directory in view.directories)


def _is_rename(change: TagChange) -> bool:
    return change.new_name is not None or change.heir is not None


def _move(directory: int, old: View, new: View, renamings: Iterable[tuple[str, Renaming]]) -> Move:
    """Where a rename is all there is to it, it shows what it did."""
    was = old.expr
    for name, renaming in renamings:
        if renaming.tag is not None:
            if follows(was, new.expr, name, renaming.tag):
                renaming.directories.discard(directory)
            was = renamed_expr(was, name, renaming.tag)
    return Move(directory, old, new, was)


def _drop(index: defaultdict[K, set[V]], key: K, view: V) -> None:
    views = index.get(key)
    if views is not None:
        views.discard(view)
        if not views:
            del index[key]
