"""Many callers share a commit, and none pays for another's mistake."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from engine.catalogue import SqliteCatalogue, open_catalogue
from engine.catalogue.transaction import Transaction
from engine.errors import BadRequest, CatalogueFailed, EngineError, NoSuchItem, NoSuchTag
from engine.ports import Edit, NewItem
from engine.types import Change, Item, ItemId, Kind, TagChange
from tests.support.catalogue import Recorder, whole


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[SqliteCatalogue]:
    async with open_catalogue(str(tmp_path / "catalogue.db")) as opened:
        yield opened
        assert await opened.check() == []


class Gate:
    """A transaction that holds the writer thread until it is opened, so that a group gathers behind it."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.entered = threading.Event()

    def __call__(self, transaction: Transaction) -> None:
        self.entered.set()
        assert self._open.wait(60)

    def open(self) -> None:
        self._open.set()


async def test_a_failing_transaction_takes_only_itself_back(catalogue: SqliteCatalogue) -> None:
    recorder = Recorder()
    catalogue.observe(recorder)
    failed: list[int] = []
    gate = Gate()

    async def one(number: int) -> None:
        if number % 7:
            await catalogue.add(whole(f"f{number}", "common", f"t{number}"))
            return
        with pytest.raises(NoSuchItem):  # after it has changed another item already
            await catalogue.edit_many([(first.id, Edit(name=f"f{number}")), (ItemId(999_999), Edit(name="x"))])
        failed.append(number)

    first = await catalogue.add(whole("first"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(catalogue._write, gate)
        await trio.to_thread.run_sync(gate.entered.wait)
        for number in range(64):
            nursery.start_soon(one, number)
        await wait_all_tasks_blocked()
        gate.open()

    assert len(failed) == 10
    assert catalogue.item(first.id) == first
    names = [change.after.name for change in recorder.changes if change.after]
    assert len(names) == 55
    added = await catalogue.items([change.item for change in recorder.changes])
    # Numbers are given in the order of commits, and observers hear of them in that order.
    assert [item.name for item in added] == names


async def test_a_group_is_one_commit(catalogue: SqliteCatalogue, tmp_path: Path) -> None:
    """The write-ahead log marks each commit with a frame that has a database size in its header."""
    gate = Gate()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(catalogue._write, gate)
        await trio.to_thread.run_sync(gate.entered.wait)
        for number in range(64):
            nursery.start_soon(catalogue.create_tag, f"t{number}")
        await wait_all_tasks_blocked()
        before = commits(tmp_path / "catalogue.db-wal")
        gate.open()
    assert commits(tmp_path / "catalogue.db-wal") - before == 1


def commits(wal: Path) -> int:
    data = wal.read_bytes()
    salts, frames = data[16:24], range(32, len(data) - 24, 24 + 4096)
    return sum(data[at + 8 : at + 16] == salts and data[at + 4 : at + 8] != b"\0\0\0\0" for at in frames)


async def test_a_cancelled_caller_loses_its_answer_but_nobody_the_event(catalogue: SqliteCatalogue) -> None:
    recorder = Recorder()
    catalogue.observe(recorder)
    gate = Gate()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(catalogue._write, gate)
        await trio.to_thread.run_sync(gate.entered.wait)
        scope = trio.CancelScope()

        async def call() -> None:
            with scope:
                await catalogue.create_tag("kept")

        nursery.start_soon(call)
        await wait_all_tasks_blocked()  # it waits for its answer
        scope.cancel()
        await wait_all_tasks_blocked()
        assert scope.cancelled_caught
        gate.open()
    await catalogue.create_tag("next")
    await wait_all_tasks_blocked()  # nobody waits for `kept` to settle any more
    assert [tag.name for tag in recorder.tag_changes] == ["kept", "next"]
    assert sorted(map(repr, recorder.settled)) == sorted(map(repr, recorder.applied))  # side by side, in any order


async def test_a_caller_goes_on_when_observers_have_settled(catalogue: SqliteCatalogue) -> None:
    class Slow(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.may_settle = trio.Event()

        async def settle(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
            if tags[0].name == "slow":
                await self.may_settle.wait()
            await super().settle(changes, tags)

    slow, quick = Slow(), Recorder()
    catalogue.observe(slow)
    catalogue.observe(quick)
    returned = trio.Event()

    async def call() -> None:
        await catalogue.create_tag("slow")
        returned.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call)
        await wait_all_tasks_blocked()
        # The wait for one caller's caches holds up neither other callers nor what observers hear.
        await catalogue.create_tag("other")
        assert [tag.name for tag in slow.tag_changes] == ["slow", "other"]
        assert not returned.is_set()
        slow.may_settle.set()
    assert returned.is_set()


async def test_a_mistake_in_a_transaction_reaches_its_caller_alone(catalogue: SqliteCatalogue) -> None:
    def broken(transaction: Transaction) -> None:
        transaction.connection.execute("INSERT INTO tag (name, items) VALUES ('half', 0)")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await catalogue._write(broken)
    with pytest.raises(NoSuchTag):
        await catalogue.remove_tag("half")


async def test_text_that_is_no_text_is_a_bad_request(catalogue: SqliteCatalogue) -> None:
    item = await catalogue.add(whole("x"))
    with pytest.raises(BadRequest):
        await catalogue.complete(
            item.id, item.sha256 or "", 1, digests={"md5": "\udcff"}, mtime_ns=None, keep_old=False
        )
    await catalogue.create_tag("next")


async def test_an_observer_that_fails_ends_the_service_and_strands_nobody(tmp_path: Path) -> None:
    class Broken(Recorder):
        def apply(self, changes: Sequence[Change], tags: Sequence[TagChange]) -> None:
            raise ZeroDivisionError

    async def call(name: str) -> None:
        with trio.CancelScope(shield=True):
            with pytest.raises(CatalogueFailed):
                await catalogue.create_tag(name)
        ended.append(name)

    ended: list[str] = []
    with pytest.raises(ZeroDivisionError):
        async with open_catalogue(str(tmp_path / "catalogue.db")) as catalogue:
            catalogue.observe(Broken())
            async with trio.open_nursery() as nursery:
                for name in "abc":
                    nursery.start_soon(call, name)
    assert sorted(ended) == ["a", "b", "c"]


async def test_who_is_cancelled_may_still_write_on_the_way_out(tmp_path: Path) -> None:
    path = str(tmp_path / "catalogue.db")
    with trio.CancelScope() as scope:
        async with open_catalogue(path) as catalogue:
            try:
                scope.cancel()
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await catalogue.create_tag("checkpoint")
    assert scope.cancelled_caught
    async with open_catalogue(path) as catalogue:
        await catalogue.remove_tag("checkpoint")


async def test_another_program_that_holds_the_database_is_an_error_of_the_caller(
    catalogue: SqliteCatalogue, tmp_path: Path
) -> None:
    await catalogue._write(lambda transaction: transaction.connection.execute("PRAGMA busy_timeout = 1").fetchall())
    other = sqlite3.connect(tmp_path / "catalogue.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(EngineError, match="another program"):
        await catalogue.create_tag("a")
    other.execute("ROLLBACK")
    other.close()
    await catalogue.create_tag("a")


async def test_what_was_submitted_before_the_end_is_committed(tmp_path: Path) -> None:
    path = str(tmp_path / "catalogue.db")
    async with trio.open_nursery() as nursery:
        async with open_catalogue(path) as catalogue:
            for number in range(50):
                nursery.start_soon(catalogue.create_tag, f"t{number}")
            await wait_all_tasks_blocked(0)
    with pytest.raises(EngineError):
        await catalogue.create_tag("late")
    async with open_catalogue(path) as catalogue:
        for number in range(50):
            await catalogue.remove_tag(f"t{number}")


async def test_a_write_behind_a_shield_is_served_while_everything_is_cancelled(tmp_path: Path) -> None:
    """As at SIGTERM: a download that is just being completed must not wait for a delivery that was cancelled first."""
    made: list[Item] = []
    with trio.fail_after(60), trio.CancelScope() as everything:
        async with open_catalogue(str(tmp_path / "catalogue.sqlite")) as catalogue:
            everything.cancel()
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    made.append(await catalogue.add(NewItem("late", kind=Kind.SYMLINK, target="x")))
    assert [item.name for item in made] == ["late"]
