"""Queries that move with the clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.ages import is_relative, resolve
from query.ast import And, Compare, Expr, Not, Op, Or, Range, Tag
from query.evaluate import evaluate
from query.normalise import normalise_expr
from tests.support.queries import NOW, Item, common_leaves, examples, exprs, universes


@pytest.mark.parametrize(
    ("expr", "relative"),
    [
        (Compare("added", Op.EQ, "7d"), True),
        (Compare("added", Op.GT, "30min"), True),
        (Range("added", "7d", None), True),
        (Range("added", None, "7d"), True),
        (Range("added", "2026", "7d"), True),
        (And((Tag("a"), Not(Or((Tag("b"), Compare("added", Op.LT, "1y")))))), True),
        (Compare("added", Op.EQ, "2026-11"), False),
        (Compare("added", Op.HAS, "7d"), False),
        (Compare("length", Op.EQ, "7d"), False),
        (Range("length", "7d", None), False),
        (Tag("7d"), False),
    ],
)
def test_is_relative(expr: Expr, relative: bool) -> None:
    assert is_relative(expr) is relative
    assert is_relative(normalise_expr(expr)) is relative


WEEK_AGO = "2026-11-16T10:00:00Z"


@pytest.mark.parametrize(
    ("expr", "resolved"),
    [
        (Compare("added", Op.EQ, "7d"), Compare("added", Op.GE, WEEK_AGO)),
        (Compare("added", Op.NE, "7d"), Compare("added", Op.LT, WEEK_AGO)),
        (Compare("added", Op.GT, "7d"), Compare("added", Op.GT, WEEK_AGO)),
        (Range("added", "7d", None), Range("added", WEEK_AGO, None)),
        (Range("added", "2026", "7d"), Range("added", "2026", WEEK_AGO)),
        (Not(And((Tag("a"), Compare("added", Op.EQ, "7d")))), Not(And((Tag("a"), Compare("added", Op.GE, WEEK_AGO))))),
        (Or((Compare("added", Op.HAS, "7d"), Range("added", "1w", None))),
         Or((Compare("added", Op.HAS, "7d"), Range("added", WEEK_AGO, None)))),
    ],
)  # fmt: skip
def test_resolve(expr: Expr, resolved: Expr) -> None:
    assert resolve(expr, now=NOW) == resolved
    assert resolve(resolved, now=NOW + 1) is resolved


@examples
@given(exprs(common_leaves), universes, st.floats(0, 4e9))
def test_a_resolved_query_means_the_same_at_that_time(expr: Expr, universe: dict[int, Item], now: float) -> None:
    resolved = resolve(expr, now=now)
    assert not is_relative(resolved)
    assert evaluate(resolved, universe, now=0.0) == evaluate(expr, universe, now=now)
