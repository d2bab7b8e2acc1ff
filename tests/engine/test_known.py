"""Content in the store is found by digests that were never asked for before."""

import hashlib
import os

from engine.blobs import BlobStore
from engine.catalogue import open_catalogue
from engine.disk import Disk
from engine.known import known, recorded
from engine.ports import NewItem

CONTENT = os.urandom(10_000)


def sha512(content):
    return {"sha512": hashlib.sha512(content).hexdigest()}


async def stored(catalogue, store, content):
    name, fd = store.create_staging()
    os.write(fd, content)
    os.close(fd)
    blob = await store.ingest(name, {})
    await catalogue.add(NewItem("x", size=blob.size, sha256=blob.sha256))
    return blob.sha256


async def test_by_any_strong_digest_of_content_of_that_size(tmp_path):
    async with open_catalogue(str(tmp_path / "catalogue.sqlite")) as catalogue:
        store, disk = BlobStore(tmp_path), Disk()
        await stored(catalogue, store, os.urandom(len(CONTENT)))
        sha256 = await stored(catalogue, store, CONTENT)
        await stored(catalogue, store, CONTENT[:-1])
        assert recorded(catalogue, store, sha512(CONTENT), len(CONTENT)) is None
        assert await known(catalogue, store, disk, sha512(CONTENT), None) is None
        assert await known(catalogue, store, disk, sha512(CONTENT[:-1]), len(CONTENT)) is None
        found = await known(catalogue, store, disk, sha512(CONTENT), len(CONTENT))
        assert found.sha256 == sha256
        assert recorded(catalogue, store, sha512(CONTENT), None) == found  # it is known from now on
        assert recorded(catalogue, store, sha512(CONTENT), 5) is None


async def test_not_by_a_digest_with_known_collisions(tmp_path):
    async with open_catalogue(str(tmp_path / "catalogue.sqlite")) as catalogue:
        store, disk = BlobStore(tmp_path), Disk()
        await stored(catalogue, store, CONTENT)
        digests = {"md5": hashlib.md5(CONTENT).hexdigest(), "sha1": hashlib.sha1(CONTENT).hexdigest()}
        assert await known(catalogue, store, disk, digests, len(CONTENT)) is None


async def test_a_blob_whose_file_is_gone_is_not_found(tmp_path):
    async with open_catalogue(str(tmp_path / "catalogue.sqlite")) as catalogue:
        store, disk = BlobStore(tmp_path), Disk()
        sha256 = await stored(catalogue, store, CONTENT)
        os.unlink(store.path(sha256))
        assert await known(catalogue, store, disk, sha512(CONTENT), len(CONTENT)) is None
        assert await known(catalogue, store, disk, {"sha256": sha256}, len(CONTENT)) is None
