"""The tables of docs/ that say which test holds which promise name tests that there are."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

import pytest

from tests.support.promises import named, rows

ROOT = Path(__file__).parents[1]
PAGES = [page for page in ("docs/contract.md", "docs/faults.md") if (ROOT / page).exists()]


@lru_cache(None)
def defined(path: Path) -> set[str]:
    """Functions and classes at the head of a file, methods as CLASS::NAME, and what is assigned there."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.ClassDef(name=name, body=body):
                found.add(name)
                found.update(f"{name}::{inner.name}" for inner in body if isinstance(inner, ast.FunctionDef))
            case ast.Assign(targets=[ast.Name(id=name)]):
                found.add(name)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text()
    assert text.count("`tests/") == sum(text.count(f"`{test}`") for test in named(text)), "spelled in another way"
    missing = []
    for test in named(text):
        path, _, name = test.partition("::")
        if not (ROOT / path).exists() or name not in defined(ROOT / path):
            missing.append(test)
    assert not missing


@pytest.mark.parametrize("page", PAGES)
def test_every_row_has_the_columns_of_its_table(page: str) -> None:
    found = list(rows(ROOT / page))
    assert len(found) > 30
    assert {len(row) for row in found} <= {2, 3}
    assert all(row[-1] for row in found), "a row without a test, or the reason why there is none"
