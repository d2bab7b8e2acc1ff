"""Torrents leave the reserve free, wait for space, and outlive a catalogue that has none."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
import trio

from engine.catalogue import SqliteCatalogue
from engine.errors import StoreFull
from engine.torrents import space
from engine.types import State
from tests.support.swarm import Peer, peer
from tests.support.torrenting import torrents
from tests.support.torrents import Torrent, make_torrent

SIZE = 6_000_000
ROOM = 2_000_000


@pytest.fixture
def seeds():
    with peer() as one:
        yield one


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mkv"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.fixture
def torrent(seeds: Peer, film: Path) -> Torrent:
    one = make_torrent(film, piece_size=65536)
    seeds.seed(one, film.parent)
    return one


def used(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


async def test_what_is_kept_free_is_kept_free(
    tmp_path: Path, seeds: Peer, torrent: Torrent, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system of `ROOM` bytes above the reserve, which then grows."""
    size = ROOM
    store = tmp_path / "state" / "torrents"
    monkeypatch.setattr(space.Space, "free", lambda _: size - used(store))
    monkeypatch.setattr(space, "STEP", 1 << 18)
    seeds.set(upload_rate_limit=1_000_000)  # or all of it is under way before a busy machine looks
    async with torrents(tmp_path / "state", space_check=0.01) as here:
        item = await here.add(torrent.magnet(peers=[seeds.address]))
        waits = await here.until(item, State.PAUSED)
        assert waits.error == "There is no space left where the store lives."
        assert ROOM // 2 < used(store) < ROOM + (2 << 20)  # what was under way when it was noticed comes on top
        before = used(store)
        await trio.sleep(0.1)  # looks that find as little as before
        assert used(store) == before
        size = 3 * SIZE
        seeds.set(upload_rate_limit=0)
        done = await here.until(item, State.SEEDING)
        assert here.content(done) == film.read_bytes()


async def test_without_space_nothing_is_begun(tmp_path: Path, seeds: Peer, torrent: Torrent, film: Path) -> None:
    async with torrents(tmp_path / "state", reserve=1 << 60) as here:
        item = await here.add(torrent.magnet(peers=[seeds.address]))
        assert (await here.until(item, State.PAUSED)).error == "There is no space left where the store lives."
        assert seeds.uploaded(torrent) == 0
    async with torrents(tmp_path / "state", space_check=0.01) as here:
        assert here.content(await here.until(item, State.SEEDING)) == film.read_bytes()


@pytest.mark.parametrize("call", ["settle_folder", "save_resume"])
async def test_a_catalogue_without_space_ends_nothing(
    tmp_path: Path,
    seeds: Peer,
    torrent: Torrent,
    film: Path,
    call: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with torrents(tmp_path / "state", space_check=0.01, seed=False) as here:
        works = getattr(SqliteCatalogue, call)
        refused = 0

        async def full(self: SqliteCatalogue, *args: object) -> None:
            nonlocal refused
            refused += 1
            if refused < 5:
                raise StoreFull("no space left for the catalogue; free some, nothing was changed")
            await works(self, *args)

        monkeypatch.setattr(SqliteCatalogue, call, full)
        with caplog.at_level(logging.WARNING):
            item = await here.add(torrent.magnet(peers=[seeds.address]))
            done = await here.until(item, State.COMPLETE)
        assert here.content(done) == film.read_bytes()
        with trio.fail_after(60):
            while refused < 5:
                await trio.sleep(0.001)
