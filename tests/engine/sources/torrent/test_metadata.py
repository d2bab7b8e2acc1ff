"""What .torrent files say: names made safe, limits kept, nonsense refused with a sentence."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadRequest
from engine.safe_names import is_safe
from engine.sources.torrent.config import TorrentConfig
from engine.sources.torrent.metadata import read_metainfo
from engine.sources.torrent.paths import safe_paths
from tests.support.torrents import Version, bencode, make_torrent, raw_torrent

CONFIG = TorrentConfig()


def info(**fields: object) -> bytes:
    whole = {"name": "a", "length": 5, "piece length": 16384, "pieces": b"x" * 20}
    return bencode({"info": {key: value for key, value in {**whole, **fields}.items() if value is not None}})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a torrent",
        b"l" * 100_000 + b"e" * 100_000,
        b"d4:info" + b"l" * 100_000 + b"e" * 100_000 + b"e",
        info(**{"piece length": 0}),
        info(**{"piece length": -16384}),
        info(**{"piece length": 2 << 30}),
        info(pieces=b"x" * 19),
        info(length=16384 * 10),
        info(length=-1),
        info(length=16384 * 10**7, pieces=b"x" * 20 * 10**7),
        info(name=None),
        info(length=None),
    ],
    ids=lambda data: str(len(data)),
)
def test_nonsense_is_refused_with_a_sentence(data: bytes) -> None:
    with pytest.raises(BadRequest, match=r"^This .+\.$"):
        read_metainfo(data, CONFIG)


def test_no_files_but_pads_are_no_torrent() -> None:
    pad = {"length": 5, "path": [".pad", "5"], "attr": "p"}
    with pytest.raises(BadRequest, match="holds no files"):
        read_metainfo(info(length=None, files=[pad]), CONFIG)


def test_more_than_the_limits_is_refused() -> None:
    with pytest.raises(BadRequest, match="bytes, more than"):
        read_metainfo(info(comment="x" * 2000), replace(CONFIG, max_metadata=1000))
    files = [{"length": 1, "path": [str(number)]} for number in range(20)]
    with pytest.raises(BadRequest, match="20 files, more than 10"):
        read_metainfo(info(length=None, files=files), replace(CONFIG, max_files=10))


@pytest.mark.parametrize("version", ["v1", "v2", "hybrid"])
def test_files_are_those_that_were_put_in(tmp_path: Path, version: Version) -> None:
    folder = tmp_path / "film"
    (folder / "extra" / "deep").mkdir(parents=True)
    sizes = {"a": 100_000, "empty": 0, "extra/b": 1, "extra/deep/c": 16384, "z": 16385}
    for path, size in sizes.items():
        (folder / path).write_bytes(os.urandom(size))
    torrent = make_torrent(folder, version=version, piece_size=16384, private=True, trackers=["http://t.example/a"])
    meta = read_metainfo(torrent.data, CONFIG)
    assert {"/".join(file.path): file.size for file in meta.files} == sizes
    assert (meta.v1 or "", meta.v2 or "") == (torrent.v1, torrent.v2)
    assert (meta.name, meta.is_single, meta.private) == ("film", False, True)
    assert meta.trackers == ("http://t.example/a",)
    single = read_metainfo(make_torrent(folder / "a", version=version).data, CONFIG)
    assert single.is_single and [file.path for file in single.files] == [("a",)]


def test_pads_and_symlinks_are_hidden_and_folders_may_be_deep() -> None:
    files = [
        {"length": 5, "path": ["dir"] * 90 + ["x"]},
        {"length": 16379, "path": [".pad", "16379"], "attr": "p"},
        {"length": 0, "path": ["link"], "attr": "l", "symlink path": ["..", "..", "etc", "passwd"]},
        {"length": 7, "path": ["y"], "attr": "x"},
    ]
    meta = read_metainfo(info(length=None, files=files, pieces=b"x" * 40), CONFIG)
    assert [(file.position, file.path[-1], file.offset) for file in meta.files] == [(0, "x", 0), (3, "y", 16384)]
    assert meta.hidden == {1, 2}
    assert len(meta.files[0].path) == 91
    files[0]["path"] = ["dir"] * 200 + ["x"]
    with pytest.raises(BadRequest, match="depth limit"):
        read_metainfo(info(length=None, files=files, pieces=b"x" * 40), CONFIG)


@pytest.mark.parametrize("odd", [0, [], ["a"], {}, {"p": 1}], ids=repr)
@pytest.mark.parametrize("field", ["attr", "path.utf-8", "path", "name.utf-8"])
def test_a_field_of_another_type_is_as_if_it_were_missing_or_refused(field: str, odd: object) -> None:
    entry = {"length": 5, "path": ["a"]} | ({} if field == "name.utf-8" else {field: odd})
    try:
        meta = read_metainfo(
            info(length=None, files=[entry], **({field: odd} if field == "name.utf-8" else {})), CONFIG
        )
    except BadRequest:
        assert field.startswith("path")  # libtorrent reads no file that has none
        return
    assert [file.size for file in meta.files] == [5] and not meta.hidden
    assert meta.name == "a"


def test_a_hundred_thousand_names_that_become_one_take_no_age(tmp_path: Path) -> None:
    paths = safe_paths([(bytes(1 + (number >> bit & 1) for bit in range(17)),) for number in range(100_000)])
    assert len(set(paths)) == 100_000


components = st.one_of(st.binary(max_size=300), st.sampled_from([b"..", b".", b"", b"a", b"A", b"a~2", b"CON", b"/"]))


@given(st.lists(st.lists(components, min_size=1, max_size=4).map(tuple), max_size=30))
def test_paths_are_safe_unique_and_always_the_same(raw: list[tuple[bytes, ...]]) -> None:
    paths = safe_paths(raw)
    assert safe_paths(raw) == paths
    assert len(paths) == len(raw) == len(set(paths))
    assert all(is_safe(part) for path in paths for part in path)
    folders = {path[:depth] for path in paths for depth in range(1, len(path))}
    assert not folders & set(paths)


def test_torrents_that_were_bent_are_refused_or_read(tmp_path: Path) -> None:
    """Never anything but BadRequest, whatever the bytes."""
    chance = random.Random(1)
    data = raw_torrent(tmp_path / "h").data
    for _ in range(1000):
        bent = bytearray(data)
        for _ in range(chance.randrange(1, 4)):
            bent[chance.randrange(len(bent))] = chance.randrange(256)
        try:
            meta = read_metainfo(bytes(bent), CONFIG)
        except BadRequest:
            continue
        assert len({file.path for file in meta.files}) == len(meta.files)
