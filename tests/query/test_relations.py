"""Relations between tags, held to the definition in docs/query-language.md said as naively as possible."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from query.ast import And, Compare, End, Expr, Leaf, Not, Op, Or, Query, Range, Tag
from query.builtin import BUILTIN_KEYS
from query.evaluate import evaluate, matches
from query.normalise import normalise_expr
from query.parse import parse_expression
from query.relations import Relation, RelationKind, Relations
from query.terms import exact, text_of
from tests.support.queries import NOW, TAGS, Item, common_leaves, examples, exprs, universes

IMPLIES, SAME_AS, EXCLUDES, REQUIRES = RelationKind


def relations_of(text: str) -> Relations:
    return Relations(Relation(tag, RelationKind(kind), other) for tag, kind, other in map(str.split, text.split(", ")))


# -- the oracle ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Oracle:
    """What an item satisfies is found by saying every relation again until nothing is new."""

    stated: Collection[Relation]

    def implications(self) -> Iterator[tuple[str, str]]:
        for tag, kind, other in self.stated:
            if kind in (IMPLIES, SAME_AS):
                yield tag, other
            if kind is SAME_AS:
                yield other, tag

    def satisfied(self, tags: Collection[str]) -> set[str]:
        """The tags that an item with `tags` has by itself or by what they imply."""
        found = set(tags)
        while True:
            new = {other for tag, other in self.implications() if has(found, exact(tag))} - found
            if not new:
                return found
            found |= new

    def alike(self, one: str, other: str) -> bool:
        return has(self.satisfied([one]), exact(other)) and has(self.satisfied([other]), exact(one))

    def asked(self, tag: str, kind: RelationKind) -> set[str]:
        return {other for one, said, other in self.stated if said is kind and self.alike(one, tag)}

    def means(self, leaf: Leaf, item: Item) -> bool:
        if not isinstance(leaf, Tag) and leaf.key in BUILTIN_KEYS:
            return matches(leaf, item, now=NOW)
        satisfied = self.satisfied(item.tags)
        text = text_of(leaf)
        required = {text} if text else set()
        while more := {other for tag in required for other in self.asked(tag, REQUIRES)} - required:
            required |= more
        excluded = {other for tag in required for other in self.asked(tag, EXCLUDES)}
        return (
            has(satisfied, leaf)
            and all(has(satisfied, exact(tag)) for tag in required)
            and not any(has(satisfied, exact(tag)) for tag in excluded)
        )

    def matches(self, expr: Expr, item: Item) -> bool:
        match expr:
            case Not(operand):
                return not self.matches(operand, item)
            case And(operands):
                return all(self.matches(operand, item) for operand in operands)
            case Or(operands):
                return any(self.matches(operand, item) for operand in operands)
            case leaf:
                return self.means(leaf, item)


def has(tags: Collection[str], leaf: Leaf) -> bool:
    return matches(leaf, Item(tags), now=NOW)


ABC = [Item("a"), Item("ab"), Item("abc")]

related = st.sampled_from(
    [*TAGS, "d", "e", "year:1", "year:2", "year:2.0", "year:2026", "year:2026-11", "year:2026-11-23", "year:x", "k:1"]
)
relation_sets = st.frozensets(
    st.builds(Relation, related, st.sampled_from(RelationKind), related).filter(lambda one: one.tag != one.other),
    max_size=8,
)
asked = exprs(common_leaves | related.map(exact))


@examples
@given(relation_sets, asked, universes)
@example(
    frozenset({Relation("a", REQUIRES, "b"), Relation("b", EXCLUDES, "c")}), Tag("a"), {0: Item("ab"), 1: Item("abc")}
)
@example(
    frozenset({Relation("year:2", IMPLIES, "a"), Relation("b", IMPLIES, "year:2.0")}),
    Tag("a"),
    {0: Item("b"), 1: Item(["year:2.0"]), 2: Item("c")},
)
def test_expansion_means_what_the_definition_says(
    stated: frozenset[Relation], expr: Expr, universe: dict[int, Item]
) -> None:
    oracle = Oracle(stated)
    expected = {number for number, item in universe.items() if oracle.matches(expr, item)}
    relations = Relations(stated)
    assert evaluate(relations.expand(expr), universe, now=NOW) == expected
    assert evaluate(relations.compiled(Query(expr)), universe, now=NOW) == expected
    assert evaluate(relations.compiled(Query(expr, End.LITERAL)), universe, now=NOW) == evaluate(
        expr, universe, now=NOW
    )


@examples
@given(relation_sets, related, st.frozensets(related, max_size=4))
def test_what_implies_a_tag_is_what_has_to_go_for_an_item_to_lose_it(
    stated: frozenset[Relation], tag: str, own: frozenset[str]
) -> None:
    leaves = Relations(stated).implying(tag)
    left = {one for one in own if not any(has([one], leaf) for leaf in leaves)}
    oracle = Oracle(stated)
    assert not has(oracle.satisfied(left), exact(tag))
    assert all(has(oracle.satisfied([one]), exact(tag)) for one in own - left)


@examples
@given(st.lists(st.builds(Relation, related, st.sampled_from(RelationKind), related), unique=True), asked, st.randoms())
def test_the_order_of_the_relations_says_nothing(stated: list[Relation], expr: Expr, random: st.random.Random) -> None:  # type: ignore[name-defined]
    shuffled = sorted(stated, key=lambda _one: random.random())
    one, other = Relations(), Relations(shuffled)
    for relation in stated:
        one = one.added(relation)
    assert one.compiled(Query(expr)) == other.compiled(Query(expr))


# -- examples --------------------------------------------------------------------------------------------------------

PLAIN = {
    "a": Item("a"),
    "b": Item("b"),
    "c": Item("c"),
    "ab": Item("ab"),
    "bc": Item("bc"),
    "abc": Item("abc"),
    "": Item(),
}


@pytest.mark.parametrize(
    ("stated", "query", "names"),
    [
        ("a implies b", "b", "a b ab bc abc"),
        ("a implies b", "a", "a ab abc"),
        ("a implies b, b implies c", "c", "a b c ab bc abc"),
        ("a implies b", "not b", "c "),
        ("a implies b, b implies c, c implies a", "a", "a b c ab bc abc"),
        ("a same-as b", "a", "a b ab bc abc"),
        ("a same-as b", "b", "a b ab bc abc"),
        ("a excludes b", "a", "a"),
        ("a excludes b", "b", "b ab bc abc"),
        ("a excludes b", "not a", "b c ab bc abc "),
        ("a excludes b, b excludes a", "a or b", "a b bc"),
        ("a requires b", "a", "ab abc"),
        ("a requires b, b requires a", "a", "ab abc"),
        ("a requires b, b requires c", "a", "abc"),
        ("a requires b, b excludes c", "a", "ab"),
        ("c implies b, a requires b", "a", "ab abc"),
        ("c implies b, a excludes b", "a", "a"),
        ("a same-as b, b excludes c", "a", "a b ab"),
        ("a implies b, b excludes c", "a", "a ab abc"),
        ("a implies b, a excludes b", "a", ""),
        ("a implies b", "b @@", "b ab bc abc"),
        ("a excludes b", "a and not c @@", "a ab"),
    ],
)
def test_relations_of_plain_tags(stated: str, query: str, names: str) -> None:
    found = evaluate(relations_of(stated).compiled(parse_expression(query)), PLAIN, now=NOW)
    assert found == set(names.split(" ") if names else [])


VALUED = {
    name: Item({name}) for name in ("series:dune", "sci-fi", "year:1999", "year:2000", "year:2000.0", "nineties", "x")
}


@pytest.mark.parametrize(
    ("stated", "query", "names"),
    [
        ("series:dune implies sci-fi", "sci-fi", "series:dune sci-fi"),
        ("series:dune implies year:1965", "year:..1980", "series:dune"),
        ("series:dune implies year:1965", "year > 1960", "series:dune year:1999 year:2000 year:2000.0"),
        ("series:dune implies year:1965", "year = 1965.0", "series:dune"),
        ("year:2000 implies x", "x", "year:2000 year:2000.0 x"),
        ("x implies year:2000.0, year:2000 implies nineties", "nineties", "x year:2000 year:2000.0 nineties"),
        ("year:2000 excludes x", "year:1999..", "year:1999 year:2000 year:2000.0"),
    ],
)
def test_relations_of_pairs(stated: str, query: str, names: str) -> None:
    found = evaluate(relations_of(stated).compiled(parse_expression(query)), VALUED, now=NOW)
    assert found == set(names.split())


def test_without_relations_a_query_is_what_it_was() -> None:
    expr = parse_expression("a and not (b or year:2000..)").expr
    assert Relations().expand(expr) is expr
    assert relations_of("x implies y").expand(expr) is expr
    assert Relations().compiled(Query(expr)) == normalise_expr(expr)


def test_what_was_stated_is_found_again() -> None:
    relations = relations_of("a implies b, a implies c, b same-as c, year:2000 excludes a")
    assert relations.tags() == ["a", "b", "c", "year:2000"]
    assert relations.direct("a", IMPLIES) == ["b", "c"]
    assert relations.direct("c", SAME_AS) == ["b"]
    assert relations.direct("b", IMPLIES) == []
    assert relations.find("c", SAME_AS, "b") == Relation("b", SAME_AS, "c")
    assert relations.find("b", IMPLIES, "a") is None


def test_tags_are_renamed_and_go() -> None:
    relations = relations_of("a implies b, b excludes c")
    assert relations.renamed("b", "d").stated == relations_of("a implies d, d excludes c").stated
    assert relations.removed("a").stated == relations_of("b excludes c").stated
    assert relations.removed("x") is relations
    assert not relations.removed("b")


@pytest.mark.parametrize("shape", ["star", "chain", "places", "cycle", "restricted"])
def test_a_thousand_relations_take_no_thousand_looks(shape: str) -> None:
    """The closure of one tag is found in the size of what it reaches, and once."""
    stated = {
        "star": [Relation(f"t{n}", IMPLIES, "t0") for n in range(1, 1001)],
        "chain": [Relation(f"t{n}", IMPLIES, f"t{n - 1}") for n in range(1, 1001)],
        "places": [Relation(f"place:p{n}", IMPLIES, f"place:p{n // 2}") for n in range(1, 1001)],
        "cycle": [Relation(f"t{n}", SAME_AS, f"t{(n + 1) % 1000}") for n in range(1000)],
        "restricted": [Relation(f"t{n}", EXCLUDES if n % 2 else REQUIRES, f"t{n - 1}") for n in range(1, 1001)],
    }[shape]
    relations = Relations(stated)
    query = Query(exact("place:p0" if shape == "places" else "t500" if shape == "restricted" else "t0"))
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        relations.compiled(query)
    finally:
        sys.setprofile(None)
    assert calls < 100_000  # a look at each tag for each tag would be a million
    assert relations.compiled(query) is relations.compiled(query)


def test_operators_and_ranges_see_implied_values() -> None:
    relations = relations_of("a implies year:1999")
    for leaf in (Compare("year", Op.LT, "2000"), Range("year", "1990", "2000"), Compare("year", Op.HAS, "99")):
        assert relations.expand(leaf) == Or((leaf, Tag("a")))
