"""The journal in the database: what is written with each transaction, how it is read, and how its old end goes."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.catalogue import SqliteCatalogue, open_catalogue
from engine.errors import NoSuchItem
from engine.history import Cause, Record
from engine.ports import Edit, NewDownload, NewItem
from engine.types import ItemId, State
from tests.support.catalogue import sha, whole

DAY_NS = 86_400 * 10**9


class Clock:
    def __init__(self) -> None:
        self.now_ns = 10 * DAY_NS

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def catalogue(tmp_path: Path, clock: Clock) -> AsyncIterator[SqliteCatalogue]:
    async with open_catalogue(str(tmp_path / "catalogue.db"), clock=clock) as opened:
        yield opened
        assert await opened.check() == []


async def told(catalogue: SqliteCatalogue, item: ItemId | None = None) -> list[tuple[list[int], object]]:
    return [(list(record.items), record.what) for record in reversed(await catalogue.log(item))]


async def test_every_write_is_told_with_who_did_it(catalogue: SqliteCatalogue, clock: Clock) -> None:
    film = await catalogue.add(whole("film", "movie"))
    await catalogue.by(Cause.COMMAND).edit(film.id, Edit(name="\udcfff", add=["seen"], remove=["movie"]))
    await catalogue.complete(film.id, sha("new"), 3, digests={}, mtime_ns=None, keep_old=True)
    await catalogue.trash(film.id)
    await catalogue.by(Cause.UPKEEP).purge([film.id])
    await catalogue.rename_tag("movie", "cinema")
    await catalogue.remove_tag("cinema")
    number = film.id
    assert await told(catalogue) == [
        ([], {"tag": ["created", "movie"]}),
        ([number], {"made": "film", "add": ["movie"]}),
        ([], {"tag": ["created", "seen"]}),
        ([number], {"add": ["seen"], "remove": ["movie"], "name": ["film", "\udcfff"]}),
        ([number + 1], {"made": "\udcfff", "add": ["seen"], "trashed": True}),
        ([number], {"content": [sha("film"), sha("new")]}),
        ([number], {"trashed": [False, True]}),
        ([number], {"ended": "\udcfff"}),
        ([], {"tag": ["renamed", "movie", "cinema"]}),
        ([], {"tag": ["removed", "cinema"]}),
    ]
    records = list(reversed(await catalogue.log()))
    assert [record.id for record in records] == list(range(1, 11))
    assert [record.call for record in records] == [1, 1, 3, 3, 5, 5, 7, 8, 9, 10]
    assert [record.cause for record in records[2:9]] == ["command", "command", *["mount"] * 3, "upkeep", "mount"]
    assert {record.at_ns for record in records} == {clock.now_ns}


async def test_what_is_no_decision_and_what_failed_leaves_no_row(catalogue: SqliteCatalogue) -> None:
    item = await catalogue.add(NewItem("x", state=State.QUEUED, download=NewDownload("s")))
    before = await catalogue.log()
    for edit in (
        Edit(state=State.DOWNLOADING),
        Edit(size=4),
        Edit(mtime_ns=3, mode=0o600),
        Edit(add=[]),
        Edit(name="x"),
    ):
        await catalogue.edit(item.id, edit)
    await catalogue.complete(item.id, sha("x"), 4, digests={}, mtime_ns=None, keep_old=True)
    with pytest.raises(NoSuchItem):
        await catalogue.edit_many([(item.id, Edit(add=["a"])), (ItemId(99), Edit(add=["a"]))])
    assert await catalogue.log() == before


async def test_a_tag_on_many_items_is_one_row_and_found_by_each(catalogue: SqliteCatalogue) -> None:
    items = await catalogue.add_many([whole(f"i{number}") for number in range(300)])
    await catalogue.edit(items[0].id, Edit(add=["a"]))
    await catalogue.edit_many([(item.id, Edit(add=["a"])) for item in items])
    ids = [item.id for item in items]
    assert await told(catalogue) == [
        (ids, {"made": True}), ([], {"tag": ["created", "a"]}), (ids[:1], {"add": ["a"]}), (ids[1:], {"add": ["a"]}),
    ]  # fmt: skip
    assert await told(catalogue, ids[0]) == [(ids, {"made": True}), (ids[:1], {"add": ["a"]})]
    assert await told(catalogue, ids[7]) == [(ids, {"made": True}), (ids[1:], {"add": ["a"]})]
    assert await told(catalogue, ItemId(99)) == []


async def test_the_log_comes_in_pages_and_from_a_time_on(catalogue: SqliteCatalogue, clock: Clock) -> None:
    item = await catalogue.add(whole("x"))
    for number in range(4):
        clock.now_ns += DAY_NS
        await catalogue.edit(item.id, Edit(name=f"n{number}"))
    everything = await catalogue.log()
    for asked in (None, item.id):
        pages: list[Record] = []
        while page := await catalogue.log(asked, before=pages[-1].id if pages else None, limit=2):
            pages += page
        assert pages == everything
        assert await catalogue.log(asked, since_ns=clock.now_ns - DAY_NS) == everything[:2]


async def cut(catalogue: SqliteCatalogue, before_ns: int | None, keep_rows: int) -> list[int]:
    while await catalogue.cut_history(before_ns, keep_rows):
        pass
    return [record.id for record in reversed(await catalogue.log(limit=10_000))]


async def test_what_is_old_or_too_much_goes_and_the_newest_stays(catalogue: SqliteCatalogue, clock: Clock) -> None:
    item = await catalogue.add(whole("x"))
    for number in range(600):
        clock.now_ns += DAY_NS
        await catalogue.edit(item.id, Edit(name=f"n{number}"))
    assert await cut(catalogue, None, 1000) == list(range(1, 602))
    assert await cut(catalogue, clock.now_ns - 500 * DAY_NS, 1000) == list(range(101, 602))
    assert await cut(catalogue, None, 10) == list(range(592, 602))
    assert await cut(catalogue, clock.now_ns + 1, 0) == [601]
    await catalogue.edit(item.id, Edit(name="last"))
    assert await cut(catalogue, None, 1000) == [601, 602]


@pytest.mark.parametrize(
    "values",
    [
        "(1, 1, 1, 'somebody', NULL, 5000, NULL, '{}')",
        "(1, 2, 1, 'mount', NULL, 5000, NULL, '{}')",
        "(1, 1, 1, 'undo', 1, 5000, NULL, '{}')",
        "(1, 1, 1, 'mount', NULL, 5000, x'00', '{}')",
        "(1, 1, 1, 'mount', NULL, 5000, NULL, '{')",
    ],
)
async def test_a_row_that_cannot_be_is_a_fault(tmp_path: Path, values: str) -> None:
    path = tmp_path / "catalogue.db"
    async with open_catalogue(str(path)) as catalogue:
        connection = sqlite3.connect(path)
        connection.execute("INSERT INTO journal VALUES " + values)
        connection.commit()
        connection.close()
        [fault] = await catalogue.check()
        assert fault.startswith("row 1 of the history")
