"""File primitives."""

import errno
import os

import pytest

from engine.disk import Disk, clone_or_copy, open_regular, read_at, read_cached, write_at
from engine.errors import StoreFull


@pytest.fixture
def fd(tmp_path):
    fd = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def test_reads_what_was_written(fd):
    write_at(fd, b"hello world", 5)
    assert read_at(fd, 5, 100) == b"hello world"
    assert read_at(fd, 0, 6) == b"\0\0\0\0\0h"
    assert read_at(fd, 100, 5) == b""
    assert read_cached(fd, 5, 5) in (b"hello", None)  # None: a file system that cannot tell
    assert read_cached(fd, 5, 500) in (b"hello world", None)  # to the end of the file


def test_a_full_disk_is_a_sentence():
    fd = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(StoreFull, match="no space left"):
            write_at(fd, b"x", 0)
    finally:
        os.close(fd)


async def test_a_full_disk_in_a_thread_is_a_sentence_and_other_errors_pass():
    def fail(code):
        raise OSError(code, "injected")

    disk = Disk()
    with pytest.raises(StoreFull):
        await disk.run(fail, errno.EDQUOT)
    with pytest.raises(OSError, match="injected"):
        await disk.run(fail, errno.EIO)


def test_copies_between_file_systems(tmp_path, fd):
    write_at(fd, b"x" * 3_000_000, 0)
    target = os.memfd_create("other")
    try:
        assert clone_or_copy(fd, target) == 3_000_000
        assert read_at(target, 0, 4_000_000) == b"x" * 3_000_000
    finally:
        os.close(target)


def test_only_regular_files_open(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", "."):
        with pytest.raises(OSError, match="regular"):
            open_regular(str(tmp_path / name))
