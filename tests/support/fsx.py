"""Random reads, writes, cuts and maps of one file, each held against a copy in memory, as fsx does it.

    check(path, seed=1, steps=1000)      # raises Mismatch, with the last steps, when the file is not what it must be

All goes through `Calls`, so that a test can plant faults in it and see that they are found (`FAULTS`).
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import random
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

PAGE: Final = 4096
LARGEST: Final = 73 * PAGE  # beyond two requests of the kernel


class Mismatch(AssertionError):
    """The file is not what was written."""


class Calls:
    """What is done to the file. Buffers are mapped pages, since O_DIRECT wants them."""

    def pread(self, descriptor: int, length: int, offset: int) -> bytes:
        with mmap.mmap(-1, max(length, PAGE)) as buffer:
            count = os.preadv(descriptor, [memoryview(buffer)[:length]], offset)
            return buffer[:count]

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> None:
        with mmap.mmap(-1, max(len(data), PAGE)) as buffer:
            buffer[: len(data)] = data
            done = os.pwrite(descriptor, memoryview(buffer)[: len(data)], offset)
            if done != len(data):
                raise Mismatch(f"only {done} of {len(data)} bytes were written")

    def append(self, path: Path, data: bytes) -> None:
        with path.open("ab", buffering=0) as file:
            file.write(data)

    def truncate(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)

    def map_read(self, descriptor: int, length: int, offset: int) -> bytes:
        with mmap.mmap(descriptor, offset + length, prot=mmap.PROT_READ) as mapped:
            return mapped[offset : offset + length]

    def map_write(self, descriptor: int, data: bytes, offset: int) -> None:
        with mmap.mmap(descriptor, offset + len(data)) as mapped:
            mapped[offset : offset + len(data)] = data
            mapped.flush()

    def size(self, descriptor: int) -> int:
        return os.fstat(descriptor).st_size


class Run:
    """`shadow` is what the file must hold. A session is one descriptor, buffered or direct, until it is closed."""

    def __init__(self, path: Path, seed: int, calls: Calls, settle: Callable[[], object], direct: float) -> None:
        self.path = path
        self.shadow = bytearray()
        self.random = random.Random(seed)
        self.calls = calls
        self.settle = settle
        self.steps: deque[str] = deque(maxlen=12)
        self.descriptor = -1
        self.direct = False
        self.share = direct

    def __call__(self, steps: int) -> None:
        self._open(os.O_CREAT)
        work = [
            (self._read, 25), (self._write, 25), (self._truncate, 8), (self._map_read, 8), (self._map_write, 8),
            (self._append, 5), (self._reopen, 5), (self._look, 8), (self._sync, 2), (self._rename, 2), (self._cut, 1),
        ]  # fmt: skip
        doings, weights = zip(*work, strict=True)
        try:
            for doing in self.random.choices(doings, weights, k=steps):
                doing()
                self._same_size()
            self._close()
        finally:
            if self.descriptor >= 0:
                os.close(self.descriptor)

    def _say(self, step: str) -> None:
        self.steps.append(step)

    def _same(self, found: bytes, offset: int, length: int, how: str) -> None:
        expected = self.shadow[offset : offset + length]
        if found == expected:
            return
        pairs = enumerate(zip(found, expected, strict=False))
        at = next((n for n, (one, other) in pairs if one != other), min(len(found), len(expected)))
        raise Mismatch(
            f"{how} of {length} at {offset}: {len(found)} bytes instead of {len(expected)}, wrong from {offset + at}"
            f" on, after {list(self.steps)}"
        )

    def _same_size(self) -> None:
        size = self.calls.size(self.descriptor)
        if size != len(self.shadow):
            raise Mismatch(f"{size} bytes long instead of {len(self.shadow)}, after {list(self.steps)}")

    def _span(self, largest: int = LARGEST) -> tuple[int, int]:
        """Length and offset, of which many lie at the edges of pages and of the file."""
        choose = self.random.choice
        offset = choose((0, len(self.shadow), self.random.randrange(largest), self.random.randrange(0, largest, PAGE)))
        length = choose((1, PAGE, self.random.randrange(1, 2 * PAGE), self.random.randrange(1, 150_000)))
        if self.direct:
            offset, length = offset // PAGE * PAGE, -(-length // PAGE) * PAGE
        offset = min(offset, largest)
        return max(1, min(length, LARGEST - offset)) if not self.direct else length, offset

    def _data(self, length: int) -> bytes:
        return self.random.randbytes(length)

    def _put(self, data: bytes, offset: int) -> None:
        """What was written is looked at as often as not: later steps may write over it."""
        self.shadow.extend(bytes(max(0, offset - len(self.shadow))))
        self.shadow[offset : offset + len(data)] = data
        self._look_back(offset, len(data))

    def _look_back(self, offset: int, length: int) -> None:
        if self.random.random() < 0.5:
            start = max(0, offset - PAGE) // PAGE * PAGE
            around = -(-(offset + length + PAGE - start) // PAGE) * PAGE
            self._same(self.calls.pread(self.descriptor, around, start), start, around, "read back")

    # -- steps -------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        length, offset = self._span()
        self._say(f"read {length} at {offset}")
        self._same(self.calls.pread(self.descriptor, length, offset), offset, length, "read")

    def _write(self) -> None:
        length, offset = self._span()
        self._say(f"write {length} at {offset}")
        data = self._data(length)
        self.calls.pwrite(self.descriptor, data, offset)
        self._put(data, offset)

    def _truncate(self) -> None:
        size = self.random.choice((0, self.random.randrange(LARGEST), self.random.randrange(0, LARGEST, PAGE)))
        before = len(self.shadow)
        self._say(f"truncate to {size}")
        self.calls.truncate(self.descriptor, size)
        del self.shadow[size:]
        self.shadow.extend(bytes(size - len(self.shadow)))
        self._look_back(min(before, size), abs(before - size))

    def _map_read(self) -> None:
        if self.direct or not self.shadow:
            return
        offset = self.random.randrange(len(self.shadow))
        length = self.random.randint(1, len(self.shadow) - offset)
        self._say(f"mapped read {length} at {offset}")
        self._same(self.calls.map_read(self.descriptor, length, offset), offset, length, "mapped read")

    def _map_write(self) -> None:
        if self.direct or not self.shadow:
            return
        offset = self.random.randrange(len(self.shadow))
        data = self._data(self.random.randint(1, min(len(self.shadow) - offset, 20_000)))
        self._say(f"mapped write {len(data)} at {offset}")
        self.calls.map_write(self.descriptor, data, offset)
        self._put(data, offset)

    def _append(self) -> None:
        data = self._data(self.random.randint(1, 5000))
        self._say(f"append {len(data)} at {len(self.shadow)}")
        self.calls.append(self.path, data)
        self._put(data, len(self.shadow))
        if len(self.shadow) > LARGEST:
            self._truncate()

    def _look(self) -> None:
        """What others do meanwhile: list the folder, with all attributes."""
        self._say("list")
        with os.scandir(self.path.parent) as listed:
            for entry in listed:
                entry.stat()

    def _sync(self) -> None:
        self._say("fsync")
        os.fsync(self.descriptor)

    def _rename(self) -> None:
        other = self.path.with_name("g" if self.path.name == "f" else "f")
        self._say(f"rename to {other.name}")
        os.rename(self.path, other)
        self.path = other

    def _cut(self) -> None:
        self._say("open with O_TRUNC")
        self._close()
        self._open(os.O_TRUNC)
        self.shadow.clear()

    def _reopen(self) -> None:
        self._close()
        self._open()

    def _open(self, flags: int = 0) -> None:
        self.direct = self.random.random() < self.share
        self._say("open directly" if self.direct else "open")
        self.descriptor = os.open(self.path, os.O_RDWR | flags | (os.O_DIRECT if self.direct else 0), 0o644)

    def _close(self) -> None:
        self._same(self.calls.pread(self.descriptor, LARGEST * 2, 0), 0, LARGEST * 2, "read of all")
        os.close(self.descriptor)
        self.descriptor = -1
        self._say("close")
        for _ in range(2):
            found = self.path.read_bytes()
            self._same(found, 0, LARGEST * 2, "read after the close")
            if self.random.random() < 0.7:
                break
            self._say("stored")
            self.settle()


def check(
    path: Path,
    *,
    seed: int,
    steps: int,
    calls: Calls | None = None,
    settle: Callable[[], object] = lambda: None,
    direct: float = 0.4,
) -> str:
    """`settle` waits until what was written is stored; `direct`: the share of sessions with O_DIRECT. The hash of what
    the file holds in the end."""
    run = Run(path, seed, calls or Calls(), settle, direct)
    run(steps)
    return hashlib.sha256(run.shadow).hexdigest()


# -- planted faults ----------------------------------------------------------------------------------------------------


class Faulty(Calls):
    """Does one of `every` wrong, and all others well."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._chances = 0

    def due(self) -> bool:
        self._chances += 1
        return self._chances % self._every == 0


