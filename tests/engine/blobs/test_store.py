"""The blob store: one door in, dedup, staging."""

import hashlib
import os
import stat
import subprocess
import sys

import pytest
import trio

from engine.blobs import BlobStore
from engine.errors import BadRequest, DigestMismatch, SourceFailed


@pytest.fixture
def store(tmp_path):
    return BlobStore(tmp_path)


def stage(store, content):
    name, fd = store.create_staging()
    os.write(fd, content)
    os.close(fd)
    return name


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def staged(store, tmp_path):
    return sorted(os.listdir(tmp_path / "staging"))


async def test_content_gets_its_name_mode_and_leaves_staging(store, tmp_path):
    content = os.urandom(3 << 20)
    done = await store.ingest(stage(store, content), {})
    assert (done.sha256, done.size, done.digests) == (sha256(content), len(content), {"sha256": sha256(content)})
    path = tmp_path / "blobs" / done.sha256[:2] / done.sha256
    assert store.path(done.sha256) == str(path)
    assert path.read_bytes() == content
    assert stat.S_IMODE(path.stat().st_mode) == 0o440
    assert store.exists(done.sha256)
    assert store.size(done.sha256) == len(content)
    assert staged(store, tmp_path) == []
    assert await store.stored() == [done.sha256]


async def test_empty_content(store):
    done = await store.ingest(stage(store, b""), {})
    assert (done.sha256, done.size) == (sha256(b""), 0)


async def test_every_promised_digest_is_compared_and_reported(store):
    promised = {name: hashlib.new(name, b"x").hexdigest() for name in ("md5", "sha1", "sha256", "sha512")}
    done = await store.ingest(stage(store, b"x"), {name: digest.upper() for name, digest in promised.items()})
    assert done.digests == promised


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512"])
async def test_a_broken_promise_leaves_staging_as_it_was(store, tmp_path, algorithm):
    name = stage(store, b"x")
    with pytest.raises(DigestMismatch):
        await store.ingest(name, {algorithm: hashlib.new(algorithm, b"y").hexdigest()})
    assert staged(store, tmp_path) == [name]
    assert await store.stored() == []
    assert (await store.ingest(name, {})).sha256 == sha256(b"x")


@pytest.mark.parametrize("digests", [{"sha256": "12"}, {"crc32": "00000000"}, {"md5": "z" * 32}])
async def test_what_is_no_digest_is_a_bad_request(store, digests):
    with pytest.raises(BadRequest):
        await store.ingest(stage(store, b"x"), digests)


async def test_the_same_content_twice_is_stored_once(store, tmp_path):
    first = await store.ingest(stage(store, b"same"), {})
    inode = os.stat(store.path(first.sha256)).st_ino
    assert await store.ingest(stage(store, b"same"), {}) == first
    assert os.stat(store.path(first.sha256)).st_ino == inode
    assert staged(store, tmp_path) == []


async def test_many_at_once_of_the_same_content(store, tmp_path):
    names = [stage(store, b"same") for _ in range(20)]
    results = []

    async def ingest(name):
        results.append(await store.ingest(name, {}))

    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(ingest, name)
    assert len({r.sha256 for r in results}) == 1
    assert staged(store, tmp_path) == []
    assert store._doors == {}


async def test_a_stored_file_of_another_size_is_no_duplicate_but_is_replaced(store):
    done = await store.ingest(stage(store, b"content"), {})
    path = store.path(done.sha256)
    os.chmod(path, 0o600)
    with open(path, "wb") as file:
        file.write(b"con")
    await store.ingest(stage(store, b"content"), {})
    with open(path, "rb") as file:
        assert file.read() == b"content"


async def test_hashing_ahead_gives_the_same_digest(store):
    content = os.urandom(5 << 20)
    name, fd = store.create_staging()
    os.truncate(fd, len(content))  # sparse, as a download leaves it
    for start in range(0, len(content), 1 << 20):
        os.pwrite(fd, content[start : start + (1 << 20)], start)
        await store.hash_ahead(name, start + (1 << 20) - 17, {"md5"})
    os.close(fd)
    done = await store.ingest(name, {"md5": hashlib.md5(content).hexdigest()})
    assert done.sha256 == sha256(content)


async def test_hashing_ahead_for_other_digests_starts_over(store):
    name = stage(store, b"abc" * 1000)
    await store.hash_ahead(name, 1000, set())
    done = await store.ingest(name, {"sha1": hashlib.sha1(b"abc" * 1000).hexdigest()})
    assert done.sha256 == sha256(b"abc" * 1000)


async def test_open_reads_and_never_writes(store):
    done = await store.ingest(stage(store, b"content"), {})
    fd = store.open(done.sha256)
    try:
        assert os.pread(fd, 100, 0) == b"content"
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.pwrite(fd, b"x", 0)
    finally:
        os.close(fd)


def test_what_is_not_there(store):
    with pytest.raises(SourceFailed):
        store.open("0" * 64)
    assert not store.exists("0" * 64)
    assert not store.exists("../../etc/passwd")
    assert store.size("x") is None


@pytest.mark.parametrize("name", ["..", "a/b", "", "../../etc/passwd", "A" * 64, "0" * 63])
def test_names_from_outside_never_become_paths(store, name):
    with pytest.raises(BadRequest):
        store.path(name)
    if name != "0" * 63:
        with pytest.raises(BadRequest):
            store.staging_path(name)


def test_staging_is_private_and_reopens_by_name(store):
    name, fd = store.create_staging()
    os.write(fd, b"half")
    os.close(fd)
    assert stat.S_IMODE(os.stat(store.staging_path(name)).st_mode) == 0o600
    again, fd = store.create_staging(name)
    assert (again, os.read(fd, 10)) == (name, b"half")
    os.close(fd)


def test_a_symlink_in_staging_is_not_followed(store, tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    os.symlink(victim, store.staging_path("abc"))
    with pytest.raises(OSError, match="symbolic"):
        store.create_staging("abc")


async def test_sweep_keeps_what_is_owned(store, tmp_path):
    kept, gone = stage(store, b"1"), stage(store, b"2")
    for name in (f"{kept}.live", f"{gone}.live", "abc.gone"):
        os.close(store.create_staging(name)[1])
    assert await store.sweep({kept}) == sorted([gone, f"{gone}.live", "abc.gone"])
    assert staged(store, tmp_path) == sorted([kept, f"{kept}.live"])


def test_discarding_twice_is_fine(store):
    name = stage(store, b"x")
    store.discard_staging(name)
    store.discard_staging(name)


INGEST = """
import sys, os, trio
from engine.blobs import BlobStore
store = BlobStore(sys.argv[1])
name, fd = store.create_staging()
os.write(fd, b"content")
os.close(fd)
trio.run(store.ingest, name, {})
"""


@pytest.mark.parametrize("where", ["ingest.hashed", "ingest.fsynced", "ingest.renamed", "ingest.placed"])
async def test_killed_anywhere_in_the_door_leaves_no_half_blob(tmp_path, where):
    killed = subprocess.run(
        [sys.executable, "-c", INGEST, str(tmp_path)], env={**os.environ, "TAGFS_KILL_AT": where}, cwd=os.getcwd()
    )
    assert killed.returncode == -9
    store = BlobStore(tmp_path)
    for digest in await store.stored():
        with open(store.path(digest), "rb") as file:
            assert sha256(file.read()) == digest
    await store.sweep(())
    assert staged(store, tmp_path) == []
    assert (await store.ingest(stage(store, b"content"), {})).sha256 == sha256(b"content")
    assert await store.stored() == [sha256(b"content")]
