"""Which tags a path states, and which paths state none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.ast import Query
from query.evaluate import matches
from query.parse import Complete, parse_expression, parse_path
from query.stated import stated
from tests.support.queries import NOW, Item, examples, names


def query_at(components: list[str]) -> Query:
    result = parse_path(components)
    assert isinstance(result, Complete)
    return result.query


@pytest.mark.parametrize(
    ("path", "tags"),
    [
        ("a", ("a",)),
        ("b/a", ("b", "a")),
        ("a/a", ("a",)),
        ("a/year:2000", ("a", "year:2000")),
        ("year:/2000", ("year:2000",)),
        ("year:/eq/2000", ("year:2000",)),
        ("title:/wait..what", ("title:wait..what",)),
        ("a/-/b", ("a",)),
        ("-b/a/-year:2000", ("a",)),
        ("a/@", ("a",)),
        ("a/@@", ("a",)),
        # nothing is stated, but nothing is unclear either
        ("-/watched", ()),
        ("-a/-b", ()),
        # several branches
        ("a/+/b", None),
        ("a/+/a", None),
        # groups, also negated and of one
        ("a/{/b/c/}", None),
        ("{/a/}", None),
        ("a/b,c", None),
        ("a/-/{/b/c/}", None),
        ("a/-b,c", None),
        # ranges and comparisons
        ("a/year:2000..2010", None),
        ("year:2000..", None),
        ("a/-year:2000..", None),
        ("a/year:/gt/2000", None),
        ("a/year:/ne/2000", None),
        ("a/-/year:/has/20", None),
        # built-in keys
        ("a/state:paused", None),
        ("a/-is:untagged", None),
        ("size:1G..", None),
    ],
)
def test_stated(path: str, tags: tuple[str, ...] | None) -> None:
    assert stated(query_at(path.split("/"))) == tags


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("(a and b) and not c", ("a", "b")),
        ("a or b", None),
        ("a and (b or c)", None),
        ("not (a and b)", None),
        ("not not a", None),
    ],
)
def test_stated_by_an_expression(text: str, tags: tuple[str, ...] | None) -> None:
    assert stated(parse_expression(text)) == tags


@examples
@given(st.lists(names, min_size=1, max_size=4), st.lists(names, max_size=3))
def test_an_item_with_the_stated_tags_is_in_the_directory(wanted: list[str], unwanted: list[str]) -> None:
    path = [*wanted, *(part for name in unwanted if name not in wanted for part in ("-", name))]
    tags = stated(query_at(path))
    assert tags == tuple(dict.fromkeys(wanted))
    assert matches(query_at(path).expr, Item(tags), now=NOW)
