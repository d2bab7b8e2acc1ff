"""What create, rm, mv and ln mean for items that are written, arriving, in the trash or tagged by a pair."""

from __future__ import annotations

import errno

import pytest

from engine.errors import TagInUse
from engine.ports import AddRequest
from engine.types import Item, ItemId, State
from tagfs.vfs import edits, moving
from tagfs.vfs.content import DraftFile
from tests.support.world import World


def failing(number: int) -> pytest.RaisesExc[OSError]:
    return pytest.raises(OSError, check=lambda error: error.errno == number)


def row(world: World, item: ItemId) -> Item:
    found = world.catalogue.item(item)
    assert found is not None
    return found


async def rename(world: World, source: str, name: str, target: str, new_name: str) -> None:
    await moving.rename(world.context, await world.directory(source), name, await world.directory(target), new_name)


async def test_what_is_being_written_can_be_tagged_renamed_and_removed(world: World) -> None:
    await world.catalogue.create_tag("a")
    await world.catalogue.create_tag("b")
    draft = await edits.create(world.context, await world.directory("tags/a"), "f", 0o644)
    file = DraftFile(world.drafts, draft, writing=True)
    await file.write(0, b"one")
    await rename(world, "tags/a", "f", "tags/b", "g")
    assert world.catalogue.tags(file.item) == ("b",)
    await edits.unlink(world.context, await world.directory("tags/b"), "g")
    await edits.unlink(world.context, await world.directory("files"), "g")
    assert row(world, file.item).trashed_ns is not None
    await file.write(3, b" two")
    await file.close()
    await draft.sealed.wait()
    assert (row(world, file.item).state, row(world, file.item).size) == (State.COMPLETE, 7)
    await rename(world, "trash", "g", "files", "g")
    assert row(world, file.item).trashed_ns is None


async def test_what_got_content_in_the_moment_of_its_removal_goes_to_the_trash(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a lock that nobody wrote to it would be ended for good."""
    await world.folder("D", {"f": b"content"})
    monkeypatch.setattr(world.drafts, "is_blank", lambda item: True)
    await edits.unlink(world.context, await world.directory("files/D"), "f")
    assert await world.names("trash") == ["f"]


async def test_the_trash_keeps_the_tags_of_what_is_in_it(world: World) -> None:
    """A tag cannot be removed while something in the trash carries it: it would come back with less than it had."""
    item = await world.item("f", "a", "b")
    await edits.unlink(world.context, await world.directory("files"), "f")
    with pytest.raises(TagInUse):
        await world.catalogue.remove_tag("a")
    await world.catalogue.rename_tag("a", "z")
    await rename(world, "trash", "f", "files", "f")
    assert world.catalogue.tags(item.id) == ("b", "z")


async def test_out_of_the_trash_under_another_name_and_tag(world: World) -> None:
    item = await world.item("f", "a")
    await world.catalogue.create_tag("b")
    await edits.unlink(world.context, await world.directory("files"), "f")
    await rename(world, "trash", "f", "tags/b", "g")
    assert (row(world, item.id).name, world.catalogue.tags(item.id)) == ("g", ("a", "b"))
    assert await world.names("trash") == []


async def test_moves_that_are_refused_change_nothing(world: World) -> None:
    item = await world.item("f", "a", "b")
    gone = await world.item("gone", "a")
    await world.catalogue.trash(gone.id)
    await world.folder("D", {"b": b""}, "c")
    for source, name, target, new_name, number in (
        ("tags/a", "f", "trash", "f", errno.EPERM),  # nothing below /tags removes content
        ("tags/a", "f", "tags/a/+/b", "f", errno.EPERM),
        ("tags/a/+/b", "f", "tags/a", "f", errno.EPERM),
        ("tags/a", "f", "blobs", "f", errno.EPERM),
        ("tags/a", "f", "tags", "f", errno.EPERM),
        ("tags/a", "none", "tags/b", "none", errno.ENOENT),
        ("trash", "gone", "trash", "other", errno.EPERM),
        ("tags", "a", "files", "a", errno.EPERM),  # on EXDEV mv would copy all that is in it, and take the tag off
        ("tags", "a", "tags/b", "a", errno.EPERM),
        ("tags/a", "b", "tags/a", "z", errno.EPERM),
        ("", "files", "", "other", errno.EPERM),
        ("files", "D", "tags/a", "b", errno.ENOTEMPTY),  # where a tag is
        ("tags/c", "D", "tags/a", "f", errno.ENOTDIR),
        ("files", "f", "files", "x" * 256, errno.ENAMETOOLONG),
    ):
        with failing(number):
            await rename(world, source, name, target, new_name)
    assert (row(world, item.id).name, world.catalogue.tags(item.id)) == ("f", ("a", "b"))
    assert row(world, gone.id).trashed_ns is not None


async def test_mv_into_the_trash_is_rm(world: World) -> None:
    item = await world.item("f", "a")
    await rename(world, "files", "f", "trash", "f")
    assert row(world, item.id).trashed_ns is not None


async def test_mv_by_a_tilde_name_keeps_the_name(world: World) -> None:
    await world.item("f", "a")
    second = await world.item("f", "a", content=b"2")
    await world.catalogue.create_tag("b")
    shown = f"f~{second.id}"
    await rename(world, "tags/a", shown, "tags/b", shown)
    assert (row(world, second.id).name, world.catalogue.tags(second.id)) == ("f", ("b",))
    await rename(world, "files", shown, "files", "g")
    assert row(world, second.id).name == "g"


async def test_rm_takes_off_what_the_path_means(world: World) -> None:
    """`year:2000` also finds an own tag year:2000.0 and year:2000-06: if one stayed, so would the file."""
    item = await world.item("f", "year:2000.0", "year:2000-06", "year:2001", "a")
    await edits.unlink(world.context, await world.directory("tags/a/year:2000"), "f")
    assert world.catalogue.tags(item.id) == ("year:2001",)
    assert await world.names("tags/year:2000") == []


async def test_a_download_stops_before_it_goes_to_the_trash_and_goes_on_when_it_comes_back(world: World) -> None:
    item = await world.context.transfers.add(AddRequest(["https://example.org/f"], tags=["a"]))
    await edits.unlink(world.context, await world.directory("files"), "f")
    assert world.context.transfers.reader(item.id) is None
    assert row(world, item.id).state is State.QUEUED
    await rename(world, "trash", "f", "files", "f")
    assert world.context.transfers.reader(item.id) is not None
    await edits.unlink(world.context, await world.directory("files"), "f")
    await edits.unlink(world.context, await world.directory("trash"), "f")
    assert world.catalogue.item(item.id) is None


async def test_a_paused_download_stays_paused_in_the_trash(world: World) -> None:
    item = await world.context.transfers.add(AddRequest(["https://example.org/f"], paused=True))
    await edits.unlink(world.context, await world.directory("files"), "f")
    await rename(world, "trash", "f", "files", "f")
    assert row(world, item.id).state is State.PAUSED


async def test_ln_in_the_trash_is_refused(world: World) -> None:
    item = await world.item("f", "a")
    await world.catalogue.create_tag("b")
    await world.catalogue.trash(item.id)
    with failing(errno.EPERM):
        await edits.link(world.context, item.id, await world.directory("tags/b"), "f")
    with failing(errno.EPERM):
        await edits.create(world.context, await world.directory("trash"), "x", 0o644)
