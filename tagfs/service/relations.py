"""relations, relate, unrelate: what tags say about each other. Trio thread."""

from __future__ import annotations

from query.names import clean
from query.relations import Relation, RelationKind
from tagfs.control.errors import Code, VerbError
from tagfs.control.views import RelationView
from tagfs.service.base import Part, verb


class TagRelations(Part):
    @verb
    async def relations(self, tag: str | None = None) -> tuple[RelationView, ...]:
        name = None if tag is None else self.known_tag(tag)
        stated = sorted(self.index.relations.stated)
        return tuple(
            RelationView(one.tag, one.kind.value, one.other)
            for one in stated
            if name is None or name in (one.tag, one.other)
        )

    @verb
    async def relate(self, tag: str, relation: str, other: str) -> None:
        await self.catalogue.relate(self._relation(tag, relation, other))

    @verb
    async def unrelate(self, tag: str, relation: str, other: str) -> None:
        await self.catalogue.unrelate(self._relation(tag, relation, other))

    def _relation(self, tag: str, relation: str, other: str) -> Relation:
        kinds = {kind.value: kind for kind in RelationKind}
        if relation not in kinds:
            raise VerbError(Code.BAD_REQUEST, f"{relation!r} is no relation: say one of {', '.join(kinds)}.")
        return Relation(clean(tag), kinds[relation], clean(other))
