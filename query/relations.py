"""Relations between tags, and what they make of a query. Imports query.closure; pure values, any thread.

    A implies B      whatever satisfies A satisfies B
    A same-as B      each implies the other
    A excludes B     who asks for A does not mean what satisfies B
    A requires B     who asks for A means only what satisfies B

`satisfies` is the closed relation: an item satisfies a tag that it carries, and every tag that one of these implies. So
a query for A is `A or what implies A`, and, where A or a tag that implies A and is implied by it says so, `and` what
they require (transitively) `and not` what any of these excludes. Of a required or excluded tag it counts who satisfies
it, not what that tag excludes. A comparison that names no single value (`year:2000..`) is satisfied by implied values
as well, but asks for none of them in particular: nothing is excluded or required there.

`expand` writes all that into the query, once; whoever evaluates, indexes or follows a query sees only the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Final, NamedTuple

from query.ast import And, End, Expr, Leaf, Not, Or, Query
from query.closure import CACHED, Closure
from query.normalise import normalise_expr
from query.terms import exact

# Queries whose expansion is remembered: a lookup of a path asks for each of its beginnings.
CACHED_QUERIES: Final = 1024


class RelationKind(StrEnum):
    """Spelled as the directories below /relations/TAG."""

    IMPLIES = "implies"
    SAME_AS = "same-as"
    EXCLUDES = "excludes"
    REQUIRES = "requires"


class Relation(NamedTuple):
    """`tag` implies (is the same as, excludes, requires) `other`: two different tags, as they are stored."""

    tag: str
    kind: RelationKind
    other: str

    def __str__(self) -> str:
        verb = {RelationKind.SAME_AS: "is the same as"}.get(self.kind, self.kind.value)
        return f"{self.tag!r} {verb} {self.other!r}"


class Relations:
    """A set of relations and all that follows from it. Never changes: `changed` gives another one.

    `stated` holds them as they were stated; same-as is stated once, for both.
    """

    def __init__(self, stated: Iterable[Relation] = ()) -> None:
        self.stated = frozenset(stated)
        self.expand_leaf: Callable[[Leaf], Expr] = lru_cache(CACHED)(self._expand_leaf)
        self.compiled: Callable[[Query], Expr] = lru_cache(CACHED_QUERIES)(self._compile)

    def __bool__(self) -> bool:
        return bool(self.stated)

    # -- queries -----------------------------------------------------------------------------------------------------

    def expand(self, expr: Expr) -> Expr:
        """`expr` with all that follows from the relations written out; `expr` itself where nothing does."""
        if not self.stated:
            return expr
        match expr:
            case Not(operand):
                further = self.expand(operand)
                return expr if further is operand else Not(further)
            case And(operands) | Or(operands):
                expanded = tuple(map(self.expand, operands))
                same = all(new is old for new, old in zip(expanded, operands, strict=True))
                return expr if same else type(expr)(expanded)
            case _:
                return self.expand_leaf(expr)

    def _compile(self, query: Query) -> Expr:
        """The normal form of what `query` means: expanded unless it ends in `@@`."""
        return normalise_expr(query.expr if query.end is End.LITERAL else self.expand(query.expr))

    def meaning(self, tag: str) -> Expr | None:
        """What a query for the tag finds by the relations; None where they say nothing of it."""
        if not self.stated:
            return None
        leaf = exact(tag)
        expanded = self.expand_leaf(leaf)
        return None if expanded is leaf else expanded

    def implying(self, tag: str) -> tuple[Leaf, ...]:
        """The tag itself and all that imply it, as leaves: an own tag that satisfies one of them satisfies the tag."""
        return self._closure.implying(exact(tag))

    def _expand_leaf(self, leaf: Leaf) -> Expr:
        found = self._any(leaf)
        conditions = self._closure.conditions(leaf)
        if conditions is None:
            return found
        required = (self._any(exact(name)) for name in sorted(conditions.required))
        excluded = (Not(self._any(exact(name))) for name in sorted(conditions.excluded))
        return And((found, *required, *excluded))

    def _any(self, leaf: Leaf) -> Expr:
        leaves = self._closure.implying(leaf)
        return leaf if len(leaves) == 1 else Or(leaves)

    @cached_property
    def _closure(self) -> Closure:
        implied: dict[str, frozenset[str]] = {}
        for name, kinds in self._direct.items():
            others = kinds.get(RelationKind.IMPLIES, frozenset()) | kinds.get(RelationKind.SAME_AS, frozenset())
            if others:
                implied[name] = others
        return Closure(implied, self._by_tag(RelationKind.REQUIRES), self._by_tag(RelationKind.EXCLUDES))

    def _by_tag(self, kind: RelationKind) -> dict[str, frozenset[str]]:
        return {name: kinds[kind] for name, kinds in self._direct.items() if kind in kinds}

    # -- what was stated -----------------------------------------------------------------------------------------------

    def tags(self) -> list[str]:
        """All tags of which something is stated, sorted."""
        return sorted(self._direct)

    def direct(self, tag: str, kind: RelationKind) -> list[str]:
        """The tags that `tag` is stated to imply (be the same as, exclude, require), sorted."""
        return sorted(self._direct.get(tag, {}).get(kind, ()))

    def find(self, tag: str, kind: RelationKind, other: str) -> Relation | None:
        """The relation as it was stated; `a same-as b` is the same one as `b same-as a`."""
        ways = [Relation(tag, kind, other)]
        if kind is RelationKind.SAME_AS:
            ways.append(Relation(other, kind, tag))
        return next((relation for relation in ways if relation in self.stated), None)

    @cached_property
    def _direct(self) -> dict[str, dict[RelationKind, frozenset[str]]]:
        """By tag and kind: the others. A tag that is only implied, excluded or required has nothing of its own."""
        found: dict[str, dict[RelationKind, frozenset[str]]] = {}
        for tag, kind, other in self.stated:
            ways = ((tag, other), (other, tag)) if kind is RelationKind.SAME_AS else ((tag, other),)
            for one, another in ways:
                kinds = found.setdefault(one, {})
                kinds[kind] = kinds.get(kind, frozenset()) | {another}
        return found

    # -- changes -----------------------------------------------------------------------------------------------------

    def added(self, relation: Relation) -> Relations:
        return Relations(self.stated | {relation})

    def without(self, relation: Relation) -> Relations:
        return Relations(self.stated - {relation})

    def removed(self, tag: str) -> Relations:
        """Without a tag that is no more."""
        if not any(tag in (one, other) for one, _, other in self.stated):
            return self
        return Relations(relation for relation in self.stated if tag not in (relation.tag, relation.other))

    def renamed(self, old: str, new: str) -> Relations:
        """A tag that was renamed keeps what was stated of it."""
        if not any(old in (one, other) for one, _, other in self.stated):
            return self

        def now(name: str) -> str:
            return new if name == old else name

        return Relations(Relation(now(tag), kind, now(other)) for tag, kind, other in self.stated)
