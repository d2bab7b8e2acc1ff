"""render is the inverse of parse, in both spellings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.ast import And, Compare, Expr, Not, Op, Or, Query, Range, Tag
from query.errors import QueryError, QueryTooLong
from query.evaluate import evaluate
from query.normalise import normalise
from query.parse import Complete, parse_expression, parse_path
from query.render import render_expression, render_path, value_component
from tests.support.queries import (
    NOW,
    Item,
    any_leaves,
    common_leaves,
    examples,
    exprs,
    path_exprs,
    queries,
    universes,
    value_texts,
)

a, b, c, d = map(Tag, "abcd")


def query_at(components: tuple[str, ...]) -> Query:
    result = parse_path(components)
    assert isinstance(result, Complete)
    return result.query


def render_or_skip(query: Query) -> tuple[str, ...] | None:
    """The path of `query`, None for the few values that no component spells."""
    try:
        return render_path(query)
    except QueryError as error:
        assert "no path can spell" in error.message
        return None


@examples
@given(queries(path_exprs(any_leaves)))
def test_a_path_shaped_query_survives_its_path(query: Query) -> None:
    components = render_or_skip(query)
    if components is not None:
        assert query_at(components) == query
        assert all(part not in ("", ".", "..") and "/" not in part for part in components)


@examples
@given(queries(exprs(any_leaves)))
def test_any_query_survives_its_expression(query: Query) -> None:
    assert parse_expression(render_expression(query)) == query


@examples
@given(queries(exprs(any_leaves, least=1)))
def test_lone_operands_survive_an_expression_up_to_normal_form(query: Query) -> None:
    assert normalise(parse_expression(render_expression(query))) == normalise(query)


@examples
@given(queries(exprs(common_leaves)), universes)
def test_the_path_of_any_query_matches_the_same_items(query: Query, universe: dict[int, Item]) -> None:
    try:
        spelled = query_at(render_path(query))
    except QueryTooLong:
        return
    assert evaluate(spelled.expr, universe, now=NOW) == evaluate(query.expr, universe, now=NOW)
    assert spelled.end is query.end


@examples
@given(queries(path_exprs(common_leaves)))
def test_both_spellings_of_a_path_have_one_normal_form(query: Query) -> None:
    assert normalise(parse_expression(render_expression(query))) == normalise(query_at(render_path(query)))


@pytest.mark.parametrize(
    ("expr", "path", "expression"),
    [
        (a, "a", "a"),
        (And((a, b)), "a/b", "a and b"),
        (Or((a, b)), "a/+/b", "a or b"),
        (Or((a,)), "{/a/}", "a"),
        (Not(a), "-a", "not a"),
        (And((a, Not(Or((b, c))))), "a/-/{/b/c/}", "a and not (b or c)"),
        (Or((And((a, b)), And((c, Not(d))))), "a/b/+/c/-d", "a and b or c and not d"),
        (And((a, Or((b, c)))), "a/{/b/c/}", "a and (b or c)"),
        (Compare("year", Op.EQ, "2000"), "year:2000", "year:2000"),
        (Not(Compare("year", Op.GT, "2000")), "-/year:/gt/2000", "not year > 2000"),
        (Range("year", "2000", None), "year:2000..", "year:2000.."),
        (Compare("title", Op.EQ, "wait..what"), "title:/eq/wait..what", 'title:"wait..what"'),
        (Compare("name", Op.EQ, "a, b"), "name:/eq/a, b", 'name:"a, b"'),
        (Compare("type", Op.EQ, "video/mp4"), "type:video%2Fmp4", "type:video/mp4"),
        (Compare("name", Op.HAS, "."), "name:/has/%2E", "name has ."),
        (Tag("and"), "and", '"and"'),
        (Tag("a b"), "a b", '"a b"'),
        (Tag('"\\'), '"\\', '"\\"\\\\"'),
        # what no path spells directly
        (Not(And((a, b))), "-a/+/-b", "not (a and b)"),
        (Not(Not(a)), "a", "not not a"),
        (And((a, Or((b, And((c, d)))))), "a/b/+/a/c/d", "a and (b or c and d)"),
        (Not(Or((a, And((b, c))))), "-a/-b/+/-a/-c", "not (a or b and c)"),
        (And((And((a, b)), c)), "a/b/c", "(a and b) and c"),
    ],
)
def test_examples(expr: Expr, path: str, expression: str) -> None:
    assert render_path(Query(expr)) == tuple(path.split("/"))
    assert render_expression(Query(expr)) == expression


def test_a_long_name_gets_its_minus_in_a_component_of_its_own() -> None:
    assert render_path(Query(Not(Tag("x" * 254)))) == ("-" + "x" * 254,)
    assert render_path(Query(Not(Tag("x" * 255)))) == ("-", "x" * 255)


def test_a_long_value_gets_a_component_of_its_own() -> None:
    url = "x" * 250
    assert render_path(Query(Compare("source", Op.EQ, url))) == ("source:", "eq", url)


@pytest.mark.parametrize(
    "expr",
    [
        Compare("x", Op.HAS, "."),
        Compare("x", Op.GT, ".."),
        Compare("x", Op.HAS, "a/b"),
        Range("x", "a,b", None),
        Range("name", "a,b", "c"),
    ],
)
def test_what_no_component_spells_is_refused(expr: Expr) -> None:
    with pytest.raises(QueryError, match="no path can spell"):
        render_path(Query(expr))


def test_distribution_is_bounded() -> None:
    choice = [Or((And((Tag(f"a{i}"), b)), And((Tag(f"c{i}"), d)))) for i in range(40)]
    with pytest.raises(QueryTooLong, match="more than 128 branches"):
        render_path(Query(And(tuple(choice))))
    assert render_path(Query(And(tuple(choice[:3]))))


def test_limits_of_the_spellings() -> None:
    with pytest.raises(QueryTooLong, match="components"):
        render_path(Query(And(tuple(Tag(f"t{i}") for i in range(256)))))
    with pytest.raises(QueryTooLong, match="bytes"):
        render_expression(Query(And(tuple(Tag("x" * 255) for _ in range(70)))))
    deep: Expr = a
    for _ in range(65):
        deep = Not(deep)
    with pytest.raises(QueryTooLong, match="64 levels"):
        render_expression(Query(deep))
    assert isinstance(deep, Not)
    assert parse_expression(render_expression(Query(deep.operand))) == Query(deep.operand)


@examples
@given(st.sampled_from(["type", "source", "name", "x"]), value_texts | st.text("%2Ff5Ee./", min_size=1))
def test_a_listed_value_is_read_as_itself(key: str, value: str) -> None:
    component = value_component(key, value)
    if "/" in component or component in (".", ".."):
        assert key == "x"
        return
    try:
        query = query_at((f"{key}:", "eq", component))
    except QueryError:
        assert key == "x"
        assert "," in value
    else:
        assert query == Query(Compare(key, Op.EQ, value))
