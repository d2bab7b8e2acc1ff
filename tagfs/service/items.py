"""ls, show, tag, rm: verbs about items. Trio thread."""

from __future__ import annotations

from itertools import islice

from engine.ports import Edit
from engine.types import Item, Kind
from tagfs.control.errors import Code, VerbError
from tagfs.control.verbs import Ref, Spelling
from tagfs.control.views import ItemPage, ItemView
from tagfs.service.base import Part, verb
from tagfs.service.show import item_view
from tagfs.vfs import edits

MAX_PAGE = 1000


class Items(Part):
    @verb
    async def ls(
        self,
        query: str | None = None,
        *,
        spelling: Spelling = Spelling.EXPRESSION,
        trashed: bool = False,
        folder: Ref | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> ItemPage:
        if not 1 <= limit <= MAX_PAGE:
            raise VerbError(Code.BAD_REQUEST, f"A page has from 1 to {MAX_PAGE} items, not {limit}.")
        if folder is not None:
            if trashed or query is not None:
                raise VerbError(
                    Code.BAD_REQUEST, "A folder is listed whole: without a query, and apart from the trash."
                )
            [row] = self.items_of([folder], trashed=True)
            if row.kind is not Kind.FOLDER:
                raise VerbError(Code.BAD_REQUEST, f"{row.name!r} is no folder.")
            rows = await self.catalogue.children(row.id, after=after, limit=limit + 1)
        elif trashed:
            if query is not None:
                raise VerbError(Code.BAD_REQUEST, "The trash is listed whole: a query looks at live items only.")
            trash = [item for item in await self.catalogue.trash_list() if item.id > after]
            rows = sorted(trash, key=lambda item: item.id)[: limit + 1]
        else:
            rows = await self.catalogue.items(await self._matching(query, spelling, after, limit + 1))
        page = rows[:limit]
        more = len(rows) > limit
        return ItemPage(tuple(item_view(self.context, item) for item in page), page[-1].id if more else None)

    async def _matching(self, query: str | None, spelling: Spelling, after: int, count: int) -> list[int]:
        """Ids above `after`, at most `count`."""
        if query is None:
            members = self.index.live - self.index.inner
        else:
            expr = await self.prepared(query, spelling)
            members = self.index.topmost(self.index.evaluate(expr, now=self.context.clock()))
        start = members.rank(after)  # how many are not above `after`
        return list(islice(members[start : start + count], count))

    @verb
    async def show(self, items: tuple[Ref, ...]) -> tuple[ItemView, ...]:
        return tuple(item_view(self.context, item) for item in self.items_of(items))

    @verb
    async def names(self, prefix: str = "", *, limit: int = 100) -> tuple[str, ...]:
        if not 1 <= limit <= MAX_PAGE:
            raise VerbError(Code.BAD_REQUEST, f"From 1 to {MAX_PAGE} names can be asked for, not {limit}.")
        return tuple(self.catalogue.names(prefix, limit))

    @verb
    async def tag(
        self, items: tuple[Ref, ...], *, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()
    ) -> tuple[ItemView, ...]:
        rows = self.items_of(items)
        edit = Edit(add=add, remove=[self.known_tag(tag) for tag in remove])
        await self.catalogue.edit_many([(item.id, edit) for item in rows])
        return self._again(rows)

    @verb
    async def rm(self, items: tuple[Ref, ...], *, forever: bool = False) -> tuple[ItemView, ...]:
        rows = self.items_of(items, trashed=forever)
        for item in rows:
            if item.trashed_ns is None:
                await edits.trash(self.context, item)
        views = self._again(rows)
        if forever:
            await self.catalogue.purge([item.id for item in rows])
        return views

    def _again(self, rows: list[Item]) -> tuple[ItemView, ...]:
        fresh = (self.catalogue.item(item.id) for item in rows)
        return tuple(item_view(self.context, item) for item in fresh if item is not None)
