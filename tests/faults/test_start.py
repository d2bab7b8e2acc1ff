"""C12: a database that cannot be used ends the start with one sentence, and is left as it is."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine.catalogue import database, open_catalogue
from engine.errors import EngineError
from tests.support.catalogue import whole
from tests.support.home import Home

pytestmark = pytest.mark.mount


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home whose daemon has run and has ended, with one item."""
    home = Home(tmp_path_factory.mktemp("home"))
    home.top.mkdir()
    try:
        home.mount()
        (home.folder / "f").write_text("content")
        assert home.tagfs("import", str(home.folder / "f")).returncode == 0
        assert home.tagfs("umount").returncode == 0
        yield home
    finally:
        home.clean_up()


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "is missing, and there are contents: bring it back with tagfs restore"),
    "empty": (lambda path: os.truncate(path, 0), "is empty, which a catalogue never is"),
    "newer": (newer, "newer"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_database_that_cannot_be_used_is_left_alone(used: Home, name: str) -> None:
    spoil, sentence = CASES[name]
    path = used.state / "catalogue.sqlite"
    good = path.read_bytes()
    try:
        spoil(path)
        before = contents(used.state)
        done = used.tagfs("mount", str(used.top))
        assert (done.returncode, done.stdout) == (1, "")
        assert sentence in done.stderr and done.stderr.count("\n") == 1, done.stderr
        assert contents(used.state) == before
        assert not used.mounted()
    finally:
        for file in used.state.glob("catalogue.sqlite*"):
            file.unlink()
        path.write_bytes(good)


def contents(state: Path) -> dict[str, bytes]:
    """Of all files but the daemon's log and note."""
    return {str(path): path.read_bytes() for path in state.rglob("*") if path.is_file() and "daemon" not in path.name}


async def test_a_database_that_another_program_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "catalogue.sqlite"
    async with open_catalogue(str(path)) as catalogue:
        await catalogue.add(whole("f"))
    monkeypatch.setattr(database, "WRITER_PRAGMAS", {**database.WRITER_PRAGMAS, "busy_timeout": 10})
    monkeypatch.setattr(database, "BUSY_MS", 0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(EngineError, match="another program holds the catalogue locked"):
            async with open_catalogue(str(path)):
                pass
    async with open_catalogue(str(path)) as catalogue:
        assert catalogue.named("f")
