"""tags and their making, removing and renaming. Trio thread."""

from __future__ import annotations

from bisect import bisect_right
from contextlib import suppress

from engine.errors import EngineError, NameTaken
from engine.types import TagCount
from query.ast import End
from query.names import check_own_tag
from tagfs.control.errors import Code, VerbError
from tagfs.control.verbs import Report, Spelling
from tagfs.control.views import RetaggedView, TagPage, TagView, WorkView
from tagfs.service.base import Part, verb
from tagfs.service.retagging import tagging


class Tags(Part):
    @verb
    async def tags(
        self,
        query: str | None = None,
        *,
        spelling: Spelling = Spelling.EXPRESSION,
        after: str = "",
        limit: int = 1000,
    ) -> TagPage:
        if limit < 1:
            raise VerbError(Code.BAD_REQUEST, f"A page has at least one tag, not {limit}.")
        found = list(self.index.tag_list()) if query is None else await self._among(query, spelling)
        names = [tag.name for tag in found]
        start = bisect_right(names, after) if after else 0
        page = found[start : start + limit]
        more = start + limit < len(found)
        return TagPage(tuple(TagView(tag.name, tag.items) for tag in page), page[-1].name if more else None)

    async def _among(self, query: str, spelling: Spelling) -> list[TagCount]:
        expr, literal = await self.prepared(query, spelling), self.parsed(query, spelling).end is End.LITERAL
        return await self.index.carried(expr, now=self.context.clock(), literal=literal)

    @verb
    async def tag_create(self, names: tuple[str, ...]) -> None:
        wanted = list(dict.fromkeys(map(check_own_tag, names)))
        for name in wanted:
            if self.index.has_tag(name):
                raise VerbError(Code.EXISTS, f"There is a tag called {name!r} already.")
        for name in wanted:
            await self.catalogue.create_tag(name)

    @verb
    async def tag_delete(self, names: tuple[str, ...]) -> None:
        removed: list[str] = []
        try:
            for name in dict.fromkeys(map(self.known_tag, names)):
                await self.catalogue.remove_tag(name)
                removed.append(name)
        except EngineError:  # one is in use: the others come back as empty as they were
            for name in removed:
                with suppress(NameTaken):
                    await self.catalogue.create_tag(name)
            raise

    @verb
    async def tag_rename(self, old: str, new: str) -> None:
        await self.catalogue.rename_tag(self.known_tag(old), check_own_tag(new))

    @verb
    async def tag_merge(self, old: str, new: str, *, report: Report[WorkView]) -> RetaggedView:
        names = self.known_tag(old), self.known_tag(new)
        changed = await self.catalogue.merge_tag(*names, report=tagging(report))
        return RetaggedView(changed, changed)
