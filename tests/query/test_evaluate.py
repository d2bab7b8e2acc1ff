"""What queries mean: the contract's examples, values, built-in keys; and what other tag filesystems got wrong."""

from __future__ import annotations

import pytest
from hypothesis import given

from query.ast import Compare, Expr, Not, Or, Range, Tag
from query.evaluate import evaluate, leaves, matches
from query.parse import Complete, Unfinished, parse_expression, parse_path
from tests.support.queries import NOW, Item, common_leaves, examples, exprs, universes

PLAIN = {name: Item(frozenset(name)) for name in ("a", "b", "c", "ab", "ac", "bc", "abc", "d", "cd")} | {"none": Item()}


def found(path: str, universe: dict[str, Item]) -> set[str]:
    result = parse_path(path.split("/"))
    assert isinstance(result, Complete)
    return evaluate(result.query.expr, universe, now=NOW)


def found_by(text: str, universe: dict[str, Item]) -> set[str]:
    return evaluate(parse_expression(text).expr, universe, now=NOW)


@pytest.mark.parametrize(
    ("path", "expression", "names"),
    [
        ("a", "a", "a ab ac abc"),
        ("a/b", "a and b", "ab abc"),
        ("a/+/b", "a or b", "a b ab ac bc abc"),
        ("a/b/+/c/-/d", "a and b or c and not d", "ab abc c ac bc"),
        ("-/a", "not a", "b c bc d cd none"),
        ("a/-/{/b/c/}", "a and not (b or c)", "a"),
        ("a/-b,c", "a and not b,c", "a"),
        ("a/{/b/c/}", "a and (b or c)", "ab ac abc"),
        ("a,d", "a,d", "a ab ac abc d cd"),
        ("is:untagged", "is:untagged", "none"),
        ("-is:untagged/-a", "not is:untagged and not a", "b c bc d cd"),
        ("a/-a", "a and not a", ""),
    ],
)
def test_the_two_spellings_find_the_same(path: str, expression: str, names: str) -> None:
    assert found(path, PLAIN) == found_by(expression, PLAIN) == set(names.split())


VALUED = {
    "1999": Item({"year:1999"}),
    "2000": Item({"year:2000"}),
    "2005": Item({"year:2005", "a"}),
    "both": Item({"year:1990", "year:2020"}),
    "900": Item({"year:900"}),
    "text": Item({"year:unknown"}),
    "none": Item({"a", "years:2000"}),
}


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("year:2000", "2000"),
        ("year:2000.0", "2000"),
        ("year:2000..2010", "2000 2005"),
        ("year:2000..", "2000 2005 both text"),  # 'unknown' is greater as text
        ("year:..2000", "1999 2000 both 900"),
        ("year:/lt/1000", "900"),  # as numbers; as text it would be none of them
        ("year:/gt/2000", "2005 both text"),
        ("year:/ge/2000", "2000 2005 both text"),
        ("year:/le/1999", "1999 both 900"),
        ("year:/ne/2000", "1999 2005 both 900 text"),
        ("-year:2000", "1999 2005 both 900 text none"),
        ("year:/has/00", "2000 2005 900"),
        ("year:/eq/unknown", "text"),
    ],
)
def test_values(path: str, names: str) -> None:
    assert found(path, VALUED) == set(names.split())


BUILT_IN = {
    "old": Item({"a"}, {"added": ["2026-03-31T23:59:59Z"], "size": ["700"], "ext": ["ISO"], "name": ["Old.ISO"]}),
    "week": Item(
        {"a"}, {"added": ["2026-11-16T10:00:00Z"], "size": ["1073741824"], "name": ["07.mkv"], "ext": ["mkv"]}
    ),
    "new": Item(
        {"a"}, {"added": ["2026-11-23T09:00:00Z"], "state": ["paused"], "host": ["example.org"], "name": ["7"]}
    ),
    "video": Item({"a"}, {"type": ["video", "video/x-matroska"], "sha256": ["ab12"], "source": ["http://e/100%2F"]}),
}


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("added:2026-11", "week new"),
        ("added:..2026-03", "old"),
        ("added:2026-04..", "week new"),
        ("added:7d", "week new"),
        ("added:6d", "new"),
        ("added:7d..", "week new"),
        ("added:..7d", "old week"),
        ("added:/ne/7d", "old"),
        ("added:14d..7d", "week"),
        ("size:1G..", "week"),
        ("size:1GiB", "week"),
        ("size:..1K", "old"),
        ("ext:iso", "old"),
        ("ext:ISO", "old"),
        ("ext:MKV", "week"),
        ("host:EXAMPLE.org", "new"),
        ("state:paused", "new"),
        ("type:video", "video"),
        ("type:video%2Fx-matroska", "video"),
        ("type:/has/matroska", "video"),
        ("sha256:AB12", "video"),
        ("source:http:%2F%2Fe%2F100%252F", "video"),
        ("name:7", "new"),  # a name is no number
        ("name:old.iso", ""),
        ("name:/has/.mkv", "week"),
        ("name:07.mkv,7", "week"),  # the second of the list is a tag
    ],
)
def test_built_in_keys(path: str, names: str) -> None:
    assert found(path, BUILT_IN) == set(names.split())


# What went wrong elsewhere


def test_negating_a_group_negates_all_of_it() -> None:
    assert found("-/{/a/b/}", PLAIN) == PLAIN.keys() - found("a", PLAIN) - found("b", PLAIN)
    assert found_by("not (a and b)", PLAIN) == PLAIN.keys() - found("a/b", PLAIN)


def test_a_query_that_stops_too_early_is_not_an_empty_one() -> None:
    assert isinstance(parse_path(["a", "+"]), Unfinished)
    assert isinstance(parse_path(["{", "a"]), Unfinished)


@pytest.mark.parametrize("name", ["a@b", "h.264", "and", "or", "not", "c++"])
def test_awkward_names_reach_their_items(name: str) -> None:
    universe = {"it": Item({name}), "other": Item({"h", "a", "b", "264", "c"})}
    assert found(name, universe) == found(f"{name}/-b", universe) == found_by(f'"{name}"', universe) == {"it"}
    assert found(f"{name}/+/b", universe) == {"it", "other"}


# The algebra


@examples
@given(exprs(common_leaves), exprs(common_leaves), universes)
def test_connectives_are_set_operations(left: Expr, right: Expr, universe: dict[int, Item]) -> None:
    def find(expr: Expr) -> set[int]:
        return evaluate(expr, universe, now=NOW)

    assert find(Or((left, right))) == find(left) | find(right)
    assert find(Not(left)) == universe.keys() - find(left)


@examples
@given(exprs(common_leaves))
def test_leaves_are_those_in_the_tree(expr: Expr) -> None:
    text = repr(expr)
    assert all(repr(leaf) in text for leaf in leaves(expr))
    assert len(list(leaves(expr))) == sum(text.count(f"{kind.__name__}(") for kind in (Tag, Compare, Range))


def test_leaves_come_from_left_to_right() -> None:
    expr = parse_expression("a and (b or not c) and a").expr
    assert list(leaves(expr)) == [Tag("a"), Tag("b"), Tag("c"), Tag("a")]


def test_a_tag_is_not_a_key_and_a_key_is_not_a_tag() -> None:
    assert not matches(Tag("year"), Item({"year:2000"}), now=NOW)
    assert not matches(Range("year", "0", None), Item({"year"}), now=NOW)
