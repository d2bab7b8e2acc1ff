"""Files of a torrent that are chosen, many at once: what is counted of them, and how often."""

from __future__ import annotations

import random

import pytest

from engine.sources.torrent.config import TorrentConfig
from engine.sources.torrent.metadata import File, read_metainfo
from engine.torrents.job import Files
from engine.torrents.layout import Layout
from engine.types import ItemId
from tests.support.torrents import bencode

PIECE = 16384


def files_of(sizes: list[int], skipped: set[int]) -> Files:
    info = {
        "name": "a",
        "files": [{"length": size, "path": [str(number)]} for number, size in enumerate(sizes)],
        "piece length": PIECE,
        "pieces": b"x" * 20 * -(-sum(sizes) // PIECE),
    }
    meta = read_metainfo(bencode({"info": info}), TorrentConfig())
    items = {index: ItemId(5000 + index) for index in range(0, len(sizes), 2)}  # every second one was purged
    return Files(meta, Layout(meta), items, skipped, {0, 4})


def counted(files: Files) -> tuple[int, int, bool]:
    return files.total, files.present, files.is_over()


@pytest.mark.parametrize("seed", range(20))
def test_counts_are_those_of_counting_anew(seed: int) -> None:
    rng = random.Random(seed)
    count = rng.randrange(1, 30)
    files = files_of(
        [rng.choice((0, 1, PIECE, 3 * PIECE + 1)) for _ in range(count - 1)] + [1], set(range(0, count, 3))
    )
    for _ in range(60):
        if rng.random() < 0.3:
            piece = rng.randrange(files.meta.pieces)
            if not files.layout.have[piece]:
                files.came(piece, files.layout.came(piece))
        else:
            index = rng.randrange(count)
            files.choose(index, wanted=rng.random() < 0.5)
        found, ready = counted(files), set(files.ready)
        files.recount()
        assert (counted(files), set(files.ready)) == (found, ready)


def test_choosing_many_looks_at_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each choice counted all files: ten thousand of ten thousand held the loop for minutes."""
    count = 1000
    files = files_of([1] * count, set(range(count)))
    looks = 0
    real = Layout.present

    def present(self: Layout, file: File) -> int:
        nonlocal looks
        looks += 1
        return real(self, file)

    monkeypatch.setattr(Layout, "present", present)
    for index in range(count):
        files.choose(index, wanted=True)
    assert files.total == count / 2
    assert looks == count / 2
