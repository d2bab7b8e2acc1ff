"""Reading what lies on the disk: from the page cache, after some looks into it, or in a thread."""

import errno
import os

import pytest
import trio

from tagfs.vfs import content
from tagfs.vfs.content import LOOKS, read_local

DATA = os.urandom(10_000)


@pytest.fixture
def fd(tmp_path):
    (tmp_path / "f").write_bytes(DATA)
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.fixture
def looks(monkeypatch):
    """The answers of the page cache, one a look, which a test appends; then that of the file."""
    said, real, counted = [], content.read_nowait, []

    def look(fd, offset, length):
        counted.append(offset)
        answer = said.pop(0) if said else real(fd, offset, length)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(content, "read_nowait", look)
    return said, counted


@pytest.fixture
def threads(monkeypatch):
    asked, real = [], trio.to_thread.run_sync

    async def run(function, *args):
        asked.append(args)
        return await real(function, *args)

    monkeypatch.setattr(trio.to_thread, "run_sync", run)
    return asked


async def test_what_the_disk_brings_while_the_loop_turns_needs_no_thread(fd, looks, threads):
    said, counted = looks
    said += [None, None, DATA[5:15]]
    assert await read_local(fd, 5, 10) == DATA[5:15]
    assert (len(counted), threads) == (3, [])


async def test_a_slow_disk_is_waited_for_in_a_thread(fd, looks, threads):
    said, counted = looks
    said += [None] * (LOOKS + 1)
    assert await read_local(fd, 9_000, 5_000) == DATA[9_000:]
    assert (len(counted), threads) == (LOOKS, [(fd, 9_000, 5_000)])


async def test_a_file_system_that_cannot_tell_is_looked_at_once(fd, looks, threads):
    said, counted = looks
    said.append(OSError(errno.EOPNOTSUPP, "cannot tell"))
    assert await read_local(fd, 0, 100) == DATA[:100]
    assert (len(counted), len(threads)) == (1, 1)


async def test_an_error_of_the_disk_is_told(fd, looks, threads):
    looks[0].append(OSError(errno.EIO, "bad sector"))
    with pytest.raises(OSError, match="bad sector"):
        await read_local(fd, 0, 100)
    assert threads == []
