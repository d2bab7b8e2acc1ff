"""Content comes once, whatever names it: a URL, two torrents of other versions and pieces; and all of them give it."""

from __future__ import annotations

import os
from pathlib import Path

from tests.mount.conftest import Mount
from tests.mount.test_torrents import CONFIG, state
from tests.support.nginx import nginx
from tests.support.swarm import peer
from tests.support.torrents import make_torrent
from tests.support.tracker import tracker

MIB = 1 << 20
SIZE = int(os.environ.get("TAGFS_BIG_MIB", "24")) * MIB  # 1024 for the full bar


def test_a_file_at_a_url_and_in_two_torrents_is_fetched_once(new_mount, tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    film = served / "film.mkv"
    with film.open("wb") as file:
        for _ in range(SIZE // MIB):
            file.write(os.urandom(MIB))
    (tmp_path / "renamed").mkdir()
    other = tmp_path / "renamed" / "the same under another name.mkv"
    os.link(film, other)
    mount: Mount = new_mount()
    mount.config.write_text(CONFIG)
    mount.start()
    with nginx(tmp_path / "nginx", served) as server, tracker() as announces:
        first = make_torrent(film, version="v1", piece_size=MIB, trackers=[announces.url])
        second = make_torrent(other, version="hybrid", piece_size=MIB // 4, trackers=[announces.url])
        mount.tagfs("add", server.url("film.mkv"), "-t", "film")
        mount.wait_for(lambda: state(mount / "files/film.mkv") == "complete", 120)
        mount.tagfs("add", str(first.save(tmp_path / "first.torrent")), "-t", "film")
        mount.tagfs("add", str(second.save(tmp_path / "second.torrent")), "-t", "film")
        mount.wait_for(lambda: mount.tagfs("ls", "film and state:seeding").count("\n") == 2, 120)
        assert len(mount.names("tags/film")) == 3
        assert sum(access.sent for access in server.log()) <= SIZE + 8192
        blobs = [path for path in (mount.state / "blobs").rglob("*") if path.is_file()]
        assert [path.stat().st_size for path in blobs] == [SIZE]
        for torrent in (first, second):
            with peer() as fresh:  # nobody but tagfs has it
                fresh.leech(torrent, tmp_path / torrent.id)
                fresh.wait_complete(torrent)
            [got] = [path for path in (tmp_path / torrent.id).iterdir() if path.suffix == ".mkv"]
            assert got.read_bytes() == film.read_bytes()
            got.unlink()
        assert [blob.stat().st_nlink for blob in blobs] == [3]  # its name in the store, and one a torrent
