"""log and undo: what was done, and taking it back. Trio thread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from engine.errors import EngineError
from engine.history import Record, comes_back, goes_away, recontents
from engine.types import Item, ItemId, timestamp
from tagfs.control.errors import Code, VerbError
from tagfs.control.verbs import Ref
from tagfs.control.views import ChangePage, ChangeView, ConcernedView, UndoneView
from tagfs.service.base import Part, verb
from tagfs.vfs import edits

MAX_PAGE = 1000
SHOWN = 10  # items of a change that are named


class History(Part):
    @verb
    async def log(
        self,
        items: tuple[Ref, ...] = (),
        *,
        before: int | None = None,
        age: float | None = None,
        limit: int = 100,
    ) -> ChangePage:
        if not 1 <= limit <= MAX_PAGE:
            raise VerbError(Code.BAD_REQUEST, f"A page has from 1 to {MAX_PAGE} changes, not {limit}.")
        since_ns = 0 if age is None else int((self.context.clock() - age) * 10**9)
        numbers: list[ItemId | None] = [ItemId(number) for number in self.numbers_of(items)]
        found: dict[int, Record] = {}
        for item in numbers or [None]:
            for record in await self.catalogue.log(item, before=before, since_ns=since_ns, limit=limit + 1):
                found[record.id] = record
        records = [found[number] for number in sorted(found, reverse=True)]
        page = records[:limit]
        return ChangePage(await self.changes(page), page[-1].id if len(records) > limit else None)

    @verb
    async def undo(self, call: int | None = None, *, redo: bool = False) -> UndoneView:
        number = await self.catalogue.undoable(redo=redo) if call is None else call
        if number is None:
            raise VerbError(Code.NOT_FOUND, "There is nothing to redo." if redo else "There is nothing to undo.")
        records = await self.catalogue.call(number)
        shown = await self.changes(records)
        away = await self.catalogue.items(list(goes_away(records) & self.index.live))
        stopped = [one for item in away for one in await edits.stop(self.context, item)]
        try:
            with self.context.drafts.changing(map(ItemId, recontents(records))):
                undone = await self.catalogue.undo(number)
        except EngineError:
            await edits.go_on(self.context, stopped)
            raise
        for item in await self.catalogue.items(list(comes_back(records))):
            if item.id in self.index.live:
                await edits.go_on(self.context, await edits.transfers_of(self.context, item))
        return UndoneView(number, shown, undone.missing)

    async def changes(self, records: Sequence[Record]) -> tuple[ChangeView, ...]:
        shown = {item for record in records for item in islice(record.items, SHOWN)}
        rows = {item.id: item for item in await self.catalogue.items(shown)}
        undone = await self.catalogue.undone({record.call for record in records})
        return tuple(_view(record, rows, undone.get(record.call)) for record in records)


def _view(record: Record, rows: Mapping[ItemId, Item], undone: int | None) -> ChangeView:
    return ChangeView(
        id=record.id,
        call=record.call,
        at=timestamp(record.at_ns),
        cause=record.cause.value,
        undoes=record.undoes,
        undone=undone,
        what={_KEYS.get(key, key): tuple(_texts(value)) for key, value in record.what.items() if key != "row"},
        count=len(record.items),
        items=tuple(_concerned(ItemId(item), rows, record) for item in islice(record.items, SHOWN)),
    )


_KEYS = {"parent": "folder", "trashed": "trash"}


def _texts(value: Any) -> Iterable[str]:
    if value is True:
        return ()  # made in the trash; or several, whose names the row does not have
    if isinstance(value, str):
        return (value,)
    if value in ([False, True], [True, False]):
        return ("in",) if value[1] else ("out",)
    return ("" if one is None else str(one) for one in value)


def _concerned(item: ItemId, rows: Mapping[ItemId, Item], record: Record) -> ConcernedView:
    if item in rows:
        return ConcernedView(item, rows[item].name)
    told = [record.what.get(key) for key in ("ended", "made", "dropped", "given", "removed")]
    return ConcernedView(item, next((name for name in told if isinstance(name, str)), None))
