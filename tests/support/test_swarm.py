"""The swarm of the tests works: or tests that use it would fail for reasons of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.swarm import ENCRYPTED, UTP_ONLY, peer
from tests.support.torrents import HOSTILE_NAMES, Torrent, Version, content_of, make_torrent, raw_torrent
from tests.support.tracker import tracker

SIZE = 300_000


def folder_of(path: Path) -> Path:
    """A folder `film` of two files."""
    (path / "film" / "extra").mkdir(parents=True)
    (path / "film" / "film.mkv").write_bytes(os.urandom(SIZE))
    (path / "film" / "extra" / "cover.jpg").write_bytes(os.urandom(1000))
    return path / "film"


@pytest.mark.parametrize("version", ["v1", "v2", "hybrid"])
def test_a_folder_travels(tmp_path: Path, version: Version) -> None:
    film = folder_of(tmp_path / "ours")
    torrent = make_torrent(film, version=version, piece_size=16384)
    with peer() as seeds, peer() as fresh:
        seeds.seed(torrent, tmp_path / "ours")
        fresh.leech(torrent, tmp_path / "theirs", from_=[seeds.address])
        fresh.wait_complete(torrent)
        assert seeds.uploaded(torrent) >= SIZE
    for name in ("film.mkv", "extra/cover.jpg"):
        assert (tmp_path / "theirs/film" / name).read_bytes() == (film / name).read_bytes()


def test_a_tracker_introduces_and_counts(tmp_path: Path) -> None:
    film = folder_of(tmp_path / "ours") / "film.mkv"
    with tracker() as announces, peer() as seeds, peer() as fresh:
        torrent = make_torrent(film, trackers=[announces.url])
        seeds.seed(torrent, film.parent)
        announces.introduce(seeds.address)
        fresh.leech(torrent, tmp_path / "theirs")
        fresh.wait_complete(torrent)
        assert {(seen.info_hash, seen.port) for seen in announces.seen} >= {(torrent.v1, fresh.port)}
    assert (tmp_path / "theirs/film.mkv").read_bytes() == film.read_bytes()


@pytest.mark.parametrize("base32", [False, True])
def test_a_magnet_leads_to_its_peer(tmp_path: Path, base32: bool) -> None:
    film = folder_of(tmp_path / "ours") / "film.mkv"
    torrent = make_torrent(film)
    with peer(**ENCRYPTED) as seeds, peer(**ENCRYPTED) as fresh:
        seeds.seed(torrent, film.parent)
        fresh.leech(torrent, tmp_path / "theirs", magnet=torrent.magnet(peers=[seeds.address], base32=base32))
        fresh.wait_complete(torrent)
    assert (tmp_path / "theirs/film.mkv").read_bytes() == film.read_bytes()


def test_over_utp(tmp_path: Path) -> None:
    film = folder_of(tmp_path / "ours") / "film.mkv"
    torrent = make_torrent(film)
    with peer(**UTP_ONLY) as seeds, peer(**UTP_ONLY) as fresh:
        seeds.seed(torrent, film.parent)
        fresh.leech(torrent, tmp_path / "theirs", from_=[seeds.address])
        fresh.wait_complete(torrent)


def test_hostile_names_are_seeded_from_harmless_ones(tmp_path: Path) -> None:
    torrent = raw_torrent(tmp_path / "ours")
    with peer() as seeds, peer() as fresh:
        seeds.seed(torrent, tmp_path / "ours")
        fresh.leech(torrent, tmp_path / "theirs", from_=[seeds.address])
        fresh.wait_complete(torrent)
    for index in range(len(HOSTILE_NAMES)):
        assert (tmp_path / "theirs" / torrent.renamed[index]).read_bytes() == content_of(index)


def test_a_killed_peer_sends_no_more(tmp_path: Path) -> None:
    film = folder_of(tmp_path / "ours") / "film.mkv"
    torrent: Torrent = make_torrent(film, piece_size=16384)
    with peer() as seeds, peer() as fresh:
        seeds.seed(torrent, film.parent, limit=50_000)
        fresh.leech(torrent, tmp_path / "theirs", from_=[seeds.address])
        assert not fresh.wait_done(torrent, 16384).seeding
        seeds.kill()
        assert fresh.status(torrent).done < SIZE
