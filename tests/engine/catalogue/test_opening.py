"""Which files are a catalogue, and what becomes of those that are not (C12, R14)."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from peewee import SqliteDatabase

from engine.catalogue import migrations, open_catalogue
from engine.catalogue.database import open_writer, prepare, raw
from engine.errors import EngineError
from tests.support.catalogue import whole


def schema(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    try:
        return {row[0] for row in connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")}
    finally:
        connection.close()


def pragma(path: Path, name: str) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("PRAGMA " + name).fetchone()[0])
    finally:
        connection.close()


@pytest.mark.parametrize("name", ["catalogue.db", "what?mode=memory&x#y%41.db", "\udcff.db", "two words.db"])
async def test_any_path_will_do(tmp_path: Path, name: str) -> None:
    path = os.path.join(tmp_path, name)
    async with open_catalogue(path) as catalogue:
        item = await catalogue.add(whole("x", "a"))
    async with open_catalogue(path) as catalogue:
        assert catalogue.item(item.id) == item
    assert os.listdir(tmp_path) == [name]  # a clean end leaves no log behind
    assert os.stat(path).st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"not a database, but long enough to have a header " * 100])
async def test_what_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "catalogue.db"
    path.write_bytes(content)
    with pytest.raises(EngineError, match=str(path)):
        async with open_catalogue(str(path)):
            pass
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["catalogue.db"]


async def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(EngineError, match="another program"):
        async with open_catalogue(str(path)):
            pass
    assert schema(path) == {"CREATE TABLE theirs (x)"}


async def test_a_database_from_the_future_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    prepare(str(path))
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(EngineError, match="newer tagfs"):
        async with open_catalogue(str(path)):
            pass
    assert path.read_bytes() == before


async def test_a_log_without_its_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    Path(f"{path}-wal").write_bytes(b"precious")
    with pytest.raises(EngineError, match="is missing"):
        async with open_catalogue(str(path)):
            pass
    assert os.listdir(tmp_path) == ["catalogue.db-wal"]


def test_an_interrupted_creation_is_swept(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    Path(f"{path}.new").write_bytes(b"half")
    Path(f"{path}.new-wal").write_bytes(b"half")
    prepare(str(path))
    assert os.listdir(tmp_path) == ["catalogue.db"]


def add_column(database: SqliteDatabase) -> None:
    raw(database).execute("ALTER TABLE item ADD COLUMN rating INTEGER")


def add_table(database: SqliteDatabase) -> None:
    raw(database).execute("CREATE TABLE further (tag INTEGER) STRICT")


def fail(database: SqliteDatabase) -> None:
    add_table(database)
    raise OSError("power cut")


def test_migrations_climb_step_by_step(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    prepare(str(path))
    database = open_writer(str(path))
    now = migrations.VERSION
    try:
        assert not migrations.migrate(database)
        assert migrations.migrate(database, version=now + 2, steps={now: add_column, now + 1: add_table})
    finally:
        database.close()
    assert pragma(path, "user_version") == now + 2
    assert "CREATE TABLE further (tag INTEGER) STRICT" in schema(path)


def test_a_migration_that_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    prepare(str(path))
    before = schema(path)
    database = open_writer(str(path))
    now = migrations.VERSION
    try:
        with pytest.raises(OSError, match="power cut"):
            migrations.migrate(database, version=now + 1, steps={now: fail})
    finally:
        database.close()
    assert schema(path) == before
    assert pragma(path, "user_version") == now


def shape(path: Path) -> dict[str, set[tuple[object, ...]]]:
    """Columns, references and indexes of each table, however they came to be there."""
    connection = sqlite3.connect(path)
    found: dict[str, set[tuple[object, ...]]] = {}
    try:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for table in tables:
            columns = connection.execute("SELECT * FROM pragma_table_xinfo(?)", (table,)).fetchall()
            references = connection.execute(
                'SELECT "table", "from", "to", on_delete FROM pragma_foreign_key_list(?)', (table,)
            ).fetchall()
            indexes = connection.execute(
                'SELECT l.name, l."unique", l.partial, i.name FROM pragma_index_list(?) l, pragma_index_info(l.name) i',
                (table,),
            ).fetchall()
            found[table] = {*columns, *references, *indexes}
        triggers = connection.execute("SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        found["triggers"] = {*triggers}
    finally:
        connection.close()
    return found


@pytest.mark.parametrize("version", range(1, migrations.VERSION))
async def test_an_old_database_gets_the_schema_of_a_new_one_and_keeps_its_rows(tmp_path: Path, version: int) -> None:
    old, new = tmp_path / "old.sqlite", tmp_path / "new.sqlite"
    connection = sqlite3.connect(old)
    connection.executescript((Path(__file__).parent / f"schema-{version}.sql").read_text())
    connection.execute("PRAGMA journal_mode = wal")
    connection.close()
    prepare(str(new))
    async with open_catalogue(str(old)) as catalogue:
        [item] = [catalogue.item(number) for number in catalogue.named("old")]
        assert item is not None and item.parent is None and catalogue.tags(item.id) == ("kept",)
        assert await catalogue.check() == []
    assert shape(old) == shape(new)


def test_each_version_has_a_step_to_the_next() -> None:
    assert sorted(migrations.STEPS) == list(range(1, migrations.VERSION))


def test_writes_are_durable_and_references_checked(tmp_path: Path) -> None:
    path = str(tmp_path / "catalogue.db")
    prepare(path)
    database = open_writer(path)
    try:
        found = {name: database.pragma(name) for name in ("journal_mode", "synchronous", "foreign_keys")}
    finally:
        database.close()
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
