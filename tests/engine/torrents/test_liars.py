"""Peers that lie: about the content, when nobody else is there, and about what the torrent is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from engine.torrents.describing import METADATA_RATE
from engine.types import State
from tests.support.liar import metadata_liar
from tests.support.nginx import nginx
from tests.support.swarm import peer
from tests.support.torrenting import torrents
from tests.support.torrents import make_torrent
from tests.support.tracker import tracker

SIZE = 400_000


@pytest.fixture
def film(tmp_path: Path) -> Path:
    (tmp_path / "s").mkdir()
    path = tmp_path / "s" / "film.mkv"
    path.write_bytes(os.urandom(SIZE))
    return path


async def test_where_all_peers_lie_they_are_left_for_good_and_it_is_said(tmp_path: Path, film: Path) -> None:
    torrent = make_torrent(film, piece_size=16384)
    (tmp_path / "lies").mkdir()
    (tmp_path / "lies" / film.name).write_bytes(os.urandom(SIZE))
    liars = [peer(host=host, disable_hash_checks=True) for host in ("127.0.0.3", "127.0.0.4")]
    with liars[0] as one, liars[1] as other, peer() as honest:
        for liar in (one, other):
            liar.seed(torrent, tmp_path / "lies")
        async with torrents(tmp_path / "state") as here:
            item = await here.add(torrent.magnet(peers=[one.address, other.address]))
            found = await here.when(item, lambda found: found.error is not None)
            assert found.error == "What peers sent is wrong; who sent it is left, and it is fetched again."
            assert found.state is State.DOWNLOADING
            progress = here.manager.progress(item.id)
            assert progress is not None and progress.done == 0
            # They come back again and again, each time from another port, until their addresses are known.
            with trio.fail_after(60):
                while len(here.manager._session._bans.addresses) < 2:
                    await trio.sleep(0.001)
                while here.manager._roster.jobs[item.id].swarm.status.peers:
                    await trio.sleep(0.001)
                while one.status(torrent).peers or other.status(torrent).peers:  # who may still send what was asked for
                    await trio.sleep(0.01)
            cost = one.uploaded(torrent) + other.uploaded(torrent)
            honest.seed(torrent, film.parent, limit=300_000)
            await here.add(torrent.magnet(peers=[honest.address]))
            done = await here.until(item, State.SEEDING)
            assert here.content(done) == film.read_bytes()
            assert done.error is None
            assert one.uploaded(torrent) + other.uploaded(torrent) == cost


@pytest.mark.parametrize("where", ["content", "nothing"])
async def test_a_web_seed_that_lies_is_left(tmp_path: Path, film: Path, where: str) -> None:
    (tmp_path / "lies").mkdir()
    if where == "content":
        (tmp_path / "lies" / film.name).write_bytes(os.urandom(SIZE))
    with nginx(tmp_path / "nginx", tmp_path / "lies") as server, peer(host="127.0.0.2") as honest:
        torrent = make_torrent(film, piece_size=16384, web_seeds=[server.url("/")])
        async with torrents(tmp_path / "state") as here:
            item = await here.add(torrent.data)
            found = await here.when(item, lambda found: found.error is not None)
            assert found.state is State.DOWNLOADING
            honest.seed(torrent, film.parent)
            await here.add(torrent.magnet(peers=[honest.address]))
            done = await here.until(item, State.SEEDING)
            assert here.content(done) == film.read_bytes()
            assert done.error is None


async def test_a_description_that_is_not_the_torrents_is_not_believed(tmp_path: Path, film: Path) -> None:
    torrent = make_torrent(film, piece_size=16384)
    with peer() as honest:
        honest.seed(torrent, film.parent)
        async with (
            metadata_liar(torrent, size=40_000) as liar,
            torrents(tmp_path / "state", encryption="off") as here,
        ):
            item = await here.add(torrent.magnet(peers=[liar.address]))
            found = await here.when(item, lambda found: found.error is not None)
            assert found.error == "What a peer sent is not the description of this torrent."
            assert found.state is State.DOWNLOADING and found.kind == "file"
            assert set(liar.asked) == {0, 1, 2}
            liar.is_gone = True  # to whoever comes anew: the size that it named must not outlive it
            await here.add(torrent.magnet(peers=[honest.address]))
            done = await here.until(item, State.SEEDING)
            assert here.content(done) == film.read_bytes()
            assert done.error is None


async def test_a_description_of_an_absurd_size_costs_little(tmp_path: Path, film: Path) -> None:
    """libtorrent asks such a peer at once again, for ever: without a limit, a hundred times in a tenth of a second."""
    torrent = make_torrent(film, piece_size=16384)
    with peer() as honest:
        honest.seed(torrent, film.parent)
        async with (
            metadata_liar(torrent, size=2**31 - 1) as liar,
            torrents(tmp_path / "state", encryption="off") as here,
        ):
            began = trio.current_time()
            item = await here.add(torrent.magnet(peers=[liar.address]))
            with trio.fail_after(60):
                while len(liar.asked) < 100:
                    await trio.sleep(0.001)
            assert trio.current_time() - began > 100 * 16384 / METADATA_RATE / 3
            await here.add(torrent.magnet(peers=[honest.address]))
            done = await here.until(item, State.SEEDING)
            assert here.content(done) == film.read_bytes()


async def test_a_description_beyond_the_limits_fails_the_item_alone(tmp_path: Path, film: Path) -> None:
    for number in range(5):
        (film.parent / f"{number}").write_bytes(os.urandom(100))
    large, small = make_torrent(film.parent, piece_size=16384), make_torrent(film, piece_size=16384)
    with peer() as honest:
        honest.seed(large, film.parent.parent)
        honest.seed(small, film.parent)
        async with torrents(tmp_path / "state", max_files=3) as here:
            item = await here.add(large.magnet(peers=[honest.address]))
            other = await here.add(small.magnet(peers=[honest.address]))
            failed = await here.until(item, State.FAILED)
            assert failed.error == "This torrent has 6 files, more than 3 are not taken."
            await here.until(other, State.SEEDING)


@pytest.mark.parametrize("answer", [b"", b"d8:intervali-5e5:peers5:12345e", b"l" * 100_000])
async def test_trackers_that_answer_garbage_cost_nothing(tmp_path: Path, film: Path, answer: bytes) -> None:
    with tracker() as announces, peer() as honest:
        announces.raw = answer
        torrent = make_torrent(film, piece_size=16384, trackers=[announces.url])
        honest.seed(torrent, film.parent)
        async with torrents(tmp_path / "state") as here:
            item = await here.add(torrent.data)
            found = await here.when(item, lambda found: found.error is not None)
            assert found.error.startswith("A tracker does not help: ") and found.state is State.DOWNLOADING
            await here.add(torrent.magnet(peers=[honest.address]))
            done = await here.until(item, State.SEEDING)
            assert here.content(done) == film.read_bytes()
