"""Stops, kills and starts: what is here is not fetched again, what is known is not hashed again, nothing is believed
that may be wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from engine.types import State
from tests.support.swarm import Peer, peer
from tests.support.torrenting import Torrents, torrents
from tests.support.torrents import Torrent, make_torrent
from tests.support.tracker import Tracker, tracker

SIZE = 8 << 20
PIECE = 65536
BLOCKS = PIECE // 16384
IN_FLIGHT = 2 << 20  # what may be fetched twice by a kill: pieces that were not whole


@pytest.fixture
def announces():
    with tracker() as one:
        yield one


@pytest.fixture
def seeds(announces: Tracker):
    with peer() as one:
        announces.introduce(one.address)
        yield one


@pytest.fixture
def content(tmp_path: Path) -> Path:
    (tmp_path / "s" / "film").mkdir(parents=True)
    path = tmp_path / "s" / "film" / "film.mkv"
    path.write_bytes(os.urandom(SIZE))
    (tmp_path / "s" / "film" / "notes").write_bytes(os.urandom(1000))
    return path


@pytest.fixture(params=["v1", "hybrid"])
def torrent(request: pytest.FixtureRequest, content: Path, announces: Tracker) -> Torrent:
    return make_torrent(content.parent, version=request.param, piece_size=PIECE, trackers=[announces.url])


def killed(state: Path, what: str | None, *, after: int) -> int:
    """Run until so many bytes are here, then kill -9; how many there were."""
    command = [sys.executable, "-W", "error", "-m", "tests.support.torrent_child", str(state)]
    command += [what] if what else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        done = -1
        try:
            while done < after:
                line = child.stdout.readline()
                assert line, child.wait()
                done = int(line)
        finally:
            child.send_signal(signal.SIGKILL)
    return done


async def finished(here: Torrents) -> bytes:
    (found,) = await here.catalogue.torrents()
    item = await here.until(found[0], State.SEEDING)
    return here.content((await here.tree(item))["film.mkv"])


async def test_kill_9_costs_what_was_in_flight(tmp_path: Path, seeds: Peer, torrent: Torrent, content: Path) -> None:
    seeds.seed(torrent, tmp_path / "s", limit=4_000_000)
    path = torrent.save(tmp_path / "film.torrent")
    here_then = killed(tmp_path / "state", str(path), after=SIZE // 4)
    more = killed(tmp_path / "state", None, after=SIZE // 2)
    assert more >= here_then
    async with torrents(tmp_path / "state") as here:
        assert await finished(here) == content.read_bytes()
    assert seeds.uploaded(torrent) <= SIZE + 1000 + 2 * IN_FLIGHT


async def test_kill_9_in_a_metadata_fetch_goes_on(tmp_path: Path, seeds: Peer, torrent: Torrent, content: Path) -> None:
    killed(tmp_path / "state", torrent.magnet(peers=[seeds.address]), after=0)
    seeds.seed(torrent, tmp_path / "s")
    async with torrents(tmp_path / "state") as here:
        assert await finished(here) == content.read_bytes()


async def test_a_clean_stop_leaves_nothing_to_hash(
    tmp_path: Path, seeds: Peer, torrent: Torrent, content: Path
) -> None:
    seeds.seed(torrent, tmp_path / "s", limit=4_000_000)
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.data)
        await here.here(item, SIZE // 3)
    sent = seeds.uploaded(torrent)
    seeds.remove(torrent)
    async with torrents(tmp_path / "state") as here:
        await here.in_session(item)
        assert await here.read_back() <= 4 * BLOCKS  # pieces whose hash was under way at the stop
        progress = here.manager.progress(item.id)
        assert progress is not None and progress.done >= SIZE // 3
        seeds.seed(torrent, tmp_path / "s")
        assert await finished(here) == content.read_bytes()
    assert sent + seeds.uploaded(torrent) <= SIZE + 1000 + IN_FLIGHT


async def test_a_kill_leaves_what_came_since_the_last_checkpoint_to_hash(
    tmp_path: Path, seeds: Peer, torrent: Torrent, content: Path
) -> None:
    seeds.seed(torrent, tmp_path / "s", only=SIZE // 4 // PIECE)
    here_then = killed(tmp_path / "state", str(torrent.save(tmp_path / "film.torrent")), after=SIZE // 4)
    seeds.remove(torrent)
    async with torrents(tmp_path / "state") as here:
        item = here.item((await here.catalogue.torrents())[0][0])
        await here.in_session(item)
        await here.here(item, here_then - IN_FLIGHT)
        assert 0 < await here.read_back() <= here_then // PIECE * BLOCKS


async def test_a_seeding_torrent_goes_on_to_seed(tmp_path: Path, seeds: Peer, torrent: Torrent, content: Path) -> None:
    seeds.seed(torrent, tmp_path / "s")
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.data)
        await here.until(item, State.SEEDING)
    seeds.remove(torrent)
    async with torrents(tmp_path / "state") as here:
        await here.in_session(item)
        assert await here.read_back() == 0
        with peer(host="127.0.0.2") as fresh:
            fresh.leech(torrent, tmp_path / "fresh", from_=[here.address])
            await trio.to_thread.run_sync(fresh.wait_complete, torrent)
        assert here.item(item).state is State.SEEDING
    assert (tmp_path / "fresh/film/film.mkv").read_bytes() == content.read_bytes()


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "garbage"])
async def test_damaged_notes_are_not_believed(
    tmp_path: Path, seeds: Peer, torrent: Torrent, content: Path, damage: str
) -> None:
    seeds.seed(torrent, tmp_path / "s", limit=4_000_000)
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.data)
        await here.here(item, SIZE // 3)
    sent = seeds.uploaded(torrent)
    async with torrents(tmp_path / "state") as here:
        await here.manager.pause(item.id)
        row = await here.catalogue.torrent(item.id)
        assert row is not None and row.resume is not None
        data = row.resume
        bad = {
            "cut": data[: len(data) // 2],
            "flipped": data[:60] + bytes([data[60] ^ 1]) + data[61:],
            "foreign": data.replace(b"tagfs torrent 1", b"tagfs torrent 9"),
            "garbage": os.urandom(100),
        }[damage]
        await here.catalogue.save_resume(item.id, bad)
        sent = seeds.uploaded(torrent)
        await here.manager.resume(item.id)
        assert await finished(here) == content.read_bytes()
    assert seeds.uploaded(torrent) <= sent + SIZE * 2 // 3 + IN_FLIGHT  # what is in the files is found there


async def test_a_file_that_was_changed_meanwhile_is_fetched_again(
    tmp_path: Path, seeds: Peer, torrent: Torrent, content: Path
) -> None:
    seeds.seed(torrent, tmp_path / "s", only=SIZE // 2 // PIECE)
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.data)
        await here.here(item, SIZE // 2)
        (folder,) = here.folders
    files = sorted((tmp_path / "state/torrents" / folder).glob("[0-9]*"), key=lambda path: -path.stat().st_size)
    with files[0].open("r+b") as file:
        file.write(bytes(SIZE // 4))
    seeds.remove(torrent)
    seeds.seed(torrent, tmp_path / "s")
    async with torrents(tmp_path / "state") as here:
        assert await finished(here) == content.read_bytes()


async def test_how_much_is_here_is_known_while_it_rests(
    tmp_path: Path, seeds: Peer, torrent: Torrent, content: Path
) -> None:
    seeds.seed(torrent, tmp_path / "s", only=8)
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.magnet(peers=[seeds.address]))
        await here.here(item, 200_000)
        await here.manager.pause(item.id)
        before = here.manager.progress(item.id)
        assert before is not None
    async with torrents(tmp_path / "state") as here:
        with trio.fail_after(60):
            while (now := here.manager.progress(item.id)) is None or not now.done:
                await trio.sleep(0.001)
        assert (now.done, now.total) == (before.done, before.total)
        assert here.item(item).state is State.PAUSED


async def test_pieces_whose_file_was_never_written_are_fetched(
    tmp_path: Path, seeds: Peer, torrent: Torrent, content: Path
) -> None:
    """As a kill leaves it that comes before libtorrent has made the file."""
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.data)
        await here.in_session(item)
        (folder,) = here.folders
    live = tmp_path / "state/torrents" / folder / "live"
    live.write_bytes(b"".join(piece.to_bytes(4, "little") for piece in range(SIZE // PIECE + 1)))
    (tmp_path / "state/torrents" / folder / "0").write_bytes(bytes(PIECE // 2))
    seeds.seed(torrent, tmp_path / "s")
    async with torrents(tmp_path / "state") as here:
        assert await finished(here) == content.read_bytes()
