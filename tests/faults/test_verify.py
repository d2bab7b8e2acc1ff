"""C11, C15, R1, R15: each fault is made for real; verify names exactly it, and repair mends it and deletes nothing."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from engine.blobs import verify as blobs_verify
from engine.blobs.gc import Collector
from engine.ports import Edit, NewDownload, NewItem
from engine.soundness import checker, inventory
from engine.soundness.checker import Checker
from engine.types import Item, Source, SourceKind, State
from tagfs.control.errors import VerbError
from tagfs.control.views import FaultView, VerifyView
from tagfs.service.verbs import Service
from tests.support.world import World, open_world

URL = Source(SourceKind.HTTP, "http://example.org/f", "http://example.org/f", "example.org")


@dataclass
class Store:
    world: World
    service: Service
    state: Path
    item: Item  # that something happens to
    other: Item  # that nothing may happen to

    @property
    def blob(self) -> Path:
        assert self.item.sha256 is not None
        return Path(self.world.store.path(self.item.sha256))

    def now(self, item: Item | None = None) -> Item:
        found = self.world.catalogue.item((item or self.item).id)
        assert found is not None
        return found

    async def verify(self, **options: Any) -> VerifyView:
        return await self.service.verify(**options, report=lambda _: None)

    def kept(self) -> list[str]:
        folder = self.state / "quarantine"
        return sorted(os.listdir(folder)) if folder.exists() else []

    def sql(self, *statements: str) -> None:
        connection = sqlite3.connect(self.state / "catalogue.sqlite", isolation_level=None, timeout=20)
        for statement in statements:
            connection.execute(statement)
        connection.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    state = tmp_path / "state"
    state.mkdir()
    async with open_world(state) as world:
        item = await world.item("film", "a", "year:2000", content=b"film" * 1000)
        other = await world.item("other", "a", content=b"other" * 1000)
        yield Store(world, Service(world.context, world.store), state, item, other)


def flip(path: Path) -> None:
    path.chmod(0o640)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    path.chmod(0o440)


def cut(path: Path) -> None:
    path.chmod(0o640)
    os.truncate(path, 100)
    path.chmod(0o440)


@dataclass
class Case:
    kind: str
    make: Callable[[Store], None]
    state: State = State.COMPLETE  # of the item after the repair
    kept: int = 0  # files in quarantine
    data: bool = False  # only seen when each byte is read
    known: bool = True  # the fault names the item
    renews: bool = False  # the file changed behind the index's back


def orphan(store: Store) -> None:
    """Killed between the rename and the commit, or a catalogue that is older than the blobs."""
    store.sql(
        f"DELETE FROM tagging WHERE item = {store.item.id}", f"DELETE FROM item WHERE id = {store.item.id}",
        f"DELETE FROM blob WHERE id = {store.item.blob}", "UPDATE tag SET items = items - 1 WHERE name = 'a'",
    )  # fmt: skip


CASES = {
    "a deleted file": Case("missing", lambda store: store.blob.unlink(), State.MISSING),
    "a cut file": Case("size", lambda store: cut(store.blob), State.MISSING, kept=1),
    "a flipped bit": Case("damaged", lambda store: flip(store.blob), State.MISSING, kept=1, data=True),
    "a directory in its place": Case(
        "missing", lambda store: (store.blob.unlink(), store.blob.mkdir()), State.MISSING, kept=1
    ),
    "a file that can be written to": Case("mode", lambda store: store.blob.chmod(0o640)),
    "a row with a wrong size": Case(
        "size", lambda store: store.sql(f"UPDATE blob SET size = 7 WHERE id = {store.item.blob}")
    ),
    "a stranger's file": Case(
        "foreign", lambda store: (store.state / "blobs/thumbs.db").write_bytes(b"x"), kept=1, known=False
    ),
    "a blob in the wrong folder": Case(
        "foreign", lambda store: os.link(store.blob, store.blob.parent / ("00" * 32)), kept=1, known=False
    ),
    "an item that counts as missing": Case(
        "found", lambda store: store.sql(f"UPDATE item SET state = 'missing' WHERE id = {store.item.id}"), renews=True
    ),
    "a wrong count": Case("catalogue", lambda store: store.sql("UPDATE tag SET items = 5"), known=False, renews=True),
    "a tagging of nothing": Case(
        "catalogue",
        lambda store: store.sql("PRAGMA foreign_keys = OFF", "INSERT INTO tagging (item, tag) VALUES (9999999, 1)"),
        known=False,
        renews=True,
    ),
    "a needless download": Case(
        "catalogue",
        lambda store: store.sql(
            "INSERT INTO download (item, staging, ranges, digests, name_fixed, attempts, options)"
            f" VALUES ({store.item.id}, 's', '', '{{}}', 0, 0, '{{}}')"
        ),
        known=False,
    ),
    "an index that leaves an item out": Case(
        "index", lambda store: store.world.index._live.discard(store.item.id), known=False
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_each_fault_is_named_and_mended(store: Store, name: str) -> None:
    case = CASES[name]
    content = store.blob.read_bytes()
    assert (await store.verify(data=True)).faults == ()
    case.make(store)
    if case.data:
        assert (await store.verify()).faults == ()
    faults = [
        fault for fault in (await store.verify(data=case.data)).faults if fault.kind != "index" or not case.renews
    ]
    of_kind = [fault for fault in faults if fault.kind == case.kind]
    assert of_kind and {fault.kind for fault in faults} <= {case.kind, "catalogue", "foreign"}, faults
    assert all(fault.cause and fault.mended is None for fault in faults)
    if case.known:
        assert {(fault.item, fault.name) for fault in of_kind} == {(store.item.id, "film")}
    assert store.kept() == []
    mended = await store.verify(data=case.data, repair=True)
    assert mended.mended_total == mended.faults_total > 0, mended.faults
    assert len(store.kept()) == case.kept
    again = await store.verify(data=True)
    assert again.faults == ()
    assert store.now().state is case.state
    assert store.world.catalogue.tags(store.item.id) == ("a", "year:2000")
    assert store.now(store.other) == store.other
    if case.state is State.MISSING:
        assert store.now().error
        with pytest.raises(VerbError):  # it has no URL
            await store.service.resume(("film",))
    else:
        assert store.blob.read_bytes() == content


async def test_what_could_be_written_to_is_read(store: Store) -> None:
    flip(store.blob)
    store.blob.chmod(0o640)
    found = await store.verify(data=True)
    assert [fault.kind for fault in found.faults] == ["mode", "damaged"]
    mended = await store.verify(data=True, repair=True)
    assert (mended.faults_total, mended.mended_total, len(store.kept())) == (2, 2, 1)
    assert store.now().state is State.MISSING
    assert (await store.verify(data=True)).faults == ()


async def test_a_damaged_sqlite_index_is_built_anew(store: Store) -> None:
    """integrity_check finds entries that an index lacks; REINDEX makes them."""
    connection = sqlite3.connect(store.state / "catalogue.sqlite", isolation_level=None, timeout=20)
    connection.execute("PRAGMA writable_schema = ON")
    ((sql,),) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'blob_size'").fetchall()
    connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'blob_size'", (sql + " WHERE size < 0",))
    connection.close()
    connection = sqlite3.connect(store.state / "catalogue.sqlite", isolation_level=None, timeout=20)
    connection.execute("REINDEX blob_size")  # as if the index had lost its rows
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'blob_size'", (sql,))
    connection.close()
    await store.world.catalogue.create_tag("so that all see the schema")
    found = await store.verify()
    assert {fault.kind for fault in found.faults} == {"catalogue"}
    assert all("blob_size" in fault.sentence for fault in found.faults)
    mended = await store.verify(repair=True)
    assert mended.mended_total == mended.faults_total
    assert (await store.verify()).faults == ()


async def test_orphans_become_items_that_are_named_by_their_hash(tmp_path: Path) -> None:
    """C15: the catalogue comes from a backup, the blobs are newer; nothing is lost, and gc leaves them alone."""
    state = tmp_path / "state"
    state.mkdir()
    async with open_world(state) as world:
        await world.item("old", "a")
    (tmp_path / "backup").write_bytes((state / "catalogue.sqlite").read_bytes())
    async with open_world(state) as world:
        new = await world.item("new", "a", content=b"newer")
        rotten = await world.item("rotten", content=b"rotten")
    (state / "catalogue.sqlite").write_bytes((tmp_path / "backup").read_bytes())
    assert new.sha256 and rotten.sha256
    async with open_world(state) as world:
        flip(Path(world.store.path(rotten.sha256)))
        service = Service(world.context, world.store)
        found = await service.verify(report=lambda _: None)
        assert {(fault.kind, fault.sha256) for fault in found.faults} == {
            ("orphan", new.sha256),
            ("orphan", rotten.sha256),
        }
        mended = await service.verify(repair=True, report=lambda _: None)
        assert mended.mended_total == 2
        assert await world.names("tags/recovered") == [new.sha256]
        assert os.listdir(state / "quarantine") == [rotten.sha256]
        (adopted,) = world.catalogue.named(new.sha256)
        row = world.catalogue.item(adopted)
        assert row is not None and row.state is State.COMPLETE and row.sha256 == new.sha256
        assert Path(world.store.path(new.sha256)).read_bytes() == b"newer"
        assert (await service.verify(data=True, report=lambda _: None)).faults == ()


async def test_what_comes_back_is_found(store: Store) -> None:
    content = store.blob.read_bytes()
    store.blob.unlink()
    await store.verify(repair=True)
    assert store.now().state is State.MISSING
    store.blob.write_bytes(content)  # out of a backup
    store.blob.chmod(0o440)
    assert [fault.kind for fault in (await store.verify()).faults] == ["found"]
    await store.verify(repair=True)
    assert (store.now().state, store.now().error) == (State.COMPLETE, None)
    assert (await store.verify(data=True)).faults == ()


async def test_what_comes_back_wrong_is_not_found(store: Store) -> None:
    content = store.blob.read_bytes()
    store.blob.unlink()
    await store.verify(repair=True)
    store.blob.write_bytes(content[::-1])
    store.blob.chmod(0o440)
    mended = await store.verify(repair=True)
    assert [(fault.kind, fault.mended) for fault in mended.faults] == [("found", None)]
    assert store.now().state is State.MISSING


async def test_what_a_disk_cannot_read_is_told_and_others_are_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C9: EIO on read. Read again, it may be right."""
    advance = blobs_verify.Digester.advance
    bad = store.blob.stat().st_ino

    def fail(self: Any, fd: int, upto: int) -> None:
        if os.fstat(fd).st_ino == bad:
            raise OSError(errno.EIO, "Input/output error")
        advance(self, fd, upto)

    monkeypatch.setattr(blobs_verify.Digester, "advance", fail)
    found = await store.verify(data=True)
    assert [(fault.kind, fault.item) for fault in found.faults] == [("unreadable", store.item.id)]
    assert found.bytes == 5000
    mended = await store.verify(data=True, repair=True)
    assert mended.mended_total == 1
    assert store.now().state is State.MISSING
    assert len(store.kept()) == 1


