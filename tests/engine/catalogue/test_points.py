"""What runs on the event loop must be a search in an index, and no SQL may be put together from values."""

from __future__ import annotations

import ast
import os
import sqlite3
from pathlib import Path

import pytest

import engine.catalogue
from engine.catalogue import points, scans
from engine.catalogue.database import prepare

SOURCES = sorted(Path(engine.catalogue.__file__).parent.rglob("*.py"))


UNITED = ("COMPOUND QUERY", "LEFT-MOST SUBQUERY", "UNION ALL")  # one search after the other


@pytest.mark.parametrize(("query", "parameters"), points.QUERIES.items())
def test_a_point_read_never_scans(tmp_path: Path, query: str, parameters: int) -> None:
    path = os.fspath(tmp_path / "catalogue.db")
    prepare(path)
    connection = sqlite3.connect(path)
    try:
        plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + query, ("x",) * parameters)]
    finally:
        connection.close()
    assert plan
    for step in plan:
        assert step.startswith(("SEARCH", "CORRELATED SCALAR SUBQUERY", "LIST SUBQUERY")) or step in UNITED, plan


@pytest.mark.parametrize(("query", "index"), [(scans.TO_LOOK_AT, "item_to_look"), (scans.SUGGESTED, "suggestion_open")])
def test_what_is_to_do_is_found_by_an_index_of_just_that(tmp_path: Path, query: str, index: str) -> None:
    """A partial index serves only a query that repeats its condition."""
    path = os.fspath(tmp_path / "catalogue.db")
    prepare(path)
    connection = sqlite3.connect(path)
    try:
        plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + query, (0, 10))]
    finally:
        connection.close()
    assert f"USING INDEX {index} " in plan[0] or f"USING COVERING INDEX {index} " in plan[0]
    assert all(step.startswith("SEARCH") for step in plan), plan


def test_every_point_read_is_explained() -> None:
    constants = (value for name, value in vars(points).items() if name.isupper() and isinstance(value, str))
    texts = {text for text in constants if text.startswith("SELECT ")}
    assert texts == set(points.QUERIES)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_sql_takes_values_as_parameters_only(source: Path) -> None:
    tree = ast.parse(source.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr.startswith("execute"):
            assert isinstance(node.args[0], ast.Constant | ast.Name | ast.Subscript), ast.unparse(node)
