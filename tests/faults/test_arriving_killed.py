"""Random reads of arriving files through a mount whose daemon is killed now and then: no byte is ever another one than
the server has (T-R8, I4). Buffered and by O_DIRECT. TAGFS_READS says how many, TAGFS_SEED which; the seed is printed.
"""

from __future__ import annotations

import mmap
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.support.nginx import Nginx, nginx
from tests.support.odd_mount import OddMount
from tests.support.promises_kept import DEAD

SIZE = 6_000_000
LONGEST = 200_000
READERS = 4  # of each kind
LIFE = (0.05, 1.5)  # seconds
RATE = "1m"  # of each connection


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Nginx]:
    (tmp_path / "served").mkdir()
    with nginx(tmp_path / "nginx", tmp_path / "served", limit_rate=RATE) as one:
        yield one


class Reader(threading.Thread):
    """Until the daemon is gone. `over`: it is, and who was slow to begin need not."""

    def __init__(self, path: Path, content: bytes, random: Random, over: threading.Event, *, direct: bool) -> None:
        super().__init__(daemon=True)
        self.path, self.content, self.random, self.direct = path, content, random, direct
        self.over = over
        self.reads = 0
        self.failure: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            fd = os.open(self.path, os.O_RDONLY | (os.O_DIRECT if self.direct else 0))
            while not self.over.is_set():
                self.read(fd)
                self.reads += 1
        except OSError as error:
            if error.errno not in DEAD and not self.over.is_set():
                self.failure = error
        except BaseException as error:
            self.failure = error

    def read(self, fd: int) -> None:
        """What the kernel asks for in parts ends early where the daemon dies between two of them: then the rest is
        asked for, which says so."""
        offset, length = self.random.randrange(SIZE), self.random.randrange(1, LONGEST)
        if self.direct:
            offset, length = offset // 4096 * 4096, (length // 4096 + 1) * 4096
        end = min(offset + length, SIZE)
        with mmap.mmap(-1, length) as page:  # aligned, as O_DIRECT may want it
            while offset < end:
                count = os.preadv(fd, [memoryview(page)[: end - offset]], offset)
                assert count, (offset, end)
                assert page[:count] == self.content[offset : offset + count], (offset, end, count)
                offset += count


def read_while_killed(odd: OddMount, served: Path, server: Nginx, count: int, *, seed: str) -> tuple[int, int]:
    """Until `count` reads; how many there were, and how many kills."""
    random = Random(seed)
    reads = kills = 0
    odd.config.write_text("[transfer]\nreserve = 0\n")
    odd.start()
    for number in range(1_000_000):
        content, name = random.randbytes(SIZE), f"f{number}"
        (served / name).write_bytes(content)
        with odd.connect() as client:
            client.call("add", {"urls": (server.url(name),)})
        for _ in range(3):
            over = threading.Event()
            readers = [
                Reader(odd / "files" / name, content, Random(random.random()), over, direct=direct)
                for direct in (False, True)
                for _ in range(READERS)
            ]
            assert odd.process is not None
            threading.Event().wait(random.uniform(*LIFE))
            assert odd.process.poll() is None, odd.log.read_text()
            odd.crash()
            over.set()
            kills += 1
            odd.start()
            for reader in readers:
                reader.join(60)
                assert not reader.is_alive()
                if reader.failure is not None:
                    raise AssertionError(f"{name} after {kills} kills") from reader.failure
                reads += reader.reads
        odd.wait_for(lambda name=name: os.getxattr(odd / "files" / name, "user.tagfs.state") == b"complete", 60)
        assert (odd / "files" / name).read_bytes() == content
        with odd.connect() as client:
            client.call("rm", {"items": (name,), "forever": True})
        (served / name).unlink()
        if reads >= count:
            return reads, kills
    raise AssertionError


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_reads_while_killed(odd: OddMount, tmp_path: Path, server: Nginx) -> None:
    seed, began = os.environ.get("TAGFS_SEED", "0"), time.monotonic()
    reads, kills = read_while_killed(
        odd, tmp_path / "served", server, int(os.environ.get("TAGFS_READS", "100000")), seed=seed
    )
    print(f"{reads} reads, {kills} kills, seed {seed}, {time.monotonic() - began:.0f} s")  # noqa: T201  # who runs it long
