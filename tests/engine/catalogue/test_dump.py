"""The export: every row of the catalogue once, as of one moment."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.catalogue import SqliteCatalogue, open_catalogue
from engine.catalogue import dump as dumping
from engine.ports import Edit, FolderFile, NewDownload, NewItem
from engine.types import Kind, Source, SourceKind, State
from query.relations import Relation, RelationKind
from tests.support.catalogue import sha, whole

SECRET = Source(SourceKind.HTTP, "https://me:pass@h/f?token=1", "https://h/f", "h")


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[SqliteCatalogue]:
    async with open_catalogue(str(tmp_path / "catalogue.db")) as opened:
        yield opened


async def dump(catalogue: SqliteCatalogue, *, secrets: bool = False) -> list[dict[str, Any]]:
    text: list[str] = []

    async def put(lines: Sequence[str]) -> None:
        text.extend(lines)

    await catalogue.dump(put, secrets=secrets)
    assert all(line.isascii() and line.isprintable() for line in text)
    return [json.loads(line) for line in text]


async def test_all_that_there_is(catalogue: SqliteCatalogue) -> None:
    film = await catalogue.add(whole("film.mkv", "movie", "year:2000"))
    await catalogue.edit(film.id, Edit(name="film\udcff.mkv", set_xattrs={"user.x": b"\0\xff"}, mtime_ns=5))
    link = await catalogue.add(NewItem("l\x7fnk", kind=Kind.SYMLINK, target="/etc/\udcfe", mode=0o777))
    await catalogue.trash(link.id)
    coming = await catalogue.add(NewItem("c", state=State.QUEUED, download=NewDownload("s"), sources=[SECRET]))
    await catalogue.create_tag("unused")
    await catalogue.relate(Relation("movie", RelationKind.IMPLIES, "unused"))
    await catalogue.save_query("q", "movie and not unused")
    header, *rest = await dump(catalogue)
    assert header == {"tagfs": "catalogue", "version": 1, "items": 3}
    tags = [line["tag"] for line in rest if "tag" in line]
    assert tags == ["movie", "year:2000", "unused"]
    assert rest[3] == {"relation": ["movie", "implies", "unused"]}
    assert (rest[4]["query"], rest[4]["text"]) == ("q", "movie and not unused")
    first, second, third = rest[5:]
    row = catalogue.item(film.id)
    assert row is not None
    assert first == {
        "item": film.id, "name": "film\udcff.mkv", "kind": "file", "state": "complete", "size": row.size,
        "sha256": sha("film.mkv"), "mtime_ns": 5, "mtime_given": True, "added_ns": film.added_ns,
        "mode": film.mode, "tags": ["movie", "year:2000"], "xattrs": {"user.x": b64encode(b"\0\xff").decode()},
        "sources": [{"kind": "http", "url": "https://example.org/film.mkv", "host": "example.org"}],
    }  # fmt: skip
    assert (second["name"], second["target"]) == ("l\x7fnk", "/etc/\udcfe")
    assert second["trashed_ns"] > 0
    assert third["sources"] == [{"kind": "http", "url": SECRET.public_url, "host": "h"}]
    assert (await dump(catalogue, secrets=True))[-1]["sources"][0]["url"] == SECRET.url
    assert coming.id == third["item"]


async def test_a_folder_comes_before_what_is_in_it(catalogue: SqliteCatalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dumping, "PAGE", 3)
    made = [await catalogue.add(NewItem(f"d{n}", state=State.QUEUED, download=NewDownload(f"s{n}"))) for n in range(9)]
    for item in reversed(made):
        await catalogue.unpack(
            item.id, [FolderFile(("s", "t", "f"), 1), FolderFile(("s", "g"), 1), FolderFile(("h",), 1)]
        )
    header, *items = await dump(catalogue)
    assert header["items"] == len(items) == 9 * 6
    seen: set[int] = set()
    for line in items:
        assert line["item"] not in seen
        assert line.get("parent") is None or line["parent"] in seen
        seen.add(line["item"])


async def test_what_is_written_meanwhile_is_not_in_it(
    catalogue: SqliteCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    await catalogue.add_many([whole(f"f{number}", "a") for number in range(1_200)])
    names: list[str] = []

    async def put(lines: Sequence[str]) -> None:
        names.extend(json.loads(line).get("name", "") for line in lines)
        await catalogue.add(whole(f"new{len(names)}", "b"))

    await catalogue.dump(put)
    assert [name for name in names if name] == [f"f{number}" for number in range(1_200)]
