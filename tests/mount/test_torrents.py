"""Torrents through the kernel: a link is a file at once, becomes a folder in place, and is read while it arrives."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.mount.conftest import Mount
from tests.support.swarm import Peer, peer
from tests.support.torrents import make_torrent
from tests.support.tracker import Tracker, tracker

SIZE = 1_500_000
CONFIG = """[torrent]
listen = "127.0.0.1:0"
outgoing = "127.0.0.1"
dht = false
private_addresses = true
seed_ratio = 0
"""


@pytest.fixture
def announces() -> Iterator[Tracker]:
    with tracker() as one:
        yield one


@pytest.fixture
def seeds(announces: Tracker) -> Iterator[Peer]:
    with peer() as one:
        announces.introduce(one.address)
        yield one


@pytest.fixture
def film(tmp_path: Path) -> Path:
    folder = tmp_path / "seeded" / "film"
    (folder / "extra").mkdir(parents=True)
    (folder / "film.mkv").write_bytes(os.urandom(SIZE))
    (folder / "extra/notes.txt").write_bytes(os.urandom(20_000))
    return folder


@pytest.fixture
def mount(new_mount: Callable[..., Mount]) -> Mount:
    mount = new_mount()
    mount.config.write_text(CONFIG)
    mount.start()
    os.mkdir(mount / "tags/movie")
    return mount


def state(path: Path) -> str:
    try:
        return os.getxattr(path, "user.tagfs.state").decode()
    except FileNotFoundError:
        return "absent"


def test_a_link_becomes_a_folder_in_place_and_is_read_while_it_arrives(
    mount: Mount, seeds: Peer, announces: Tracker, film: Path
) -> None:
    torrent = make_torrent(film, version="hybrid", piece_size=16384)
    link = torrent.magnet(trackers=[announces.url], name="shown")
    os.symlink(link, mount / "tags/movie/magnet")
    assert mount.names("tags/movie") == ["magnet"]
    number = (mount / "tags/movie/magnet").stat().st_ino
    assert os.getxattr(mount / "files/magnet", "user.xdg.origin.url").decode().startswith("magnet:?xt=urn:btih:")
    seeds.set(upload_rate_limit=50_000)  # until it has been looked at
    seeds.seed(torrent, film.parent)
    mount.tagfs("add", torrent.magnet(peers=[seeds.address]))
    mount.wait_for(lambda: (mount / "tags/movie/magnet").is_dir())
    folder = mount / "tags/movie/magnet"
    assert folder.stat().st_ino == number
    assert sorted(os.listdir(folder)) == ["extra", "film.mkv"]
    movie = folder / "film.mkv"
    assert movie.stat().st_size == SIZE
    with movie.open("rb") as file:
        file.seek(-1000, os.SEEK_END)
        assert file.read() == (film / "film.mkv").read_bytes()[-1000:]
    assert float(os.getxattr(folder, "user.tagfs.progress")) < 0.9
    assert mount.names("queries/state:downloading") == ["magnet"]
    seeds.set(upload_rate_limit=0)
    mount.wait_for(lambda: state(folder) == "seeding")
    assert subprocess.run(["diff", "-r", folder, film], check=True, capture_output=True).stdout == b""
    assert len(os.getxattr(movie, "user.tagfs.btroot")) == 64
    assert movie.stat().st_mode & 0o777 == 0o644


def test_a_torrent_in_the_inbox_survives_a_kill_and_ends_in_the_trash(
    mount: Mount, seeds: Peer, announces: Tracker, film: Path, tmp_path: Path
) -> None:
    torrent = make_torrent(film, piece_size=16384, trackers=[announces.url])
    seeds.set(upload_rate_limit=200_000)  # until one file is skipped
    seeds.seed(torrent, film.parent)
    mount.sh(f"mkdir -p inbox/movie && cp {torrent.save(tmp_path / 'film.torrent')} inbox/movie/")
    mount.wait_for(lambda: mount.names("tags/movie") == ["film"])
    mount.wait_for(lambda: float(os.getxattr(mount / "files/film", "user.tagfs.progress")) > 0.3)
    mount.kill()
    subprocess.run(["fusermount3", "-uz", mount.top], check=True)
    mount.start()
    os.setxattr(mount / "files/film/extra/notes.txt", "user.tagfs.state", b"skipped")
    seeds.set(upload_rate_limit=0)
    mount.wait_for(lambda: state(mount / "files/film") == "seeding")
    assert (mount / "files/film/film.mkv").read_bytes() == (film / "film.mkv").read_bytes()
    assert state(mount / "files/film/extra/notes.txt") in ("skipped", "complete")
    assert seeds.uploaded(torrent) < SIZE * 3 // 2
    with peer(host="127.0.0.2") as fresh:
        announces.introduce(fresh.address)
        mount.sh("rm -r files/film")
        assert mount.names("trash") == ["film"]
        assert mount.names("tags/movie") == []
        mount.sh("rm -r trash/film")
    mount.wait_for(lambda: os.listdir(mount.state / "torrents") == [])


def test_changing_a_file_of_a_torrent_leaves_the_torrent_what_it_seeds(
    mount: Mount, seeds: Peer, announces: Tracker, film: Path, tmp_path: Path
) -> None:
    """In place, and by a file that takes its place: the old content stays the torrent's, in the trash."""
    torrent = make_torrent(film, piece_size=16384, trackers=[announces.url])
    seeds.seed(torrent, film.parent)
    mount.tagfs("add", str(torrent.save(tmp_path / "film.torrent")))
    mount.wait_for(lambda: state(mount / "files/film") == "seeding")
    (own,) = (mount.state / "torrents").iterdir()
    before = {path.name: path.read_bytes() for path in own.iterdir() if path.name.isdigit()}

    movie, notes = mount / "files/film/film.mkv", mount / "files/film/extra/notes.txt"
    with movie.open("r+b") as file:
        file.write(b"changed")
    mount.settle(movie)
    (mount / "files/new").write_bytes(b"new notes")
    os.rename(mount / "files/new", notes)
    mount.settle(notes)

    def check() -> None:
        assert movie.read_bytes() == b"changed" + (film / "film.mkv").read_bytes()[7:]
        assert notes.read_bytes() == b"new notes"
        assert {path.name: path.read_bytes() for path in own.iterdir() if path.name.isdigit()} == before
        assert (mount / "trash/film.mkv").read_bytes() == (film / "film.mkv").read_bytes()
        assert (mount / "trash/notes.txt").read_bytes() == (film / "extra/notes.txt").read_bytes()
        assert sorted(os.listdir(mount / "files/film")) == ["extra", "film.mkv"]

    check()
    assert state(mount / "files/film") == "seeding"
    assert mount.stop() == 0
    mount.start()
    mount.wait_for(lambda: state(mount / "files/film") == "seeding")
    check()
    mount.tagfs("verify", "--data")


def test_changing_a_torrent_of_one_file_makes_it_a_file(
    mount: Mount, seeds: Peer, announces: Tracker, tmp_path: Path
) -> None:
    source = tmp_path / "seeded" / "one.bin"
    source.parent.mkdir()
    source.write_bytes(os.urandom(100_000))
    torrent = make_torrent(source, piece_size=16384, trackers=[announces.url])
    seeds.seed(torrent, source.parent)
    mount.tagfs("add", str(torrent.save(tmp_path / "one.torrent")))
    file = mount / "files/one.bin"
    mount.wait_for(lambda: state(file) == "seeding")
    with file.open("ab") as appended:
        appended.write(b"more")
    mount.wait_for(lambda: state(file) == "complete")
    assert file.read_bytes() == source.read_bytes() + b"more"
    assert (mount / "trash/one.bin").read_bytes() == source.read_bytes()
    os.rename(mount / "trash/one.bin", mount / "files/old.bin")
    mount.wait_for(lambda: state(mount / "files/old.bin") == "seeding")
    assert state(file) == "complete"
    mount.tagfs("verify", "--data")
