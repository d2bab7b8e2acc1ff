"""What ports.Blobs promises, held against files on a disk and against a store that has no paths."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import trio

from engine.blobs import BlobStore
from engine.catalogue import open_catalogue
from engine.errors import BadRequest, DigestMismatch, SourceFailed
from engine.ports import Blobs, Content
from engine.transfer.manager import TransferManager
from engine.types import State
from tests.support.faultserver import Resource, fault_server
from tests.support.object_blobs import ObjectBlobs
from tests.support.transfers import QUICK, Rig


@pytest.fixture(params=[BlobStore, ObjectBlobs])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    made: Blobs = request.param(tmp_path)
    return made


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def stage(blobs: Blobs, content: bytes) -> str:
    name, fd = blobs.create_staging()
    os.write(fd, content)
    os.close(fd)
    return name


def read(blobs: Blobs, digest: str) -> bytes:
    fd = blobs.open(digest)
    with os.fdopen(fd, "rb") as file:
        return file.read()


@pytest.mark.parametrize("content", [b"", b"x", bytes(3 << 20)])
async def test_what_was_staged_is_found_by_its_digest(blobs: Blobs, content: bytes) -> None:
    staging = stage(blobs, content)
    done = await blobs.ingest(staging, {})
    assert (done.sha256, done.size) == (sha256(content), len(content))
    assert blobs.exists(done.sha256)
    assert blobs.size(done.sha256) == len(content)
    assert read(blobs, done.sha256) == content
    assert not os.path.exists(blobs.staging_path(staging))


async def test_each_digest_that_was_promised_is_compared_and_told(blobs: Blobs) -> None:
    promised = {name: hashlib.new(name, b"x").hexdigest() for name in ("md5", "sha1", "sha256", "sha512")}
    done = await blobs.ingest(stage(blobs, b"x"), promised)
    assert done.digests == promised


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "md5"])
async def test_a_broken_promise_keeps_it_out_and_leaves_it_in_staging(blobs: Blobs, algorithm: str) -> None:
    staging = stage(blobs, b"good")
    with pytest.raises(DigestMismatch):
        await blobs.ingest(staging, {algorithm: hashlib.new(algorithm, b"other").hexdigest()})
    assert not blobs.exists(sha256(b"good"))
    assert Path(blobs.staging_path(staging)).read_bytes() == b"good"
    assert (await blobs.ingest(staging, {})).sha256 == sha256(b"good")


async def test_what_is_no_digest_is_refused(blobs: Blobs) -> None:
    with pytest.raises(BadRequest):
        await blobs.ingest(stage(blobs, b"x"), {"sha256": "nonsense"})


async def test_many_of_the_same_content_at_once_are_one(blobs: Blobs) -> None:
    stagings = [stage(blobs, b"same") for _ in range(20)]
    found: list[str] = []

    async def ingest(staging: str) -> None:
        found.append((await blobs.ingest(staging, {})).sha256)

    async with trio.open_nursery() as nursery:
        for staging in stagings:
            nursery.start_soon(ingest, staging)
    assert found == [sha256(b"same")] * 20
    assert not any(os.path.exists(blobs.staging_path(staging)) for staging in stagings)
    assert read(blobs, found[0]) == b"same"


async def test_hashing_ahead_changes_no_digest(blobs: Blobs) -> None:
    name, fd = blobs.create_staging()
    os.write(fd, b"abc")
    await blobs.hash_ahead(name, 2, ["md5"])
    os.write(fd, b"def")
    os.close(fd)
    done = await blobs.ingest(name, {"md5": hashlib.md5(b"abcdef").hexdigest()})
    assert done.sha256 == sha256(b"abcdef")


async def test_small_contents_come_in_together(blobs: Blobs) -> None:
    contents = [os.urandom(100 * number) for number in range(30)]
    assert await blobs.put_many([Content(sha256(content), content) for content in contents]) == [None] * 30
    assert [read(blobs, sha256(content)) for content in contents] == contents


async def test_what_is_open_cannot_be_written_and_stays_as_it_was(blobs: Blobs) -> None:
    await blobs.put_many([Content(sha256(b"fixed"), b"fixed")])
    fd = blobs.open(sha256(b"fixed"))
    try:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(fd, b"other")
        assert os.pread(fd, 100, 0) == b"fixed"
    finally:
        os.close(fd)
    assert read(blobs, sha256(b"fixed")) == b"fixed"


def test_what_is_not_there(blobs: Blobs) -> None:
    nothing = sha256(b"nothing")
    assert not blobs.exists(nothing)
    assert blobs.size(nothing) is None
    with pytest.raises(SourceFailed):
        blobs.open(nothing)


def test_staging_is_private_and_found_again_by_its_name(blobs: Blobs) -> None:
    name, fd = blobs.create_staging()
    os.write(fd, b"half")
    assert os.fstat(fd).st_mode & 0o777 == 0o600
    os.close(fd)
    again, fd = blobs.create_staging(name)
    assert again == name
    assert os.pread(fd, 10, 0) == b"half"
    os.close(fd)
    blobs.discard_staging(name)
    blobs.discard_staging(name)
    assert not os.path.exists(blobs.staging_path(name))


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "/etc/passwd"])
def test_a_name_from_outside_is_no_staging_path(blobs: Blobs, name: str) -> None:
    with pytest.raises(BadRequest):
        blobs.staging_path(name)


@pytest.mark.parametrize("size", [100_000, 20_000_000])  # in memory, and by way of staging
async def test_a_download_needs_no_path_of_its_content(tmp_path: Path, size: int) -> None:
    content, blobs = os.urandom(size), ObjectBlobs(tmp_path)
    async with fault_server() as server, open_catalogue(str(tmp_path / "catalogue.sqlite")) as catalogue:
        manager = TransferManager(catalogue, blobs, QUICK)
        here = Rig(catalogue, blobs, manager, tmp_path)
        async with here.running():
            done = await here.until(await here.add(server.add("/file.bin", Resource(content))))
    assert (done.state, done.sha256) == (State.COMPLETE, sha256(content))
    assert read(blobs, sha256(content)) == content
