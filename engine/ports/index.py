"""Membership: what an index answers, and what it is fed with."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pyroaring import BitMap

from engine.ports.observer import Observer
from engine.types import (
    Facts,
    ItemId,
    TagCount,
)
from query.ast import Compare, Expr, Range
from query.relations import Relation, Relations


@dataclass(frozen=True, slots=True)
class Opening:
    """Where an index starts: items by state that are not in the trash by themselves, all tags and how they relate, and
    what is in which folder, at one point in the order of commits."""

    states: Mapping[str, BitMap]
    tags: Sequence[tuple[int, str, int]]  # id, name, live items that carry it
    # By folder item, the items directly in it, trashed or not. Of the empty ones those that are in another folder.
    held: Mapping[int, BitMap] = field(default_factory=dict)
    relations: Collection[Relation] = ()  # between tags, as they were stated


class Feed(Protocol):
    """What an index loads from whoever holds the truth. The scans run on reader threads.

    Where it says "live", the items that a trashed folder holds are there as well: those the index leaves out by itself.

    A scan sees the commits that `apply` has told of so far, and it may see some that `apply` is about to tell of. So
    the index notes what it is told during a scan, does it again afterwards, and sets membership rather than toggles it.
    """

    async def follow(self, observer: Observer, start: Callable[[Opening], None]) -> Callable[[], None]:
        """Calls `start`, and from then on the observer with each later commit: none is missed, none comes twice.

        The function returned ends it."""

    async def reread(self, arrived: Callable[[Opening], None]) -> None:
        """Calls `arrived` when the observers have been told of exactly the commits that it shows."""

    async def reread_tag(self, tag: int, arrived: Callable[[BitMap], None]) -> None:
        """Likewise, with the items that carry the tag and were not trashed by themselves."""

    def facts(self, item: ItemId) -> Facts | None: ...
    def ancestors(self, item: ItemId) -> Sequence[ItemId]: ...
    async def tagged(self, tags: Collection[int]) -> Mapping[int, BitMap]:
        """By tag id: the live items that carry the tag. Every id asked for is there."""

    async def valued(self, key: str) -> Mapping[str, BitMap]:
        """Live items by value of one of the built-in keys that have few values: type ext source host is."""

    async def ordered(self, key: str) -> tuple[array[int], array[int]]:
        """(values, ids), both in ascending order of (value, id), of live items: `size` in bytes, `added` in seconds."""

    async def search(self, leaf: Compare | Range) -> BitMap:
        """Live items that match a comparison of name, sha256, size or added (without ages), by looking at each."""


class Index(Protocol):
    """Membership. All answers are about live items, as of the last commit.

    What a folder item carries holds for all that is below it, so that is in a result as well; `topmost` makes of it
    what a listing shows. The built-in keys are each item's own, but `is:untagged` means: no tag holds for it."""

    @property
    def live(self) -> BitMap: ...
    @property
    def inner(self) -> BitMap:
        """What folder items hold, trashed or not. To be read only."""

    def below(self, folder: ItemId) -> BitMap:
        """What a folder item holds at whatever depth, trashed or not. To be read only."""

    def under(self, items: BitMap) -> BitMap:
        """What those of `items` that are folders hold at whatever depth, trashed or not. To be read only."""

    def has_tag(self, name: str) -> bool: ...
    def tag_list(self) -> Sequence[TagCount]:
        """All tags, sorted by name, key:value pairs included, with how many live items carry each as their own."""

    @property
    def relations(self) -> Relations:
        """Between tags, as of the last commit. The index itself evaluates what it is given: whoever asks for a query
        writes out what it means (`Relations.compiled`)."""

    def own_keys(self) -> Sequence[str]:
        """Keys of the key:value tags that there are, sorted (not the built-in ones)."""

    def values(self, key: str) -> Sequence[TagCount]:
        """Values of an own key, also those that no item carries now, or those in use of a built-in one (name = the
        value alone), sorted as values compare.

        Those of type, ext, source and host are known once an expression that names the key was prepared; size, added,
        name and sha256 have about as many values as there are items, and list none."""

    def unknown(self, expr: Expr) -> str | None:
        """The first tag or key that `expr` names and that does not exist (built-in keys always do), else None."""

    async def prepare(self, expr: Expr) -> None:
        """Load what `evaluate` and `contains` need of `expr`. Cheap when loaded already."""

    def evaluate(self, expr: Expr, *, now: float) -> BitMap:
        """Item ids that match; `expr` must be prepared. The caller may keep and change the bitmap."""

    def contains(self, expr: Expr, item: ItemId, *, now: float) -> bool:
        """Whether one item matches, without evaluating the whole."""

    def topmost(self, found: BitMap) -> BitMap:
        """`found` without what is below a folder of it: what a listing shows. May be `found` itself."""

    def shows(self, expr: Expr, item: ItemId, *, now: float) -> bool:
        """Whether a listing of `expr` shows this item: it matches, and no folder that holds it does."""

    async def carried(self, expr: Expr, *, now: float, literal: bool = False) -> list[TagCount]:
        """Tags that hold for items of the result, with how many entries a listing of those has, sorted by name. By what
        the relations make of them, also those that nobody carries; with `literal` only what is carried counts."""

    async def check(self) -> list[str]:
        """What differs from the truth, one sentence each; empty when sound."""

    async def renew(self) -> None:
        """Forget all, and begin from the truth again."""

    async def narrowing(self, expr: Expr, *, now: float, literal: bool = False) -> list[TagCount]:
        """Those of them that leave out something of the result."""
