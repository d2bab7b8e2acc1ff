"""trash and its restoring and emptying. Trio thread."""

from __future__ import annotations

from collections.abc import Sequence

from engine.trash import Thing
from engine.types import Item, ItemId, timestamp
from tagfs.control.errors import Code, VerbError
from tagfs.control.verbs import Ref
from tagfs.control.views import EmptiedView, ItemView, TrashPage, TrashView
from tagfs.service.base import AMBIGUOUS_SHOWN, BY_ID, Part, verb
from tagfs.service.show import item_view
from tagfs.upkeep import end
from tagfs.vfs import edits
from tagfs.vfs.names import is_tilde_name, tilde_ids

MAX_PAGE = 1000


class Trash(Part):
    @verb
    async def trash(self, *, after: int = 0, limit: int = 1000) -> TrashPage:
        if not 1 <= limit <= MAX_PAGE:
            raise VerbError(Code.BAD_REQUEST, f"A page has from 1 to {MAX_PAGE} items, not {limit}.")
        heap = await self.catalogue.trash_heap()
        things = sorted((thing for thing in heap.things if thing.item > after), key=lambda thing: thing.item)
        page = things[:limit]
        rows = {row.id: row for row in await self.catalogue.items([thing.item for thing in page])}

        views = tuple(
            self._view(rows[thing.item], thing, heap.size([thing]), frees)
            for thing, frees in zip(page, heap.freed_alone(page), strict=True)
            if thing.item in rows
        )
        more = page[-1].item if len(things) > limit else None
        everything = {thing.item for thing in heap.things}
        return TrashPage(views, more, len(everything), heap.size(heap.things), heap.freed(everything))

    def _view(self, row: Item, thing: Thing, size: int, frees: int) -> TrashView:
        return TrashView(
            id=row.id,
            name=row.name,
            kind=row.kind.value,
            size=size,
            frees=frees,
            trashed=timestamp(thing.trashed_ns),
            folder=self._folder(row),
            tags=self.catalogue.tags(row.id),
        )

    @verb
    async def trash_restore(self, items: tuple[Ref, ...]) -> tuple[ItemView, ...]:
        rows = self._in_trash(items)
        for row in rows:
            await edits.restore(self.context, row.id)
        fresh = (self.catalogue.item(row.id) for row in rows)
        return tuple(item_view(self.context, row) for row in fresh if row is not None)

    @verb
    async def trash_empty(
        self, items: tuple[Ref, ...] = (), *, older_than: float | None = None, keep_size: int | None = None
    ) -> EmptiedView:
        if items and (older_than is not None or keep_size is not None):
            raise VerbError(Code.BAD_REQUEST, "Name items, or an age and a size of what is to go, not both.")
        heap = await self.catalogue.trash_heap()
        if items:
            gone = [row.id for row in self._in_trash(items)]
        elif older_than is None and keep_size is None:
            gone = [thing.item for thing in heap.things]
        else:
            before_ns = int((self.context.clock() - (older_than or 0.0)) * 10**9)
            gone = [] if older_than is None else heap.old(before_ns)
            gone += [] if keep_size is None else heap.excess(keep_size, without=frozenset(gone))
        chosen = frozenset(gone)
        await end(self.catalogue, gone)
        size = heap.size(thing for thing in heap.things if thing.item in chosen)
        return EmptiedView(len(gone), size, heap.freed(chosen))

    # -- references --------------------------------------------------------------------------------------------
    def _in_trash(self, refs: Sequence[Ref]) -> list[Item]:
        """All or nothing; what a folder in the trash holds is no thing of its own there."""
        return list({item.id: item for item in map(self._trashed, refs)}.values())

    def _trashed(self, ref: Ref) -> Item:
        by_id = BY_ID.fullmatch(ref)
        numbers = [int(by_id[1])] if by_id else list(self.catalogue.trashed(ref))
        if len(numbers) > 1:
            shown = ", ".join(f"id:{number}" for number in numbers[:AMBIGUOUS_SHOWN])
            raise VerbError(
                Code.AMBIGUOUS, f"{len(numbers)} items in the trash are called {ref!r}: name one of {shown}."
            )
        for number in numbers or [number for number, _ in tilde_ids(ref)]:
            row = self.catalogue.item(ItemId(number))
            if row is None or row.trashed_ns is None:
                continue
            if by_id or row.name == ref or is_tilde_name(ref, row.name, row.id):
                return row
        raise VerbError(Code.NOT_FOUND, f"There is nothing called {ref!r} in the trash.")

    def _folder(self, row: Item) -> str:
        names = (self.catalogue.item(number) for number in reversed(self.catalogue.ancestors(row.id)))
        return "/".join(item.name for item in names if item is not None)
