"""One of the processes of bench.load: it tags, lists, reads, writes, renames and removes items of its own, knows what
must be found, and counts what is not. Run as a script with the Python library alone, so that 64 start quickly.

    worker.py MOUNT NUMBER SECONDS ARRIVING

A line "ready" when its folder is there; then it waits for a line; then, when the time is over, one JSON object.
"""

from __future__ import annotations

import errno
import json
import os
import random
import sys
import time
from collections.abc import Callable

ITEMS = 12  # of each process, in the middle
KINDS = ("a", "b", "c")
BLOCK = bytes(range(256)) * 16


def arriving(offset: int, length: int) -> bytes:
    """What every download holds."""
    start = offset % len(BLOCK)
    return (BLOCK * (length // len(BLOCK) + 2))[start : start + length]


class Worker:
    """`held`: name -> content as last closed; `tags`: name -> its tags."""

    def __init__(self, top: str, number: int, downloads: list[str]) -> None:
        self.random = random.Random(number)
        self.top = top
        self.me = f"w{number}"
        self.folder = f"{top}/files/{self.me}"
        self.downloads = downloads
        self.held: dict[str, bytes] = {}
        self.tags: dict[str, set[str]] = {}
        self.made = 0
        self.counts: dict[str, int] = {}
        self.errors: list[str] = []
        self.stale: list[str] = []
        self.times: dict[str, list[float]] = {"stat": [], "look-up": [], "readdir": [], "query": []}
        self.work: list[tuple[Callable[[], None], int]] = [
            (self.create, 10), (self.write, 10), (self.append, 6), (self.read, 12), (self.tag, 16), (self.stat, 16),
            (self.list_folder, 6), (self.list_query, 8), (self.look_up, 6), (self.rename, 4), (self.remove, 6),
            (self.read_arriving, 8),
        ]  # fmt: skip

    def begin(self) -> None:
        os.mkdir(self.folder)
        for kind in KINDS:
            os.mkdir(f"{self.top}/tags/{self.me}-{kind}")
        for _ in range(ITEMS):
            self.create()

    def run(self, seconds: float) -> None:
        doings, weights = zip(*self.work, strict=True)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for doing in self.random.choices(doings, weights, k=20):
                name = doing.__name__
                try:
                    doing()
                except OSError as error:
                    self.errors.append(f"{name}: {error}")
                self.counts[name] = self.counts.get(name, 0) + 1

    def timed(self, what: str, call: Callable[[], object]) -> object:
        started = time.perf_counter()
        done = call()
        self.times[what].append(time.perf_counter() - started)
        return done

    def expect(self, what: str, found: object, expected: object) -> None:
        if found != expected:
            self.stale.append(f"{self.me} {what}: {found!r:.200} instead of {expected!r:.200}")

    def some(self) -> str | None:
        return self.random.choice(sorted(self.held)) if self.held else None

    def data(self) -> bytes:
        return self.random.randbytes(self.random.choice((0, 10, 1000, 20_000)))

    # -- what it does ------------------------------------------------------------------------------------------

    def create(self) -> None:
        if len(self.held) > 2 * ITEMS:
            self.remove()
        self.made += 1
        name, data = f"{self.made}.dat", self.data()
        with open(f"{self.folder}/{name}", "xb") as file:
            file.write(data)
        self.held[name], self.tags[name] = data, set()

    def write(self) -> None:
        if (name := self.some()) is not None:
            data = self.data()
            with open(f"{self.folder}/{name}", "wb") as file:
                file.write(data)
            self.held[name] = data

    def append(self) -> None:
        if (name := self.some()) is not None:
            more = self.random.randbytes(100)
            with open(f"{self.folder}/{name}", "ab") as file:
                file.write(more)
            self.held[name] += more

    def read(self) -> None:
        if (name := self.some()) is not None:
            with open(f"{self.folder}/{name}", "rb") as file:
                self.expect(f"content of {name}", file.read() == self.held[name], True)

    def tag(self) -> None:
        if (name := self.some()) is not None:
            kind = self.random.choice(KINDS)
            on = kind not in self.tags[name]
            value = f"{'+' if on else '-'}{self.me}-{kind}"
            os.setxattr(f"{self.folder}/{name}", "user.xdg.tags", value.encode())
            (self.tags[name].add if on else self.tags[name].remove)(kind)

    def stat(self) -> None:
        if (name := self.some()) is not None:
            status = self.timed("stat", lambda: os.stat(f"{self.folder}/{name}"))
            assert isinstance(status, os.stat_result)
            self.expect(f"size of {name}", status.st_size, len(self.held[name]))

    def list_folder(self) -> None:
        found = self.timed("readdir", lambda: os.listdir(self.folder))
        assert isinstance(found, list)
        self.expect("folder", sorted(found), sorted(self.held))

    def list_query(self) -> None:
        kind, other = self.random.sample(KINDS, 2)
        with_kind = {name for name, tags in self.tags.items() if kind in tags}
        with_other = {name for name, tags in self.tags.items() if other in tags}
        path, expected = self.random.choice(
            (
                (f"{self.me}-{kind}", with_kind),
                (f"{self.me}-{kind}/{self.me}-{other}", with_kind & with_other),
                (f"{self.me}-{kind}/-/{self.me}-{other}", with_kind - with_other),
                (f"{self.me}-{kind}/+/{self.me}-{other}", with_kind | with_other),
            )
        )
        found = self.timed("query", lambda: os.listdir(f"{self.top}/tags/{path}"))
        assert isinstance(found, list)
        self.expect(path, sorted(found), sorted(expected))

    def look_up(self) -> None:
        kind = self.random.choice(KINDS)
        if (name := self.some()) is not None:
            path = f"{self.top}/tags/{self.me}-{kind}/{name}"
            found = self.timed("look-up", lambda: os.path.exists(path))
            self.expect(f"{name} in {kind}", found, kind in self.tags[name])

    def rename(self) -> None:
        if (name := self.some()) is not None:
            self.made += 1
            new = f"{self.made}.new"
            os.rename(f"{self.folder}/{name}", f"{self.folder}/{new}")
            self.held[new], self.tags[new] = self.held.pop(name), self.tags.pop(name)
            self.expect(f"old name {name}", os.path.exists(f"{self.folder}/{name}"), False)

    def remove(self) -> None:
        if (name := self.some()) is not None:
            os.unlink(f"{self.folder}/{name}")
            del self.held[name], self.tags[name]
            self.expect(f"removed {name}", os.path.exists(f"{self.folder}/{name}"), False)

    def read_arriving(self) -> None:
        """What is here of a download is right; what is not is EAGAIN, since it does not wait."""
        descriptor = os.open(f"{self.top}/files/{self.random.choice(self.downloads)}", os.O_RDONLY | os.O_NONBLOCK)
        try:
            size = os.fstat(descriptor).st_size
            offset = self.random.randrange(max(1, size // 4))
            data = os.pread(descriptor, 4096, offset)
            self.expect(f"download at {offset}", data == arriving(offset, len(data)), True)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
        finally:
            os.close(descriptor)


def main() -> None:
    top, number, seconds, downloads = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    worker = Worker(top, number, [f"arriving-{count}" for count in range(downloads)] or ["none"])
    if not downloads:
        worker.work = [(doing, weight) for doing, weight in worker.work if doing.__name__ != "read_arriving"]
    worker.begin()
    print("ready", flush=True)
    sys.stdin.readline()
    worker.run(seconds)
    for times in worker.times.values():
        times.sort()
    print(
        json.dumps({
            "counts": worker.counts, "errors": worker.errors, "stale": worker.stale,
            "times": {what: [round(one * 1e6) for one in times] for what, times in worker.times.items()},
        })
    )  # fmt: skip


if __name__ == "__main__":
    main()
