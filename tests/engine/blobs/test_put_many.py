"""The door in for small contents, many at a time."""

import hashlib
import os
import stat

import pytest

from engine.blobs import BlobStore
from engine.errors import StoreFull
from engine.ports import Content


@pytest.fixture
def store(tmp_path):
    return BlobStore(tmp_path)


def content(data):
    return Content(hashlib.sha256(data).hexdigest(), data)


async def test_each_gets_its_name_and_mode_and_staging_stays_empty(store, tmp_path):
    contents = [content(os.urandom(1000 * n)) for n in range(20)]
    assert await store.put_many(contents) == [None] * 20
    for one in contents:
        path = tmp_path / "blobs" / one.sha256[:2] / one.sha256
        assert path.read_bytes() == one.data
        assert stat.S_IMODE(path.stat().st_mode) == 0o440
    assert os.listdir(tmp_path / "staging") == []


async def test_what_is_there_is_not_written_again_unless_it_is_damaged(store):
    good, bad = content(b"good"), content(b"bad")
    await store.put_many([good, bad])
    os.chmod(store.path(bad.sha256), 0o600)
    os.truncate(store.path(bad.sha256), 1)
    inode = os.stat(store.path(good.sha256)).st_ino
    assert await store.put_many([good, bad, good]) == [None] * 3
    assert os.stat(store.path(good.sha256)).st_ino == inode
    with open(store.path(bad.sha256), "rb") as file:
        assert file.read() == b"bad"


async def test_a_failure_costs_no_other(store, tmp_path):
    contents = [content(bytes([n])) for n in range(8)]
    (tmp_path / "blobs" / contents[3].sha256[:2]).touch()  # no folder can be made here
    errors = await store.put_many(contents)
    assert isinstance(errors[3], OSError)
    assert errors[:3] + errors[4:] == [None] * 7
    assert [os.path.isfile(store.path(one.sha256)) for one in contents] == [True] * 3 + [False] + [True] * 4
    assert os.listdir(tmp_path / "staging") == []


async def test_a_full_disk_is_said_so(store, tmp_path, monkeypatch):
    import errno

    import engine.blobs.store as module

    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device", path)

    monkeypatch.setattr(module, "write_new", full)
    [error] = await store.put_many([content(b"x")])
    assert isinstance(error, StoreFull)
