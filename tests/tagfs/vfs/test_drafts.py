"""Files that are written through the mount: sealing, and what a stop or a crash at each step leaves of them."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import pytest
import trio
import trio.testing

from engine.catalogue import SqliteCatalogue
from engine.catalogue.writer import Job
from engine.errors import BadRequest, NoSuchItem, StoreFull
from engine.ports import NewDownload, NewItem
from engine.types import Item, ItemId, Source, SourceKind, State
from tagfs.vfs import edits, sealing
from tagfs.vfs.content import DraftFile
from tagfs.vfs.draft import Draft
from tagfs.vfs.sealing import CUT_SHORT, GONE
from tests.support.world import World, open_world

SOURCE = Source(SourceKind.MOUNT, "", "", "")


async def create(world: World, name: str = "f", *tags: str) -> DraftFile:
    return DraftFile(world.drafts, await world.drafts.create(name, tags, 0o644), writing=True)


async def written(world: World, content: bytes, name: str = "f") -> Item:
    """A sealed file."""
    file = await create(world, name)
    await file.write(0, content)
    draft = draft_of(world, file.item)
    await file.close()
    await draft.sealed.wait()
    return row(world, file.item)


def draft_of(world: World, item: ItemId) -> Draft:
    draft = world.drafts.get(item)
    assert draft is not None
    return draft


def row(world: World, item: ItemId) -> Item:
    found = world.catalogue.item(item)
    assert found is not None
    return found


def content(world: World, item: Item) -> bytes:
    assert item.sha256 is not None
    return Path(world.store.path(item.sha256)).read_bytes()


def staged(folder: Path) -> list[str]:
    return sorted(os.listdir(folder / "staging"))


async def test_what_was_written_is_whole_after_the_last_close(world: World, tmp_path: Path) -> None:
    item = await written(world, b"content")
    assert (item.state, item.size, item.error) == (State.COMPLETE, 7, None)
    assert content(world, item) == b"content"
    assert staged(tmp_path) == []
    assert world.catalogue.download(item.id) is None
    assert world.drafts.get(item.id) is None


async def test_what_is_stored_but_not_told_is_there_all_the_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the commit of a sealing and its delivery, while another file is being made."""
    file = await create(world)
    await file.write(0, b"content")
    old, deliver, held, committed = row(world, file.item), world.catalogue._delivery.deliver, [], trio.Event()

    def hold(group: list[Job]) -> None:
        held.append(group)
        committed.set()

    counted = world.catalogue._recent._commits()
    with monkeypatch.context() as patch:
        patch.setattr(world.catalogue._delivery, "deliver", lambda group: hold(group))
        patch.setattr(world.catalogue._recent, "_commits", lambda: counted)
        await file.close()
        await committed.wait()
        assert (world.catalogue.staged(file.item), row(world, file.item)) == ([], old)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(create, world, "other")
            await trio.testing.wait_all_tasks_blocked()
            draft = await world.drafts.write_to(old)
            assert os.pread(draft.fd, 99, 0) == b"content"
            assert world.drafts.size(file.item) == 7
            reader = world.drafts.readable(file.item)
            world.drafts.leave(draft, writing=True)
            for group in held:
                deliver(group)
            hold = deliver  # also of what is on its way
            patch.undo()
    assert reader is not None
    await reader.sealed.wait()
    assert content(world, row(world, file.item)) == b"content"


async def test_only_the_last_writer_starts_the_sealing(world: World) -> None:
    first = await create(world)
    draft = draft_of(world, first.item)
    world.drafts.enter(draft, writing=True)
    second = DraftFile(world.drafts, draft, writing=True)
    await first.write(0, b"first")
    await first.close()
    assert not draft.closed
    await second.write(5, b" second")
    await second.close()
    assert draft.closed
    await draft.sealed.wait()
    assert content(world, row(world, first.item)) == b"first second"


async def test_a_closed_draft_cannot_be_changed_while_it_is_sealed(world: World) -> None:
    """The staging file becomes the blob: a truncate after the last close would damage it under its name (I1)."""
    file = await create(world)
    await file.write(0, b"content")
    draft = draft_of(world, file.item)
    await file.close()
    assert draft.closed
    assert not draft.sealed.is_set()
    with pytest.raises(BadRequest):
        await world.drafts.truncate(draft, 0)
    with pytest.raises(BadRequest):
        world.drafts.enter(draft, writing=True)
    await draft.sealed.wait()
    assert content(world, row(world, file.item)) == b"content"


