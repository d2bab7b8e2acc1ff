"""Rules and suggestions on their way to items: in the background, once an item, also after a kill in between."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from engine.catalogue import SqliteCatalogue
from engine.errors import StoreFull
from engine.ports import Edit, Look, NewItem
from engine.suggest import looking as module
from engine.suggest.guesser import Guesser, Question
from engine.suggest.looking import BATCH, Looker
from engine.suggest.rules import RuleText, understand
from engine.types import Item, ItemId, Source, SourceKind, State
from tests.support.world import World, open_world

RULES = (
    RuleText("type:video", ["movie"]),
    RuleText("host:example.org", ["mine"]),
    RuleText("type:video", accept=["year"]),
)
MKV = bytes.fromhex("1a45dfa3a34286810142f7810142f2810442f381084282886d6174726f736b614287810442858102")


class Scripted(Guesser):
    """Answers what a test says, and writes down what it is asked."""

    def __init__(self, answer: Callable[[Question], tuple[str, ...]] = lambda question: ()) -> None:
        super().__init__()
        self.asked: list[Question] = []
        self._say = answer

    async def ask(self, question: Question) -> tuple[str, ...]:
        await trio.lowlevel.checkpoint()
        self.asked.append(question)
        return self._say(question)


def looker(world: World, guesser: Guesser | None = None, rules: Sequence[RuleText] = RULES) -> Looker:
    made = understand(rules, "f")
    return Looker(
        world.catalogue, world.index, world.store, made, path=world.store.path, guesser=guesser or Scripted(), gather=0
    )  # fmt: skip


@asynccontextmanager
async def running(looker: Looker) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(looker.run)
        yield
        nursery.cancel_scope.cancel()


async def until(world: World, item: ItemId, *tags: str) -> None:
    """Wait, by the commits that there are, until it has these tags."""
    changed = trio.Event()

    class Watcher:
        def apply(self, changes: object, tags: object) -> None:
            changed.set()

        async def settle(self, changes: object, tags: object) -> None: ...

    leave = world.catalogue.observe(Watcher())
    with trio.fail_after(60):
        while world.catalogue.tags(item) != tuple(sorted(tags)):
            await changed.wait()
            changed = trio.Event()
    leave()


def queued(name: str, host: str = "") -> NewItem:
    return NewItem(name, state=State.QUEUED, sources=[Source(SourceKind.HTTP, "", "", host)])


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


async def film(world: World, name: str = "Alien.1979.1080p.mkv", *tags: str) -> Item:
    return await world.item(name, *tags, content=MKV + os.urandom(8))


async def test_a_name_and_a_host_are_enough_when_it_is_added(world: World) -> None:
    async with running(looker(world)):
        item = await world.catalogue.add(queued("a.mkv", "example.org"))
        await until(world, item.id, "mine", "movie")


async def test_content_is_looked_at_when_it_is_whole(world: World) -> None:
    """And what the first look put on and the user took off is not put on by the second."""
    looking = looker(world)
    item = await world.catalogue.add(queued("download", "example.org"))
    await looking.look_at_all()
    assert world.catalogue.tags(item.id) == ("mine",)
    await world.catalogue.edit(item.id, Edit(remove=["mine"]))
    name, fd = world.store.create_staging()
    os.write(fd, MKV)
    os.close(fd)
    done = await world.store.ingest(name, {})
    await world.catalogue.complete(
        item.id, done.sha256, done.size, digests={}, mtime_ns=None, keep_old=False, mime=done.mime
    )  # fmt: skip
    await looking.look_at_all()
    assert world.catalogue.tags(item.id) == ("movie",)


async def test_content_that_nobody_looked_at_on_its_way_in_is_looked_at_first(world: World) -> None:
    item = await film(world, "no ending")
    assert world.catalogue.facts(item.id).mime is None  # type: ignore[union-attr]  # it is there
    await looker(world).look_at_all()
    assert world.catalogue.tags(item.id) == ("movie",)


async def test_films_and_songs_are_asked_about_and_nothing_else(world: World) -> None:
    guesser = Scripted(lambda question: ("title:T", "year:1979"))
    names = ("a.txt", "b.tar.gz", "c.jpg", "d.pdf", "The.Matrix.1999.epub")
    others = [await world.item(name, content=b"plain text " + name.encode()) for name in names]
    one = await film(world)
    waiting = await world.catalogue.add(queued("b.mkv"))
    await looker(world, guesser).look_at_all()
    assert [question.name for question in guesser.asked] == [one.name]
    assert world.catalogue.tags(one.id) == ("movie", "year:1979")
    assert world.catalogue.suggestions(one.id) == [("title:T", "name")]
    for item in (*others, waiting):
        assert world.catalogue.suggestions(item.id) == []


async def test_a_file_in_a_folder_is_asked_about_with_it(world: World) -> None:
    guesser = Scripted()
    await world.folder("Alien.1979", {"film.mkv": MKV, "note.txt": b"text"})
    await looker(world, guesser).look_at_all()
    assert [question.name for question in guesser.asked] == ["Alien.1979/film.mkv"]


async def test_each_item_is_looked_at_once(world: World) -> None:
    guesser = Scripted()
    items = [await film(world, f"{number}.mkv") for number in range(5)]
    looking = looker(world, guesser)
    await looking.look_at_all()
    await world.catalogue.edit(items[0].id, Edit(remove=["movie"]))
    await looking.look_at_all()
    assert len(guesser.asked) == 5
    assert world.catalogue.tags(items[0].id) == ()


async def test_more_than_a_batch_and_what_is_in_the_trash(world: World) -> None:
    items = await world.catalogue.add_many([queued(f"{number}.mkv") for number in range(2 * BATCH + 5)])
    await world.catalogue.trash(items[3].id)
    looking = looker(world)
    await looking.look_at_all()
    tagged = [item for item in items if world.catalogue.tags(item.id) == ("movie",)]
    assert len(tagged) == len(items) - 1
    async with running(looking):
        await world.catalogue.restore(items[3].id)
        await until(world, items[3].id, "movie")


async def test_what_a_run_did_not_come_to_the_next_one_does(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        done, later = await film(world), await film(world, "b.mkv")
        waiting = Scripted()

        async def never(question: Question) -> tuple[str, ...]:
            started.set()
            await trio.sleep_forever()
            raise AssertionError

        started = trio.Event()
        waiting.ask = never  # type: ignore[method-assign]  # a worker that hangs, as it is killed with the daemon
        async with running(looker(world, waiting)):
            await started.wait()
    async with open_world(tmp_path) as world:
        assert world.catalogue.tags(done.id) == world.catalogue.tags(later.id) == ()
        async with running(looker(world)):
            await until(world, done.id, "movie")
            await until(world, later.id, "movie")


async def test_a_catalogue_without_space_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FULL", 0.01)
    note, refused = SqliteCatalogue.note_looks, 0

    async def full(self: SqliteCatalogue, looks: Sequence[Look], *, dry_run: bool = False) -> int:
        nonlocal refused
        refused += 1
        if refused < 5:
            raise StoreFull("no space left for the catalogue")
        return await note(self, looks, dry_run=dry_run)

    monkeypatch.setattr(SqliteCatalogue, "note_looks", full)
    item = await film(world)
    async with running(looker(world)):
        await until(world, item.id, "movie")
    assert refused >= 5


async def test_with_the_real_process(world: World) -> None:
    looking = looker(world, Guesser())
    item = await film(world, "Alien.1979.1080p.BluRay.x264-GRP.mkv", "mine")
    await looking.look_at_all()
    assert world.catalogue.tags(item.id) == ("mine", "movie", "year:1979")
    assert [tag for tag, _ in world.catalogue.suggestions(item.id)] == ["1080p", "codec:h.264", "title:Alien"]
    await looking.guesser.close()
