"""What happens to a torrent's item and its files in their life: chosen, skipped, paused, removed, seeded enough."""

from __future__ import annotations

import os
from pathlib import Path

import libtorrent as lt
import pytest
import trio

from engine.errors import BadRequest
from engine.sources.torrent.params import Start
from engine.torrents import work
from engine.torrents.swarm import Swarm
from engine.types import Kind, State
from tests.support.nginx import nginx
from tests.support.swarm import Peer, peer
from tests.support.torrenting import torrents
from tests.support.torrents import HOSTILE_NAMES, content_of, make_torrent, many_names, raw_torrent
from tests.support.tracker import tracker


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
    folder = tmp_path / "s" / "film"
    (folder / "extra").mkdir(parents=True)
    (folder / "film.mkv").write_bytes(os.urandom(400_000))
    (folder / "extra" / "cover.jpg").write_bytes(os.urandom(5_000))
    (folder / "extra" / "notes.txt").write_bytes(os.urandom(70_000))
    return folder


def names(tree: dict) -> dict[str, State]:
    return {path: item.state for path, item in tree.items()}


@pytest.mark.parametrize("select", ["*.jpg", "1", "extra/cover*"])
async def test_only_what_is_selected_is_fetched(
    tmp_path: Path, seeds: Peer, announces, film: Path, select: str
) -> None:
    torrent = make_torrent(film, piece_size=16384, trackers=[announces.url])
    seeds.seed(torrent, film.parent)
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.data, select="2" if select == "1" else select)
        done = await here.until(item, State.SEEDING)
        tree = await here.tree(done)
        chosen = "extra/cover.jpg" if select != "1" else next(p for p, s in names(tree).items() if s is State.COMPLETE)
        assert names(tree) == {path: State.COMPLETE if path == chosen else State.SKIPPED for path in tree}
        assert here.content(tree[chosen]) == (film / chosen).read_bytes()
        if chosen == "extra/cover.jpg":
            assert seeds.uploaded(torrent) <= 3 * 16384
            # One more is wanted, and then all is here.
            await here.manager.resume(tree["extra/notes.txt"].id)
            notes = await here.until(tree["extra/notes.txt"].id, State.COMPLETE)
            assert here.content(notes) == (film / "extra/notes.txt").read_bytes()
            await here.until(item, State.SEEDING)
            assert names(await here.tree(item))["film.mkv"] is State.SKIPPED


async def test_a_selection_of_nothing_is_refused(tmp_path: Path, film: Path) -> None:
    torrent = make_torrent(film)
    async with torrents(tmp_path / "state") as here:
        for select in ("*.exe", "7", "0", " ", "3-1"):
            with pytest.raises(BadRequest):
                await here.add(torrent.data, select=select)
        assert here.folders == []


async def test_a_selection_of_nothing_is_mended_by_adding_again(tmp_path: Path, seeds: Peer, film: Path) -> None:
    torrent = make_torrent(film, piece_size=16384)
    seeds.seed(torrent, film.parent)
    link = torrent.magnet(peers=[seeds.address])
    async with torrents(tmp_path / "state") as here:
        item = await here.add(link, select="*.nope")
        assert "None of the files" in ((await here.until(item, State.FAILED)).error or "")
        assert (await here.add(link, select="*.jpg")).id == item.id
        await here.until(item, State.SEEDING)
        assert names(await here.tree(item))["extra/cover.jpg"] is State.COMPLETE


@pytest.mark.parametrize("over", [False, True])
async def test_files_that_are_selected_later_come_too(tmp_path: Path, seeds: Peer, film: Path, over: bool) -> None:
    torrent = make_torrent(film, piece_size=16384)
    seeds.seed(torrent, film.parent)
    link = torrent.magnet(peers=[seeds.address])
    async with torrents(tmp_path / "state", seed=not over) as here:
        item = await here.add(link, select="*.jpg")
        await here.until(item, State.COMPLETE if over else State.SEEDING)
        while over and here.manager.progress(item.id) is not None:
            await trio.sleep(0.001)
        await here.add(link, select="*.txt")
        found = await here.tree(item)
        await here.until(found["extra/notes.txt"], State.COMPLETE)
        assert names(await here.tree(item)) == {
            "film.mkv": State.SKIPPED, "extra/cover.jpg": State.COMPLETE, "extra/notes.txt": State.COMPLETE,
        }  # fmt: skip
        with pytest.raises(BadRequest, match="None of the files"):
            await here.add(link, select="*.nope")


