"""Hypothesis strategies for queries and items, shared by everything that is held to `query.evaluate`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st

from query.ast import And, Compare, End, Expr, Leaf, Not, Op, Or, Query, Range, Tag
from query.errors import BadName
from query.names import check_tag
from query.terms import compared, exact, ranged

# Wall time is no property of a query: shared machines are slow.
examples = settings(deadline=None, max_examples=150)

# 2026-11-23T10:00:00Z
NOW = 1_795_428_000.0


@dataclass(frozen=True)
class Item:
    """Facts as plain values."""

    tags: Collection[str] = ()
    builtin: Mapping[str, Collection[str]] = field(default_factory=dict)

    def values(self, key: str) -> Collection[str]:
        return self.builtin.get(key, ())


def _is_legal(name: str) -> bool:
    try:
        return check_tag(name) == name
    except BadName:
        return False


AWKWARD = (
    *("and", "or", "not", "AND", "has", "eq", "gt", "h.264", "c++", "a@b", "a b", "(x)", "don't", 'say "hi"', "a=b"),
    *("!", "!=", "<", "a\\", "\\", "'", '"', "a..b", "100%2F", "%25", "ü", "a-b", "a{b}", "*", " ", "\u202e"),
)

# Plain tags of every legal shape, the awkward ones often.
names = st.sampled_from(AWKWARD) | st.text(min_size=1, max_size=8).filter(lambda text: ":" not in text).filter(
    _is_legal
)

_VALUES = (
    *("1", "2", "1.0", "01", "-3", "1K", "1024", "1kB", "0.5M", "2000", "2026", "0000", "2025", "9999", "1e3", "nan"),
    *("2026-11", "2026-11-23", "2026-11-23T10:00", "2026-11-23T10:00:00Z", "2026-01-01T00:00+02:00", "2026-13"),
    *("2026-01-01", "2026-01", "0001-01-01T00:00+02:00", "9999-12-31T23:59-02:00", "2026-11-23T10:00:00.25"),
    *("abc", "a", "b", "7d", "12h", "video/x-matroska", "%2F", ".", "a,b", "gt", "and", "it's"),
)

# Texts of every kind of value.
value_texts = (
    st.sampled_from(_VALUES) | st.integers(-5, 5).map(str) | st.integers(0, 3000).map(str) | st.dates().map(str)
)


def _or_none(make: object, *parts: object) -> Leaf | None:
    try:
        return make(*parts)  # type: ignore[operator,no-any-return]  # any of the constructors of terms
    except BadName:
        return None


def _legal(leaves: st.SearchStrategy[Leaf | None]) -> st.SearchStrategy[Leaf]:
    return leaves.filter(lambda leaf: leaf is not None)  # type: ignore[return-value]  # the filter does


keys = st.sampled_from(["year", "x", "k y", "and", "ü", "size", "added", "name", "ext", "type", "state", "sha256"])

# Every leaf that a parser can return.
any_leaves: st.SearchStrategy[Leaf] = (
    names.map(Tag)
    | _legal(st.builds(_or_none, st.just(exact), st.builds("{}:{}".format, keys, value_texts | names)))
    | _legal(st.builds(_or_none, st.just(compared), keys, st.sampled_from(Op), value_texts | names))
    | _legal(st.builds(_or_none, st.just(ranged), keys, value_texts | names | st.just(""), value_texts | st.just("")))
)

# Few names and values, so that queries and items meet often.
TAGS = ("a", "b", "c")
_user_values = st.sampled_from(["1", "2", "2.0", "10", "1K", "2026", "2026-11", "2026-11-23", "x", "xy"])
_sizes = st.sampled_from(["0", "1024", "1K", "2000"])
_instants = st.sampled_from(["2026", "2026-11", "2026-11-20", "2026-11-23T09:59:59Z", "7d", "2h", "1w"])
_exts = st.sampled_from(["mkv", "MKV", "iso"])

common_leaves: st.SearchStrategy[Leaf] = (
    st.sampled_from(TAGS).map(Tag)
    | st.builds(Compare, st.just("year"), st.sampled_from(Op), _user_values)
    | st.builds(Range, st.just("year"), _user_values, st.none() | _user_values)
    | st.builds(Range, st.just("year"), st.none(), _user_values)
    | st.builds(Compare, st.just("size"), st.sampled_from(Op), _sizes)
    | st.builds(Compare, st.just("added"), st.sampled_from(Op), _instants)
    | st.builds(Range, st.just("added"), _instants, st.none() | _instants)
    | st.builds(Compare, st.just("ext"), st.sampled_from(Op), _exts)
    | st.just(Compare("is", Op.EQ, "untagged"))
)

_year_tags = _user_values.map("year:{}".format)

items: st.SearchStrategy[Item] = st.builds(
    Item,
    st.frozensets(st.sampled_from(TAGS) | _year_tags, max_size=5),
    st.fixed_dictionaries(
        {
            "size": st.lists(st.integers(0, 3000).map(str), max_size=1),
            "added": st.sampled_from(
                [["2026-11-23T09:59:59Z"], ["2026-11-16T10:00:00Z"], ["2026-11-16T09:59:59Z"], ["2026-03-31T23:59:59Z"]]
            ),
            "ext": st.lists(_exts, max_size=1),
        }
    ),
)

universes = st.lists(items, max_size=12).map(lambda found: dict(enumerate(found)))


def exprs(leaves: st.SearchStrategy[Leaf], *, least: int = 2, max_leaves: int = 12) -> st.SearchStrategy[Expr]:
    """Trees of any shape, with at least `least` operands a connective."""
    return st.recursive(
        leaves,
        lambda inner: (
            inner.map(Not)
            | st.lists(inner, min_size=least, max_size=4).map(lambda operands: And(tuple(operands)))
            | st.lists(inner, min_size=least, max_size=4).map(lambda operands: Or(tuple(operands)))
        ),
        max_leaves=max_leaves,
    )


def path_exprs(leaves: st.SearchStrategy[Leaf]) -> st.SearchStrategy[Expr]:
    """The trees that a path can spell directly: a union of branches of steps."""
    operand = leaves | st.lists(leaves, min_size=1, max_size=3).map(lambda terms: Or(tuple(terms)))
    step = operand | operand.map(Not)
    branch = step | st.lists(step, min_size=2, max_size=4).map(lambda steps: And(tuple(steps)))
    return branch | st.lists(branch, min_size=2, max_size=3).map(lambda branches: Or(tuple(branches)))


def queries(expr: st.SearchStrategy[Expr]) -> st.SearchStrategy[Query]:
    return st.builds(Query, expr, st.sampled_from(End))
