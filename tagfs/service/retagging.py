"""tag_where, tag_batch: tags of very many items at once. Trio thread.

Both are one transaction, however many items. Which items a query means is found out when it is the turn of that
transaction, so that nothing comes in between; items that are named are looked up before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import trio
from pyroaring import BitMap

from engine.ports import Retagging
from query.errors import BadName
from query.names import check_own_tag
from tagfs.control.errors import Code, VerbError
from tagfs.control.verbs import Ref, Report, Spelling
from tagfs.control.views import RetaggedView, WorkView
from tagfs.service.base import Part, verb

AT_ONCE = 100  # references that are looked up before other tasks get a turn: some 2 ms


class Retaggings(Part):
    @verb
    async def tag_where(
        self,
        query: str,
        *,
        spelling: Spelling = Spelling.EXPRESSION,
        add: tuple[str, ...] = (),
        remove: tuple[str, ...] = (),
        dry_run: bool = False,
        report: Report[WorkView],
    ) -> RetaggedView:
        if not add and not remove:
            raise VerbError(Code.BAD_REQUEST, "Which tags? Name some to add or to remove.")
        adding, removing = [check_own_tag(tag) for tag in add], [self.known_tag(tag) for tag in remove]
        found = BitMap()

        async def choose() -> Retagging:
            nonlocal found
            expr = await self.prepared(query, spelling)
            found = self.index.topmost(self.index.evaluate(expr, now=self.context.clock()))
            return Retagging(dict.fromkeys(adding, found), dict.fromkeys(removing, found))

        changed = await self.catalogue.retag_many(choose, dry_run=dry_run, report=tagging(report))
        return RetaggedView(len(found), changed)

    @verb
    async def tag_batch(
        self, items: tuple[Ref, ...], edits: tuple[str, ...], which: tuple[int, ...], *, report: Report[WorkView]
    ) -> RetaggedView:
        if len(items) != len(which) or any(not 0 <= edit < len(edits) for edit in which):
            raise VerbError(Code.BAD_REQUEST, "Each item needs the number of one of the edits.")
        first = {edit: line for line, edit in reversed(list(enumerate(which, 1)))}
        parsed = {edit: self._edit(edits[edit], line) for edit, line in first.items()}
        add: defaultdict[str, BitMap] = defaultdict(BitMap)
        remove: defaultdict[str, BitMap] = defaultdict(BitMap)
        named = BitMap()
        for line, (ref, edit) in enumerate(zip(items, which, strict=True), 1):
            if line % AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
                report(WorkView("scanning", "", line, len(items), 0, 0))
            [item] = self._in_line(line, [ref])
            named.add(item)
            for tag in parsed[edit][0]:
                add[tag].add(item)
                remove[tag].discard(item)
            for tag in parsed[edit][1]:
                add[tag].discard(item)
                remove[tag].add(item)

        async def choose() -> Retagging:
            if gone := named - self.index.live:
                raise VerbError(
                    Code.NOT_FOUND, f"There is no item with the id {gone[0]} any more. Nothing was changed."
                )
            return Retagging(add, remove)

        changed = await self.catalogue.retag_many(choose, report=tagging(report))
        return RetaggedView(len(named), changed)

    def _edit(self, text: str, line: int) -> tuple[list[str], list[str]]:
        """What `+a,-b` puts on and takes off."""
        add, remove = [], []
        try:
            for word in text.split(","):
                match word[:1]:
                    case "+":
                        add.append(check_own_tag(word[1:]))
                    case "-":
                        remove.append(self.known_tag(word[1:]))
                    case _:
                        raise VerbError(Code.BAD_REQUEST, f"A change is +TAG or -TAG, not {word!r}.")
        except (VerbError, BadName) as error:
            raise in_line(line, error) from error
        return add, remove

    def _in_line(self, line: int, refs: Sequence[Ref]) -> list[int]:
        try:
            return [item.id for item in self.items_of(refs)]
        except VerbError as error:
            raise in_line(line, error) from error


def in_line(line: int, error: VerbError | BadName) -> VerbError:
    """The same, said of a line."""
    code = error.code if isinstance(error, VerbError) else Code.BAD_REQUEST
    return VerbError(code, f"Line {line}: {str(error).removesuffix('.')}. Nothing was changed.")


def tagging(report: Report[WorkView]) -> Callable[[int, int], None]:
    """How far a change of tags is, as a view."""
    return lambda done, total: report(WorkView("tagging", "", done, total, 0, 0))
