"""Pages of tags: what is loaded with them is what the taggings say, whatever was written since they were kept."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from engine.catalogue import SqliteCatalogue, open_catalogue, pages
from engine.catalogue.pages import ITEMS, Keeper, Page
from engine.errors import StoreFull
from engine.ports import Edit, Retagging
from engine.types import ItemId
from tests.support.catalogue import whole

TAGS = "abc"
Step = tuple[str, int, str]


@pytest.fixture
async def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteCatalogue]:
    monkeypatch.setattr(pages, "WORTH", 1)
    monkeypatch.setattr(pages, "PAUSE", 0.0)
    async with open_catalogue(str(tmp_path / "catalogue.sqlite")) as opened:
        yield opened


class Asked:
    """What the writer has of a catalogue, from another connection."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)

    def tags(self) -> dict[str, int]:
        return dict(self.connection.execute("SELECT name, id FROM tag").fetchall())

    def carriers(self, tag: int) -> BitMap:
        return BitMap([item for (item,) in self.connection.execute("SELECT item FROM tagging WHERE tag = ?", (tag,))])

    def kept(self) -> set[Page]:
        return set(self.connection.execute("SELECT tag, page FROM tag_page").fetchall())

    def go_on_from(self, item: int) -> None:
        self.connection.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'item'", (item - 1,))

    def trashed(self) -> BitMap:
        return BitMap([item for (item,) in self.connection.execute("SELECT id FROM item WHERE trashed_ns > 0")])


async def kept(asked: Asked, wanted: Callable[[set[Page]], bool]) -> None:
    """Wait until the service has kept what is wanted."""
    with trio.fail_after(60):
        while not wanted(asked.kept()):
            await trio.sleep(0.001)  # another thread has no event to wait for


steps = st.lists(
    st.tuples(
        st.sampled_from(("add", "jump", "tag", "untag", "tag all", "untag all", "trash", "forget", "merge", "load")),
        st.integers(0, 5),
        st.sampled_from(TAGS),
    ),
    max_size=15,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
@example([("add", 0, "a"), ("load", 0, "a"), ("add", 0, "a"), ("load", 0, "a")])
@example([("add", 0, "a"), ("jump", 1, "a"), ("add", 0, "a"), ("load", 0, "a"), ("untag", 1, "a")])
@example([("add", 0, "a"), ("load", 0, "a"), ("trash", 0, "a"), ("forget", 0, "a")])
@example([("add", 0, "a"), ("add", 0, "b"), ("load", 0, "b"), ("merge", 0, "a"), ("load", 0, "b")])
def test_what_is_loaded_is_what_the_taggings_say(played: list[Step]) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "WORTH", 1)
        trio.run(play, Path(folder) / "catalogue.sqlite", played)


async def play(path: Path, played: list[Step]) -> None:
    async with open_catalogue(str(path)) as catalogue:
        asked = Asked(path)
        for step, number, tag in played:
            await take(catalogue, asked, step, number, tag)
            for found in asked.tags().values():
                loaded = (await catalogue.tagged([found]))[found]
                assert loaded == asked.carriers(found) - asked.trashed()
        assert await catalogue.check() == []
        asked.connection.close()


async def take(catalogue: SqliteCatalogue, asked: Asked, step: str, number: int, tag: str) -> None:
    items = [ItemId(item) for (item,) in asked.connection.execute("SELECT id FROM item ORDER BY id").fetchall()]
    item = items[number % len(items)] if items else None
    match step:
        case "add":
            await catalogue.add(whole(f"f{len(items)}", tag))
        case "jump":
            asked.go_on_from((number + 1) * ITEMS - number % 2)
        case "load":  # and keep at once what is worth it
            worth = [page for found in asked.tags().values() for page in pages.load(asked.connection, found)[1]]
            await catalogue._write(pages.keep, worth)
            assert asked.kept() >= set(worth)
        case "tag all" | "untag all":
            those = {tag: BitMap(items) - asked.trashed()}

            async def choose() -> Retagging:
                return Retagging(add=those) if step == "tag all" else Retagging(remove=those)

            await catalogue.retag_many(choose)
        case "merge" if tag in asked.tags() and "b" in asked.tags() and tag != "b":
            await catalogue.merge_tag(tag, "b")
        case _ if item is not None:
            await one(catalogue, asked, step, item, tag)


