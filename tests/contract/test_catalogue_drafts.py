"""What ports.Catalogue promises of new content for what has content, held against SQLite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.catalogue import open_catalogue
from engine.errors import BadRequest, Busy, NoSuchItem
from engine.ports import Catalogue, Edit, NewDownload, NewItem, NewTorrent
from engine.types import Item, ItemId, Kind, Source, SourceKind, State
from tests.support.catalogue import Recorder, sha, whole

MOUNT = Source(SourceKind.MOUNT, "", "", "")


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[Catalogue]:
    async with open_catalogue(str(tmp_path / "catalogue.db")) as opened:
        yield opened
        assert await opened.check() == []


@pytest.fixture
def seen(catalogue: Catalogue) -> Recorder:
    recorder = Recorder()
    catalogue.observe(recorder)
    return recorder


def written(name: str, staging: str, *tags: str) -> NewItem:
    """A file that is being written through the mount for the first time."""
    return NewItem(name, state=State.WRITING, tags=tags, mode=0o600, sources=[MOUNT], download=NewDownload(staging))


async def seal(catalogue: Catalogue, staging: str, content: str, *, keep_old: bool = True) -> Item:
    size = len(content)
    return await catalogue.seal(staging, sha(content), size, digests={}, mtime_ns=7, keep_old=keep_old)


async def trash(catalogue: Catalogue) -> list[tuple[str, str | None]]:
    return [(item.name, item.sha256) for item in await catalogue.trash_list()]


async def test_a_draft_leaves_the_content_alone_until_it_is_sealed(catalogue: Catalogue, seen: Recorder) -> None:
    item = await catalogue.add(whole("doc", "work", content="old"))
    await catalogue.start_draft(item.id, "s1")
    assert catalogue.item(item.id) == item
    assert catalogue.staged(item.id) == ["s1"]
    assert await catalogue.drafts() == [(item.id, "s1")]
    done = await seal(catalogue, "s1", "new!")
    assert (done.id, done.state, done.sha256, done.size, done.mtime_ns) == (
        item.id, State.COMPLETE, sha("new!"), 4, 7,
    )  # fmt: skip
    assert (catalogue.staged(item.id), await catalogue.drafts()) == ([], [])
    (old,) = await catalogue.trash_list()
    assert (old.name, old.sha256, catalogue.tags(old.id)) == ("doc", sha("old"), ("work",))
    assert [source.host for source in catalogue.sources(old.id)] == ["example.org"]
    assert {(change.item, change.before is None) for change in seen.changes[1:]} == {(old.id, True), (item.id, False)}


async def test_the_same_content_again_changes_the_date_alone(catalogue: Catalogue) -> None:
    item = await catalogue.add(whole("doc", content="old"))
    await catalogue.edit(item.id, Edit(state=State.SEEDING))
    await catalogue.start_draft(item.id, "s1")
    done = await seal(catalogue, "s1", "old")
    assert (done.state, done.sha256, done.mtime_ns) == (State.SEEDING, sha("old"), 7)
    assert await catalogue.trash_list() == []


async def test_a_later_draft_supersedes_an_earlier_one(catalogue: Catalogue) -> None:
    item = await catalogue.add(written("doc", "s0"))
    await catalogue.start_draft(item.id, "s1")
    await catalogue.start_draft(item.id, "s2")
    assert catalogue.staged(item.id) == ["s0", "s1", "s2"]
    done = await seal(catalogue, "s1", "one")
    assert (done.state, done.sha256) == (State.COMPLETE, sha("one"))
    assert catalogue.staged(item.id) == ["s2"]
    with pytest.raises(NoSuchItem):
        await seal(catalogue, "s0", "nothing")
    done = await seal(catalogue, "s2", "two", keep_old=False)
    assert done.sha256 == sha("two")
    assert await catalogue.trash_list() == []


async def test_what_nobody_has_finished_goes_to_the_trash(catalogue: Catalogue) -> None:
    item = await catalogue.add(whole("doc", "work", content="old"))
    await catalogue.start_draft(item.id, "s1")
    number = await catalogue.strand("s1", sha("hal"), 3, digests={}, why="cut short")
    assert catalogue.item(item.id) == item
    assert number is not None
    (half,) = await catalogue.trash_list()
    assert (half.id, half.name, half.sha256, half.size, half.error) == (number, "doc", sha("hal"), 3, "cut short")
    await catalogue.start_draft(item.id, "s2")
    assert await catalogue.strand("s2", sha("old"), 3, digests={}, why="") is None
    assert await catalogue.drafts() == []


async def test_replace_keeps_who_it_is_and_takes_what_is_in_the_other(catalogue: Catalogue, seen: Recorder) -> None:
    target = await catalogue.add(whole("doc", "work", content="old"))
    await catalogue.edit(target.id, Edit(set_xattrs={"user.note": b"n"}))
    source = await catalogue.add(whole("tmp", "other", content="new!"))
    await catalogue.edit(source.id, Edit(mode=0o640, mtime_ns=99))
    done = await catalogue.replace(target.id, source.id)
    assert catalogue.item(source.id) is None
    assert done.item == catalogue.item(target.id)
    assert (done.item.name, done.item.sha256, done.item.size) == ("doc", sha("new!"), 4)
    assert (done.item.mode, done.item.mtime_ns, done.item.added_ns) == (0o640, 99, target.added_ns)
    assert catalogue.tags(target.id) == ("work",)
    assert catalogue.xattrs(target.id)["user.note"] == b"n"
    (old,) = await catalogue.trash_list()
    assert (old.id, old.name, old.sha256, catalogue.tags(old.id)) == (done.kept, "doc", sha("old"), ("work",))
    gone = [change.item for change in seen.changes if change.after is None]
    assert gone == [source.id]


async def test_where_it_came_from_stays_readable(catalogue: Catalogue) -> None:
    url = Source(SourceKind.HTTP, "https://example.org/doc", "https://example.org/doc", "example.org")
    target = await catalogue.add(NewItem("doc", sha256=sha("old"), size=3, sources=[url]))
    source = await catalogue.add(written("tmp", "s1"))
    done = await catalogue.replace(target.id, source.id)
    assert catalogue.sources(target.id) == [MOUNT]
    assert catalogue.xattrs(target.id) == {"user.xdg.origin.url": b"https://example.org/doc"}
    assert done.kept is not None
    assert catalogue.sources(done.kept) == [url]


async def test_replace_by_what_is_still_written_moves_its_staged_file(catalogue: Catalogue) -> None:
    target = await catalogue.add(whole("doc", "work", content="old"))
    source = await catalogue.add(written("tmp", "s1"))
    await catalogue.start_draft(source.id, "s2")
    done = await catalogue.replace(target.id, source.id)
    assert (done.item.state, done.item.sha256, done.item.mode) == (State.WRITING, None, 0o600)
    assert catalogue.staged(target.id) == ["s1", "s2"]
    assert [catalogue.holder(name) for name in ("s1", "s2", "s3")] == [target.id, target.id, None]
    assert await trash(catalogue) == [("doc", sha("old"))]
    sealed = await seal(catalogue, "s1", "new!")
    assert (sealed.id, sealed.sha256) == (target.id, sha("new!"))
    assert [catalogue.holder(name) for name in ("s1", "s2")] == [None, target.id]


async def test_what_is_written_over_the_old_content_goes_with_it(catalogue: Catalogue) -> None:
    target = await catalogue.add(whole("doc", content="old"))
    await catalogue.start_draft(target.id, "s1")
    source = await catalogue.add(whole("tmp", content="new!"))
    done = await catalogue.replace(target.id, source.id)
    assert done.kept is not None
    assert (catalogue.staged(target.id), catalogue.staged(done.kept)) == ([], ["s1"])
    sealed = await seal(catalogue, "s1", "edited", keep_old=False)
    assert (sealed.id, sealed.sha256, sealed.trashed_ns is not None) == (done.kept, sha("edited"), True)
    assert done.item == catalogue.item(target.id)


async def test_replacing_nothing_or_the_same_leaves_no_trash(catalogue: Catalogue) -> None:
    for old, new in (("", "new"), ("same", "same")):
        target = await catalogue.add(whole("doc", content=old))
        source = await catalogue.add(whole("tmp", content=new))
        done = await catalogue.replace(target.id, source.id)
        assert (done.item.sha256, done.kept) == (sha(new), None)
    assert await catalogue.trash_list() == []


async def test_a_torrent_goes_with_the_content_that_it_brought(catalogue: Catalogue) -> None:
    torrent = NewTorrent("a" * 40, None, "magnet:", "f1")
    target = await catalogue.add_torrent(whole("film", content="old"), torrent)
    source = await catalogue.add(whole("tmp", content="new!"))
    done = await catalogue.replace(target.id, source.id)
    assert done.kept is not None
    assert not catalogue.is_torrent(target.id)
    assert catalogue.is_torrent(done.kept)
    assert catalogue.torrent_known("a" * 40, None) == done.kept


async def test_what_cannot_be_replaced(catalogue: Catalogue) -> None:
    whole_one = await catalogue.add(whole("doc", content="old"))
    arriving = await catalogue.add(NewItem("iso", state=State.QUEUED, download=NewDownload("s1")))
    link = await catalogue.add(NewItem("link", kind=Kind.SYMLINK, target="x"))
    for target, source, error in (
        (whole_one.id, arriving.id, Busy),
        (arriving.id, whole_one.id, Busy),
        (link.id, whole_one.id, BadRequest),
        (whole_one.id, whole_one.id, BadRequest),
        (whole_one.id, ItemId(999_999), NoSuchItem),
    ):
        with pytest.raises(error):
            await catalogue.replace(target, source)
    assert catalogue.item(whole_one.id) == whole_one


async def test_drafts_go_with_their_item(catalogue: Catalogue) -> None:
    item = await catalogue.add(whole("doc", content="old"))
    await catalogue.start_draft(item.id, "s1")
    await catalogue.trash(item.id)
    await catalogue.purge([item.id])
    assert await catalogue.drafts() == []
    with pytest.raises(NoSuchItem):
        await seal(catalogue, "s1", "new")
    await catalogue.drop_draft("s1")
