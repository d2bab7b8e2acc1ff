"""Reading is downloading: what a reader waits for comes first, and what was read is what the file will hold."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
import trio
import trio.testing

from engine.errors import NotReady, SourceFailed
from engine.types import State
from tests.support.swarm import Peer, peer
from tests.support.torrenting import torrents
from tests.support.torrents import Torrent, make_torrent
from tests.support.tracker import tracker

SIZE = 8 << 20
PIECE = 65536


@pytest.fixture
def seeds():
    with peer() as one:
        yield one


@pytest.fixture
def content(tmp_path: Path) -> Path:
    (tmp_path / "s" / "film").mkdir(parents=True)
    path = tmp_path / "s" / "film" / "film.mkv"
    path.write_bytes(os.urandom(SIZE))
    (tmp_path / "s" / "film" / "notes").write_bytes(os.urandom(100_000))
    return path


@pytest.fixture(params=["v1", "v2"])
def torrent(request: pytest.FixtureRequest, content: Path) -> Torrent:
    return make_torrent(content.parent, version=request.param, piece_size=PIECE)


async def test_the_end_of_a_cold_file_comes_first(tmp_path: Path, seeds: Peer, torrent: Torrent, content: Path) -> None:
    seeds.seed(torrent, tmp_path / "s", limit=150_000)
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.magnet(peers=[seeds.address]))
        await here.when(item, lambda found: found.kind == "folder")
        film = (await here.tree(item))["film.mkv"]
        data = await here.read(film, SIZE - 1000, 5000)
        assert data == content.read_bytes()[-1000:]
        progress = here.manager.progress(item.id)
        assert progress is not None and progress.done < SIZE // 2
        seeds.set(upload_rate_limit=0)


async def test_every_read_is_what_the_file_will_hold(
    tmp_path: Path, seeds: Peer, torrent: Torrent, content: Path
) -> None:
    seeds.seed(torrent, tmp_path / "s", limit=6_000_000)
    data = content.read_bytes()
    chance = random.Random(1)
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.magnet(peers=[seeds.address]))
        await here.when(item, lambda found: found.kind == "folder")
        film = (await here.tree(item))["film.mkv"]
        reader = here.manager.reader(film.id)
        assert reader is not None and reader.size == SIZE

        async def jump() -> None:
            for _ in range(30):
                offset, length = chance.randrange(SIZE), chance.randrange(1, 200_000)
                assert await here.read(film, offset, length) == data[offset : offset + length]

        async def follow() -> None:
            offset = 0
            while part := await reader.pread(offset, 131072, trio.current_time() + 150):
                assert part == data[offset : offset + len(part)]
                offset += len(part)
            assert offset == SIZE

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(jump)
            nursery.start_soon(follow)
        assert here.content(await here.until(film.id, State.COMPLETE)) == data


async def test_who_waits_before_the_metadata_is_here_gets_the_file(tmp_path: Path, seeds: Peer, content: Path) -> None:
    torrent = make_torrent(content, piece_size=PIECE)
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.magnet())
        async with trio.open_nursery() as nursery:

            async def read() -> None:
                assert await here.read(item, 1000, 10) == content.read_bytes()[1000:1010]

            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked(0.05)
            seeds.seed(torrent, content.parent)
            await here.add(torrent.magnet(peers=[seeds.address]))


async def test_who_waits_too_long_or_for_what_rests_is_told(
    tmp_path: Path, seeds: Peer, torrent: Torrent, content: Path
) -> None:
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.data)
        film = (await here.tree(item))["film.mkv"]
        with pytest.raises(SourceFailed, match="in time"):
            await here.read(film, 0, 10, patience=0.05)
        await here.manager.pause(item.id)
        assert here.item(item).state is State.PAUSED
        with pytest.raises(NotReady, match="paused"):
            await here.read(film, 0, 10)
        await here.manager.resume(item.id)
        seeds.seed(torrent, tmp_path / "s")
        await here.in_session(item)
        again = await here.add(torrent.magnet(peers=[seeds.address]))
        assert again.id == item.id
        assert await here.read(film, 0, 10) == content.read_bytes()[:10]


async def test_on_demand_only_what_is_read_is_fetched(
    tmp_path: Path, seeds: Peer, torrent: Torrent, content: Path
) -> None:
    seeds.seed(torrent, tmp_path / "s")
    async with torrents(tmp_path / "state", ahead=2 * PIECE) as here:
        item = await here.add(torrent.magnet(peers=[seeds.address]), options={"mode": "on-demand"})
        await here.when(item, lambda found: found.kind == "folder")
        film = (await here.tree(item))["film.mkv"]
        for offset in (SIZE // 2, 0, SIZE - 100):
            assert await here.read(film, offset, 100) == content.read_bytes()[offset : offset + 100]
        await trio.sleep(0.5)  # time to fetch too much
        progress = here.manager.progress(item.id)
        assert progress is not None and progress.done <= 3 * 4 * PIECE
        assert here.item(film).state is State.QUEUED


async def test_on_demand_seeds_are_there_whenever_somebody_reads(tmp_path: Path, seeds: Peer, content: Path) -> None:
    """They hang up on whoever wants nothing, and libtorrent would not go back to them."""
    with tracker() as announces:
        announces.introduce(seeds.address)
        torrent = make_torrent(content, piece_size=PIECE, trackers=[announces.url])
        seeds.seed(torrent, content.parent)
        async with torrents(tmp_path / "state", ahead=PIECE) as here:
            item = await here.add(torrent.data, options={"mode": "on-demand"})
            await here.in_session(item)
            for offset in (SIZE // 2, 0, SIZE - 100):
                await trio.sleep(0.5)  # time to be hung up on
                assert await here.read(item, offset, 100, patience=45.0) == content.read_bytes()[offset : offset + 100]
            progress = here.manager.progress(item.id)
            assert progress is not None and progress.done <= 3 * 4 * PIECE
