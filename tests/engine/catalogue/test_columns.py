"""Items as columns say what their rows say."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.catalogue import SqliteCatalogue, columns, open_catalogue
from engine.ports import Edit, FolderFile, NewDownload, NewItem
from engine.types import ItemId, Kind, State
from tests.support.catalogue import whole


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[SqliteCatalogue]:
    async with open_catalogue(str(tmp_path / "catalogue.db")) as opened:
        yield opened


@pytest.mark.parametrize("at_once", [7, 5000])
async def test_columns_say_what_rows_say(
    catalogue: SqliteCatalogue, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(columns, "AT_ONCE", at_once)
    made = await catalogue.add_many([whole(f"f{number}", *"abc"[: number % 3]) for number in range(60)])
    await catalogue.edit(made[4].id, Edit(name="\udcff\n"))
    link = await catalogue.add(NewItem("l", kind=Kind.SYMLINK, target="f1"))
    await catalogue.edit(made[5].id, Edit(mtime_ns=-(2**63), mode=0))
    await catalogue.trash(made[6].id)
    folder = await catalogue.add(NewItem("d", state=State.QUEUED, download=NewDownload("s1")))
    inside = await catalogue.unpack(folder.id, [FolderFile(("in", "deep"), 1)])
    ids = [*(item.id for item in made), link.id, folder.id, *inside, 999_999]
    for asked in (ids, ids[:10], ids[-1:], []):
        parts = await catalogue.columns(asked)
        rows = await catalogue.items(asked)
        assert [number for part in parts for number in part.ids] == [row.id for row in rows]
        names = [name for part in parts if part.ids for name in part.names.split(b"/")]
        assert names == [os.fsencode(row.name) for row in rows]
        for part in parts:
            shown = (part.ids, part.sizes, part.modes, part.mtimes_ns, part.added_ns, part.paths)
            for number, *values in zip(*shown, strict=True):
                row = catalogue.item(ItemId(number))
                assert row is not None
                paths = row.tag_count + (row.parent is not None)
                assert values == [row.size or 0, row.mode, row.mtime_ns, row.added_ns, paths]
                assert part.others.get(number) == (None if row.kind is Kind.FILE and row.state.whole else row)


async def test_an_error_of_one_part_comes_out_as_itself(
    catalogue: SqliteCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(ids: object, database: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(columns, "columns", fail)
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        await catalogue.columns(range(1, 20_000))
