"""Torrents arrive: from .torrent files and magnet links, of each version, and go on to be seeded."""

from __future__ import annotations

import os
from pathlib import Path

import libtorrent as lt
import pytest
import trio

from engine.ports import Pass
from engine.torrents import adopting
from engine.types import Kind, State
from tests.support.swarm import Peer, peer
from tests.support.torrenting import torrents
from tests.support.torrents import Version, make_torrent
from tests.support.tracker import tracker

VERSIONS: tuple[Version, ...] = ("v1", "v2", "hybrid")


@pytest.fixture
def seeds():
    with peer() as one:
        yield one


def film(folder: Path) -> Path:
    """A folder of files: large, small, empty, nested."""
    (folder / "film" / "extra").mkdir(parents=True)
    (folder / "film" / "film.mkv").write_bytes(os.urandom(400_000))
    (folder / "film" / "empty").write_bytes(b"")
    (folder / "film" / "extra" / "cover.jpg").write_bytes(os.urandom(5_000))
    (folder / "film" / "extra" / "notes.txt").write_bytes(os.urandom(70_000))
    return folder / "film"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("version", VERSIONS)
async def test_one_file_becomes_a_blob_and_is_seeded(tmp_path: Path, seeds: Peer, version: Version) -> None:
    path = film(tmp_path / "s") / "film.mkv"
    with tracker() as announces:
        announces.introduce(seeds.address)
        torrent = make_torrent(path, version=version, piece_size=16384, trackers=[announces.url])
        seeds.seed(torrent, path.parent)
        async with torrents(tmp_path / "state") as here:
            item = await here.add(torrent.data, tags=["movie"])
            assert (item.name, item.size, item.kind) == ("film.mkv", 400_000, Kind.FILE)
            item = await here.until(item, State.SEEDING)
            assert here.content(item) == path.read_bytes()
            assert here.catalogue.tags(item.id) == ("movie",)
            (folder,) = here.folders
            ours = tmp_path / "state" / "torrents" / folder / "0"
            assert ours.samefile(here.store.path(item.sha256))
            assert ours.stat().st_mode & 0o777 == 0o440
            with peer() as fresh:
                await trio.to_thread.run_sync(lambda: seeds.remove(torrent))
                fresh.leech(torrent, tmp_path / "fresh", from_=[here.address])
                await trio.to_thread.run_sync(fresh.wait_complete, torrent)
            assert (tmp_path / "fresh" / "film.mkv").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_magnet_link_becomes_a_folder_in_place(tmp_path: Path, seeds: Peer, version: Version) -> None:
    folder = film(tmp_path / "s")
    torrent = make_torrent(folder, version=version, piece_size=16384)
    seeds.seed(torrent, folder.parent)
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.magnet(peers=[seeds.address], name="shown"), tags=["movie"])
        assert (item.name, item.size, item.kind) == ("shown", None, Kind.FILE)
        done = await here.until(item, State.SEEDING)
        assert (done.id, done.name, done.kind) == (item.id, "film", Kind.FOLDER)
        assert here.catalogue.tags(item.id) == ("movie",)
        tree = await here.tree(done)
        assert {path: here.content(child) for path, child in tree.items()} == contents(folder)
        assert {child.state for child in tree.values()} == {State.COMPLETE}


async def test_the_mode_of_a_torrent_that_rests_can_be_changed(tmp_path: Path, seeds: Peer) -> None:
    path = film(tmp_path / "s") / "film.mkv"
    torrent = make_torrent(path, piece_size=16384)
    seeds.seed(torrent, path.parent)
    async with torrents(tmp_path / "state") as here:
        link = torrent.magnet(peers=[seeds.address])
        item = await here.add(link, options={"mode": "on-demand"}, paused=True)
        assert here.manager.mode(item.id) == "on-demand"
        await here.manager.set_mode(item.id, "full")
        assert here.manager.mode(item.id) == "full"
        await here.manager.resume(item.id)
        item = await here.until(item, State.SEEDING)
        assert here.content(item) == path.read_bytes()


async def test_the_size_of_a_magnet_link_is_waited_for(tmp_path: Path, seeds: Peer) -> None:
    path = film(tmp_path / "s") / "film.mkv"
    torrent = make_torrent(path, piece_size=16384)
    seeds.seed(torrent, path.parent)
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.magnet(peers=[seeds.address]))
        reader = here.manager.reader(item.id)
        assert reader is not None
        with trio.fail_after(60):
            await reader.wait_size(float("inf"))
        assert reader.size == 400_000
        await here.until(item, State.SEEDING)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_large_file_is_hashed_while_it_arrives(
    tmp_path: Path, seeds: Peer, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopting, "STEP", 8 << 10)  # each piece of it is looked at
    path = film(tmp_path / "s") / "film.mkv"
    with tracker() as announces:
        announces.introduce(seeds.address)
        torrent = make_torrent(path.parent, version=version, piece_size=16384, trackers=[announces.url])
        seeds.seed(torrent, path.parent.parent, only=14)  # a good part of it, wherever it begins
        async with torrents(tmp_path / "state") as here:
            read: dict[str, int] = {}
            read_ahead, is_ahead = here.store.read_ahead, trio.Event()

            async def note(begun: Pass, upto: int) -> None:
                await read_ahead(begun, upto)
                read[begun.path] = begun.offset
                if begun.offset > 70_000:  # the size of the next largest file
                    is_ahead.set()

            monkeypatch.setattr(here.store, "read_ahead", note)
            item = await here.add(torrent.data, options={"mode": "on-demand"})  # pieces come in order
            large = (await here.tree(item))["film.mkv"]
            reader = here.manager.reader(large.id)
            assert reader is not None
            for offset in range(0, 400_000, 50_000):
                if offset == 100_000:  # the rest comes when it has read what is here
                    with trio.fail_after(60):
                        await is_ahead.wait()
                    seeds.remove(torrent)
                    seeds.seed(torrent, path.parent.parent)
                    await here.add(torrent.magnet(peers=[seeds.address]))
                await reader.pread(offset, 50_000, trio.current_time() + 60)
            await here.until(large, State.COMPLETE)
            assert here.content(large) == path.read_bytes()
            blob = here.store.path(here.item(large).sha256)
            assert any(os.path.samefile(path, blob) and offset >= 64 << 10 for path, offset in read.items()), read


async def test_pieces_come_in_order_while_there_is_nobody_to_trade_with(tmp_path: Path, seeds: Peer) -> None:
    (tmp_path / "s").mkdir()
    path = tmp_path / "s" / "large"
    path.write_bytes(os.urandom(16 << 20))
    with tracker() as announces:
        announces.introduce(seeds.address)
        torrent = make_torrent(path, piece_size=65536, trackers=[announces.url])
        seeds.seed(torrent, path.parent, limit=2_000_000)
        async with torrents(tmp_path / "state") as here:
            item = await here.add(torrent.data)
            await here.here(item, 3 << 20)
            files = here.manager._roster.jobs[item.id].files
            assert files is not None
            have = bytes(files.layout.have)
            assert have.find(0) >= 3 * sum(have) // 4  # but for what is on its way
            with peer(download_rate_limit=100_000) as other:  # it trades for longer than this test may take
                await trio.to_thread.run_sync(
                    lambda: other.leech(torrent, tmp_path / "other", from_=[here.address, seeds.address])
                )
                handle = here.manager._session._handles[item.id]
                with trio.fail_after(60):
                    while (await trio.to_thread.run_sync(handle.flags)) & lt.torrent_flags.sequential_download:
                        await trio.sleep(0.01)
