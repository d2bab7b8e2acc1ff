"""The index over a real catalogue, by example. The state machine in tests/props holds it to its oracles."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.catalogue import SqliteCatalogue, open_catalogue
from engine.index import BitmapIndex, NotPrepared
from engine.ports import Edit, Index, NewItem
from engine.types import Item, State, TagCount
from query.ast import And, Compare, Expr, Not, Op, Or, Range, Tag
from tests.support.catalogue import sha, whole

NOW = 1_700_000_000.0


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[SqliteCatalogue]:
    async with open_catalogue(str(tmp_path / "catalogue.db"), clock=lambda: int(NOW) * 10**9) as opened:
        yield opened


@pytest.fixture
async def items(catalogue: SqliteCatalogue) -> list[Item]:
    return await catalogue.add_many(
        [
            whole("a.mkv", "movie", "1080p", "year:1999"),
            whole("b.mkv", "movie", "2160p", "year:2004", "year:2005"),
            whole("c.iso", "linux", "year:2023", host="debian.org"),
            NewItem("d.part", state=State.QUEUED),
        ]
    )


async def names(index: Index, catalogue: SqliteCatalogue, expr: Expr) -> str:
    """The first letters of the items that match, by both ways of asking."""
    await index.prepare(expr)
    found = await catalogue.items(list(index.evaluate(expr, now=NOW)))
    asked = [item for item in await catalogue.items(list(index.live)) if index.contains(expr, item.id, now=NOW)]
    assert found == asked
    return "".join(item.name[0] for item in found)


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (Tag("movie"), "ab"),
        (Not(Tag("movie")), "cd"),
        (And((Tag("movie"), Not(Tag("1080p")))), "b"),
        (Or((Tag("linux"), Tag("1080p"))), "ac"),
        (Compare("year", Op.EQ, "1999"), "a"),
        (Compare("year", Op.NE, "2004"), "abc"),
        (Not(Compare("year", Op.EQ, "2004")), "acd"),
        (Range("year", "2000", "2010"), "b"),
        (Range("year", "2005-06", None), "c"),
        (Compare("year", Op.HAS, "200"), "b"),
        (Compare("state", Op.EQ, "queued"), "d"),
        (Compare("type", Op.EQ, "video"), "ab"),
        (Compare("ext", Op.EQ, "ISO"), "c"),
        (Compare("host", Op.EQ, "Debian.org"), "c"),
        (Compare("is", Op.EQ, "untagged"), "d"),
        (Compare("name", Op.HAS, ".mk"), "ab"),
        (Compare("size", Op.LT, "1k"), "abc"),
        (Compare("size", Op.GE, "five"), ""),
        (Compare("added", Op.EQ, "1h"), "abcd"),
        (Range("added", "7d", "soon"), "abcd"),
        (Tag("unheard-of"), ""),
    ],
)
async def test_what_matches(catalogue: SqliteCatalogue, items: list[Item], expr: Expr, expected: str) -> None:
    index = await BitmapIndex.open(catalogue)
    assert await names(index, catalogue, expr) == expected


async def test_it_follows_the_catalogue(catalogue: SqliteCatalogue, items: list[Item]) -> None:
    index = await BitmapIndex.open(catalogue)
    both = And((Tag("movie"), Compare("name", Op.HAS, "mkv")))
    assert await names(index, catalogue, both) == "ab"
    await catalogue.edit(items[2].id, Edit(name="x.mkv", add=["movie"]))
    await catalogue.trash(items[0].id)
    assert await names(index, catalogue, both) == "bx"
    assert items[0].id not in index.live
    await catalogue.restore(items[0].id)
    await catalogue.rename_tag("movie", "film")
    assert await names(index, catalogue, both) == ""
    assert await names(index, catalogue, Tag("film")) == "abx"


async def test_what_changes_in_the_trash_is_known_afterwards(catalogue: SqliteCatalogue, items: list[Item]) -> None:
    item = items[0].id
    await catalogue.trash(item)
    index = await BitmapIndex.open(catalogue)
    exprs: list[Expr] = [
        Tag("movie"),
        Compare("ext", Op.EQ, "mkv"),
        Compare("name", Op.HAS, "mkv"),
        Compare("size", Op.LT, "6"),
    ]
    assert [await names(index, catalogue, expr) for expr in exprs] == ["b", "b", "b", "bc"]
    await catalogue.edit(item, Edit(remove=["movie"], name="a.txt"))
    await catalogue.complete(item, sha("longer"), 6, digests={}, mtime_ns=None, keep_old=False)
    await catalogue.restore(item)
    assert [await names(index, catalogue, expr) for expr in exprs] == ["b", "b", "b", "bc"]


async def test_lists_of_tags_and_values(catalogue: SqliteCatalogue, items: list[Item]) -> None:
    index = await BitmapIndex.open(catalogue)
    await catalogue.create_tag("unused")
    await catalogue.trash(items[2].id)
    assert TagCount("movie", 2) in index.tag_list()
    assert TagCount("linux", 0) in index.tag_list()
    assert [count.name for count in index.tag_list()] == sorted(count.name for count in index.tag_list())
    assert index.own_keys() == ["year"]
    values = [count for count in index.values("year") if count.items]
    assert values == [TagCount("1999", 1), TagCount("2004", 1), TagCount("2005", 1)]
    assert len(index.values("year")) > len(values)  # also those that nobody carries now
    assert index.values("state") == [TagCount("complete", 2), TagCount("queued", 1)]
    await index.prepare(Compare("ext", Op.HAS, ""))
    assert index.values("ext") == [TagCount("mkv", 2), TagCount("part", 1)]
    assert index.unknown(And((Tag("movie"), Compare("size", Op.GT, "1"), Range("year", "1", None)))) is None
    assert index.unknown(Or((Tag("movie"), Not(Tag("nope"))))) == "nope"
    assert index.unknown(Compare("color", Op.EQ, "red")) == "color"


async def test_narrowing_leaves_something_and_not_everything(catalogue: SqliteCatalogue, items: list[Item]) -> None:
    index = await BitmapIndex.open(catalogue)
    found = await index.narrowing(Tag("movie"), now=NOW)
    assert [(count.name, count.items) for count in found] == [
        ("1080p", 1), ("2160p", 1), ("year:1999", 1), ("year:2004", 1), ("year:2005", 1),
    ]  # fmt: skip
    assert await index.narrowing(Tag("linux"), now=NOW) == []


async def test_evaluate_without_prepare_is_refused(catalogue: SqliteCatalogue, items: list[Item]) -> None:
    index = await BitmapIndex.open(catalogue)
    for expr in (Tag("movie"), Compare("name", Op.HAS, "a"), Compare("size", Op.GT, "1"), Range("year", "1", None)):
        with pytest.raises(NotPrepared):
            index.evaluate(expr, now=NOW)
        assert isinstance(index.contains(expr, items[0].id, now=NOW), bool)


async def test_the_answer_belongs_to_the_caller(catalogue: SqliteCatalogue, items: list[Item]) -> None:
    index = await BitmapIndex.open(catalogue)
    await index.prepare(Tag("movie"))
    index.evaluate(Tag("movie"), now=NOW).clear()
    assert len(index.evaluate(Tag("movie"), now=NOW)) == 2