async def test_a_reader_goes_on_reading_across_the_sealing(world: World) -> None:
    file = await create(world)
    draft = draft_of(world, file.item)
    await file.write(0, b"content")
    world.drafts.enter(draft, writing=False)
    reader = DraftFile(world.drafts, draft, writing=False)
    await file.close()
    assert await reader.read(0, 100) == b"content"
    await draft.sealed.wait()
    assert await reader.read(3, 100) == b"tent"
    await reader.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(draft.fd)


async def test_what_waits_for_being_sealed_holds_no_file_open_and_can_be_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the files that wait would keep the sealing from opening its own."""
    ingest, go_on = world.store.ingest, trio.Event()

    async def wait(*args: object, **named: object) -> object:
        await go_on.wait()
        return await ingest(*args, **named)

    monkeypatch.setattr(world.store, "ingest", wait)
    before = len(os.listdir("/proc/self/fd"))
    drafts = []
    for number in range(40):
        file = await create(world, f"f{number}")
        await file.write(0, b"content")
        drafts.append(draft_of(world, file.item))
        await file.close()
    assert len(os.listdir("/proc/self/fd")) <= before
    for draft in (drafts[0], drafts[-1]):
        world.drafts.enter(draft, writing=False)
        reader = DraftFile(world.drafts, draft, writing=False)
        assert await reader.read(0, 100) == b"content"
        assert world.drafts.size(reader.item) == 7
        await reader.close()
    go_on.set()
    for draft in drafts:
        await draft.sealed.wait()
    assert len(os.listdir("/proc/self/fd")) <= before


async def test_no_descriptor_is_left_open(world: World) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for number in range(20):
        await written(world, b"x", f"f{number}")
    assert len(os.listdir("/proc/self/fd")) <= before


async def test_a_time_set_by_a_writer_is_kept_even_if_it_is_the_epoch(world: World) -> None:
    file = await create(world)
    await file.write(0, b"x")
    draft = draft_of(world, file.item)
    draft.mtime_ns = 0
    assert world.drafts.mtime_ns(file.item) == 0
    await file.close()
    await draft.sealed.wait()
    assert row(world, file.item).mtime_ns == 0


async def test_a_time_set_during_the_sealing_is_kept(world: World) -> None:
    file = await create(world)
    await file.write(0, b"x")
    draft = draft_of(world, file.item)
    await file.close()
    draft.mtime_ns = 10**18
    await draft.sealed.wait()
    assert row(world, file.item).mtime_ns == 10**18


async def test_create_that_fails_leaves_nothing(world: World, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(BadRequest):
        await world.drafts.create("a/b", (), 0o644)
    with pytest.raises(BadRequest):
        await world.drafts.create("f", (".bad",), 0o644)
    assert staged(tmp_path) == []
    assert len(world.index.live) == 0
    assert len(os.listdir("/proc/self/fd")) <= before


async def test_a_cancelled_create_loses_neither_row_nor_bytes(world: World, tmp_path: Path) -> None:
    """The row may be committed although nobody hears of it: then its staging file must be there at the next start."""
    with trio.CancelScope() as scope:
        scope.cancel()
        await world.drafts.create("f", (), 0o644)
    rows = await world.catalogue.downloads()
    assert {download.staging for download in rows} <= set(staged(tmp_path))


async def test_others_find_the_draft_before_its_creator_does(world: World) -> None:
    """Between the commit and the return of `create` the item is there for everybody, and can be opened."""
    found: list[Draft | None] = []

    class Impatient:
        def apply(self, changes: object, tags: object) -> None:
            found.extend(map(world.drafts.get, world.index.live))

        async def settle(self, changes: object, tags: object) -> None: ...

    world.catalogue.observe(Impatient())
    draft = await world.drafts.create("f", (), 0o644)
    assert found[0] is draft
    world.drafts.leave(draft, writing=True)
    await draft.sealed.wait()


async def test_purging_what_is_written_harms_nobody(world: World, tmp_path: Path) -> None:
    file = await create(world)
    draft = draft_of(world, file.item)
    await file.write(0, b"content")
    await edits.trash(world.context, row(world, file.item))
    await world.catalogue.purge([file.item])
    assert await file.write(7, b" more") == 5
    await file.close()
    await draft.sealed.wait()
    assert staged(tmp_path) == []
    assert await world.store.stored() == []


async def test_purging_during_the_sealing_harms_nobody(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest = world.store.ingest

    async def purge_first(*args: object, **named: object) -> object:
        blob = await ingest(*args, **named)
        await world.catalogue.trash(file.item)
        await world.catalogue.purge([file.item])
        return blob

    monkeypatch.setattr(world.store, "ingest", purge_first)
    file = await create(world)
    draft = draft_of(world, file.item)
    await file.close()
    await draft.sealed.wait()
    assert staged(tmp_path) == []
    with pytest.raises(NoSuchItem):
        await world.catalogue.trash(file.item)


@pytest.mark.parametrize("error", [StoreFull("There is no space left."), OSError(errno.EIO, "Input/output error")])
async def test_what_cannot_be_stored_is_kept_and_can_be_tried_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    async def fail(*args: object, **named: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "ingest", fail)
        item = await written(world, b"precious")
    assert (item.state, item.size) == (State.FAILED, 8)
    assert item.error is not None
    assert "cannot be stored" in item.error
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    path = world.drafts.kept(item)
    assert path is not None
    assert Path(path).read_bytes() == b"precious"
    assert await world.drafts.retry(item)
    again = row(world, item.id)
    assert (again.state, again.error) == (State.COMPLETE, None)
    assert content(world, again) == b"precious"
    assert staged(tmp_path) == []
    assert not await world.drafts.retry(again)


async def test_when_no_more_files_can_be_opened_the_sealing_waits_for_others_to_be_closed(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sealing, "PAUSES", (0.0, 0.0, 0.0))
    ingest, refusals = world.store.ingest, [errno.EMFILE, errno.ENFILE]

    async def refuse_at_first(*args: object, **named: object) -> object:
        if refusals:
            raise OSError(refusals.pop(), "Too many open files")
        return await ingest(*args, **named)

    monkeypatch.setattr(world.store, "ingest", refuse_at_first)
    item = await written(world, b"content")
    assert (item.state, item.error, refusals) == (State.COMPLETE, None, [])
    refusals += [errno.EMFILE] * 10
    item = await written(world, b"other", "g")
    assert (item.state, item.error) == (State.FAILED, "what was written cannot be stored: Too many open files")


async def test_after_a_failed_fsync_nothing_is_called_whole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel reports a lost write once; a second fsync would succeed without the bytes (R9)."""
    file = await create(world)
    await file.write(0, b"content")
    draft = draft_of(world, file.item)

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="Input/output"):
            await file.fsync(data_only=False)
    await file.close()
    await draft.sealed.wait()
    assert row(world, file.item).state is State.FAILED


