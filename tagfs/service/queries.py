"""queries and their saving, renaming and deleting. Trio thread."""

from __future__ import annotations

from contextlib import suppress

from engine.errors import EngineError, NameTaken
from engine.types import SavedQuery, timestamp
from query.render import render_expression
from tagfs.control.errors import Code, VerbError
from tagfs.control.verbs import Spelling
from tagfs.control.views import SavedQueryView
from tagfs.service.base import Part, verb


class SavedQueries(Part):
    @verb
    async def queries(self) -> tuple[SavedQueryView, ...]:
        return tuple(
            SavedQueryView(saved.name, saved.text, timestamp(saved.added_ns))
            for saved in await self.catalogue.saved_queries()
        )

    @verb
    async def query_save(self, name: str, query: str, *, spelling: Spelling = Spelling.EXPRESSION) -> None:
        await self.catalogue.save_query(name, render_expression(self.parsed(query, spelling)))

    @verb
    async def query_rename(self, old: str, new: str) -> None:
        await self.catalogue.rename_query(old, new)

    @verb
    async def query_delete(self, names: tuple[str, ...]) -> None:
        found = list(map(self._saved, dict.fromkeys(names)))
        gone: list[SavedQuery] = []
        try:
            for saved in found:
                await self.catalogue.forget_query(saved.name)
                gone.append(saved)
        except EngineError:  # somebody was quicker with one of them: all or nothing
            for saved in gone:
                with suppress(NameTaken):
                    await self.catalogue.save_query(saved.name, saved.text)
            raise

    def _saved(self, name: str) -> SavedQuery:
        saved = self.catalogue.saved_query(name)
        if saved is None:
            raise VerbError(Code.NOT_FOUND, f"No query is saved as {name!r}.")
        return saved
