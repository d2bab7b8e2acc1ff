"""suggestions, suggest_decide, rules: what tagfs proposes, what becomes of it, and the user's rules. Trio thread."""

from __future__ import annotations

from dataclasses import dataclass

from pyroaring import BitMap

from engine.errors import NoSuchItem
from engine.history import Cause
from engine.suggest.looking import facts_of, look_by_rules
from engine.suggest.rules import Rule
from engine.types import ItemId
from query.names import clean
from tagfs.control.errors import Code, VerbError
from tagfs.control.verbs import Ref, Report, Spelling
from tagfs.control.views import (
    DecidedView,
    ProposalView,
    RulesView,
    RuleView,
    SuggestionPage,
    SuggestionView,
    WorkView,
)
from tagfs.service.base import Part, verb

MAX_PAGE = 1000
STEP = 200  # items in one transaction of `rules`: some 20 ms of the writer


@dataclass(frozen=True)
class Suggestions(Part):
    rules_in_file: tuple[Rule, ...] = ()

    @verb
    async def suggestions(
        self,
        items: tuple[Ref, ...] = (),
        *,
        query: str | None = None,
        spelling: Spelling = Spelling.EXPRESSION,
        after: int = 0,
        limit: int = 1000,
    ) -> SuggestionPage:
        if not 1 <= limit <= MAX_PAGE:
            raise VerbError(Code.BAD_REQUEST, f"A page has from 1 to {MAX_PAGE} items, not {limit}.")
        among = await self._meant(items, query, spelling)
        found: list[SuggestionView] = []
        while True:
            step = await self.catalogue.suggested(after, limit)
            for item in step:
                if len(found) == limit:
                    return SuggestionPage(tuple(found), found[-1].id)
                row = self.catalogue.item(item)
                if row is not None and item in among:
                    proposals = (ProposalView(tag, origin) for tag, origin in self.catalogue.suggestions(item))
                    found.append(SuggestionView(item, row.name, tuple(proposals)))
                after = item
            if len(step) < limit:
                return SuggestionPage(tuple(found), None)

    @verb
    async def suggest_decide(
        self,
        items: tuple[Ref, ...] = (),
        *,
        query: str | None = None,
        spelling: Spelling = Spelling.EXPRESSION,
        tags: tuple[str, ...] = (),
        accept: bool,
    ) -> DecidedView:
        if not items and query is None:
            raise VerbError(Code.BAD_REQUEST, "Of which items? Name them, or say which by a query.")
        among = await self._meant(items, query, spelling)
        chosen: list[ItemId] = []
        after = 0
        while step := await self.catalogue.suggested(after, MAX_PAGE):
            chosen += [item for item in step if item in among]
            after = step[-1]
        wanted = [clean(tag) for tag in tags] or None
        try:
            decided = await self.catalogue.decide(chosen, wanted, accept=accept)
        except NoSuchItem as error:
            raise VerbError(Code.NOT_FOUND, "An item went away meanwhile; nothing was changed.") from error
        return DecidedView(len(chosen), decided)

    async def _meant(self, items: tuple[Ref, ...], query: str | None, spelling: Spelling) -> BitMap:
        """With what folders hold: a folder is named, and its songs are meant."""
        if query is not None and items:
            raise VerbError(Code.BAD_REQUEST, "Items or a query, not both.")
        if query is not None:
            return self.index.evaluate(await self.prepared(query, spelling), now=self.context.clock())
        if not items:
            return self.index.live.copy()
        named = BitMap([item.id for item in self.items_of(items)])
        return BitMap.union(named, *(self.index.below(ItemId(item)) for item in named)) & self.index.live

    @verb
    async def rules(self, *, apply: bool = False, dry_run: bool = False, report: Report[WorkView]) -> RulesView:
        views, matching = [], BitMap()
        for rule in self.rules_in_file:
            expr = self.index.relations.compiled(rule.query)
            await self.index.prepare(expr)
            found = self.index.evaluate(expr, now=self.context.clock())
            accept = tuple(sorted(rule.accept))
            views.append(RuleView(rule.number, rule.match, rule.tags, accept, len(found)))
            matching |= found
        tags = 0
        if apply or dry_run:
            tags = await self._apply(matching, report, dry_run=dry_run)
        return RulesView(tuple(views), tags)

    async def _apply(self, matching: BitMap, report: Report[WorkView], *, dry_run: bool) -> int:
        """In steps, each durable: one that is interrupted has done what it says, and can be asked again."""
        by_rule = self.catalogue.by(Cause.RULE)
        tags, now = 0, self.context.clock()
        for start in range(0, len(matching), STEP):
            items = [ItemId(item) for item in matching[start : start + STEP]]
            looks = [
                look_by_rules(self.rules_in_file, self.index.relations, item, facts, stage=0, now=now)
                for item in items
                if (facts := facts_of(self.catalogue, item)) is not None
            ]
            tags += await by_rule.note_looks(looks, dry_run=dry_run)
            report(WorkView("applying", "", start + len(items), len(matching), 0, 0))
        return tags
