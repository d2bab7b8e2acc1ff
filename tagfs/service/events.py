"""events: what happens, told as it happens. Trio thread.

    commit ──▶ Watcher.apply ──▶ buffer (bounded) ──▶ one event after the other to the client

A client that reads slowly loses the oldest events, and hears how many; progress is not buffered at all. Files inside a
folder item tell what becomes of them, not that they are there: a torrent of 100,000 files is one event.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import trio

from engine.ports import Catalogue
from engine.types import Change, Facts, ItemId, State, TagChange, TagEvent, timestamp
from query.ast import Expr, Query
from query.evaluate import matches
from query.parse import parse_expression
from tagfs.control.errors import Code, VerbError
from tagfs.control.verbs import Send, Spelling
from tagfs.control.views import EventView
from tagfs.service.base import Part, verb
from tagfs.service.show import download_view
from tagfs.vfs.forgetting import is_live

BUFFER: Final = 10_000  # events; about 1 KB each
MIN_INTERVAL: Final = 0.1
PROGRESSES: Final = 100  # downloads whose progress is told at once

_DOWNLOADING = parse_expression("state:downloading").expr


class Watcher:
    """A `ports.Observer`. State: the events that the client has not been sent yet. With `meaning`, only events of items
    that match the query as it is then, before or after the change."""

    def __init__(self, catalogue: Catalogue, meaning: Callable[[], Expr] | None = None) -> None:
        self._catalogue = catalogue
        self._meaning = meaning
        self._events: deque[EventView] = deque()
        self._lost = 0
        self._news = trio.Event()

    def apply(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        at = _now()
        for tag in tags:
            if self._meaning is None or tag.event is TagEvent.RETAGGED:
                for event in _of_tag(tag, at):
                    self._put(event)
        for change in changes:
            if self.concerns(change.item, change.before) or self.concerns(change.item, change.after):
                for event in self._of_item(change, at):
                    self._put(event)

    def settle(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        """Nobody waits for a client."""

    def concerns(self, item: ItemId, facts: Facts | None) -> bool:
        """Whether an item that is as `facts` say matches, also by the tags of the folders that hold it."""
        if self._meaning is None or facts is None:
            return facts is not None
        if facts.parent is not None:
            above = {tag for folder in self._catalogue.ancestors(item) for tag in self._catalogue.tags(folder)}
            facts = replace(facts, tags=facts.tags | above)
        return matches(self._meaning(), facts, now=time.time())

    async def wait(self) -> None:
        """Until there is something to take."""
        await self._news.wait()

    def take(self) -> EventView | None:
        """The oldest; first, how many were lost before it."""
        if self._lost:
            lost, self._lost = self._lost, 0
            return EventView("lost", _now(), count=lost)
        if self._events:
            return self._events.popleft()
        self._news = trio.Event()
        return None

    def _put(self, event: EventView) -> None:
        if len(self._events) >= BUFFER:
            self._events.popleft()
            self._lost += 1
        self._events.append(event)
        self._news.set()

    def _of_item(self, change: Change, at: str) -> Iterator[EventView]:
        before, after = change.before, change.after
        if before is None or after is None or before.trashed != after.trashed:
            facts = after or before
            alone = before is not None and after is not None and before.live != after.live  # not with its folder
            if facts is not None and (facts.parent is None or alone):
                yield self._coming_or_going(change.item, before, after, at)
            return
        if before.name != after.name:
            yield EventView("renamed", at, change.item, after.name, before.name)
        if before.tags != after.tags:
            yield EventView("tags", at, change.item, after.name, tags=tuple(sorted(after.tags)))
        if before.state is not after.state:
            yield self._of_state(change.item, before, after, at)

    def _coming_or_going(self, item: ItemId, before: Facts | None, after: Facts | None, at: str) -> EventView:
        if after is None:
            return EventView("removed", at, item, before.name if before else None)
        tags = tuple(sorted(after.tags))
        if not is_live(after):
            return EventView("trashed", at, item, after.name, state=after.state.value, tags=tags)
        url = next((source.public_url for source in self._catalogue.sources(item) if source.public_url), None)
        event = "added" if before is None else "restored"
        return EventView(event, at, item, after.name, state=after.state.value, tags=tags, url=url)

    def _of_state(self, item: ItemId, before: Facts, after: Facts, at: str) -> EventView:
        row = self._catalogue.item(item)
        error = row.error if row is not None else None
        if after.state is State.FAILED:
            event = "failed"
        else:
            event = "finished" if after.state.whole and not before.state.whole else "state"
        total = after.size if event == "finished" else None
        return EventView(
            event,
            at,
            item,
            after.name,
            before.state.value,
            state=after.state.value,
            error=error,
            done=total,
            total=total,
        )


class Events(Part):
    @verb
    async def events(
        self,
        query: str | None = None,
        *,
        spelling: Spelling = Spelling.EXPRESSION,
        progress: bool = True,
        interval: float = 1.0,
        send: Send[EventView],
    ) -> None:
        if not MIN_INTERVAL <= interval <= 3600:
            raise VerbError(Code.BAD_REQUEST, f"The interval is from {MIN_INTERVAL:g} to 3600 seconds.")
        watcher = Watcher(self.catalogue, None if query is None else self._meaning(self.parsed(query, spelling)))
        stop = self.catalogue.observe(watcher)
        told: dict[int, int] = {}
        due = trio.current_time() + interval
        try:
            await send(EventView("watching", _now()))
            while True:
                with trio.move_on_at(due if progress else float("inf")):
                    await watcher.wait()
                while (event := watcher.take()) is not None:
                    await send(event)
                if progress and trio.current_time() >= due:
                    for view in self._progress(watcher, told):
                        await send(view)
                    due = trio.current_time() + interval
        finally:
            stop()

    def _meaning(self, query: Query) -> Callable[[], Expr]:
        return lambda: self.index.relations.compiled(query)

    def _progress(self, watcher: Watcher, told: dict[int, int]) -> list[EventView]:
        """Of the downloads that have got on; `told` is what was said of each."""
        running = list(self.index.evaluate(_DOWNLOADING, now=self.context.clock())[:PROGRESSES])
        for gone in told.keys() - set(running):
            del told[gone]
        events = []
        for item in filter(None, (self.catalogue.item(ItemId(number)) for number in running)):
            view = download_view(self.context, item)
            if told.get(item.id) != view.done and watcher.concerns(item.id, self.catalogue.facts(item.id)):
                told[item.id] = view.done
                events.append(
                    EventView(
                        "progress", _now(), item.id, item.name,
                        done=view.done, total=view.total, speed=view.speed, eta=view.eta,
                    )
                )  # fmt: skip
        return events


def _of_tag(change: TagChange, at: str) -> Iterator[EventView]:
    match change.event:
        case TagEvent.CREATED:
            yield EventView("tag", at, name=change.name)
        case TagEvent.REMOVED:
            yield EventView("tag", at, old=change.name)
        case TagEvent.RENAMED:
            yield EventView("tag", at, name=change.new_name, old=change.name)
        case TagEvent.RELATED:
            yield EventView("relation", at, name=" ".join(change.relation or ()))
        case TagEvent.UNRELATED:
            yield EventView("relation", at, old=" ".join(change.relation or ()))
        case TagEvent.SAVED:
            yield EventView("query", at, name=change.name)
        case TagEvent.FORGOTTEN:
            yield EventView("query", at, old=change.name)
        case TagEvent.RETAGGED:
            for event, items in (("tagged", change.gained), ("untagged", change.lost)):
                if items:
                    yield EventView(event, at, name=change.name, count=len(items))


def _now() -> str:
    return timestamp(time.time_ns())
