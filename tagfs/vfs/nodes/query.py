"""A query directory: /tags/a/+/b, /queries/<expression>. Lists the items that match, and nothing else.

A name in it resolves as: operator, then tag or term, then item (`Steps` decides the first two).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from pyroaring import BitMap

from engine.types import ItemId
from query.ast import End, Expr, Query
from query.errors import QueryError
from query.evaluate import leaves
from query.normalise import normalise_expr
from query.stated import stated
from tagfs.vfs import attr, numbers
from tagfs.vfs.attr import Attr
from tagfs.vfs.context import Context
from tagfs.vfs.nodes.folder import node_of
from tagfs.vfs.nodes.items import find, read_lines
from tagfs.vfs.tree import (
    Closed,
    Directory,
    Entry,
    Fixed,
    Node,
    Place,
    Snapshot,
    Stated,
    malformed,
    no_entry,
)

if TYPE_CHECKING:
    from tagfs.vfs.known import View
    from tagfs.vfs.nodes.steps import Steps

NARROWING = ".tags"
FEW = 20  # items of one name: to ask about each is quicker than to evaluate the query (every album has a cover.jpg)
_ATTEMPTS = 3  # a listing that changes while it is read is read again


class QueryDirectory(Directory):
    """`steps` is None below /queries: in there are only items. `path` are the components. What `query` means depends on
    the relations between tags: that is `view`, which goes along with them once the kernel knows the directory."""

    def __init__(self, context: Context, path: tuple[str, ...], query: Query, steps: Steps | None) -> None:
        self.location = ("tags" if steps else "queries", *path)
        self.path = path
        self.query = query
        self.number = number_of(query)
        self.place: Place = place_of(query)
        self.named = tuple(leaves(query.expr))
        self._context = context
        self._steps = steps if query.end is End.OPEN else None
        self.follow(context.views.known.view(self.meaning()))

    def meaning(self) -> Expr:
        return self._context.index.relations.compiled(self.query)

    def follow(self, view: View) -> None:
        self.view = view
        self.keeps = not view.relative

    def become(self, other: Directory) -> None:
        """It goes over to the view of that by `follow`."""
        view = self.view
        super().become(other)
        self.follow(view)

    @property
    def expr(self) -> Expr:
        """Normalised, as the relations are now."""
        return self.view.expr

    def attr(self) -> Attr:
        writable = isinstance(self.place, Stated)
        return attr.of_directory(self.number, self.view.changed_ns, writable=writable)

    async def lookup(self, name: str) -> Node:
        problem: QueryError | None = None
        if self._steps is not None:
            if name == NARROWING:
                return self._steps.narrowing(self.path, self.query)
            try:
                child = self._steps.step(self.path, name)
            except QueryError as error:
                problem = error
            else:
                if child is not None:
                    return child
        await self._prepare()
        item = self._find(name)
        if item is not None:
            self._context.views.show(self.view, item)
            return node_of(self._context, self, item)
        if problem is not None and self._steps is not None and self._steps.is_meant(name, problem):
            raise malformed(problem)
        raise no_entry(name)

    def _find(self, name: str) -> ItemId | None:
        """The query must be prepared."""
        named = self._context.catalogue.named(name)
        if len(named) <= FEW:
            return find(self._context, name, named, self.member)
        members = self._members()
        return find(self._context, name, [item for item in named if item in members], members.__contains__)

    def member(self, item: ItemId) -> bool:
        """Whether the item is shown now; the query must be prepared."""
        return self._context.index.shows(self.expr, item, now=self._context.clock())

    async def snapshot(self) -> Snapshot:
        """From the cache, or as of one moment if at all possible (a listing that keeps changing is never cached)."""
        views = self._context.views
        cached = views.cached(self.view, items_only=self._steps is None)
        if cached is not None:
            return cached if self._steps is None or not self._context.facets else await self._with_facets(cached)
        for _ in range(_ATTEMPTS):
            await self._prepare()
            listing = views.listing(self.view, self._members())
            lines = await read_lines(self._context, listing.members)
            # In a listing below `@` nothing is hidden.
            lines.name(None if self._steps is None else self._steps.hiding(self.path))
            listing.entries = lines
            if not listing.stale():
                break
        if self._steps is not None and self._context.facets:
            return await self._with_facets(listing)
        views.cache(listing, items_only=self._steps is None)
        return listing

    async def members(self) -> BitMap:
        await self._prepare()
        return self._members()

    async def _prepare(self) -> None:
        """Until the query is prepared that the directory shows: it may come to mean another one meanwhile."""
        prepared = None
        while prepared is not self.view:
            prepared = self.view
            await self._context.index.prepare(prepared.expr)

    def _members(self) -> BitMap:
        index = self._context.index
        return index.topmost(index.evaluate(self.expr, now=self._context.clock()))

    async def _with_facets(self, listing: Snapshot) -> Snapshot:
        """Mount option `facets`: the narrowing tags as directories beside the items."""
        assert self._steps is not None
        found = await self._context.index.narrowing(
            self.expr, now=self._context.clock(), literal=self.query.end is End.LITERAL
        )
        facets: list[Entry] = []
        for tag in found:
            child = self._steps.step(self.path, tag.name)
            if child is not None:
                facets.append(Entry(tag.name, child, child.attr()))
        return Fixed([*facets, *listing.entries])


@lru_cache(maxsize=4096)
def number_of(query: Query) -> int:
    """The inode number: it stays what it is when relations between tags come and go."""
    return numbers.of_query(f"{normalise_expr(query.expr)!r} {query.end.value}")


def place_of(query: Query) -> Place:
    tags = stated(query)
    if tags is None:
        return Closed("this path does not state which tags to put on or take off: use one of plain tags only")
    if not tags:
        return Closed("this path states no tag to put on or take off")
    return Stated(tags, literal=query.end is End.LITERAL)
