"""What was read since the last commit is not read again, and what was read before it is."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from threading import Event

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from engine.catalogue import SqliteCatalogue, open_catalogue, points, recent
from engine.catalogue.writer import Job
from engine.ports import Edit
from tests.support.catalogue import whole


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[SqliteCatalogue]:
    async with open_catalogue(str(tmp_path / "catalogue.db")) as opened:
        yield opened


async def test_a_row_is_read_once_between_two_commits(
    catalogue: SqliteCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = await catalogue.add(whole("x"))
    statements: list[str] = []
    catalogue._connection.set_trace_callback(statements.append)
    for _ in range(3):
        row, facts = catalogue.item(item.id), catalogue.facts(item.id)
        assert row == item
        assert facts is not None and not facts.tags
        assert list(catalogue.named("x")) == [item.id]
        assert list(catalogue.named("y")) == list(catalogue.trashed("x")) == []
        assert catalogue.tags(item.id) == ()
        assert catalogue.item(points.ItemId(1)) is None
    assert len(statements) == 7
    await catalogue.edit(item.id, Edit(name="y", add=["a"]))
    row, facts = catalogue.item(item.id), catalogue.facts(item.id)
    assert row is not None and (row.name, row.tag_count) == ("y", 1)
    assert facts is not None and facts.tags == {"a"}
    assert (list(catalogue.named("x")), list(catalogue.named("y"))) == ([], [item.id])
    assert catalogue.tags(item.id) == ("a",)
    await catalogue.trash(item.id)
    assert list(catalogue.trashed("y")) == [item.id]
    assert list(catalogue.named("y")) == []


async def test_whoever_is_told_of_a_commit_reads_what_is_there_since(catalogue: SqliteCatalogue) -> None:
    item = await catalogue.add(whole("x"))
    seen: list[tuple[int, ...]] = []

    class Reader:
        def apply(self, changes: object, tags: object) -> None:
            row = catalogue.by(catalogue._cause).item(item.id)
            assert row is not None
            seen.append((row.tag_count, len(catalogue.tags(item.id))))

        def settle(self, changes: object, tags: object) -> None: ...

    catalogue.observe(Reader())
    for number in range(1, 4):
        assert catalogue.item(item.id) is not None
        await catalogue.edit(item.id, Edit(add=[f"t{number}"]))
    assert seen == [(1, 1), (2, 2), (3, 3)]


async def test_it_does_not_grow_without_bound(catalogue: SqliteCatalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MOST", 10)
    for number in range(100):
        catalogue.named(f"n{number}")
    assert len(catalogue._recent._found) <= 10


async def test_rows_stay_right_while_tags_and_other_things_change(catalogue: SqliteCatalogue) -> None:
    """Edits of tags are not counted as commits: each replaces the row that was kept, whatever was read in between."""
    first, second = await catalogue.add(whole("x")), await catalogue.add(whole("y"))

    async def change(item: points.ItemId, number: int) -> None:
        edit = Edit(mode=number) if number % 5 == 4 else Edit(add=[f"t{number}"], remove=[f"t{number - 2}"])
        await catalogue.edit(item, edit)
        read(item)

    def read(item: points.ItemId) -> None:
        assert catalogue.item(item) is not None
        assert catalogue.facts(item) is not None

    for number in range(30):
        async with trio.open_nursery() as nursery:
            for item in (first.id, second.id, first.id):
                nursery.start_soon(change, item, number)
                read(item)
        for item in (first.id, second.id):
            assert catalogue.item(item) == points.item(catalogue._connection, item)
            assert catalogue.facts(item) == points.facts(catalogue._connection, item)
            assert list(catalogue.tags(item)) == points.tags(catalogue._connection, item)


async def test_a_row_of_before_is_not_kept_as_one_of_after(catalogue: SqliteCatalogue) -> None:
    """A group that is about tags and another one are committed; the row is read; then the loop is told of the first."""
    item = await catalogue.add(whole("x"))
    tagged = await catalogue.edit(item.id, Edit(add=["a"]))
    before = catalogue._writer.commits
    await catalogue.edit(item.id, Edit(mode=0o600))
    row = catalogue.item(item.id)
    catalogue._recent.changed(tagged, before)
    assert catalogue.item(item.id) == row != tagged


async def test_a_row_of_the_middle_of_a_group_is_not_kept(catalogue: SqliteCatalogue) -> None:
    """Tags and then something else of one item are changed by one commit, and it is read before the loop is told."""
    item = await catalogue.add(whole("x"))
    before, begun, gate = catalogue._writer.commits, Event(), Event()

    def hold(_: object) -> None:
        begun.set()
        gate.wait(60)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(catalogue._perform, Job(hold))  # what comes meanwhile is one group
        assert await trio.to_thread.run_sync(begun.wait, 60)
        nursery.start_soon(catalogue.edit, item.id, Edit(add=["a"]))
        await wait_all_tasks_blocked()
        nursery.start_soon(catalogue.edit, item.id, Edit(mode=0o600))
        await wait_all_tasks_blocked()
        gate.set()
        end = time.monotonic() + 60
        while catalogue._writer.commits < before + 2 and time.monotonic() < end:
            pass  # the loop is not to be told yet
        assert catalogue._writer.commits == before + 2
        row = catalogue.item(item.id)
        assert row is not None and (row.mode, row.tag_count) == (0o600, 1)
    assert catalogue.item(item.id) == row


async def test_what_a_job_about_tags_has_changed_needs_no_reading(catalogue: SqliteCatalogue) -> None:
    item = await catalogue.add(whole("x"))
    other = await catalogue.add(whole("y"))
    assert catalogue.item(other.id) == other
    statements: list[str] = []
    catalogue._connection.set_trace_callback(statements.append)
    row = await catalogue.edit(item.id, Edit(add=["a"]))
    assert (catalogue.item(item.id), catalogue.item(other.id)) == (row, other)
    assert not statements
