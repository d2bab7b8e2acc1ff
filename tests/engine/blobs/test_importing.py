"""Copies of the user's files into staging."""

import os

import pytest
import trio

from engine.blobs import BlobStore
from engine.blobs.importing import stage_file
from engine.disk import COPY_STEP
from engine.errors import BadRequest


@pytest.fixture
def store(tmp_path):
    return BlobStore(tmp_path / "store")


async def test_a_file_is_copied_with_its_facts_and_progress(store, tmp_path):
    source = tmp_path / "film.mkv"
    source.write_bytes(os.urandom(COPY_STEP + 12345))
    os.utime(source, ns=(1, 1_600_000_000_123_456_789))
    source.chmod(0o640)
    seen = []
    staged = await stage_file(store, str(source), seen.append)
    assert (staged.size, staged.mtime_ns, staged.mode) == (COPY_STEP + 12345, 1_600_000_000_123_456_789, 0o640)
    assert seen == sorted(seen)
    assert seen[-1] == staged.size
    with open(store.staging_path(staged.name), "rb") as file:
        assert file.read() == source.read_bytes()
    assert source.exists()


async def test_what_is_no_regular_file_is_refused(store, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/etc/hostname")
    (tmp_path / "folder").mkdir()
    for name in ("fifo", "link", "folder", "missing"):
        with pytest.raises(BadRequest, match="cannot be imported"):
            await stage_file(store, str(tmp_path / name))
    assert os.listdir(tmp_path / "store" / "staging") == []


async def test_a_cancelled_import_leaves_nothing(store, tmp_path):
    source = tmp_path / "big"
    with open(source, "wb") as file:
        file.truncate(8 * COPY_STEP)
    with trio.CancelScope() as scope:

        def progress(_):
            scope.cancel()

        await stage_file(store, str(source), progress)
    assert os.listdir(tmp_path / "store" / "staging") == []


async def test_a_file_that_changes_meanwhile_is_refused(store, tmp_path):
    source = tmp_path / "log"
    source.write_bytes(b"x" * 100)

    def progress(_):
        os.utime(source, ns=(5, 5))

    with pytest.raises(BadRequest, match="changed"):
        await stage_file(store, str(source), progress)
