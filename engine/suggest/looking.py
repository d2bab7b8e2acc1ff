"""Looks at each item when it was added and when it is whole: rules of the user's, and what name and content suggest.

    a commit ──▶ bell ──▶ what is to be looked at (a scan of an index) ──▶ rules, guesses ──▶ one transaction a batch

Behind everything else: whoever adds an item waits for none of it. What was looked at is a column of the item, written
in the transaction that puts the tags on, so after a kill in between the item is looked at then. On the trio thread.
State: nothing but the bell; what is to do is in the catalogue.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import trio

from engine.errors import StoreFull
from engine.history import Cause
from engine.ports import Blobs, Catalogue, Index, Look
from engine.suggest.guesser import IDLE, About, Guesser, Question
from engine.suggest.rules import Rule
from engine.transfer.bell import Bell
from engine.types import Change, Facts, ItemId, Kind, TagChange
from query.evaluate import matches
from query.relations import Relations

_log = logging.getLogger(__name__)

BATCH: Final = 100
ASKED_AT_ONCE: Final = 16  # names in one batch: 0.15 s of the other process
AT_ONCE: Final = 10  # items between two turns of other tasks: about 0.5 ms
POLITE: Final = 4  # how much longer than a batch took the next one waits while items are being added
GATHER: Final = 0.1  # seconds from the first commit to the look: what comes meanwhile is one batch
FULL: Final = 60.0  # seconds between two tries while the catalogue has no space

ADDED: Final = 1
WHOLE: Final = 2


class Looker:
    """`run` is its service. `path` gives the file that holds a blob, where there is one, for tags inside of songs."""

    def __init__(
        self,
        catalogue: Catalogue,
        index: Index,
        blobs: Blobs,
        rules: Sequence[Rule],
        *,
        path: Callable[[str], str] | None = None,
        guesser: Guesser | None = None,
        clock: Callable[[], float] = time.time,
        gather: float = GATHER,
    ) -> None:
        self._catalogue = catalogue.by(Cause.RULE)
        self._index = index
        self._blobs = blobs
        self.rules = tuple(rules)
        self._path = path
        self.guesser = guesser or Guesser()
        self._clock = clock
        self._gather = gather
        self._bell = Bell()

    # -- observer ----------------------------------------------------------------------------------------------------
    def apply(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        if any(map(_is_news, changes)):
            self._bell.ring()

    def settle(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        """Nobody waits for it."""

    # -- service -----------------------------------------------------------------------------------------------------
    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """For ever: first what an earlier run has not come to."""
        leave = self._catalogue.observe(self)
        task_status.started()
        try:
            while True:
                bell = self._bell.next
                try:
                    await self.look_at_all()
                except StoreFull as error:
                    _log.info("items are looked at when there is space again: %s", error)
                    await trio.sleep(FULL)
                    continue
                with trio.move_on_after(IDLE):
                    await bell.wait()
                if not bell.is_set():
                    await self.guesser.close()
                    await bell.wait()
                await trio.sleep(self._gather)
        finally:
            leave()
            await self.guesser.close()

    async def look_at_all(self) -> None:
        """Once through what is to be looked at now."""
        after = 0
        while batch := await self._catalogue.to_look_at(after, BATCH):
            after = batch[-1]
            bell, begun = self._bell.next, trio.current_time()
            await self._look_at(batch)
            if bell.is_set():  # somebody is adding: most of the writer's time is theirs
                await trio.sleep(POLITE * (trio.current_time() - begun))

    async def _look_at(self, batch: Sequence[ItemId]) -> None:
        await self._learn_types(batch)
        quick: list[Look] = []
        slow: list[tuple[Look, Question]] = []
        for number, item in enumerate(batch):
            if number % AT_ONCE == AT_ONCE - 1:
                await trio.lowlevel.checkpoint()
            facts = facts_of(self._catalogue, item)
            # Committed, and not told of yet: its own bell is about to ring. What is in the trash waits for its return.
            if facts is None or item not in self._index.live:
                continue
            stage = WHOLE if facts.state.whole else ADDED
            look = look_by_rules(self.rules, self._index.relations, item, facts, stage=stage, now=self._clock())
            question = self._question(item, facts) if look.stage == WHOLE else None
            if question is None:
                quick.append(look)
            else:
                slow.append((look, question))
        await self._note(quick)
        for start in range(0, len(slow), ASKED_AT_ONCE):
            asked = slow[start : start + ASKED_AT_ONCE]
            await self._note([await self._guessed(look, question) for look, question in asked])

    async def _learn_types(self, batch: Sequence[ItemId]) -> None:
        """Of whole files whose content nobody has looked at on its way in."""
        unknown: set[str] = set()
        for number, item in enumerate(batch):
            if number % AT_ONCE == AT_ONCE - 1:
                await trio.lowlevel.checkpoint()
            facts = self._catalogue.facts(item)
            if facts is not None and facts.mime is None and facts.sha256 is not None:
                unknown.add(facts.sha256)
        if not unknown:
            return
        blobs = sorted(unknown)
        try:
            found = dict(zip(blobs, await self._blobs.looks(blobs), strict=True))
        except OSError as error:
            _log.warning("%d blobs could not be looked at: %s", len(blobs), error)
            return
        told = {sha256: mime for sha256, mime in found.items() if mime is not None}
        if told:
            await self._catalogue.set_media_types(told)

    def _question(self, item: ItemId, facts: Facts) -> Question | None:
        """Films are asked about by name and songs by content and name; nothing else is, for guesses would be wrong."""
        types = facts.values("type")
        if facts.kind is not Kind.FILE or not types or types[0] not in ("video", "audio"):
            return None
        folder = None if facts.parent is None else self._catalogue.item(facts.parent)
        name = facts.name if folder is None else f"{folder.name}/{facts.name}"
        if types[0] == "video":
            return Question(About.FILM, name)
        path = self._path(facts.sha256) if self._path is not None and facts.sha256 is not None else None
        return Question(About.SONG, name, path)

    async def _guessed(self, look: Look, question: Question) -> Look:
        tags = await self.guesser.ask(question)
        origin = "name" if question.path is None else "content"
        return Look(look.item, look.stage, look.tags, tuple((tag, origin) for tag in tags), look.accept)

    async def _note(self, looks: Sequence[Look]) -> None:
        if looks:
            await self._catalogue.note_looks(looks)


def facts_of(catalogue: Catalogue, item: ItemId) -> Facts | None:
    """With the tags that it has by the folders that hold it."""
    facts = catalogue.facts(item)
    if facts is None or facts.parent is None:
        return facts
    above = [catalogue.tags(folder) for folder in catalogue.ancestors(item)]
    return replace(facts, tags=facts.tags.union(*above))


def look_by_rules(
    rules: Sequence[Rule], relations: Relations, item: ItemId, facts: Facts, *, stage: int, now: float
) -> Look:
    """What rules say of an item with these facts; no rule sees what another one does. Instant: some 5 µs a rule."""
    matching = [rule for rule in rules if matches(relations.compiled(rule.query), facts, now=now)]
    tags = dict.fromkeys(tag for rule in matching for tag in rule.tags)
    return Look(item, stage, tuple(tags), accept=frozenset(key for rule in matching for key in rule.accept))


def _is_news(change: Change) -> bool:
    """Whether it may have made an item one to be looked at."""
    before, after = change.before, change.after
    if after is None or not after.live:
        return False
    return before is None or not before.live or before.state.whole != after.state.whole
