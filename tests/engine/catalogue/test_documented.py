"""docs/on-disk-format.md names every table and column that there is, and none that there is not."""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path

import pytest

from engine.catalogue import migrations
from engine.catalogue.database import prepare
from engine.types import SourceKind, State

TEXT = (Path(__file__).parents[3] / "docs" / "on-disk-format.md").read_text()
TABLES = (
    "blob", "digest", "item", "tag", "tagging", "tag_page", "xattr", "source", "download", "draft", "torrent",
    "torrent_file", "relation", "saved_query", "journal", "suggestion",
)  # fmt: skip


@pytest.fixture
def columns(tmp_path: Path) -> dict[str, set[str]]:
    path = os.fspath(tmp_path / "catalogue.db")
    prepare(path)
    connection = sqlite3.connect(path)
    try:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        query = "SELECT name FROM pragma_table_info(?)"
        found = {name: {row[0] for row in connection.execute(query, (name,))} for name in names}
    finally:
        connection.close()
    del found["sqlite_sequence"]
    return found


def section(table: str) -> str:
    return TEXT.split(f"\n### {table}\n")[1].split("\n### ")[0]


def test_every_table_is_described(columns: dict[str, set[str]]) -> None:
    assert set(columns) == set(re.findall(r"^### (\w+)$", TEXT, re.MULTILINE)) == set(TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_described(columns: dict[str, set[str]], table: str) -> None:
    text = section(table)
    rows = "".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
    described = set(re.findall(r"`(\w+)`", rows or text))
    assert described == columns[table]


def test_the_values_are_described() -> None:
    for state in State:
        assert f"`{state}`" in section("item")
    for kind in SourceKind:
        assert f"`{kind}`" in section("source")


def test_the_version_is_the_one_in_the_code() -> None:
    assert f"counts the schema, now at {migrations.VERSION}." in " ".join(TEXT.split())
    assert f"0x{migrations.APPLICATION_ID:x}" in TEXT
