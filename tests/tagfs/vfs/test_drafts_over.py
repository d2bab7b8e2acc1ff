"""Drafts of what has content: chains of them, taking the place of another item, and what a crash leaves."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
import trio
import trio.testing

from engine.catalogue.writer import Job
from engine.disk import clone_or_copy
from engine.errors import Busy, NoSuchItem, StoreFull
from engine.ports import NewDownload, NewItem, Replaced
from engine.types import Item, ItemId, State
from tagfs.vfs import drafts
from tagfs.vfs.content import DraftFile
from tagfs.vfs.keeping import KEEP_EVERY
from tagfs.vfs.sealing import CUT_SHORT, STRANDED
from tests.support.world import World, open_world
from tests.tagfs.vfs.test_drafts import content, create, row, staged, written

OLD = b"the old content"


async def edit(world: World, item: Item, *, truncate: bool = False) -> DraftFile:
    draft = await world.drafts.write_to(row(world, item.id), truncate=truncate)
    return DraftFile(world.drafts, draft, writing=True)


async def rewritten(world: World, item: Item, data: bytes) -> Item:
    file = await edit(world, item, truncate=True)
    await file.write(0, data)
    await file.close()
    await file.draft.sealed.wait()
    return row(world, item.id)


async def trash(world: World) -> list[bytes]:
    return [content(world, item) for item in await world.catalogue.trash_list()]


async def test_an_untouched_draft_leaves_no_trace(world: World, tmp_path: Path) -> None:
    item = await written(world, OLD)
    before = len(os.listdir("/proc/self/fd"))
    file = await edit(world, item)
    assert await file.read(4, 3) == b"old"
    await file.fsync(data_only=False)
    assert (staged(tmp_path), world.drafts.get(item.id)) == ([], None)
    await file.close()
    assert row(world, item.id) == item
    assert len(os.listdir("/proc/self/fd")) <= before


async def test_the_blob_is_never_written_to(world: World) -> None:
    item = await written(world, OLD)
    file = await edit(world, item)
    await file.write(4, b"new")
    assert content(world, item) == OLD
    await file.close()
    await file.draft.sealed.wait()
    assert content(world, item) == OLD
    assert content(world, row(world, item.id)) == b"the new content"


async def test_a_chain_is_stored_in_order_and_what_is_superseded_is_not(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item, ingest, go_on, stored = await written(world, OLD), world.store.ingest, trio.Event(), []

    async def wait(staging: str, digests: dict[str, str], *, name: str) -> object:
        await go_on.wait()
        done = await ingest(staging, digests, name=name)
        stored.append(done.sha256)
        return done

    monkeypatch.setattr(world.store, "ingest", wait)
    drafts = []
    for number in range(30):
        file = await edit(world, item)
        await file.write(len(OLD) + number, b"x")
        drafts.append(file.draft)
        await file.close()
        await trio.testing.wait_all_tasks_blocked()
        found = world.drafts.readable(item.id)
        assert found is file.draft
        assert found.size == len(OLD) + number + 1
    go_on.set()
    for draft in drafts:
        await draft.sealed.wait()
    await trio.testing.wait_all_tasks_blocked()
    final = row(world, item.id)
    assert content(world, final) == OLD + b"x" * 30
    assert final.sha256 in stored
    assert len(stored) <= 17  # those that had begun, and the last
    assert (staged(tmp_path), await world.catalogue.drafts(), world.drafts.get(item.id)) == ([], [], None)
    assert await trash(world) == []


async def test_of_what_is_written_again_and_again_one_content_an_hour_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    item, now = await written(world, OLD), [1000.0]
    monkeypatch.setattr(trio, "current_time", lambda: now[0])
    for step, data in ((0, b"one"), (KEEP_EVERY / 2, b"two"), (KEEP_EVERY / 2, b"three"), (1, b"four")):
        now[0] += step
        await rewritten(world, item, data)
    assert sorted(await trash(world)) == sorted([OLD, b"two"])


async def test_only_one_draft_is_begun_by_many_writers(world: World) -> None:
    item = await written(world, OLD)
    files: list[DraftFile] = []

    async def write(number: int) -> None:
        file = await edit(world, item)
        files.append(file)
        await file.write(number, b"%d" % number)

    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(write, number)
    assert len({id(file.draft) for file in files}) == 1
    assert len(await world.catalogue.drafts()) == 1
    for file in files:
        await file.close()
    await files[0].draft.sealed.wait()
    assert content(world, row(world, item.id)) == b"01234567" + OLD[8:]


async def test_what_cannot_be_stored_goes_on_to_be_read_and_can_be_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def fail(*args: object, **named: object) -> None:
        raise StoreFull("There is no space left.")

    item = await written(world, OLD)
    with monkeypatch.context() as patch:
        patch.setattr(world.store, "ingest", fail)
        after = await rewritten(world, item, b"precious")
    assert (after.state, after.sha256) == (State.COMPLETE, item.sha256)
    assert after.error is not None
    assert "cannot be stored" in after.error
    draft = world.drafts.readable(item.id)
    assert draft is not None
    world.drafts.enter(draft, writing=False)
    assert os.pread(draft.fd, 100, 0) == b"precious"
    world.drafts.leave(draft, writing=False)
    assert await world.drafts.retry(row(world, item.id))
    assert content(world, row(world, item.id)) == b"precious"
    assert (row(world, item.id).error, staged(tmp_path)) == (None, [])


async def test_no_space_for_the_copy_is_the_writers_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    item = await written(world, OLD)
    file = await edit(world, item)
    with monkeypatch.context() as patch:
        patch.setattr("tagfs.vfs.drafts.clone_or_copy", fail)
        with pytest.raises(StoreFull):
            await file.write(0, b"x")
    await file.write(0, b"T")
    await file.close()
    await file.draft.sealed.wait()
    assert content(world, row(world, item.id)) == b"The old content"


async def test_what_arrives_is_not_written_to(world: World) -> None:
    item = await world.catalogue.add(NewItem("iso", state=State.PAUSED, download=NewDownload("s1")))
    with pytest.raises(Busy):
        await edit(world, item)
    assert not world.drafts._doors


# -- taking the place of another item's content


async def test_replace_by_an_open_draft(world: World) -> None:
    target = await written(world, OLD, "f")
    source = await create(world, "tmp")
    await source.write(0, b"new")
    replaced = await world.drafts.replace(target.id, source.item)
    assert (source.item, replaced.item.id) == (target.id, target.id)
    assert world.drafts.readable(target.id) is source.draft
    await source.write(3, b"er")
    await source.close()
    await source.draft.sealed.wait()
    assert content(world, row(world, target.id)) == b"newer"
    assert await trash(world) == [OLD]


async def test_replace_while_both_are_written_over(world: World) -> None:
    target, source = await written(world, OLD, "f"), await written(world, b"new", "tmp")
    over, by = await edit(world, target), await edit(world, source)
    await over.write(0, b"T")
    replaced = await world.drafts.replace(target.id, source.id)
    assert (over.item, by.item) == (replaced.kept, target.id)
    await by.write(3, b"er")
    await over.write(1, b"HE")
    for file in (over, by):
        await file.close()
        await file.draft.sealed.wait()
    assert content(world, row(world, target.id)) == b"newer"
    assert b"THE old content" in await trash(world)


async def test_others_find_what_took_the_place_at_once(world: World) -> None:
    """Between the commit and the return of `replace` the item reads what it will."""
    target, source = await written(world, OLD, "f"), await create(world, "tmp")
    await source.write(0, b"new")
    await source.close()
    found: list[bool] = []

    class Impatient:
        def apply(self, changes: object, tags: object) -> None:
            found.append(world.drafts.readable(target.id) is source.draft)

        async def settle(self, changes: object, tags: object) -> None: ...

    forget = world.catalogue.observe(Impatient())
    await world.drafts.replace(target.id, source.item)
    forget()
    assert found[0] or row(world, target.id).sha256 is not None  # sealed before
    await source.draft.sealed.wait()
    assert content(world, row(world, target.id)) == b"new"


@pytest.mark.parametrize("fails", [False, True])
async def test_what_is_closed_while_it_takes_the_place_is_stored_there(
    world: World, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """Its last writer goes between the commit and the return of `replace`: its own item is no more, by the rows."""
    target, source = await written(world, OLD, "f"), await create(world, "tmp")
    await source.write(0, b"new")
    real, committed, told = world.drafts._catalogue.replace, trio.Event(), trio.Event()

    async def replace(one: ItemId, other: ItemId) -> Replaced:
        replaced = await real(one, other)
        committed.set()
        await told.wait()
        return replaced

    def broken(*_: object, name: str) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(world.drafts._catalogue, "replace", replace)
        if fails:
            patch.setattr(world.drafts._blobs, "ingest", broken)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.drafts.replace, target.id, source.item)
            await committed.wait()
            await source.close()
            await source.draft.sealed.wait()
            told.set()
    after = row(world, target.id)
    if fails:
        assert after.state is State.FAILED
        kept = world.drafts.kept(after)
        assert kept is not None and Path(kept).read_bytes() == b"new"
        assert await world.drafts.retry(after)
        after = row(world, target.id)
    assert (after.state, content(world, after)) == (State.COMPLETE, b"new")
    assert await trash(world) == [OLD]


@pytest.mark.parametrize("which", ["target", "source"])
async def test_what_is_stored_but_not_told_is_there_while_it_is_moved(
    world: World, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    """Between the commit of a sealing and its delivery, while a rename over a file has not been committed: no row has
    the draft any more, and the item's own is of before."""
    target, source = await written(world, OLD, "f"), await written(world, b"tmp", "tmp")
    moved = target if which == "target" else source
    file = await edit(world, moved, truncate=True)
    await file.write(0, b"closed")
    old, deliver, held = row(world, moved.id), world.catalogue._delivery.deliver, []
    committed, go_on = trio.Event(), trio.Event()
    real, counted = world.drafts._catalogue.replace, world.catalogue._recent._commits()

    def hold(group: list[Job]) -> None:
        held.append(group)
        committed.set()

    async def replace(one: ItemId, other: ItemId) -> Replaced:
        await go_on.wait()
        return await real(one, other)

    with monkeypatch.context() as patch:
        patch.setattr(world.catalogue._delivery, "deliver", lambda group: hold(group))
        patch.setattr(world.catalogue._recent, "_commits", lambda: counted)
        patch.setattr(world.drafts._catalogue, "replace", replace)
        async with trio.open_nursery() as nursery:
            await file.close()
            await committed.wait()
            nursery.start_soon(world.drafts.replace, target.id, source.id)
            await trio.testing.wait_all_tasks_blocked()
            assert (world.catalogue.staged(moved.id), row(world, moved.id)) == ([], old)
            reader, size = world.drafts.readable(moved.id), world.drafts.size(moved.id)
            for group in held:
                deliver(group)
            hold = deliver
            patch.undo()
            go_on.set()
    assert (reader, size) == (file.draft, 6)
    assert content(world, row(world, target.id)) == (b"tmp" if which == "target" else b"closed")


