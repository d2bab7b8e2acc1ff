"""import --catalogue: what export wrote, read again over a real catalogue and store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.loaded import MAX_LINE
from engine.ports import Edit, NewItem
from engine.types import Kind, State
from query.relations import Relation, RelationKind
from tagfs.control.errors import VerbError
from tagfs.control.views import LoadedView
from tagfs.service import loading
from tagfs.service.verbs import Service
from tests.support.world import World, open_world
from tests.tagfs.service.conftest import Reports

HEADER: dict[str, Any] = {"tagfs": "catalogue", "version": 1, "items": 0}
ITEM: dict[str, Any] = {"item": 1, "name": "n", "kind": "folder", "state": "complete"}


async def export(world: World) -> list[str]:
    lines: list[str] = []

    async def put(more: Any) -> None:
        lines.extend(more)

    await world.catalogue.dump(put, secrets=True)
    return lines


async def load(service: Service, path: Path, lines: list[str]) -> LoadedView:
    path.write_text("".join(f"{line}\n" for line in lines))
    return await service.import_catalogue(str(path), report=Reports())


def comparable(lines: list[str]) -> list[dict[str, Any]]:
    """Without ids; a folder is known by its name."""
    values = [json.loads(line) for line in lines]
    names = {value["item"]: value["name"] for value in values if "item" in value}
    for value in values:
        if "item" in value:
            del value["item"]
            value["parent"] = names.get(value.get("parent"))
    return sorted(values, key=lambda value: json.dumps(value, sort_keys=True))


async def fill(world: World, service: Service, home: Path) -> None:
    home.mkdir()
    for name in ("one", "two", "twin"):
        (home / name).write_text(name)
    await service.import_((str(home),), tags=("movie", "year:2000"), report=Reports())
    await service.import_((str(home / "twin"),), report=Reports())
    [one] = world.catalogue.named("one")
    await world.catalogue.edit(one, Edit(name="o\udcff", set_xattrs={"user.x": b"\0\xff"}, mtime_ns=5, mode=0o4700))
    folder = await world.catalogue.add(NewItem("d", kind=Kind.FOLDER, tags=["album"], mtime_ns=7))
    inner = await world.catalogue.add(NewItem("e", kind=Kind.FOLDER, parent=folder.id))
    await world.catalogue.add(NewItem("l", kind=Kind.SYMLINK, target="../x", parent=inner.id))
    [two] = world.catalogue.named("two")
    await world.catalogue.trash(two)
    await world.catalogue.create_tag("unused")
    await world.catalogue.relate(Relation("movie", RelationKind.IMPLIES, "unused"))
    await world.catalogue.save_query("q", "movie and not unused")


async def test_round_trip_and_twice_is_once(
    world: World, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(world, service, tmp_path / "home")
    before = await export(world)
    again = await load(service, tmp_path / "c", before)
    assert (again.items, again.known, again.skipped_total) == (0, 7, 0)
    assert await export(world) == before
    monkeypatch.setattr(loading, "BATCH", 2)
    state = tmp_path / "other"
    state.mkdir()
    async with open_world(state) as other:
        there = Service(other.context, other.store)
        bare = await load(there, tmp_path / "c", before)
        assert (bare.items, bare.missing) == (7, 4)  # no content is there yet
        for [sha256] in {(json.loads(line)["sha256"],) for line in before if "sha256" in json.loads(line)}:
            Path(other.store.path(sha256)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(world.store.path(sha256), other.store.path(sha256))
        healed = await load(there, tmp_path / "c", before)
        assert (healed.items, healed.known) == (0, 7)
        assert comparable(await export(other)) == comparable(before)
        assert await other.catalogue.check() == []
        assert sorted(await other.names("tags/movie/-/is:untagged")) == sorted(["o\udcff", "twin"])


async def test_tags_are_added_and_what_is_in_the_way_is_left_out(
    world: World, service: Service, tmp_path: Path
) -> None:
    folder = await world.catalogue.add(NewItem("d", kind=Kind.FOLDER, tags=["a"]))
    await world.catalogue.add(NewItem("x", kind=Kind.SYMLINK, target="1", parent=folder.id))
    lines = [
        HEADER,
        {**ITEM, "item": 9, "name": "d", "tags": ["b"]},
        {**ITEM, "item": 8, "name": "x", "parent": 9},
        {**ITEM, "item": 7, "name": "y", "parent": 8},
    ]
    view = await load(service, tmp_path / "c", list(map(json.dumps, lines)))
    assert (view.items, view.known, view.skipped_total) == (0, 1, 2)
    assert view.skipped[0].reason.startswith("Line 3: ")
    assert world.catalogue.tags(folder.id) == ("a", "b")


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[" * 100_000,
        "[]",
        '{"tag": "a/b"}',
        '{"tag": 5}',
        '{"tag": "\\udcff"}',
        '{"relation": ["a", "eats", "b"]}',
        '{"relation": ["a", "implies", "a"]}',
        '{"query": "q", "text": "((("}',
        '{"query": "a/b", "text": "a"}',
        json.dumps({**ITEM, "name": "../x"}),
        json.dumps({**ITEM, "name": ".."}),
        json.dumps({**ITEM, "name": "a\0"}),
        json.dumps({**ITEM, "parent": 77}),
        json.dumps({**ITEM, "kind": "device"}),
        json.dumps({**ITEM, "mode": 0o100644}),
        json.dumps({**ITEM, "added_ns": -1}),
        json.dumps({**ITEM, "added_ns": 10**40}),
        json.dumps({**ITEM, "mtime_ns": True}),
        json.dumps({**ITEM, "sha256": "0" * 64}),
        json.dumps({**ITEM, "kind": "file", "sha256": "../../x"}),
        json.dumps({**ITEM, "kind": "symlink"}),
        json.dumps({**ITEM, "tags": ["ok", "size:5"]}),
        json.dumps({**ITEM, "xattrs": {"security.capability": "AA=="}}),
        json.dumps({**ITEM, "xattrs": {"user.x": "*"}}),
        json.dumps({**ITEM, "sources": [{"kind": "http", "url": "file:///etc/passwd"}]}),
        json.dumps({**ITEM, "sources": [{"kind": "torrent", "url": "magnet:?x"}]}),
        json.dumps({**ITEM, "name": "n" * MAX_LINE}),
    ],
)
async def test_a_bad_line_is_named_and_undoes_its_batch(
    world: World, service: Service, tmp_path: Path, line: str
) -> None:
    lines = [json.dumps(HEADER), '{"tag": "before"}', json.dumps({**ITEM, "item": 2, "name": "m"}), line]
    with pytest.raises(VerbError, match=r"^Line 4: .*\. Nothing was made\.$"):
        await load(service, tmp_path / "c", lines)
    assert not world.index.has_tag("before")
    assert list(world.catalogue.names("", 10)) == []


@pytest.mark.parametrize("line", ["", "{}", '{"tagfs": "catalogue", "version": 2}', '{"tagfs": "other", "version": 1}'])
async def test_a_wrong_header(service: Service, tmp_path: Path, line: str) -> None:
    with pytest.raises(VerbError, match=r"^Line 1: "):
        await load(service, tmp_path / "c", [line])


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        (9, "this is version 9 of the format, and only version 1 can be read: a newer tagfs wrote it"),
        (0, "this is version 0 of the format, and only version 1 can be read"),
        (True, "it does not say its version of the format, and only version 1 can be read"),
        ("x" * 1000, "it does not say its version of the format, and only version 1 can be read"),
    ],
)
async def test_another_version_is_named(service: Service, tmp_path: Path, version: object, sentence: str) -> None:
    with pytest.raises(VerbError, match=rf"^Line 1: {sentence}\. "):
        await load(service, tmp_path / "c", [json.dumps(HEADER | {"version": version})])


async def test_a_file_that_was_cut_off_says_so(service: Service, tmp_path: Path) -> None:
    with pytest.raises(VerbError, match=r"ends after 1 of 2 items\. The lines before made 1 item\."):
        await load(service, tmp_path / "c", [json.dumps({**HEADER, "items": 2}), json.dumps(ITEM)])


async def test_no_pipe_is_waited_for(service: Service, tmp_path: Path) -> None:
    with pytest.raises(VerbError, match="cannot be read"):
        await service.import_catalogue("/dev/zero", report=Reports())


async def test_what_was_not_whole_is_missing(world: World, service: Service, tmp_path: Path) -> None:
    line = {**ITEM, "kind": "file", "state": "paused", "sources": [{"kind": "http", "url": "http://u:p@h/x"}]}
    view = await load(service, tmp_path / "c", [json.dumps(HEADER), json.dumps(line)])
    assert (view.items, view.missing) == (1, 1)
    [item] = world.catalogue.named("n")
    row, [source] = world.catalogue.item(item), world.catalogue.sources(item)
    assert row is not None and row.state is State.MISSING and row.error
    assert await world.names("tags/state:missing") == ["n"]
    assert [found.id for found in (await service.ls("state:missing")).items] == [item]
    assert (source.url, source.public_url, source.host) == ("http://u:p@h/x", "http://h/x", "h")
