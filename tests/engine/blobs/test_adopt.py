"""Files that stay where they are and become blobs: by a second name, never by a copy, and never half."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from engine.blobs import BlobStore
from engine.errors import DigestMismatch
from engine.ports import Ingested

DATA = os.urandom(100_000)
SHA = hashlib.sha256(DATA).hexdigest()


class Witness:
    def __init__(self, *, agrees: bool) -> None:
        self.seen = b""
        self._agrees = agrees

    def update(self, data: memoryview) -> None:
        self.seen += bytes(data)

    def agrees(self) -> bool:
        return self._agrees


async def adopt(store: BlobStore, path: str, witness: Witness | None = None) -> Ingested:
    return await store.adopt(store.begin_pass(path, witness))


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "store")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


async def test_a_file_gets_a_second_name(store: BlobStore, file: Path) -> None:
    witness = Witness(agrees=True)
    done = await adopt(store, str(file), witness)
    assert (done.sha256, done.size, witness.seen) == (SHA, len(DATA), DATA)
    assert file.samefile(store.path(SHA))
    assert file.stat().st_mode & 0o777 == 0o440
    assert os.listdir(Path(store.staging_path("0")).parent) == []
    assert (await adopt(store, str(file))).sha256 == SHA  # again: nothing happens


async def test_content_that_is_there_is_stored_once(store: BlobStore, file: Path, tmp_path: Path) -> None:
    await adopt(store, str(file))
    other = tmp_path / "other"
    other.write_bytes(DATA)
    await adopt(store, str(other))
    assert other.samefile(store.path(SHA)) and other.samefile(file)
    third = tmp_path / "third"
    third.write_bytes(b"something else")
    await store.lend(SHA, str(third))
    assert third.samefile(file)


async def test_what_the_witness_refuses_does_not_get_in(store: BlobStore, file: Path) -> None:
    with pytest.raises(DigestMismatch):
        await adopt(store, str(file), Witness(agrees=False))
    assert not store.exists(SHA)
    assert file.stat().st_mode & 0o222


async def test_a_file_that_grows_is_read_once(store: BlobStore, tmp_path: Path) -> None:
    path = tmp_path / "growing"
    data = os.urandom(3 << 20)
    path.write_bytes(data[:2_000_000])
    witness = Witness(agrees=True)
    begun = store.begin_pass(str(path), witness)
    await store.read_ahead(begun, 1_500_000)
    assert begun.offset == 1_500_000
    await store.read_ahead(begun, 1_000_000)
    assert begun.offset == 1_500_000
    with path.open("r+b") as file:
        file.write(bytes(1000))  # what was read is not read again
        file.seek(2_000_000)
        file.write(data[2_000_000:])
    done = await store.adopt(begun)
    assert (done.sha256, done.size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert witness.seen == data


async def test_without_hard_links_it_is_a_copy(store: BlobStore, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    await adopt(store, str(file))
    blob = Path(store.path(SHA))
    assert blob.read_bytes() == DATA and not blob.samefile(file)
    assert blob.stat().st_mode & 0o777 == 0o440


async def test_a_symlink_is_not_followed(store: BlobStore, file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(file)
    with pytest.raises(OSError, match="symbolic"):
        await adopt(store, str(tmp_path / "link"))
