"""Commits that come while a part of the index loads: neither lost nor taken twice, whichever side is ahead."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
import trio
from pyroaring import BitMap

from engine.catalogue import SqliteCatalogue, open_catalogue
from engine.index import BitmapIndex
from engine.ports import Edit, NewItem, Observer, Opening
from engine.types import Change, Facts, Item, ItemId, State, TagChange
from query.ast import Compare, Expr, Op, Range, Tag
from query.evaluate import evaluate
from tests.support.catalogue import sha, whole

T = TypeVar("T")

NOW = 1_795_428_000.0

EXPRS: list[Expr] = [
    Tag("a"),
    Tag("b"),
    Range("year", "2000", None),
    Compare("ext", Op.EQ, "mkv"),
    Compare("type", Op.EQ, "video"),
    Compare("host", Op.EQ, "example.org"),
    Compare("source", Op.EQ, "http"),
    Compare("is", Op.EQ, "untagged"),
    Compare("size", Op.GE, "5"),
    Compare("added", Op.EQ, "7d"),
    Compare("name", Op.HAS, "f"),
    Compare("name", Op.EQ, "f1.mkv"),
    Compare("sha256", Op.EQ, sha("f2.iso")),
    Compare("sha256", Op.GE, "8"),
]


class SlowFeed:
    """A catalogue whose scans take as long as a test wants, and whose news arrive as late as it wants."""

    def __init__(self, catalogue: SqliteCatalogue) -> None:
        self._catalogue = catalogue
        self.before: Callable[[], Awaitable[None]] | None = None  # called once, before the next scan looks
        self.after: Callable[[], Awaitable[None]] | None = None  # called once, when it has looked
        self.holding = False
        self._held: list[tuple[Sequence[Change], Sequence[TagChange]]] = []

    # -- observer: news on their way to the index ------------------------------------------------------------------
    def apply(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        self._held.append((changes, tags))
        if not self.holding:
            self.release()

    def release(self) -> None:
        self.holding = False
        for changes, tags in self._held:
            self._index.apply(changes, tags)
        self._held.clear()

    async def settle(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
        pass

    # -- feed ------------------------------------------------------------------------------------------------------
    async def follow(self, observer: Observer, start: Callable[[Opening], None]) -> Callable[[], None]:
        self._index = observer
        return await self._catalogue.follow(self, start)

    def facts(self, item: ItemId) -> Facts | None:
        return self._catalogue.facts(item)

    def ancestors(self, item: ItemId) -> Sequence[ItemId]:
        return self._catalogue.ancestors(item)

    async def tagged(self, tags: Collection[int]) -> Mapping[int, BitMap]:
        return await self._around(lambda: self._catalogue.tagged(tags))

    async def valued(self, key: str) -> Mapping[str, BitMap]:
        return await self._around(lambda: self._catalogue.valued(key))

    async def ordered(self, key: str) -> tuple[array[int], array[int]]:
        return await self._around(lambda: self._catalogue.ordered(key))

    async def search(self, leaf: Compare | Range) -> BitMap:
        return await self._around(lambda: self._catalogue.search(leaf))

    async def _around(self, scan: Callable[[], Awaitable[T]]) -> T:
        await self._once("before")
        found = await scan()
        await self._once("after")
        return found

    async def _once(self, hook: str) -> None:
        function = getattr(self, hook)
        setattr(self, hook, None)
        if function is not None:
            await function()


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[SqliteCatalogue]:
    async with open_catalogue(str(tmp_path / "catalogue.db"), clock=lambda: int(NOW) * 10**9) as opened:
        yield opened


@pytest.fixture
async def items(catalogue: SqliteCatalogue) -> list[Item]:
    return await catalogue.add_many(
        [
            whole("f1.mkv", "a", "year:1999"),
            whole("f2.iso", "a", "b", "year:2001"),
            whole("g3.mkv", "b", host="debian.org"),
            whole("f4.mkv", "a", "year:2004"),
            NewItem("f5.mkv", state=State.QUEUED),
        ]
    )


async def disturb(catalogue: SqliteCatalogue, items: list[Item]) -> None:
    """A bit of everything, some of it back and forth."""
    one, two, three, four, five = (item.id for item in items)
    await catalogue.edit(one, Edit(name="x1.txt", add=["b", "year:2005"], remove=["a"]))
    await catalogue.edit(two, Edit(remove=["a", "b", "year:2001"], name="f1.mkv"))
    await catalogue.trash(three)
    await catalogue.trash(four)
    await catalogue.edit(four, Edit(tags=["b"], name="f4b.iso"))
    await catalogue.restore(four)
    await catalogue.edit(five, Edit(size=70, add=["a"], state=State.DOWNLOADING))
    await catalogue.edit(five, Edit(size=700, remove=["a"]))
    await catalogue.add(whole("f6.mkv", "a", "year:2010", "new"))
    gone = await catalogue.add(whole("f7.mkv", "b"))
    await catalogue.trash(gone.id)
    await catalogue.purge([gone.id])
    await catalogue.rename_tag("a", "c")
    await catalogue.create_tag("a")
    await catalogue.edit(one, Edit(add=["a"]))
    await catalogue.rename_tag("year:1999", "year:2003")


async def expected(catalogue: SqliteCatalogue, index: BitmapIndex, expr: Expr) -> list[int]:
    universe = {item: facts for item in index.live if (facts := catalogue.facts(ItemId(item))) is not None}
    return sorted(evaluate(expr, universe, now=NOW))


@pytest.mark.parametrize("expr", EXPRS, ids=str)
@pytest.mark.parametrize("hook", ["before", "after"])
@pytest.mark.parametrize("late", [False, True], ids=["told", "told late"])
async def test_commits_while_loading(
    catalogue: SqliteCatalogue, items: list[Item], expr: Expr, hook: str, late: bool
) -> None:
    feed = SlowFeed(catalogue)
    index = await BitmapIndex.open(feed)
    feed.holding = late

    async def interfere() -> None:
        await disturb(catalogue, items)

    setattr(feed, hook, interfere)
    await index.prepare(expr)
    feed.release()
    if late:
        await index.prepare(expr)  # a rename told only now may have brought another tag into a range
    assert getattr(feed, hook) is None, "nothing was loaded"
    found = list(index.evaluate(expr, now=NOW))
    assert found == await expected(catalogue, index, expr)
    # What comes later is followed as if nothing had happened.
    await catalogue.edit(items[0].id, Edit(name="f1.mkv", tags=["b", "year:2001"]))
    await catalogue.trash(items[3].id)
    await index.prepare(expr)
    assert list(index.evaluate(expr, now=NOW)) == await expected(catalogue, index, expr)


@pytest.mark.parametrize("expr", EXPRS, ids=str)
async def test_a_load_that_is_cancelled_can_be_done_again(
    catalogue: SqliteCatalogue, items: list[Item], expr: Expr
) -> None:
    feed = SlowFeed(catalogue)
    index = await BitmapIndex.open(feed)
    with trio.CancelScope() as scope:

        async def give_up() -> None:
            scope.cancel()
            await trio.sleep_forever()

        feed.after = give_up
        await index.prepare(expr)
    assert scope.cancelled_caught
    await disturb(catalogue, items)
    await index.prepare(expr)
    assert list(index.evaluate(expr, now=NOW)) == await expected(catalogue, index, expr)


async def test_an_index_opened_in_the_middle_misses_nothing(catalogue: SqliteCatalogue, items: list[Item]) -> None:
    opened: list[BitmapIndex] = []

    async def open_now() -> None:
        opened.append(await BitmapIndex.open(catalogue))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(disturb, catalogue, items)
        for _ in range(20):
            nursery.start_soon(open_now)
            await trio.sleep(0)
    whole_time = await BitmapIndex.open(catalogue)
    for index in opened:
        assert index.tag_list() == whole_time.tag_list()
        assert index.live == whole_time.live
        index.close()


async def test_searches_are_kept_but_not_for_ever(catalogue: SqliteCatalogue, items: list[Item]) -> None:
    feed = SlowFeed(catalogue)
    index = await BitmapIndex.open(feed)
    first = Compare("name", Op.HAS, "f")
    await index.prepare(first)
    for number in range(100):
        await index.prepare(Compare("name", Op.HAS, str(number)))
    scans: list[str] = []

    async def scanned() -> None:
        scans.append("scan")

    feed.before = scanned
    await index.prepare(Compare("name", Op.HAS, "99"))
    assert scans == []
    await index.prepare(first)
    assert scans == ["scan"]