async def test_staging_that_is_gone_and_staging_that_is_nobodys(store: Store) -> None:
    arriving = await store.world.catalogue.add(
        NewItem("arriving", state=State.PAUSED, sources=[URL], download=NewDownload("0" * 32))
    )
    store.sql(f"UPDATE download SET ranges = '0-4096', size = 8192, etag = '\"1\"' WHERE item = {arriving.id}")
    stray = store.state / "staging" / ("f" * 32)
    stray.write_bytes(b"half")
    young = store.state / "staging" / ("e" * 32)
    young.write_bytes(b"somebody may be at it")
    faults = await later(store, 4000)
    assert {(fault.kind, fault.path) for fault in faults if fault.kind == "staging"} == {
        ("staging", "staging/" + "0" * 32)
    }
    assert {fault.path for fault in faults if fault.kind == "stray"} == {"staging/" + "f" * 32, "staging/" + "e" * 32}
    assert {fault.kind for fault in (await store.verify()).faults} == {"staging"}  # now they are young
    await later(store, 4000, repair=True)
    assert store.kept() == ["e" * 32, "f" * 32]
    download = store.world.catalogue.download(arriving.id)
    assert download is not None and download.ranges == ""
    assert (await store.verify()).faults == ()


async def test_a_download_that_goes_on_while_it_is_looked_at_is_no_fault(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folders are read, then the rows: in between one file grows with its row, another becomes a blob whose row is
    yet to come, and what another program had left there goes."""
    catalogue, blobs = store.world.catalogue, store.world.store
    grows, ends = [
        await catalogue.add(
            NewItem(name, state=State.DOWNLOADING, sources=[URL], download=NewDownload(blobs.create_staging()[0]))
        )
        for name in ("grows", "ends")
    ]
    staged = {item.id: catalogue.download(item.id).staging for item in (grows, ends)}
    for name in staged.values():
        Path(blobs.staging_path(name)).write_bytes(b"first")
    foreign = store.blob.parent / "foreign"
    foreign.write_bytes(b"another program's, for a moment")
    read_rows = checker.read_rows

    async def go_on(*args: Any) -> Any:
        foreign.unlink()
        with open(blobs.staging_path(staged[grows.id]), "ab") as file:
            file.write(b" and more")
        await blobs.ingest(staged[ends.id], {})
        store.sql(
            f"UPDATE download SET ranges = '0-14', size = 99, etag = '\"1\"' WHERE item = {grows.id}",
            f"UPDATE download SET ranges = '0-5', size = 5, etag = '\"1\"' WHERE item = {ends.id}",
        )
        return await read_rows(*args)

    monkeypatch.setattr(checker, "read_rows", go_on)
    assert (await store.verify()).faults == ()
    monkeypatch.setattr(checker, "read_rows", read_rows)
    Path(blobs.staging_path(staged[grows.id])).unlink()
    assert [(fault.kind, fault.item) for fault in (await store.verify()).faults] == [("staging", grows.id)]


async def test_what_goes_between_being_listed_and_looked_at_is_no_fault(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = store.state / "staging"
    (staging / ("a" * 32)).write_bytes(b"somebody's, who is done with it")
    (staging / ("b" * 32)).write_bytes(b"somebody's, who goes on")
    foreign = store.blob.parent / "foreign"
    foreign.write_bytes(b"another program's, for a moment")
    entries = inventory._entries

    def list_and_remove(folder: str) -> list[os.DirEntry[str]]:
        found = entries(folder)
        for path in (staging / ("a" * 32), foreign):
            if path.parent == Path(folder):
                path.unlink()
        return found

    monkeypatch.setattr(inventory, "_entries", list_and_remove)
    found = inventory.take(str(store.state))
    assert (list(found.staging), found.foreign) == (["b" * 32], [])
    assert set(found.blobs) == {store.item.sha256, store.other.sha256}


async def later(store: Store, seconds: float, *, repair: bool = False) -> tuple[FaultView, ...]:
    """verify, as if it were later than it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tagfs.service.verifying.Checker", partial(Checker, clock=lambda: time.time() + seconds))
        return (await store.verify(repair=repair)).faults


async def test_a_subset_reads_each_blob_once(store: Store) -> None:
    for number in range(40):
        await store.world.item(f"f{number}", content=os.urandom(100))
    views = [await store.verify(data=True, subset=f"{part}/3") for part in (1, 2, 3)]
    assert sum(view.bytes for view in views) == 4000 + 4000 + 5000
    assert all(view.bytes for view in views)
    for wrong in ("0/3", "4/3", "1", "a/b", "1/0", "-1/2"):
        with pytest.raises(VerbError, match="subset"):
            await store.verify(data=True, subset=wrong)


async def test_damage_that_two_items_share_concerns_both(store: Store) -> None:
    twin = await store.world.item("twin", content=b"film" * 1000)
    trashed = await store.world.item("gone", content=b"film" * 1000)
    await store.world.catalogue.trash(trashed.id)
    flip(store.blob)
    mended = await store.verify(data=True, repair=True)
    assert [fault.kind for fault in mended.faults] == ["damaged"]
    assert {store.now(item).state for item in (store.item, twin, trashed)} == {State.MISSING}


async def test_nothing_is_found_while_everything_changes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers, renames of tags, the trash and gc go on: what is on its way is no fault."""
    world = store.world
    gc = Collector(world.catalogue, world.store, grace=0.0)
    monkeypatch.setattr(world.store, "forget_touches", lambda grace: None)  # those of the others hold for an hour
    stop = trio.Event()
    made: list[int] = []

    async def write(worker: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            item = await world.item(f"w{worker}-{number}", f"t{number % 3}", content=os.urandom(200))
            await world.catalogue.edit(item.id, Edit(add=["made"], remove=[f"t{number % 3}"]))
            made.append(item.id)

    async def draft() -> None:
        while not stop.is_set():
            open_one = await world.drafts.create("draft", ("made",), 0o644)
            await world.drafts.write(open_one, 0, os.urandom(300))
            world.drafts.leave(open_one, writing=True)
            await open_one.sealed.wait()

    async def end() -> None:
        while not stop.is_set():
            item = await world.item("gone", "t0", content=os.urandom(200))
            await world.catalogue.trash(item.id)
            await world.catalogue.purge([item.id])
            world.store._touched.pop(item.sha256 or "", None)
            await gc.collect()

    async def rename() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            await world.catalogue.create_tag(f"name{number}")
            await world.catalogue.edit(store.other.id, Edit(add=[f"name{number}"]))
            await world.catalogue.rename_tag(f"name{number}", f"other{number}")
            await world.catalogue.edit(store.other.id, Edit(remove=[f"other{number}"]))
            await world.catalogue.remove_tag(f"other{number}")

    await world.catalogue.create_tag("made")
    await world.names("tags/made")  # so that the index has some bitmaps
    async with trio.open_nursery() as nursery:
        for worker in range(2):
            nursery.start_soon(write, worker)
        for task in (draft, end, rename):
            nursery.start_soon(task)
        for _ in range(3):
            await world.names("tags/made")
            assert (await store.verify(data=True)).faults == ()
        stop.set()
    assert made
    assert (await store.verify(data=True, repair=True)).faults == ()
