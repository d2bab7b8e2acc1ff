"""The BitTorrent session fails: a bug of ours, or libtorrent gives up. Its torrents go on in another one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from engine import supervision
from engine.sources.torrent.session import TorrentSession
from engine.types import State
from tests.support.swarm import peer
from tests.support.torrenting import torrents
from tests.support.torrents import make_torrent
from tests.support.tracker import tracker

SIZE = 2_000_000


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "FIRST", 0.05)


async def test_what_arrives_and_what_seeds_go_on_in_another_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "s").mkdir()
    small, large = tmp_path / "s" / "small.bin", tmp_path / "s" / "large.bin"
    small.write_bytes(os.urandom(50_000))
    large.write_bytes(os.urandom(SIZE))
    hear, broken = TorrentSession._hear, trio.Event()

    def failing(self: TorrentSession, alert: object) -> None:
        if broken.is_set():
            raise RuntimeError("a bug")
        hear(self, alert)

    monkeypatch.setattr(TorrentSession, "_hear", failing)
    with tracker() as announces, peer() as seeds:
        announces.introduce(seeds.address)
        first = make_torrent(small, piece_size=16384, trackers=[announces.url])
        second = make_torrent(large, piece_size=16384, trackers=[announces.url])
        seeds.seed(first, tmp_path / "s")
        seeds.seed(second, tmp_path / "s", limit=600_000)
        async with torrents(tmp_path / "state") as here:
            whole = await here.until(await here.add(first.data), State.SEEDING)
            arriving = await here.add(second.data)
            await here.here(arriving, 200_000)
            session = here.manager._session
            before = session._session
            broken.set()
            with trio.fail_after(60):
                while session.lost is None:
                    await trio.sleep(0.001)
            assert "a bug" in session.lost
            broken = trio.Event()
            done = await here.until(arriving, State.SEEDING)
            assert here.content(done) == large.read_bytes()
            assert session.lost is None
            assert session._session is not before
            with trio.fail_after(60):
                while not (session.has(whole.id) and session.has(done.id)):
                    await trio.sleep(0.001)
            assert here.item(whole).state is State.SEEDING
            assert here.content(here.item(whole)) == small.read_bytes()


async def test_one_that_always_fails_is_left_alone_for_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: TorrentSession, alert: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(TorrentSession, "_hear", failing)
    (tmp_path / "s").mkdir()
    file = tmp_path / "s" / "f.bin"
    file.write_bytes(os.urandom(50_000))
    async with torrents(tmp_path / "state") as here:
        item = await here.add(make_torrent(file, piece_size=16384).data)
        session = here.manager._session
        with trio.fail_after(60):
            while session.lost is None or "3600" not in session.lost:
                await trio.sleep(0.001)
        assert here.item(item).state in (State.QUEUED, State.DOWNLOADING)
        await here.manager.pause(item.id)
        assert here.item(item).state is State.PAUSED