async def test_a_link_selects_by_so(tmp_path: Path, seeds: Peer, announces, film: Path) -> None:
    torrent = make_torrent(film, piece_size=16384)
    seeds.seed(torrent, film.parent)
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.magnet(peers=[seeds.address]) + "&so=0")
        done = await here.until(item, State.SEEDING)
        assert sorted(names(await here.tree(done)).values()) == [State.COMPLETE, State.SKIPPED, State.SKIPPED]


async def test_a_file_can_be_skipped_while_it_arrives(tmp_path: Path, seeds: Peer, announces, film: Path) -> None:
    torrent = make_torrent(film, piece_size=16384, trackers=[announces.url])
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.data)
        tree = await here.tree(item)
        await here.manager.stop(tree["film.mkv"].id)  # as rm does
        await here.catalogue.trash(tree["film.mkv"].id)
        await here.manager.skip(tree["extra/cover.jpg"].id)
        seeds.seed(torrent, film.parent)
        await here.in_session(item)
        await here.add(torrent.magnet(peers=[seeds.address]))
        done = await here.until(item, State.SEEDING)
        assert names(await here.tree(done)) == {
            "extra/cover.jpg": State.SKIPPED,
            "extra/notes.txt": State.COMPLETE,
        }
        with pytest.raises(BadRequest, match="Only a file in a torrent"):
            await here.manager.skip(item.id)


