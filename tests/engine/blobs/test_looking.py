"""What blobs are: at the door in, with the item that gets them, and afterwards for those that nobody looked at."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.blobs import BlobStore, looking
from engine.blobs.looking import STEP, look_at_old_blobs
from engine.catalogue import SqliteCatalogue, open_catalogue
from engine.errors import StoreFull
from engine.index import BitmapIndex
from engine.ports import Content, NewItem
from engine.types import ItemId, State
from query.ast import Compare, Op
from tests.support.catalogue import Recorder

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x40\0\0\0\x30\x08\x02\0\0\0"
IMAGE = Compare("type", Op.EQ, "image")


async def stored(store: BlobStore, content: bytes) -> str:
    name, fd = store.create_staging()
    os.write(fd, content)
    os.close(fd)
    done = await store.ingest(name, {})
    assert done.mime is not None
    return done.sha256


async def images(index: BitmapIndex) -> list[int]:
    await index.prepare(IMAGE)
    return list(index.evaluate(IMAGE, now=0.0))


async def add(catalogue: SqliteCatalogue, sha256: str, size: int, name: str = "x") -> ItemId:
    return (await catalogue.add(NewItem(name, sha256=sha256, size=size))).id


async def test_the_door_says_what_comes_in(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    name, fd = store.create_staging()
    os.write(fd, PNG)
    os.close(fd)
    assert (await store.ingest(name, {})).mime == "image/png"
    for name, mime in (("a.txt", None), ("a.mp4", "text/plain"), ("", "text/plain")):
        staging, fd = store.create_staging()
        os.write(fd, b"text for " + name.encode())
        os.close(fd)
        assert (await store.ingest(staging, {}, name=name)).mime == mime
    path = tmp_path / "file"
    path.write_bytes(PNG + b"another")
    assert (await store.adopt(store.begin_pass(str(path)))).mime == "image/png"
    digest = hashlib.sha256(b"text\n").hexdigest()
    await store.put_many([Content(digest, b"text\n")])
    assert await store.looks([digest, "0" * 64]) == ["text/plain", None]


async def test_the_type_comes_with_the_commit_that_makes_the_item_whole(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    sha256 = await stored(store, PNG)
    async with open_catalogue(str(tmp_path / "c.sqlite")) as catalogue:
        index = await BitmapIndex.open(catalogue)
        item = (await catalogue.add(NewItem("film.mp4", state=State.QUEUED))).id
        assert await images(index) == []
        told = Recorder()
        catalogue.observe(told)
        await catalogue.complete(
            item, sha256, len(PNG), digests={}, mtime_ns=None, keep_old=False, mime="image/png"
        )  # fmt: skip
        [change] = told.changes
        assert change.before is not None and change.before.values("type") == ("video", "video/mp4")
        assert change.after is not None and change.after.values("type") == ("image", "image/png")
        assert await images(index) == [item]


async def test_a_catalogue_without_space_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "FULL", 0.01)
    store, refused = BlobStore(tmp_path), 0
    async with open_catalogue(str(tmp_path / "c.sqlite")) as catalogue:
        index = await BitmapIndex.open(catalogue)
        item = await add(catalogue, await stored(store, PNG), len(PNG))
        tell = catalogue.set_media_types

        async def full(found: Mapping[str, str]) -> None:
            nonlocal refused
            refused += 1
            if refused < 3:
                raise StoreFull("no space left for the catalogue")
            await tell(found)

        monkeypatch.setattr(catalogue, "set_media_types", full)
        assert await look_at_old_blobs(catalogue, store, pause=0) == 1
        assert refused == 3
        assert await images(index) == [item]


async def test_old_blobs_are_looked_at_once_and_all_their_items_follow(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    contents = [PNG + str(number).encode() for number in range(STEP + 10)]
    async with open_catalogue(str(tmp_path / "c.sqlite")) as catalogue:
        index = await BitmapIndex.open(catalogue)
        items = [await add(catalogue, await stored(store, content), len(content)) for content in contents]
        twin = await add(catalogue, await stored(store, contents[0]), len(contents[0]), "y")
        trashed = await add(catalogue, await stored(store, contents[1]), len(contents[1]), "z")
        await catalogue.trash(trashed)
        gone = await add(catalogue, "0" * 64, 5, "gone")
        assert await images(index) == []
        assert await look_at_old_blobs(catalogue, store, pause=0) == len(contents)
        assert await images(index) == [*items, twin]
        await catalogue.restore(trashed)
        assert await images(index) == [*items, twin, trashed]
        assert [blob.sha256 for blob in await catalogue.blobs_to_look_at(0, 9)] == ["0" * 64]
        told = Recorder()
        catalogue.observe(told)
        assert await look_at_old_blobs(catalogue, store, pause=0) == 0
        assert told.changes == []
        assert catalogue.facts(gone) is not None
