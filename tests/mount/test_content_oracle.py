"""One file against plain bytes, as fsx does: whoever writes, cuts, maps or reads it sees what he should.

The model: the content that readers get who open the file now, the content of the open draft, and what each handle that
is open for reading had when it was opened. All that the kernel caches is in between.
"""

from __future__ import annotations

import mmap
import os
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.mount.conftest import Mount

LIMIT = 300_000
STEPS = 400


@dataclass
class Reader:
    descriptor: int
    content: bytes


class Oracle:
    """`shown`: of who opens it for reading; `draft`: of all writers, None while nobody has it open for writing."""

    def __init__(self, mount: Mount, rng: random.Random) -> None:
        self.path: Path = mount / "files/f"
        self.other: Path = mount / "tags/a/f"
        self.mount = mount
        self.rng = rng
        self.shown = b""
        self.draft: bytearray | None = None
        self.writers: list[int] = []
        self.direct: set[int] = set()  # writers that may have to do without the page cache
        self.appending: set[int] = set()  # writers whose every write goes to the end
        self.readers: list[Reader] = []

    def step(self) -> None:
        moves = [self.open_writer, self.open_reader, self.truncate_path, self.look, self.append, self.rewrite]
        if self.writers:
            moves += [self.write, self.write, self.write, self.cut, self.read_back, self.map, self.close_writer]
        if self.readers:
            moves += [self.read, self.read, self.read_map, self.close_reader]
        self.rng.choice(moves)()

    # -- writers

    def _begin(self) -> bytearray:
        if self.draft is None:
            self.draft = bytearray(self.shown)
        return self.draft

    def _end(self) -> None:
        if not self.writers and self.draft is not None:
            self.shown, self.draft = bytes(self.draft), None

    def open_writer(self) -> None:
        if len(self.writers) < 3:
            flags = os.O_RDWR | self.rng.choice([0, 0, os.O_TRUNC, os.O_APPEND])
            if flags & os.O_TRUNC and any(len(reader.content) for reader in self.readers):
                flags = os.O_RDWR  # the size is one for all: who reads the old content would see less of it
            draft = self._begin()
            if flags & os.O_TRUNC:
                draft.clear()
            self.writers.append(os.open(self.path, flags))
            if self.readers:
                self.direct.add(self.writers[-1])
            if flags & os.O_APPEND:
                self.appending.add(self.writers[-1])

    def write(self) -> None:
        draft, descriptor = self._begin(), self.rng.choice(self.writers)
        offset = self.rng.randrange(LIMIT)
        if descriptor in self.appending:
            offset = len(draft)
            if offset > 2 * LIMIT:
                return
        data = self.rng.randbytes(self.rng.choice([1, 100, 4096, 5000, 70_000]))
        if offset > len(draft):
            draft.extend(bytes(offset - len(draft)))
        draft[offset : offset + len(data)] = data
        assert os.pwrite(descriptor, data, 0 if descriptor in self.appending else offset) == len(data)

    def cut(self) -> None:
        size = self._size()
        os.ftruncate(self.rng.choice(self.writers), size)
        self._resize(size)

    def truncate_path(self) -> None:
        size = self._size()
        os.truncate(self.path, size)
        self._resize(size)
        self._end()

    def _size(self) -> int:
        """Not below what somebody reads."""
        return max(self.rng.randrange(LIMIT), *(len(reader.content) for reader in self.readers), 0)

    def _resize(self, size: int) -> None:
        draft = self._begin()
        if size < len(draft):
            del draft[size:]
        else:
            draft.extend(bytes(size - len(draft)))

    def append(self) -> None:
        data = self.rng.randbytes(self.rng.choice([1, 5000]))
        draft = self._begin()
        if len(draft) > 2 * LIMIT:
            self._end()
            return
        with self.other.open("ab") as file:
            file.write(data)
        draft.extend(data)
        self._end()

    def rewrite(self) -> None:
        """By a file that takes its place. Who writes to it goes on with what is in the trash then."""
        if self.writers or any(len(reader.content) > 1000 for reader in self.readers):
            return
        data = self.rng.randbytes(self.rng.choice([1000, 100_000]))
        new = self.path.with_name("new")
        new.write_bytes(data)
        if self.rng.random() < 0.5:
            self.mount.settle(new)
        os.rename(new, self.path)
        self.shown = data

    def map(self) -> None:
        """A shared mapping needs the page cache, which writers have unless somebody reads another content with it."""
        draft = self._begin()
        if len(draft) < 10:
            return
        descriptor = self.rng.choice(self.writers)
        try:
            with mmap.mmap(descriptor, 0) as mapped:
                offset = self.rng.randrange(len(draft) - 5)
                assert mapped[: len(draft)] == draft
                mapped[offset : offset + 5] = draft[offset : offset + 5] = self.rng.randbytes(5)
        except OSError as error:
            assert error.strerror == "No such device", error
            assert descriptor in self.direct

    def read_back(self) -> None:
        descriptor = self.rng.choice(self.writers)
        assert os.fstat(descriptor).st_size == len(self._begin())
        assert os.pread(descriptor, 2**20, 0) == self._begin()

    def close_writer(self) -> None:
        descriptor = self.writers.pop(self.rng.randrange(len(self.writers)))
        if self.rng.random() < 0.3:
            os.fsync(descriptor)
        os.close(descriptor)
        self.direct.discard(descriptor)
        self.appending.discard(descriptor)
        self._end()

    # -- readers

    def open_reader(self) -> None:
        if len(self.readers) < 3:
            self.readers.append(Reader(os.open(self.other, os.O_RDONLY), self.shown))

    def read(self) -> None:
        reader = self.rng.choice(self.readers)
        offset = self.rng.randrange(LIMIT)
        length = self.rng.choice([10, 5000, 200_000])
        expected = reader.content[offset : offset + length]
        found = os.pread(reader.descriptor, length, offset)
        assert found.startswith(expected)
        # Behind the end of the old content there is nothing, or zeros as far as the file is long now: the kernel knows
        # one size, and fills up what ends before it.
        assert found[len(expected) :].strip(b"\0") == b""

    def read_map(self) -> None:
        reader = self.rng.choice(self.readers)
        if self.writers or not 0 < len(reader.content) <= os.fstat(reader.descriptor).st_size:
            return
        if any(other.content != reader.content for other in self.readers):
            return  # what a private mapping of one content does to readers of another is documented
        with mmap.mmap(reader.descriptor, len(reader.content), mmap.MAP_PRIVATE, mmap.PROT_READ) as mapped:
            assert mapped[:] == reader.content

    def close_reader(self) -> None:
        os.close(self.readers.pop(self.rng.randrange(len(self.readers))).descriptor)

    def look(self) -> None:
        if not self.writers:
            assert self.path.read_bytes() == self.other.read_bytes() == self.shown
            assert self.path.stat().st_size == len(self.shown)
        else:
            descriptor = os.open(self.path, os.O_RDONLY)
            assert os.pread(descriptor, 2**20, 0) == self.shown
            os.close(descriptor)

    def finish(self) -> None:
        while self.writers:
            self.close_writer()
        while self.readers:
            self.read()
            self.close_reader()
        self.look()
        self.mount.settle(self.path)
        self.look()


@pytest.mark.parametrize("seed", [int(seed) for seed in os.environ.get("TAGFS_SEED", "0 1 2").split()])
def test_one_file_against_plain_bytes(mount: Mount, seed: int) -> None:
    (mount / "tags/a").mkdir()
    oracle = Oracle(mount, random.Random(seed))
    mount.put("tags/a/f", b"")
    for number in range(STEPS):
        try:
            oracle.step()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, step {number}") from error
    oracle.finish()
    mount.tagfs("verify", "--data")
    assert os.listdir(mount.state / "staging") == []