async def test_what_is_chosen_while_a_torrent_is_opened_counts(
    tmp_path: Path, seeds: Peer, announces, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows are read, and some awaits later it runs by them."""
    torrent = make_torrent(film, piece_size=16384, trackers=[announces.url])
    seeds.seed(torrent, film.parent)
    open_torrent, begun, chosen = work.open_torrent, trio.Event(), trio.Event()

    async def open_and_wait(*args, **kwargs):
        opened = await open_torrent(*args, **kwargs)
        begun.set()
        await chosen.wait()
        return opened

    monkeypatch.setattr(work, "open_torrent", open_and_wait)
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.data, select="*.jpg")
        tree = await here.tree(item)
        await begun.wait()
        await here.manager.skip(tree["extra/cover.jpg"].id)
        await here.manager.resume(tree["extra/notes.txt"].id)
        chosen.set()
        await here.until(item, State.SEEDING)
        assert names(await here.tree(item)) == {
            "film.mkv": State.SKIPPED, "extra/cover.jpg": State.SKIPPED, "extra/notes.txt": State.COMPLETE,
        }  # fmt: skip


async def test_what_is_chosen_before_a_torrent_is_in_the_session_counts_there(
    tmp_path: Path, seeds: Peer, announces, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torrent = make_torrent(film, piece_size=16384, trackers=[announces.url])
    begin, begun, chosen = Swarm.begin, trio.Event(), trio.Event()

    async def wait_and_begin(self: Swarm, start: Start) -> None:
        begun.set()
        await chosen.wait()
        await begin(self, start)

    monkeypatch.setattr(Swarm, "begin", wait_and_begin)
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.data, select="film.mkv")
        tree = await here.tree(item)
        await begun.wait()
        await here.manager.skip(tree["film.mkv"].id)
        await here.manager.resume(tree["extra/notes.txt"].id)
        chosen.set()
        await here.in_session(item)
        seeds.seed(torrent, film.parent)
        await here.add(torrent.magnet(peers=[seeds.address]))
        await here.until(item, State.SEEDING)
        assert names(await here.tree(item))["extra/notes.txt"] is State.COMPLETE
        assert seeds.uploaded(torrent) < 150_000  # nothing of the film but what shares a piece with the notes


async def test_seeding_ends_at_the_ratio_and_leaves_nothing_behind(
    tmp_path: Path, seeds: Peer, announces, film: Path
) -> None:
    torrent = make_torrent(film, piece_size=16384, trackers=[announces.url])
    seeds.seed(torrent, film.parent)
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.data, options={"seed-ratio": "0.5"})
        await here.until(item, State.SEEDING)
        seeds.remove(torrent)
        with peer(host="127.0.0.2") as fresh:
            fresh.leech(torrent, tmp_path / "fresh", from_=[here.address])
            done = await here.until(item, State.COMPLETE)
        assert done.error is None
        with trio.fail_after(60):
            while here.folders:
                await trio.sleep(0.001)
        tree = await here.tree(done)
        assert here.content(tree["film.mkv"]) == (film / "film.mkv").read_bytes()
        # Adding it again finds it: nothing is fetched.
        assert (await here.add(torrent.data, tags=["again"])).id == item.id
        assert here.catalogue.tags(item.id) == ("again",)
        assert here.item(item).state is State.COMPLETE


async def test_without_seeding_it_is_complete_at_once(tmp_path: Path, seeds: Peer, announces, film: Path) -> None:
    torrent = make_torrent(film, trackers=[announces.url])
    seeds.seed(torrent, film.parent)
    async with torrents(tmp_path / "state", seed=False) as here:
        item = await here.add(torrent.data)
        done = await here.until(item, State.COMPLETE)
        assert set(names(await here.tree(done)).values()) == {State.COMPLETE}
        assert {child.state for child in await here.catalogue.children(done.id)} == {State.COMPLETE}


async def test_removed_it_stops_and_purged_it_is_gone(tmp_path: Path, seeds: Peer, announces, film: Path) -> None:
    torrent = make_torrent(film, piece_size=16384, trackers=[announces.url])
    seeds.seed(torrent, film.parent, limit=100_000)
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.data, tags=["movie"])
        await here.here(item, 20_000)
        await here.manager.stop(item.id)
        await here.catalogue.trash(item.id)
        assert not here.manager._session.has(item.id)
        assert len(here.folders) == 1
        # Adding it again brings it back, with what it had.
        again = await here.add(torrent.data, tags=["more"])
        assert again.id == item.id
        assert here.catalogue.tags(item.id) == ("more", "movie")
        await here.here(item, 20_000)
        await here.manager.stop(item.id)
        await here.catalogue.trash(item.id)
        await here.catalogue.purge([item.id])
        with trio.fail_after(60):
            while here.folders:
                await trio.sleep(0.001)
        other = await here.add(torrent.data)
        assert other.id != item.id


async def test_every_hostile_name_arrives_under_a_safe_one(tmp_path: Path, seeds: Peer, announces) -> None:
    paths = many_names(3000)
    torrent = raw_torrent(tmp_path / "content", paths, tracker=announces.url)
    seeds.seed(torrent, tmp_path / "content")
    before = {path for path in tmp_path.rglob("*") if "state" not in path.parts}
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.data)
        done = await here.until(item, State.SEEDING)
        tree = await here.tree(done)
        assert len(tree) == len(paths)
        rows = await here.catalogue.torrent_files(item.id)
        assert [position for position, _ in rows] == list(range(3000))
        for position, child in rows:
            assert here.content(child) == content_of(position)
            raw = os.fsencode(child.name)
            assert 1 <= len(raw) <= 255 and b"/" not in raw and child.name not in (".", "..")
            assert not any(byte < 0x20 or byte == 0x7F for byte in raw)
        byname = {row.name: row.state for _, row in rows[: len(HOSTILE_NAMES)]}
        assert {"CON", "Twin.txt", "twin.txt", "same.txt", "same~2.txt", "-rf"} <= set(byname)
        assert "caf\udce9 \udcff\udcfe.txt" in byname
        (folder,) = here.folders
        inside = os.listdir(tmp_path / "state/torrents" / folder)
        assert {name for name in inside if not name.isdigit()} <= {"live"}
    after = {path for path in tmp_path.rglob("*") if "state" not in path.parts}
    assert after == before


async def test_a_private_torrent_uses_its_tracker_alone(tmp_path: Path, seeds: Peer, announces, film: Path) -> None:
    torrent = make_torrent(film, private=True, trackers=[announces.url])
    seeds.seed(torrent, film.parent)
    async with torrents(tmp_path / "state", pex=True) as here:
        item = await here.add(torrent.data)
        await here.until(item, State.SEEDING)
        handle = here.manager._session._handles[item.id]
        flags = await trio.to_thread.run_sync(handle.flags)
        for off in (lt.torrent_flags.disable_dht, lt.torrent_flags.disable_lsd, lt.torrent_flags.disable_pex):
            assert flags & off
    assert any(seen.info_hash == torrent.v1 for seen in announces.seen)


async def test_a_web_seed_alone_is_enough(tmp_path: Path, film: Path) -> None:
    with nginx(tmp_path / "nginx", film.parent) as server:
        torrent = make_torrent(film, piece_size=16384, web_seeds=[server.url("/")])
        async with torrents(tmp_path / "state") as here:
            item = await here.add(torrent.data)
            done = await here.until(item, State.SEEDING)
            tree = await here.tree(done)
            assert here.content(tree["film.mkv"]) == (film / "film.mkv").read_bytes()
            assert done.kind is Kind.FOLDER


async def test_peers_that_lie_are_left(tmp_path: Path, seeds: Peer, announces, film: Path) -> None:
    torrent = make_torrent(film, piece_size=16384, trackers=[announces.url])
    liar_folder = tmp_path / "lies" / "film"
    (liar_folder / "extra").mkdir(parents=True)
    for path in ("film.mkv", "extra/cover.jpg", "extra/notes.txt"):
        (liar_folder / path).write_bytes(os.urandom((film / path).stat().st_size))
    with peer(host="127.0.0.3", disable_hash_checks=True) as liar:
        liar.seed(torrent, liar_folder.parent)
        announces.introduce(liar.address)
        seeds.seed(torrent, film.parent, limit=200_000)
        async with torrents(tmp_path / "state") as here:
            item = await here.add(torrent.data)
            done = await here.until(item, State.SEEDING)
            tree = await here.tree(done)
            assert {path: here.content(child) for path, child in tree.items()} == {
                path: (film / path).read_bytes() for path in tree
            }


async def test_peers_without_an_address_are_left_out(tmp_path: Path, seeds: Peer, film: Path) -> None:
    torrent = make_torrent(film)
    seeds.seed(torrent, film.parent)
    async with torrents(tmp_path / "state") as here:
        link = torrent.magnet(peers=["999.1.1.1:5", "peer.example:1", "foo:80", seeds.address])
        item = await here.add(link)
        await here.add(torrent.magnet(peers=["another.example:1", "[fe80::1]:6"]))  # while it is in the session
        await here.until(item, State.SEEDING)


async def test_seeding_is_paused_and_goes_on(tmp_path: Path, seeds: Peer, film: Path) -> None:
    torrent = make_torrent(film / "film.mkv")
    seeds.seed(torrent, film)
    async with torrents(tmp_path / "state") as here:
        item = await here.until(await here.add(torrent.magnet(peers=[seeds.address])), State.SEEDING)
        await here.manager.pause(item.id)
        assert here.item(item).state is State.COMPLETE
        await here.manager.resume(item.id)
        await here.until(item, State.SEEDING)
        await here.manager.pause(item.id)
    async with torrents(tmp_path / "state", seed_time=0.5) as here:
        assert here.manager.progress(item.id) is None  # it takes up nothing
        await here.manager.resume(item.id)
        await here.until(item, State.SEEDING)
        with trio.fail_after(60):
            while here.manager.progress(item.id) is not None:
                await trio.sleep(0.001)
        await here.manager.resume(item.id)
        assert here.manager.progress(item.id) is None  # its goal is reached
        assert here.item(item).state is State.COMPLETE


async def test_what_is_no_torrent_is_refused(tmp_path: Path) -> None:
    async with torrents(tmp_path / "state") as here:
        for data in (b"", b"garbage", b"d4:infod4:name1:aee", b"l" * 100_000 + b"e" * 100_000):
            with pytest.raises(BadRequest, match="no torrent that can be read"):
                await here.add(data)
        with pytest.raises(BadRequest, match="There is no option"):
            await here.add("magnet:?xt=urn:btih:" + "0" * 40, options={"header.X": "1"})
        assert here.folders == []


@pytest.mark.parametrize(("failure", "shown"), [("go\x1b[31m\naway", "go [31m away"), ("\udcff\udcfe", "")])
async def test_what_trackers_say_is_shown_until_somebody_is_there(
    tmp_path: Path, announces, film: Path, failure: str, shown: str
) -> None:
    torrent = make_torrent(film, piece_size=16384, trackers=[announces.url])
    announces.failure = failure
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.data)
        found = await here.when(item, lambda found: found.error is not None)
        assert found.state is State.DOWNLOADING
        assert found.error.startswith(f"A tracker does not help: {shown}")
        assert found.error.isprintable()
        with peer() as seeds:
            seeds.seed(torrent, film.parent)
            await here.add(torrent.magnet(peers=[seeds.address]))
            assert (await here.until(item, State.SEEDING)).error is None


@pytest.mark.parametrize("how", ["overwritten", "cut"])
async def test_a_file_that_is_overwritten_while_it_arrives_is_fetched_again(
    tmp_path: Path, seeds: Peer, announces, how: str
) -> None:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(2_000_000))
    torrent = make_torrent(path, piece_size=16384, trackers=[announces.url])
    seeds.seed(torrent, tmp_path, limit=500_000)
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.data)
        await here.here(item, 200_000)
        await here.manager._roster.jobs[item.id].swarm.flush()
        (folder,) = here.folders
        with (tmp_path / "state/torrents" / folder / "0").open("r+b") as file:
            file.truncate(0) if how == "cut" else file.write(bytes(2_000_000))
        done = await here.until(item, State.SEEDING)
        assert here.content(done) == path.read_bytes()
    assert seeds.uploaded(torrent) > 2_100_000


async def test_a_damaged_blob_is_not_written_to_but_replaced(
    tmp_path: Path, seeds: Peer, announces, film: Path
) -> None:
    torrent = make_torrent(film, piece_size=16384, trackers=[announces.url])
    data = (film / "film.mkv").read_bytes()
    seeds.seed(torrent, film.parent)
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.data)
        done = await here.until(item, State.SEEDING)
        movie = (await here.tree(done))["film.mkv"]
        blob = Path(here.store.path(movie.sha256))
    os.chmod(blob, 0o640)
    with blob.open("r+b") as file:
        file.write(bytes(20_000))
    os.chmod(blob, 0o440)
    with blob.open("rb") as damaged:
        async with torrents(tmp_path / "state") as here:
            await here.manager.pause(item.id)
            await here.catalogue.save_resume(item.id, b"damaged: everything is hashed")
            await here.manager.resume(item.id)
            with trio.fail_after(60):
                while here.content(movie) != data:
                    await trio.sleep(0.01)
            (folder,) = here.folders
            assert blob.samefile(tmp_path / "state/torrents" / folder / "0")
        assert damaged.read() == bytes(20_000) + data[20_000:]
    assert seeds.uploaded(torrent) < 2 * len(data)


@pytest.mark.parametrize("link", [False, True])
async def test_paused_at_any_moment_it_leaves_the_session_and_goes_on_later(
    tmp_path: Path, seeds: Peer, film: Path, caplog: pytest.LogCaptureFixture, link: bool
) -> None:
    torrent = make_torrent(film, piece_size=16384)
    seeds.seed(torrent, film.parent)
    async with torrents(tmp_path / "state") as here:
        magnet = torrent.magnet(peers=[seeds.address])
        item = await here.add(magnet if link else torrent.data, paused=True)
        for moments in range(60):
            await here.manager.resume(item.id)
            for _ in range(moments):
                await trio.sleep(0.0002)
            await here.manager.pause(item.id)
            assert not here.manager._works.session.has(item.id)
            if here.item(item).state is not State.PAUSED:
                break
        assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
        await here.add(magnet)  # which brings the peer
        await here.manager.resume(item.id)
        await here.until(item, State.SEEDING)


async def test_a_file_that_is_removed_under_a_seed_comes_back(
    tmp_path: Path, seeds: Peer, announces, film: Path
) -> None:
    torrent = make_torrent(film / "film.mkv", piece_size=16384, trackers=[announces.url])
    seeds.seed(torrent, film)
    async with torrents(tmp_path / "state") as here:
        item = await here.add(torrent.data)
        await here.until(item, State.SEEDING)
        seeds.remove(torrent)
        (folder,) = here.folders
        (tmp_path / "state/torrents" / folder / "0").unlink()
        await here.manager._roster.jobs[item.id].swarm.flush(anyway=True)  # closes what libtorrent has open
        with peer(host="127.0.0.2") as fresh:
            announces.introduce(here.address)
            fresh.leech(torrent, tmp_path / "fresh", from_=[here.address])
            await trio.to_thread.run_sync(fresh.wait_complete, torrent)
        assert (tmp_path / "fresh/film.mkv").read_bytes() == (film / "film.mkv").read_bytes()


async def test_a_bug_in_one_torrent_fails_that_item_alone(
    tmp_path: Path, seeds: Peer, film: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = make_torrent(film / "film.mkv", piece_size=16384), make_torrent(film / "extra/notes.txt")
    seeds.seed(one, film)
    seeds.seed(other, film / "extra")
    begin = Swarm.begin

    async def broken(self: Swarm, start: Start) -> None:
        await begin(self, start)
        if self.item == bad.id:
            raise ZeroDivisionError("surprise")

    async with torrents(tmp_path / "state") as here:
        bad = await here.add(one.data, paused=True)
        good = await here.add(other.magnet(peers=[seeds.address]))
        monkeypatch.setattr(Swarm, "begin", broken)
        await here.manager.resume(bad.id)
        failed = await here.until(bad, State.FAILED)
        assert failed.error == "The torrent stopped because of an internal error, see the log."
        await here.until(good, State.SEEDING)
        assert not here.manager._session.has(bad.id)
        monkeypatch.setattr(Swarm, "begin", begin)
        await here.add(one.magnet(peers=[seeds.address]))
        await here.manager.resume(bad.id)
        assert here.content(await here.until(bad, State.SEEDING)) == (film / "film.mkv").read_bytes()
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert f"item {bad.id}" in record.getMessage() and record.exc_info
    caplog.clear()