async def one(catalogue: SqliteCatalogue, asked: Asked, step: str, item: ItemId, tag: str) -> None:
    is_trashed = item in asked.trashed()
    match step:
        case "tag":
            await catalogue.edit(item, Edit(add=[tag]))
        case "untag":
            await catalogue.edit(item, Edit(remove=[tag]))
        case "trash" if not is_trashed:
            await catalogue.trash(item)
        case "forget" if is_trashed:
            await catalogue.purge([item])


async def test_what_was_read_is_kept_and_used(catalogue: SqliteCatalogue, tmp_path: Path) -> None:
    asked = Asked(tmp_path / "catalogue.sqlite")
    await catalogue.add(whole("f", "a"))
    asked.go_on_from(ITEMS + 5)
    await catalogue.add_many([whole("g", "a", "b"), whole("h", "b")])
    tags = asked.tags()
    await catalogue.tagged([tags["a"]])
    await kept(asked, lambda found: found == {(tags["a"], 0), (tags["a"], 1)})
    asked.connection.execute("DROP TRIGGER tagging_delete")
    asked.connection.execute("DELETE FROM tagging WHERE tag = ? AND item < ?", (tags["a"], ITEMS))
    assert len((await catalogue.tagged([tags["a"]]))[tags["a"]]) == 2  # from the pages, and not from the taggings
    assert (
        await catalogue.check()
        == [
            f"page 0 of who carries tag {tags['a']} is not what its taggings say",
            "tag 'a' counts 2 live items and has 1",
        ][::-1]
    )
    await catalogue.mend()
    assert await catalogue.check() == []
    assert len((await catalogue.tagged([tags["a"]]))[tags["a"]]) == 1
    asked.connection.close()


async def test_a_damaged_page_is_read_from_the_taggings_and_reported(
    catalogue: SqliteCatalogue, tmp_path: Path
) -> None:
    asked = Asked(tmp_path / "catalogue.sqlite")
    item = await catalogue.add(whole("f", "a"))
    tag = asked.tags()["a"]
    for damaged in (b"", b"garbage"):
        asked.connection.execute("INSERT OR REPLACE INTO tag_page VALUES (?, 0, ?)", (tag, damaged))
        assert (await catalogue.tagged([tag]))[tag] == BitMap([item.id])
        assert await catalogue.check() == [f"page 0 of who carries tag {tag} is not what its taggings say"]
    await catalogue.mend()
    assert await catalogue.check() == []
    asked.connection.close()


async def test_few_are_not_kept(tmp_path: Path) -> None:
    async with open_catalogue(str(tmp_path / "catalogue.sqlite")) as catalogue:
        asked = Asked(tmp_path / "catalogue.sqlite")
        await catalogue.add(whole("f", "a"))
        assert pages.load(asked.connection, asked.tags()["a"])[1] == {}
        await catalogue._write(pages.keep, [(asked.tags()["a"], 0)])
        assert asked.kept() == set()
        asked.connection.close()


async def test_batches_are_small_and_a_full_disk_ends_them(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    written: list[list[Page]] = []
    full = False

    async def write(some: list[Page]) -> None:
        written.append(some)
        if full:
            raise StoreFull("no space")

    keeper = Keeper()
    nursery.start_soon(keeper.run, write)
    keeper.want({(1, 0): ITEMS - 1, (1, 1): ITEMS, (2, 0): 1, (2, 1): 1})
    await trio.sleep(pages.PAUSE + 1)
    assert written == [[(1, 0), (1, 1)], [(2, 0), (2, 1)]]
    full = True
    keeper.want({(3, page): ITEMS for page in range(5)})
    await trio.sleep(pages.PAUSE + 1)
    assert written[2:] == [[(3, 0)]]
    full = False
    keeper.want({(3, 0): ITEMS})
    await trio.sleep(pages.PAUSE + 1)
    assert written[3:] == [[(3, 0)]]
    nursery.cancel_scope.cancel()
