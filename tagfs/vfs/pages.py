"""Whose bytes the kernel's pages of a file are. Trio thread; single owner of that question.

The kernel has one page cache a node, and an item may have several contents at a time: an old one that somebody reads,
a new one that is written. So the pages of a node belong to one version, and

- an open may use them (is cached) only while all other open handles that do are of that version, else it is direct;
- an open that finds pages of another version, and nobody using them, has them dropped; so has each of an arriving file.
- A private mapping fills them from whatever handle it was made of, also from one that is direct, and we do not hear of
  it. So as long as a direct handle of another version is open, and once after it was closed, an open has them dropped.

A version that becomes another key in place (a draft that was sealed) takes its pages and its handles along.

Reads through the cache end where the kernel believes the file to end, and it may believe in what it was told before the
size was known: an answer that comes later is not kept where another answer, or a message that the file has changed,
comes in between. So the first open that uses the cache after that tells it the size in another way, which it does keep
(`Kernel.grow`); an open that cannot, since others have the file open, is direct. So does the first open that finds the
file free after it got another content by a rename over it or an undo.

State: by node, the version that was cached last, how many open handles use it, and which versions the direct ones are
of. A node without an entry can have pages of the item's own blob only. Also what was told of without a size, or may
have another since.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pyroaring import BitMap

from engine.types import Change, ItemId, TagChange
from tagfs.vfs.draft import Draft, Version


class Use(NamedTuple):
    """What an open is answered with."""

    direct_io: bool
    keep_cache: bool


@dataclass(slots=True)
class Owner:
    version: Version
    users: int = 0
    pinned: bool = False  # the item's row is about to name another blob
    direct: list[Version] = field(default_factory=list)  # of the handles that do without, by identity
    mixed: bool = False  # a direct handle of another version was closed since the pages were dropped
    size: int | None = None  # of an arriving file, as it was told

    def is_clean(self) -> bool:
        """Whether the pages can be of its version only."""
        return not self.mixed and all(version.key == self.version.key for version in self.direct)


class Pages:
    """`sha256_of` says which blob the item behind a node has now; `nodes_of` under which nodes an item is known."""

    def __init__(self, sha256_of: Callable[[int], str | None], nodes_of: Callable[[ItemId], Sequence[int]]) -> None:
        self._sha256_of = sha256_of
        self._nodes_of = nodes_of
        self._owners: dict[int, Owner] = {}
        self._unsized = BitMap()  # items
        self._resized = BitMap()  # nodes

    def open(self, node: int, version: Version, draft: Draft | None = None, *, contested: bool = False) -> Use:
        """Paired with `close`. `contested`: while others write the item's next content, whose size the kernel takes for
        the file's."""
        owner = self._owner(node)
        if contested or (draft is not None and not draft.closed and not self._is_home(draft, node)):
            return self._direct(owner, version)
        if owner.version.settles and isinstance(version.key, str) and draft is None:
            owner.version.key, owner.version.settles = version.key, False
            keep = False
        elif owner.version.key != version.key and owner.users:
            return self._direct(owner, version)
        else:
            same = owner.version.key == version.key and not version.settles
            base = None if draft is None or draft.started else draft.base
            untouched = base is not None and owner.version.key == base.key
            keep = (same or untouched) and owner.is_clean()
            owner.version = owner.version if owner.users else version
        owner.users += 1
        owner.mixed = False
        return Use(direct_io=False, keep_cache=keep)

    def is_taken(self, node: int, version: Version) -> bool:
        """Whether somebody uses the pages of another version, so that an open would go without."""
        owner = self._owners.get(node)
        return owner is not None and owner.users > 0 and owner.version.key != version.key

    def open_direct(self, node: int, version: Version) -> None:
        """Of a file that is direct for reasons of its own. Paired with `close`."""
        self._direct(self._owner(node), version)

    def size_of(self, item: ItemId) -> int | None:
        """For an answer, where nobody knows how large it is now: what those were told who have it open, or None."""
        if not self.is_free(item) and (size := self._owners[item].size) is not None:
            return size
        self._unsized.add(item)
        return None

    def needs_size(self, node: int) -> bool:
        """Whether the kernel may believe in a size from before it was known."""
        return node in self._unsized

    def resized(self, item: ItemId) -> None:
        """It has another content, which nobody has written to its nodes."""
        self._resized.update(self._nodes_of(item))

    def was_resized(self, node: int) -> bool:
        """Whether the kernel may believe in the size of another content."""
        return node in self._resized

    def is_free(self, node: int) -> bool:
        """Whether nobody has it open."""
        owner = self._owners.get(node)
        return owner is None or not (owner.users or owner.direct)

    def sized(self, node: int, size: int) -> None:
        """It has been told. What it holds of the last page is not to be used."""
        self._unsized.discard(node)
        self._resized.discard(node)
        owner = self._owner(node)
        owner.mixed, owner.size = True, size

    @staticmethod
    def _direct(owner: Owner, version: Version) -> Use:
        owner.direct.append(version)
        return Use(direct_io=True, keep_cache=True)

    def close(self, node: int, version: Version, *, direct: bool) -> None:
        """One of the handles, by what it was opened with and how that was answered."""
        owner = self._owners[node]
        if direct:
            owner.direct.remove(version)
            owner.mixed = owner.mixed or version.key != owner.version.key
        else:
            owner.users -= 1
        self._let_go(node)

    def _owner(self, node: int) -> Owner:
        owner = self._owners.get(node)
        if owner is None:
            owner = self._owners[node] = Owner(Version(self._sha256_of(node)))
        return owner

    def _let_go(self, node: int) -> None:
        """What a node without an entry may have need not be written down."""
        owner = self._owners[node]
        if owner.users or owner.pinned or owner.direct or owner.mixed:
            return
        if owner.version.key == self._sha256_of(node):
            del self._owners[node]

    def changing(self, item: ItemId) -> None:
        """Its row is about to name another blob. A look at the row would see that before `apply` tells of it."""
        for node in self._nodes_of(item):
            sha256 = self._sha256_of(node)
            if sha256 is not None:
                self._owners.setdefault(node, Owner(Version(sha256))).pinned = True

    def sealed(self, item: ItemId) -> None:
        """All are told."""
        for node in self._nodes_of(item):
            owner = self._owners.get(node)
            if owner is not None:
                owner.pinned = False
                self._let_go(node)

    def apply(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        """As an observer of the catalogue: pages that nobody uses may be of a content that an item no longer has."""
        for change in changes:
            old = None if change.before is None else change.before.sha256
            if old is not None and change.after is not None and change.after.sha256 != old:
                for node in self._nodes_of(change.item):
                    self._owners.setdefault(node, Owner(Version(old)))

    def settle(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        """The next open drops them."""

    @staticmethod
    def _is_home(draft: Draft, node: int) -> bool:
        """What is written through one node does not show in the pages of another."""
        if draft.node is None:
            draft.node = node
        return draft.node == node