# -- stops and crashes. Opening the same folder again is a restart; what a crash left is put there by hand


async def test_a_file_that_is_open_at_the_stop_says_that_it_was_cut_short(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        file = await create(world)
        await file.write(0, b"the beginni")
        world.drafts.interrupt()
        await file.close()
    async with open_world(tmp_path) as world:
        item = row(world, file.item)
        assert (item.state, item.error) == (State.COMPLETE, CUT_SHORT)
        assert content(world, item) == b"the beginni"
    assert staged(tmp_path) == []


async def test_a_file_that_was_closed_before_the_stop_is_whole(tmp_path: Path) -> None:
    """Stopped in the middle of its sealing: not lost, and not called cut short."""
    async with open_world(tmp_path) as world:
        file = await create(world)
        await file.write(0, b"content")
        await file.close()
    async with open_world(tmp_path) as world:
        item = row(world, file.item)
        assert (item.state, item.error) == (State.COMPLETE, None)
        assert content(world, item) == b"content"


async def crashed(world: World, name: str, content: bytes) -> tuple[Item, str]:
    """What kill -9 leaves of a file that was being written."""
    staging, fd = world.store.create_staging()
    os.write(fd, content)
    os.close(fd)
    new = NewItem(name, state=State.WRITING, sources=[SOURCE], download=NewDownload(staging, name_fixed=True))
    return await world.catalogue.add(new), staging


async def test_killed_while_it_was_written(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        item, _ = await crashed(world, "f", b"the beginni")
    async with open_world(tmp_path) as world:
        assert (row(world, item.id).state, row(world, item.id).error) == (State.COMPLETE, CUT_SHORT)
        assert content(world, row(world, item.id)) == b"the beginni"
        assert await world.catalogue.check() == []
    assert staged(tmp_path) == []


async def test_killed_in_the_trash_while_it_was_written(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        item, _ = await crashed(world, "f", b"the beginni")
        await world.catalogue.trash(item.id)
    async with open_world(tmp_path) as world:
        found = row(world, item.id)
        assert (found.state, found.error) == (State.COMPLETE, CUT_SHORT)
        assert found.trashed_ns is not None


async def test_killed_between_the_close_and_the_rename(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        item, staging = await crashed(world, "f", b"content")
        world.drafts._sealer.mark_closed(staging)
    async with open_world(tmp_path) as world:
        assert (row(world, item.id).state, row(world, item.id).error) == (State.COMPLETE, None)
    assert staged(tmp_path) == []


async def test_the_machine_went_down_between_the_close_and_the_rename(tmp_path: Path) -> None:
    """Nobody knows then whether the end reached the disk."""
    async with open_world(tmp_path) as world:
        item, staging = await crashed(world, "f", b"content")
        os.link(world.store.staging_path(staging), world.store.staging_path(f"{staging}.closedotherboot"))
    async with open_world(tmp_path) as world:
        assert row(world, item.id).error == CUT_SHORT


@pytest.mark.parametrize("boot", [None, "otherboot"])
async def test_killed_between_the_rename_and_the_row(tmp_path: Path, boot: str | None) -> None:
    """The blob is there and whole, and only the marker still leads to it."""
    async with open_world(tmp_path) as world:
        item, staging = await crashed(world, "f", b"content")
        if boot is None:
            world.drafts._sealer.mark_closed(staging)
        else:
            os.link(world.store.staging_path(staging), world.store.staging_path(f"{staging}.closed{boot}"))
        await world.store.ingest(staging, {})
        assert staging not in staged(tmp_path)
    async with open_world(tmp_path) as world:
        assert (row(world, item.id).state, row(world, item.id).error) == (State.COMPLETE, None)
        assert content(world, row(world, item.id)) == b"content"
        assert len(await world.store.stored()) == 1
    assert staged(tmp_path) == []


async def test_killed_and_the_staging_file_is_gone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with open_world(tmp_path) as world:
        item, staging = await crashed(world, "f", b"content")
        world.store.discard_staging(staging)
    async with open_world(tmp_path) as world:
        assert (row(world, item.id).state, row(world, item.id).error) == (State.MISSING, GONE)
    assert "is gone" in caplog.text


async def test_what_could_not_be_stored_is_tried_again_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*args: object, **named: object) -> None:
        raise StoreFull("There is no space left.")

    async with open_world(tmp_path) as world:
        with monkeypatch.context() as patch:
            patch.setattr(world.store, "ingest", fail)
            item = await written(world, b"precious")
        assert item.state is State.FAILED
    async with open_world(tmp_path) as world:
        assert (row(world, item.id).state, row(world, item.id).error) == (State.COMPLETE, None)


async def test_without_space_for_the_catalogue_either_the_next_start_stores_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*args: object, **named: object) -> None:
        raise StoreFull("There is no space left.")

    async with open_world(tmp_path) as world:
        with monkeypatch.context() as patch:
            patch.setattr(world.store, "ingest", fail)
            patch.setattr(SqliteCatalogue, "edit", fail)
            item = await written(world, b"precious")
        assert "it is tried again when there is space" in caplog.text
        assert (await written(world, b"others", "g")).state is State.COMPLETE
    async with open_world(tmp_path) as world:
        again = row(world, item.id)
        assert (again.state, again.error) == (State.COMPLETE, None)
        assert content(world, again) == b"precious"


async def test_the_recovery_is_idempotent(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        item, _ = await crashed(world, "f", b"the beginni")
    for _ in range(3):
        async with open_world(tmp_path) as world:
            assert row(world, item.id).error == CUT_SHORT
            assert len(world.index.live) == 1
