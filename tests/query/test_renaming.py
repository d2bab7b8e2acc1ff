"""A path with a tag by another name says what the query says with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.ast import Query
from query.errors import QueryError
from query.evaluate import leaves
from query.parse import Complete, parse_path
from query.renaming import renamed, renamed_path
from query.render import render_path
from query.terms import exact, text_of
from tests.support.queries import any_leaves, common_leaves, examples, names, path_exprs, queries, value_texts

pairs = st.builds("k:{}".format, value_texts)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("a", "z"), ("-a", "-z"), ("--a", "--z"), ("-/a", "-/z"), ("b/a/-/a", "b/z/-/z"), ("b,a", "b,z"),
        ("-a,b", "-z,b"), ("{/a/b", "{/z/b"), ("a/+", "z/+"), ("a/@@", "z/@@"), ("year:a", "year:a"),
        ("year:/a", "year:/a"), ("b", "b"), ("name:/has/a", "name:/has/a"),
    ],
)  # fmt: skip
def test_a_plain_tag(path: str, wanted: str) -> None:
    assert renamed_path(path.split("/"), "a", "z") == tuple(wanted.split("/"))


@pytest.mark.parametrize(
    ("path", "new", "wanted"),
    [
        ("k:1", "k:2", "k:2"), ("k:/1", "k:2", "k:/2"), ("k:/eq/1", "k:2", "k:/eq/2"), ("k:1", "z", "z"),
        ("k:1", "m:1", "m:1"), ("k:1..3", "k:2", "k:1..3"), ("k:/gt/1", "k:2", "k:/gt/1"),
        ("k:/eq/1", "k:gt", "k:/eq/gt"), ("k:/eq/1", "k:a..b", "k:/eq/a..b"),
    ],
)  # fmt: skip
def test_a_pair(path: str, new: str, wanted: str) -> None:
    assert renamed_path(path.split("/"), "k:1", new) == tuple(wanted.split("/"))


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("k:/1", "k:1", "z"),
        ("k:/1", "k:1", "m:1"),
        ("k:/1", "k:1", "k:gt"),
        ("a", "a", "k:1..2"),
        ("b/-a", "a", "z" * 255),
    ],
)
def test_where_no_path_of_as_many_components_does(path: str, old: str, new: str) -> None:
    assert renamed_path(path.split("/"), old, new) is None


@examples
@given(queries(path_exprs(any_leaves | common_leaves)), st.data(), names | pairs)
def test_it_says_what_the_query_says(query: Query, data: st.DataObject, new: str) -> None:
    """And each of its beginnings is renamed alike, so that a directory stays in its parent."""
    named = sorted({text for leaf in leaves(query.expr) if (text := text_of(leaf)) is not None})
    if not named:
        return
    old = data.draw(st.sampled_from(named))
    try:
        components = render_path(query)
        exact(new)
    except QueryError:
        return
    found = renamed_path(components, old, new)
    if found is None:
        return
    parsed = parse_path(found)
    assert isinstance(parsed, Complete)
    assert parsed.query == renamed(query, old, new)
    for length in range(1, len(components)):
        assert renamed_path(components[:length], old, new) == found[:length]
