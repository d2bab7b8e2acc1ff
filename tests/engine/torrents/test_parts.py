"""The pure parts: which pieces hold what, notes for the next start, and witnesses of content."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadRequest
from engine.sources.torrent.config import TorrentConfig
from engine.sources.torrent.metadata import read_metainfo
from engine.torrents.envelope import Resume, seal, unseal
from engine.torrents.layout import Layout
from engine.torrents.live import LivePieces
from engine.torrents.options import check_options
from engine.torrents.selecting import check_select, unwanted
from engine.torrents.witness import MerkleWitness, PieceWitness
from tests.support.torrents import bencode, make_torrent

PIECE = 16384


def layout_of(sizes: list[int]) -> Layout:
    total = sum(sizes)
    info = {
        "name": "a",
        "files": [{"length": size, "path": [str(number)]} for number, size in enumerate(sizes)],
        "piece length": PIECE,
        "pieces": b"x" * 20 * -(-total // PIECE),
    }
    return Layout(read_metainfo(bencode({"info": info}), TorrentConfig()))


sizes = st.lists(st.one_of(st.integers(0, 60_000), st.sampled_from([0, PIECE, 2 * PIECE, 1])), min_size=2, max_size=12)


@given(sizes.filter(sum), st.randoms(use_true_random=False))
def test_a_layout_agrees_with_a_row_of_bytes(sizes: list[int], chance: random.Random) -> None:
    layout = layout_of(sizes)
    owner = [index for index, size in enumerate(sizes) for _ in range(size)]
    order = list(range(len(layout.have)))
    chance.shuffle(order)
    have: set[int] = set()
    for piece in order:
        whole = layout.came(piece)
        have.add(piece)
        assert sorted(set(owner[piece * PIECE : (piece + 1) * PIECE])) == list(layout.files_of(piece))
        for index, file in enumerate(layout.meta.files):
            mine = [place // PIECE for place, which in enumerate(owner) if which == index]
            assert layout.present(file) == sum(place in have for place in mine)
            assert layout.missing[index] == len(set(mine) - have)
            assert (index in whole) == (piece in mine and set(mine) <= have)
            assert layout.covers(layout.pieces(file)) == (set(mine) <= have)
            lacking = set(mine) - have
            assert layout.prefix(file, layout.have) == (mine.index(min(lacking)) if lacking else len(mine))
            inner = [p for p in set(mine) if set(owner[p * PIECE : (p + 1) * PIECE]) == {index}]
            assert list(layout.inner(file)) == sorted(inner)
        assert layout.came(piece) == []
    again = layout_of(sizes)
    again.reset(bytes(layout.have))
    assert again.missing == layout.missing


@given(st.binary(max_size=200).map(lambda data: bytes(byte & 1 for byte in data)), st.binary(max_size=50))
def test_notes_come_back_as_they_were(have: bytes, notes: bytes) -> None:
    for resume in (Resume(have, notes, {3: (1, 2, 3)}, True), Resume(have)):
        assert unseal(seal(resume), len(have)) == resume
    assert unseal(seal(Resume(have)), len(have) + 1) is None


def test_of_5000_damaged_notes_none_is_believed() -> None:
    chance = random.Random(1)
    data = seal(Resume(bytes(chance.choices((0, 1), k=500)), os.urandom(300), {1: (2, 3, 4)}))
    for _ in range(5000):
        bent = bytearray(data)
        match chance.randrange(3):
            case 0:
                bent[chance.randrange(len(bent))] ^= 1 << chance.randrange(8)
            case 1:
                del bent[chance.randrange(len(bent)) :]
            case 2:
                start = chance.randrange(len(bent))
                bent[start : start + 20] = os.urandom(20)
        assert bytes(bent) == data or unseal(bytes(bent), 500) is None


def test_a_torn_live_file_names_no_piece_that_is_none(tmp_path: Path) -> None:
    live = LivePieces(str(tmp_path))
    for piece in (5, 70_000, 6):
        live.note(piece)
    with (tmp_path / "live").open("ab") as file:
        file.write(b"\1\2")
    assert live.read(10) == {5, 6}
    live.forget()
    assert live.read(10) == set()
    live.close()


def shown(witness: MerkleWitness | PieceWitness, data: bytes, step: int) -> bool:
    for start in range(0, len(data), step):
        witness.update(memoryview(data)[start : start + step])
    return witness.agrees()


@pytest.mark.parametrize("size", [1, 16383, 16384, 16385, 49_152, 100_000, 1_000_003])
def test_a_pieces_root_is_libtorrents(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "f").write_bytes(data)
    meta = read_metainfo(make_torrent(tmp_path / "f", version="v2").data, TorrentConfig())
    root = meta.files[0].root
    assert root is not None
    for step in (1 << 20, 16384, 5000):
        assert shown(MerkleWitness(root), data, step)
        assert not shown(MerkleWitness(root), data[:-1] + bytes([data[-1] ^ 1]), step)


@given(st.integers(0, 100), st.integers(1, 50), st.binary(min_size=1, max_size=400), st.integers(1, 97))
def test_pieces_are_seen_wherever_they_begin(start: int, size: int, data: bytes, step: int) -> None:
    pieces = [data[at : at + size] for at in range(start, len(data), size)]
    hashes = b"".join(hashlib.sha1(piece).digest() for piece in pieces)
    assert shown(PieceWitness(start, size, hashes), data, step)
    if pieces:
        bent = bytearray(data)
        bent[min(start, len(data) - 1)] ^= 1
        assert not shown(PieceWitness(start, size, hashes), bytes(bent), step)


def test_selections() -> None:
    meta = layout_of([5, 5, 5, 5]).meta
    assert unwanted(meta, "1-2,4", ()) == {2}
    assert unwanted(meta, "2-99999999999999", ()) == {0}
    assert unwanted(meta, "[01]", ()) == {2, 3}
    assert unwanted(meta, None, ((0, 0), (3, 9))) == {1, 2}
    assert unwanted(meta, None, ()) == set()
    for bad in ("", "0", "3-2"):
        with pytest.raises(BadRequest):
            check_select(bad)
    with pytest.raises(BadRequest, match="None of the files"):
        unwanted(meta, "*.mkv", ())


def test_options() -> None:
    good = {"mode": "on-demand", "max-upload": "0", "seed-ratio": "1.5", "seed": "no", "connections": "7"}
    assert check_options(good) == good
    for name, value in (("mode", "x"), ("max-upload", "1.5"), ("seed-ratio", "-1"), ("seed-time", "nan"), ("x", "1")):
        with pytest.raises(BadRequest):
            check_options({name: value})
