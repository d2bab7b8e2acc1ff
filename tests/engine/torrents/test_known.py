"""Content that is in the store is not fetched again, and is seeded from there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from engine.ports import NewItem
from engine.types import State
from tests.support.swarm import Peer, peer
from tests.support.torrenting import Torrents, torrents
from tests.support.torrents import Version, make_torrent
from tests.support.tracker import tracker

SIZE = 1_000_003
PIECE = 32768


@pytest.fixture
def announces():
    with tracker() as one:
        yield one


@pytest.fixture
def seeds(announces):
    with peer() as one:
        announces.introduce(one.address)
        yield one


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A folder whose large file stands between two small ones: in version 1 it shares pieces with both."""
    folder = tmp_path / "s" / "film"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_bytes(os.urandom(5000))
    (folder / "film.mkv").write_bytes(os.urandom(SIZE))
    (folder / "z.txt").write_bytes(os.urandom(7000))
    return folder


async def store(here: Torrents, name: str, data: bytes) -> None:
    """As a download from a URL leaves it."""
    staging, fd = here.store.create_staging()
    os.write(fd, data)
    os.close(fd)
    blob = await here.store.ingest(staging, {})
    await here.catalogue.add(NewItem(name, size=blob.size, sha256=blob.sha256))


@pytest.mark.parametrize("version", ["v1", "v2", "hybrid"])
async def test_a_file_that_came_from_elsewhere_is_not_fetched(
    tmp_path: Path, announces, film: Path, version: Version
) -> None:
    torrent = make_torrent(film / "film.mkv", version=version, piece_size=PIECE, trackers=[announces.url])
    async with torrents(tmp_path / "state") as here:
        await store(here, "other.mkv", os.urandom(SIZE))  # of the same size
        await store(here, "x.mkv", (film / "film.mkv").read_bytes())
        item = await here.add(torrent.data)
        done = await here.until(item, State.SEEDING)
        assert here.content(done) == (film / "film.mkv").read_bytes()
        with peer(host="127.0.0.2") as fresh:
            fresh.leech(torrent, tmp_path / "fresh", from_=[here.address])
            await trio.to_thread.run_sync(fresh.wait_complete, torrent)
        assert (tmp_path / "fresh/film.mkv").read_bytes() == (film / "film.mkv").read_bytes()
        (folder,) = here.folders
        assert (tmp_path / "state/torrents" / folder / "0").samefile(here.store.path(done.sha256))
        if version != "v1":
            assert here.catalogue.blob_by_digest("btv2root", await root_of(here, item)).sha256 == done.sha256


async def root_of(here: Torrents, item) -> str:
    return here.manager._roster.jobs[item.id].files.meta.files[0].root


@pytest.mark.parametrize("version", ["v1", "hybrid"])
async def test_the_same_file_in_a_second_torrent_is_seeded_there(
    tmp_path: Path, seeds: Peer, announces, film: Path, version: Version
) -> None:
    first = make_torrent(film, version="hybrid", piece_size=PIECE, trackers=[announces.url])
    second = make_torrent(film / "film.mkv", version=version, piece_size=2 * PIECE)
    seeds.seed(first, film.parent)
    async with torrents(tmp_path / "state") as here:
        await here.until(await here.add(first.data), State.SEEDING)
        item = await here.add(second.data)  # nobody else has it
        await here.until(item, State.SEEDING)
        with peer(host="127.0.0.2") as fresh:
            fresh.leech(second, tmp_path / "fresh", from_=[here.address])
            await trio.to_thread.run_sync(fresh.wait_complete, second)
        assert (tmp_path / "fresh/film.mkv").read_bytes() == (film / "film.mkv").read_bytes()


async def test_only_the_edges_are_fetched_where_neighbours_are_missing(
    tmp_path: Path, seeds: Peer, announces, film: Path
) -> None:
    torrent = make_torrent(film, version="v1", piece_size=PIECE, trackers=[announces.url])
    data = (film / "film.mkv").read_bytes()
    seeds.seed(torrent, film.parent)
    async with torrents(tmp_path / "state") as here:
        await store(here, "x.mkv", data)
        blob = Path(here.store.path((await here.catalogue.blobs())[0].sha256))
        before = blob.stat()
        done = await here.until(await here.add(torrent.data), State.SEEDING)
        tree = await here.tree(done)
        assert {path: here.content(child) for path, child in tree.items()} == {
            path: (film / path).read_bytes() for path in tree
        }
        assert blob.read_bytes() == data
        assert (blob.stat().st_ino, blob.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert seeds.uploaded(torrent) <= 3 * PIECE


async def test_all_files_known_means_nothing_is_fetched(tmp_path: Path, announces, film: Path) -> None:
    torrent = make_torrent(film, version="v1", piece_size=4096)
    async with torrents(tmp_path / "state") as here:
        for path in film.iterdir():
            await store(here, path.name, path.read_bytes())
        done = await here.until(await here.add(torrent.data), State.SEEDING)
        assert {child.state for child in await here.catalogue.children(done.id)} == {State.COMPLETE}
        assert await here.catalogue.check() == []