class ShortRead(Faulty):
    def pread(self, descriptor: int, length: int, offset: int) -> bytes:
        data = super().pread(descriptor, length, offset)
        return data[:-1] if data and self.due() else data


class FlippedByte(Faulty):
    def pread(self, descriptor: int, length: int, offset: int) -> bytes:
        data = super().pread(descriptor, length, offset)
        return bytes([data[0] ^ 1]) + data[1:] if data and self.due() else data


class FlippedInMap(Faulty):
    def map_read(self, descriptor: int, length: int, offset: int) -> bytes:
        data = super().map_read(descriptor, length, offset)
        return data[:-1] + bytes([data[-1] ^ 128]) if self.due() else data


class LostWrite(Faulty):
    def pwrite(self, descriptor: int, data: bytes, offset: int) -> None:
        if not self.due():
            super().pwrite(descriptor, data, offset)


class LostTail(Faulty):
    """The last byte of a write is not there."""

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> None:
        super().pwrite(descriptor, data[:-1] if len(data) > 1 and self.due() else data, offset)


class MisplacedWrite(Faulty):
    def pwrite(self, descriptor: int, data: bytes, offset: int) -> None:
        super().pwrite(descriptor, data, offset + PAGE if self.due() else offset)


class LostMapWrite(Faulty):
    def map_write(self, descriptor: int, data: bytes, offset: int) -> None:
        if not self.due():
            super().map_write(descriptor, data, offset)


class AppendInside(Faulty):
    """As when somebody else's idea of the size is older."""

    def append(self, path: Path, data: bytes) -> None:
        if not (path.stat().st_size > 5 and self.due()):
            super().append(path, data)
            return
        with path.open("r+b", buffering=0) as file:
            file.seek(-5, os.SEEK_END)
            file.write(data)


class TailComesBack(Faulty):
    """What was cut off is there again when the file grows."""

    def truncate(self, descriptor: int, size: int) -> None:
        before = self.size(descriptor)
        super().truncate(descriptor, size)
        if size > before and self.due():
            os.pwrite(descriptor, b"\1", before)


FAULTS: Final = (
    ShortRead, FlippedByte, FlippedInMap, LostWrite, LostTail, MisplacedWrite, LostMapWrite, AppendInside,
    TailComesBack,
)  # fmt: skip


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Says in a failure which seed it was."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error
