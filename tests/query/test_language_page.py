"""docs/query-language.md is true: each row of its tables is tried."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from query.ast import Compare, Op, Query
from query.builtin import BUILTIN_KEYS, CHOICES
from query.errors import QueryError
from query.evaluate import matches
from query.normalise import normalise
from query.parse import Complete, Unfinished, parse_expression, parse_path
from query.stated import stated
from query.values import read_quantity
from tests.support.queries import NOW, Item

PAGE = Path(__file__).parents[2] / "docs" / "query-language.md"


def rows(*header: str) -> list[tuple[str, ...]]:
    """The rows of all tables with this header, their cells as written."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", PAGE.read_text(), re.MULTILINE):
        lines = [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in table.splitlines()]
        if tuple(cell.strip(" |") for cell in lines[0]) == header:
            found += [tuple(cell.strip(" |") for cell in line) for line in lines[2:]]
    assert found, f"no table has the header {header}"
    return found


def code(cell: str) -> str:
    return cell.strip("`")


def query_at(path: str) -> Query:
    result = parse_path(path.split("/"))
    assert isinstance(result, Complete), path
    return normalise(result.query)


SPELLINGS = [
    row[:2]
    for header in (
        ("path below /tags", "expression", "the items"),
        ("path", "the same, written out"),
        ("path", "expression", "values that match"),
        ("path", "expression", "came"),
        ("path", "expression"),
    )
    for row in rows(*header)
]


@pytest.mark.parametrize(("path", "expression"), SPELLINGS)
def test_both_spellings_are_one_query(path: str, expression: str) -> None:
    assert query_at(code(path)) == normalise(parse_expression(code(expression)))


@pytest.mark.parametrize("expression", [code(row[0]) for row in rows("expression", "what it names")])
def test_quoted_names(expression: str) -> None:
    parse_expression(expression)


@pytest.mark.parametrize(("path", "verdict"), rows("path", "an item with the years 1990 and 2020"))
def test_several_values(path: str, verdict: str) -> None:
    item = Item({"year:1990", "year:2020"})
    assert matches(query_at(code(path)).expr, item, now=NOW) == verdict.startswith("is in it")


@pytest.mark.parametrize(("units", "size"), rows("unit", "bytes"))
def test_units(units: str, size: str) -> None:
    for unit in re.findall(r"`(\w+)`", units):
        value = read_quantity(f"1{unit}")
        assert value is not None
        assert not size.isdigit() or value == int(size)


def test_every_built_in_key_is_described() -> None:
    described = {code(row[0]): row[1] for row in rows("key", "value", "compares")}
    assert described.keys() == BUILTIN_KEYS
    for key, values in CHOICES.items():
        assert all(f"`{value}`" in described[key] for value in values)


@pytest.mark.parametrize("path", [code(row[0]) for row in rows("path", "what may follow")])
def test_unfinished(path: str) -> None:
    assert isinstance(parse_path(path.split("/")), Unfinished)


@pytest.mark.parametrize(("query", "sentence"), rows("query", "sentence"))
def test_sentences(query: str, sentence: str) -> None:
    with pytest.raises(QueryError) as raised:
        if sentence.startswith("component"):
            parse_path(code(query).split("/"))
        else:
            parse_expression(code(query))
    assert raised.value.message == sentence


@pytest.mark.parametrize(("one", "other"), [row[:2] for row in rows("one", "the other", "because")])
def test_equal_queries(one: str, other: str) -> None:
    assert query_at(code(one)) == query_at(code(other))


@pytest.mark.parametrize(("one", "other"), rows("one", "the other"))
def test_queries_that_are_not_unified(one: str, other: str) -> None:
    assert query_at(code(one)) != query_at(code(other))


@pytest.mark.parametrize(("path", "states"), rows("path", "states"))
def test_stated(path: str, states: str) -> None:
    result = parse_path(code(path).split("/"))
    assert isinstance(result, Complete)
    tags = stated(result.query)
    if states == "read-only":
        assert tags is None
    elif states == "nothing":
        assert tags == ()
    else:
        assert tags == tuple(re.findall("`([^`]+)`", states))


def test_every_operator_is_described() -> None:
    paths = [row[0] for row in rows("path", "expression", "values that match")]
    used = {leaf.op for leaf in (query_at(code(path)).expr for path in paths) if isinstance(leaf, Compare)}
    assert used == set(Op)
