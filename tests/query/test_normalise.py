"""Equal queries become equal values; the value means what the query meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.ast import And, Compare, End, Expr, Leaf, Not, Op, Or, Query, Range, Tag
from query.evaluate import evaluate
from query.normalise import COMPOUNDS, normalise, normalise_expr
from query.parse import Complete, parse_path
from tests.support.queries import NOW, Item, any_leaves, common_leaves, examples, exprs, path_exprs, universes

a, b, c, d = map(Tag, "abcd")


def normal(path: str) -> Expr:
    result = parse_path(path.split("/"))
    assert isinstance(result, Complete)
    return normalise(result.query).expr


@pytest.mark.parametrize(
    "paths",
    [
        # order and repetition
        ["a/b", "b/a", "a/b/a", "a/a/b/b"],
        ["a/+/b", "b/+/a", "a/+/b/+/a", "{/b/a/}", "a,b", "b,a,b", "a/+/{/a/b/}"],
        ["a/b/+/c", "c/+/b/a", "c/+/a/b/+/b/a"],
        # groups of one
        ["a", "{/a/}", "a/a", "a/+/a"],
        # De Morgan
        ["a/-/{/b/c/}", "a/-b/-c", "-c/a/-/b", "a/-b,c"],
        # absorption
        ["a", "a/+/a/b", "a/b/+/a", "a/{/a/b/}", "a/+/a/-b"],
        ["a/b/+/c", "a/b/+/c/+/a/b/d/+/c/d"],
        # one spelling for comparisons
        ["year:2000", "year:/2000", "year:/eq/2000", "year:2000..2000"],
        ["year:2000..", "year:/ge/2000"],
        ["year:..2000", "year:/le/2000"],
        ["ext:MKV", "ext:mkv", "{/ext:Mkv/ext:mKV/}"],
        ["host:Example.ORG", "host:example.org"],
        ["added:7d", "added:7d..", "added:/ge/7d"],
        ["added:/ne/7d", "added:/lt/7d"],
        # names in either Unicode form
        ["\u00fc", "u\u0308"],
        ["ext:J\u030c", "ext:\u01f0"],  # one character in lower case only
    ],
)
def test_equal_queries_are_equal_values(paths: list[str]) -> None:
    assert len(set(map(normal, paths))) == 1


@pytest.mark.parametrize(
    "paths",
    [
        ["a", "b", "-a", "a/b", "a/+/b", "a/-b", "A"],
        # an item may have several years: these are not each other's opposite
        ["-year:2000", "year:/ne/2000", "-/year:/ne/2000", "year:2000"],
        ["year:2000..2010", "year:2000../year:..2010"],
        ["year:2000", "year:2000.0"],  # they differ against text
        ["added:7d..7d", "added:7d"],
        ["name:A", "name:a"],
        # contradictions stay what they are
        ["a/-a", "b/-b"],
        # known not to be unified: distribution
        ["a/{/b/c/}", "a/b/+/a/c"],
    ],
)
def test_different_queries_stay_different(paths: list[str]) -> None:
    assert len(set(map(normal, paths))) == len(paths)


def test_the_normal_form() -> None:
    assert normalise_expr(And((Not(b), Or((d, c)), Range("x", "1", "2"), Compare("x", Op.EQ, "1"), b, a))) == And(
        (a, b, Compare("x", Op.EQ, "1"), Range("x", "1", "2"), Not(b), Or((c, d)))
    )
    assert normalise_expr(Not(And((a, Or((b, Not(c))))))) == Or((Not(a), And((c, Not(b)))))
    assert normalise_expr(And((a,))) == a


def test_the_end_is_part_of_the_query() -> None:
    assert normalise(Query(And((b, a)), End.ITEMS)) == Query(And((a, b)), End.ITEMS)
    assert normalise(Query(a, End.ITEMS)) != normalise(Query(a))


@examples
@given(exprs(any_leaves, least=1))
def test_normalise_is_idempotent(expr: Expr) -> None:
    once = normalise_expr(expr)
    assert normalise_expr(once) == once


@examples
@given(exprs(common_leaves, least=1), universes)
def test_normalise_keeps_the_meaning(expr: Expr, universe: dict[int, Item]) -> None:
    assert evaluate(normalise_expr(expr), universe, now=NOW) == evaluate(expr, universe, now=NOW)


@examples
@given(exprs(common_leaves, least=1))
def test_the_form_is_as_described(expr: Expr) -> None:
    def check(expr: Expr) -> None:
        match expr:
            case Not(operand):
                assert isinstance(operand, Leaf)
            case And(operands) | Or(operands):
                assert len(operands) > 1
                assert len(set(operands)) == len(operands)
                assert not any(isinstance(operand, type(expr)) for operand in operands)
                for operand in operands:
                    check(operand)

    check(normalise_expr(expr))


def rearranged(data: st.DataObject, expr: Expr) -> Expr:
    """`expr` with its operands in another order, some of them more than once."""
    match expr:
        case Not(operand):
            return Not(rearranged(data, operand))
        case And(operands) | Or(operands):
            more = data.draw(st.lists(st.sampled_from(operands), max_size=2))
            order = data.draw(st.permutations([*operands, *more]))
            return type(expr)(tuple(rearranged(data, operand) for operand in order))
        case _:
            return expr


@examples
@given(st.data(), path_exprs(common_leaves), universes)
def test_order_and_repetition_never_change_a_result(data: st.DataObject, expr: Expr, universe: dict[int, Item]) -> None:
    other = rearranged(data, expr)
    assert normalise_expr(other) == normalise_expr(expr)
    assert evaluate(other, universe, now=NOW) == evaluate(expr, universe, now=NOW)


@examples
@given(st.lists(common_leaves, min_size=1, max_size=4), universes)
def test_de_morgan_on_groups(terms: list[Leaf], universe: dict[int, Item]) -> None:
    negated_group = Not(Or(tuple(terms)))
    negated_terms = And(tuple(map(Not, terms)))
    none_of_them = set(universe) - set().union(*(evaluate(term, universe, now=NOW) for term in terms))
    assert evaluate(negated_group, universe, now=NOW) == evaluate(negated_terms, universe, now=NOW) == none_of_them
    assert normalise_expr(negated_group) == normalise_expr(negated_terms)


def test_absorption_stops_where_it_would_cost_too_much() -> None:
    pairs = [And((Tag(f"x{at}"), Tag(f"y{at}"))) for at in range(COMPOUNDS)]
    redundant = And((Tag("x0"), Tag("y0"), a))
    assert normalise_expr(Or((*pairs[1:], redundant, pairs[0]))) != normalise_expr(Or(tuple(pairs)))
    assert normalise_expr(Or((*pairs[2:], redundant, pairs[0]))) == normalise_expr(Or((*pairs[2:], pairs[0])))
    # a literal absorbs at any size
    many = [And((a, Tag(f"y{at}"))) for at in range(5 * COMPOUNDS)]
    assert normalise_expr(Or((*many, a))) == a