async def test_who_leaves_while_his_draft_is_started_for_a_rename(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He was the last that had it open: what is copied from must stay open, and what was copied be stored."""
    target, source = await written(world, OLD, "f"), await written(world, b"new", "tmp")
    file = await edit(world, target)
    copying, go_on = trio.Event(), threading.Event()

    def copy(source: int, target: int, *, limit: int | None = None) -> None:
        trio.from_thread.run_sync(copying.set)
        assert go_on.wait(60)
        clone_or_copy(source, target, limit=limit)

    monkeypatch.setattr(drafts, "clone_or_copy", copy)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.drafts.replace, target.id, source.id)
        await copying.wait()
        await file.close()
        go_on.set()
    await file.draft.sealed.wait()
    assert content(world, row(world, target.id)) == b"new"
    assert not world.drafts.any()


async def test_what_is_gone_meanwhile_is_not_busy(world: World) -> None:
    """Who looked at a new file that then took the place of another: he is to look again."""
    file = await create(world, "tmp")
    await file.write(0, b"new")
    seen = row(world, file.item)
    target = await written(world, OLD, "f")
    await world.drafts.replace(target.id, file.item)
    with pytest.raises(NoSuchItem):
        await world.drafts.write_to(seen)
    await file.close()
    await file.draft.sealed.wait()


# -- stops and crashes. Opening the same folder again is a restart; what a crash left is put there by hand


async def crashed(world: World, data: bytes, *markers: str) -> Item:
    """What kill -9 leaves of a file that was written over."""
    item = await written(world, OLD)
    staging, fd = world.store.create_staging()
    os.write(fd, data)
    os.close(fd)
    await world.catalogue.start_draft(item.id, staging)
    for marker in markers:
        sealer = world.drafts._sealer
        word = {"closed": sealer._closed_now, "flushed": sealer._flushed_now}.get(marker, marker)
        os.link(world.store.staging_path(staging), world.store.staging_path(staging + word))
    return item


async def test_killed_before_the_last_close(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        item = await crashed(world, b"half")
    async with open_world(tmp_path) as world:
        assert row(world, item.id) == item
        (half,) = await world.catalogue.trash_list()
        assert (content(world, half), half.name, half.error) == (b"half", "f", STRANDED)
        assert (staged(tmp_path), await world.catalogue.check()) == ([], [])


@pytest.mark.parametrize(
    ("markers", "error"), [(("closed",), None), (("flushed",), CUT_SHORT), ((".synced",), CUT_SHORT)]
)
async def test_killed_after_the_last_close_or_an_fsync(
    tmp_path: Path, markers: tuple[str, ...], error: str | None
) -> None:
    async with open_world(tmp_path) as world:
        item = await crashed(world, b"whole", *markers)
    async with open_world(tmp_path) as world:
        found = row(world, item.id)
        assert (content(world, found), found.error, found.state) == (b"whole", error, State.COMPLETE)
        assert await trash(world) == [OLD]
        assert (staged(tmp_path), await world.catalogue.check()) == ([], [])


async def test_what_programs_have_closed_is_marked_before_the_kernel_says_that_nobody_has_it_open(
    world: World, tmp_path: Path
) -> None:
    item = await written(world, OLD)
    one, other = await edit(world, item, truncate=True), await edit(world, item)
    await one.write(0, b"new")
    one.flush()
    assert staged(tmp_path) == [one.draft.staging]  # somebody else is not done
    other.flush()
    [staging, marker] = staged(tmp_path)
    assert marker.startswith(f"{staging}.flushed")
    await one.write(3, b", by a copy of the descriptor")
    assert staged(tmp_path) == [staging]
    one.flush()
    one.flush()
    assert staged(tmp_path) == [staging, marker]
    await other.close()
    assert staged(tmp_path) == [staging, marker]
    await one.close()
    await one.draft.sealed.wait()
    assert (staged(tmp_path), content(world, row(world, item.id))) == ([], b"new, by a copy of the descriptor")


async def test_an_fsync_whose_promise_cannot_be_written_down_fails(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut nobody would know that these bytes are to be the item's."""
    file = await edit(world, await written(world, OLD))
    await file.write(0, b"THE")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", full)
        with pytest.raises(OSError, match="No space"):
            await file.fsync(data_only=False)


async def test_what_takes_the_place_of_a_file_is_marked_first_where_its_program_has_closed_it(
    world: World, tmp_path: Path
) -> None:
    target, source = await written(world, OLD), await create(world, "g")
    await source.write(0, b"new")
    source.flush()
    assert staged(tmp_path) == [source.draft.staging]  # of a new item all is kept anyway
    await world.drafts.replace(target.id, source.item)
    assert [name.partition(".")[2][:7] for name in staged(tmp_path)] == ["", "flushed"]
    await source.close()
    await source.draft.sealed.wait()
    assert (staged(tmp_path), content(world, row(world, target.id))) == ([], b"new")


async def test_killed_with_the_same_bytes_leaves_nothing(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        item = await crashed(world, OLD)
    async with open_world(tmp_path) as world:
        assert row(world, item.id) == item
        assert (await trash(world), staged(tmp_path)) == ([], [])


@pytest.mark.parametrize("closed", [True, False])
async def test_killed_between_the_rename_and_the_row(tmp_path: Path, closed: bool) -> None:
    """Also of the next start, while it makes an item in the trash of it."""
    async with open_world(tmp_path) as world:
        item = await crashed(world, b"bytes", "closed" if closed else ".recovered")
        (_, staging), *_ = await world.catalogue.drafts()
        await world.store.ingest(staging, {})
    async with open_world(tmp_path) as world:
        assert content(world, row(world, item.id)) == (b"bytes" if closed else OLD)
        assert await trash(world) == [OLD if closed else b"bytes"]
        assert staged(tmp_path) == []


async def test_stopped_while_it_is_written(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        item = await written(world, OLD)
        file = await edit(world, item, truncate=True)
        await file.write(0, b"half")
        world.drafts.interrupt()
        await file.close()
    async with open_world(tmp_path) as world:
        assert row(world, item.id) == item
        assert await trash(world) == [b"half"]


async def test_killed_with_a_chain(tmp_path: Path) -> None:
    """A new file, closed; closed again; and open: the last close is what counts."""
    async with open_world(tmp_path) as world:
        staging, fd = world.store.create_staging()
        os.write(fd, b"one")
        os.close(fd)
        world.drafts._sealer.mark_closed(staging)
        item = await world.catalogue.add(NewItem("f", state=State.WRITING, download=NewDownload(staging)))
        for data in (b"two", b"thr"):
            staging, fd = world.store.create_staging()
            os.write(fd, data)
            os.close(fd)
            await world.catalogue.start_draft(item.id, staging)
            if data == b"two":
                world.drafts._sealer.mark_closed(staging)
    async with open_world(tmp_path) as world:
        assert content(world, row(world, item.id)) == b"two"
        assert b"thr" in await trash(world)
        assert staged(tmp_path) == []


async def test_a_writer_who_waits_begins_with_what_is_stored_meanwhile(world: World) -> None:
    """Or he would write over an older content than the last that was closed."""
    item = await written(world, OLD)
    file = await edit(world, item)
    await file.write(0, b"new")
    stale = row(world, item.id)
    await file.close()
    await file.draft.sealed.wait()
    draft = await world.drafts.write_to(stale)
    assert os.pread(draft.fd, 3, 0) == b"new"
    world.drafts.leave(draft, writing=True)
