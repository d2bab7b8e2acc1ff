"""Taking changes back: what comes out is what was before, and what somebody changed since is left alone."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyroaring import BitMap

from engine.catalogue import SqliteCatalogue, open_catalogue
from engine.errors import Changed, NoSuchChange
from engine.history import Cause
from engine.index import BitmapIndex
from engine.ports import Edit, FolderFile, Move, NewDownload, NewItem, NewTorrent, Retagging
from engine.types import Facts, Item, ItemId, Kind, Source, SourceKind, State
from query.relations import Relation, RelationKind
from tests.support.catalogue import sha, whole


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[SqliteCatalogue]:
    async with open_catalogue(str(tmp_path / "catalogue.db")) as opened:
        yield opened
        assert await opened.check() == []


async def undo(catalogue: SqliteCatalogue, *, redo: bool = False) -> None:
    call = await catalogue.undoable(redo=redo)
    assert call is not None
    await catalogue.undo(call)


async def last(catalogue: SqliteCatalogue) -> int:
    [record] = await catalogue.log(limit=1)
    return record.call


def facts(catalogue: SqliteCatalogue, item: Item) -> Facts:
    found = catalogue.facts(item.id)
    assert found is not None
    return found


async def test_undo_walks_back_as_in_an_editor_and_redo_forward(catalogue: SqliteCatalogue) -> None:
    item = await catalogue.add(whole("a"))
    for name in ("b", "c", "d"):
        await catalogue.edit(item.id, Edit(name=name))

    async def name_after(*, redo: bool = False) -> str:
        await undo(catalogue, redo=redo)
        return facts(catalogue, item).name

    assert [await name_after() for _ in range(2)] == ["c", "b"]
    assert [await name_after(redo=True) for _ in range(2)] == ["c", "d"]
    assert await catalogue.undoable(redo=True) is None
    assert [await name_after() for _ in range(3)] == ["c", "b", "a"]
    assert await name_after(redo=True) == "b"
    await catalogue.edit(item.id, Edit(name="z"))
    assert await catalogue.undoable(redo=True) is None  # as in an editor: the branch that was left is not offered
    assert [await name_after() for _ in range(2)] == ["b", "a"]
    await undo(catalogue)
    assert facts(catalogue, item).trashed  # what was made goes to the trash
    assert await catalogue.undoable() is None


async def test_only_what_a_person_did_is_offered(catalogue: SqliteCatalogue) -> None:
    item = await catalogue.by(Cause.COMMAND).add(whole("a"))
    for cause in (Cause.DOWNLOAD, Cause.RULE, Cause.UPKEEP):
        await catalogue.by(cause).edit(item.id, Edit(name=cause.value))
    draft = await catalogue.by(Cause.DOWNLOAD).add(NewItem("draft", state=State.WRITING))
    await catalogue.discard(draft.id)  # what never had content is no loss
    assert await catalogue.undoable() == 1
    await catalogue.undo(4)  # by its number each can be undone
    assert facts(catalogue, item).name == "rule"


async def test_a_move_over_an_empty_folder_gives_that_back(catalogue: SqliteCatalogue) -> None:
    one, two, three = [await catalogue.add(NewItem(name, kind=Kind.FOLDER)) for name in ("one", "two", "three")]
    await catalogue.move([Move(one.id, None, Edit(name="two"))], trashed=[two.id])
    assert catalogue.item(two.id) is None
    await undo(catalogue)
    assert (facts(catalogue, one).name, catalogue.item(two.id)) == ("one", two)
    await undo(catalogue, redo=True)
    assert (facts(catalogue, one).name, catalogue.item(two.id)) == ("two", None)
    await undo(catalogue)
    await catalogue.remove_folder(three.id)
    assert await catalogue.undoable(redo=True) is None


@pytest.fixture
async def nested(catalogue: SqliteCatalogue) -> list[Item]:
    """One in the other, and all that is kept of an empty one is not as ever."""
    top = await catalogue.add(NewItem("top", kind=Kind.FOLDER, mode=0o711))
    sources = [Source(SourceKind.MOUNT, "", "", "")]
    new = NewItem("\udcff", kind=Kind.FOLDER, parent=top.id, mode=0o1750, mtime_ns=7, sources=sources)
    return [top, await catalogue.add(new)]


async def test_empty_folders_come_back_as_they_were(catalogue: SqliteCatalogue, nested: list[Item]) -> None:
    top, inner = nested
    kept, sources = facts(catalogue, inner), catalogue.sources(inner.id)
    for folder in (inner, top):
        await catalogue.remove_folder(folder.id)
    assert (catalogue.item(inner.id), catalogue.item(top.id), await catalogue.trash_list()) == (None, None, [])
    [record] = await catalogue.log(item=inner.id, limit=1)
    with pytest.raises(Changed, match=r"the folder that held .* is gone, or in the trash"):
        await catalogue.undo(record.call)
    for _ in range(2):
        await undo(catalogue)
        await undo(catalogue)
        assert (catalogue.item(inner.id), facts(catalogue, inner)) == (inner, kept)
        assert catalogue.sources(inner.id) == sources
        await undo(catalogue, redo=True)
        await undo(catalogue, redo=True)
        assert (catalogue.item(inner.id), catalogue.item(top.id), await catalogue.trash_list()) == (None, None, [])
    assert (await catalogue.add(whole("x"))).id > inner.id  # numbers are not given again


async def test_an_empty_folder_that_came_back_is_not_ended_with_what_is_in_it_since(
    catalogue: SqliteCatalogue, nested: list[Item]
) -> None:
    _, inner = nested
    await catalogue.remove_folder(inner.id)
    await undo(catalogue)
    redoing = await catalogue.undoable(redo=True)
    item = await catalogue.add(replace(whole("x"), parent=inner.id))
    assert redoing is not None
    await catalogue.undo(redoing)
    assert facts(catalogue, inner).trashed
    assert facts(catalogue, item).buried


async def test_an_empty_folder_does_not_come_back_beside_a_namesake(
    catalogue: SqliteCatalogue, nested: list[Item]
) -> None:
    top, inner = nested
    await catalogue.remove_folder(inner.id)
    call = await last(catalogue)
    other = await catalogue.add(NewItem(inner.name, kind=Kind.FOLDER, parent=top.id))
    with pytest.raises(Changed, match=r"there is another .* in its folder since"):
        await catalogue.undo(call)
    assert catalogue.item(inner.id) is None
    await catalogue.trash(other.id)
    await catalogue.remove_folder(other.id)  # nothing happens to what is in the trash already
    assert facts(catalogue, other).trashed
    await catalogue.undo(call)
    assert catalogue.item(inner.id) is not None


@pytest.mark.parametrize("since", ["nothing", "ended", "restored"])
async def test_what_was_removed_out_of_a_folder_goes_back_into_it(
    catalogue: SqliteCatalogue, nested: list[Item], since: str
) -> None:
    """It lies in the trash by itself; what became of it there is no reason to refuse the folder."""
    _, inner = nested
    item = await catalogue.add(replace(whole("x"), parent=inner.id))
    await catalogue.trash(item.id)
    await catalogue.remove_folder(inner.id, along=())
    call = await last(catalogue)
    assert facts(catalogue, item).parent is None
    if since == "ended":
        await catalogue.purge([item.id])
    elif since == "restored":
        await catalogue.restore(item.id)
    undone = await catalogue.undo(call)
    assert undone.missing == (since == "ended")
    assert facts(catalogue, inner).live
    if since == "nothing":
        assert (facts(catalogue, item).parent, facts(catalogue, item).trashed) == (inner.id, True)
        await undo(catalogue, redo=True)
        assert (facts(catalogue, item).parent, facts(catalogue, item).trashed) == (None, True)
        assert catalogue.item(inner.id) is None
    elif since == "restored":
        assert (facts(catalogue, item).parent, facts(catalogue, item).live) == (None, True)


async def test_an_empty_folder_of_a_download_goes_to_the_trash(catalogue: SqliteCatalogue) -> None:
    """Its address may be a secret, and would lie in the journal."""
    url = "https://user:secret@example.org/"
    source = Source(SourceKind.HTTP, url, "https://example.org/", "example.org")
    folder = await catalogue.add(NewItem("d", kind=Kind.FOLDER, sources=[source]))
    await catalogue.remove_folder(folder.id)
    assert facts(catalogue, folder).trashed
    assert "secret" not in str(await catalogue.log())


async def test_a_change_to_many_is_taken_off_those_that_it_changed(catalogue: SqliteCatalogue) -> None:
    items = await catalogue.add_many([whole(f"i{number}", "old") for number in range(5)])
    await catalogue.edit(items[0].id, Edit(add=["new"]))
    await catalogue.edit_many([(item.id, Edit(add=["new"], remove=["old"])) for item in items])
    call = await last(catalogue)
    await catalogue.trash(items[4].id)
    await catalogue.purge([items[4].id])
    await catalogue.edit(items[3].id, Edit(remove=["new"]))
    undone = await catalogue.undo(call)
    assert undone.missing == 1
    assert [catalogue.tags(item.id) for item in items[:4]] == [("new", "old"), ("old",), ("old",), ("old",)]
    await undo(catalogue, redo=True)
    assert [catalogue.tags(item.id) for item in items[:4]] == [("new",), ("new",), ("new",), ()]


async def test_tags_come_and_go_with_what_made_them(catalogue: SqliteCatalogue, tmp_path: Path) -> None:
    def tags() -> list[str]:
        connection = sqlite3.connect(tmp_path / "catalogue.db")
        try:
            return [name for (name,) in connection.execute("SELECT name FROM tag ORDER BY name")]
        finally:
            connection.close()

    item = await catalogue.add(whole("x"))
    seen = [(tags(), catalogue.tags(item.id))]
    steps = (
        lambda: catalogue.edit(item.id, Edit(add=["a", "b"])),
        lambda: catalogue.edit(item.id, Edit(add=["c"], remove=["b"])),
        lambda: catalogue.rename_tag("a", "b"),  # b is unused and replaced
        lambda: catalogue.edit(item.id, Edit(remove=["b", "c"])),
        lambda: catalogue.remove_tag("c"),
        lambda: catalogue.create_tag("free"),
    )
    for step in steps:
        await step()
        seen.append((tags(), catalogue.tags(item.id)))
    for expected in seen[-2::-1]:
        await undo(catalogue)
        assert (tags(), catalogue.tags(item.id)) == expected
    for expected in seen[1:]:
        await undo(catalogue, redo=True)
        assert (tags(), catalogue.tags(item.id)) == expected


async def test_what_was_changed_since_is_refused_and_nothing_is_done(catalogue: SqliteCatalogue) -> None:
    item, other = await catalogue.add_many([whole("x", "a"), whole("y")])
    calls = {}
    await catalogue.edit(item.id, Edit(name="x2", add=["b"], remove=["a"]))
    calls["name"] = await last(catalogue)
    await catalogue.complete(item.id, sha("new"), 3, digests={}, mtime_ns=None, keep_old=True)
    calls["content"] = await last(catalogue)
    await catalogue.complete(item.id, sha("newer"), 5, digests={}, mtime_ns=None, keep_old=True)
    await catalogue.edit(item.id, Edit(name="x3"))
    await catalogue.rename_tag("a", "a2")
    calls["renamed"] = await last(catalogue)
    await catalogue.rename_tag("a2", "a3")
    await catalogue.create_tag("gone")
    calls["gone"] = await last(catalogue)
    await catalogue.remove_tag("gone")
    await catalogue.trash(other.id)
    calls["trashed"] = await last(catalogue)
    await catalogue.purge([other.id])
    calls["ended"] = await last(catalogue)
    before = await catalogue.log()
    why = {
        "name": "'x2' was renamed to 'x3' since", "content": "the content of 'x3' was changed since",
        "renamed": "the tag 'a2' was renamed or removed since",
        "gone": "the tag 'gone' was renamed or removed since", "trashed": f"item {other.id} has ended for good since",
        "ended": "ended 'y' for good, which nothing brings back",
    }  # fmt: skip
    for kind, sentence in why.items():
        with pytest.raises(Changed, match=sentence):
            await catalogue.undo(calls[kind])
    with pytest.raises(NoSuchChange):
        await catalogue.undo(calls["name"] + 1)  # no first row of a transaction
    with pytest.raises(NoSuchChange):
        await catalogue.undo(10_000)
    assert await catalogue.log() == before


async def test_a_tag_that_others_carry_by_now_stays(catalogue: SqliteCatalogue) -> None:
    one, two = await catalogue.add_many([whole("x"), whole("y")])
    await catalogue.create_tag("alone")
    alone = await last(catalogue)
    await catalogue.edit(one.id, Edit(add=["alone", "with"]))
    both = await last(catalogue)
    await catalogue.edit(two.id, Edit(add=["alone", "with"]))
    with pytest.raises(Changed, match="in use"):
        await catalogue.undo(alone)
    await catalogue.undo(both)
    assert [catalogue.tags(item.id) for item in (one, two)] == [(), ("alone", "with")]
    with pytest.raises(Changed, match="undone already"):
        await catalogue.undo(both)


async def test_a_tag_made_by_itself_goes_from_the_trash_too(catalogue: SqliteCatalogue) -> None:
    await catalogue.create_tag("a")
    item = await catalogue.add(whole("x", "a"))
    with pytest.raises(Changed, match="in use"):
        await catalogue.undo(1)
    await undo(catalogue)
    await undo(catalogue)
    assert (facts(catalogue, item).trashed, catalogue.tags(item.id)) == (True, ())
    await undo(catalogue, redo=True)
    await undo(catalogue, redo=True)
    assert (facts(catalogue, item).trashed, catalogue.tags(item.id)) == (False, ("a",))


async def test_content_comes_back_out_of_the_trash_and_goes_there(catalogue: SqliteCatalogue) -> None:
    item = await catalogue.add(whole("doc", "work", content="old"))
    await catalogue.complete(item.id, sha("new"), 3, digests={}, mtime_ns=7, keep_old=True)
    [kept] = await catalogue.trash_list()
    for redo, (live, trashed) in ((False, ("old", "new")), (True, ("new", "old")), (False, ("old", "new"))):
        await undo(catalogue, redo=redo)
        assert facts(catalogue, item).sha256 == sha(live)
        assert [(row.id, row.sha256) for row in await catalogue.trash_list()] == [(kept.id, sha(trashed))]
    await undo(catalogue, redo=True)
    await catalogue.purge([kept.id])
    await undo_call_of_content(catalogue, item)


async def undo_call_of_content(catalogue: SqliteCatalogue, item: Item) -> None:
    """The item that kept the old content has ended: while the content is there, it is used, then it is gone."""
    other = await catalogue.add(whole("other", content="old"))
    [call] = {
        record.call for record in await catalogue.log(item.id) if record.what.get("content") and not record.undoes
    }
    await catalogue.undo(call)
    assert facts(catalogue, item).sha256 == sha("old")
    [kept] = await catalogue.trash_list()
    assert (kept.name, kept.sha256, catalogue.tags(kept.id)) == ("doc", sha("new"), ("work",))
    await undo(catalogue, redo=True)
    [kept] = await catalogue.trash_list()
    assert (facts(catalogue, item).sha256, kept.sha256) == (sha("new"), sha("old"))
    await catalogue.trash(other.id)
    await catalogue.purge([kept.id, other.id])
    assert await catalogue.forget_blob(sha("old"))
    with pytest.raises(Changed, match="the old content of 'doc' is gone"):
        await catalogue.undo(call)


async def test_content_that_was_not_kept_comes_back_until_it_is_swept_and_is_refused_then(
    catalogue: SqliteCatalogue,
) -> None:
    """The trash gets what is written over in place once an hour only."""
    item = await catalogue.add(whole("doc", content="old"))
    for redo in (False, True):
        if not redo:
            await catalogue.start_draft(item.id, "s1")
            await catalogue.seal("s1", sha("new"), 3, digests={}, mtime_ns=None, keep_old=False)
            call = await last(catalogue)
            assert await catalogue.trash_list() == []
        await undo(catalogue, redo=redo)
    [kept] = await catalogue.trash_list()  # the undo kept the newer content, its own undo exchanged the two
    assert (facts(catalogue, item).sha256, kept.sha256) == (sha("new"), sha("old"))
    await catalogue.purge([kept.id])
    assert await catalogue.forget_blob(sha("old"))
    before = facts(catalogue, item), await catalogue.log(), await catalogue.trash_list()
    with pytest.raises(Changed, match=r"the old content of 'doc' is gone: it is not in the trash \(any more\)"):
        await catalogue.undo(call)
    assert (facts(catalogue, item), await catalogue.log(), await catalogue.trash_list()) == before


async def test_folders_come_back_as_they_were(catalogue: SqliteCatalogue) -> None:
    folder = await catalogue.add(NewItem("album", state=State.QUEUED))
    ids = await catalogue.unpack(folder.id, [FolderFile(("cd", "1"), 1), FolderFile(("2",), 1)])
    await catalogue.trash(ids[0])
    await catalogue.trash(folder.id)
    await undo(catalogue)
    assert [row.id for row in await catalogue.trash_list()] == [ids[0]]
    await undo(catalogue, redo=True)
    assert [row.id for row in await catalogue.trash_list()] == [folder.id]
    await undo(catalogue)
    await undo(catalogue)
    assert await catalogue.trash_list() == []
    await undo(catalogue)  # the unpacking: what came with it goes
    await undo(catalogue)
    assert [row.id for row in await catalogue.trash_list()] == [folder.id]
    await undo(catalogue, redo=True)
    await catalogue.restore(folder.id)
    await catalogue.trash(ids[0])
    call = await last(catalogue)
    await catalogue.trash(folder.id)
    await catalogue.undo(await last(catalogue))
    await catalogue.trash(folder.id)  # takes what was in the trash by itself along
    await catalogue.undo(call)
    assert [record.what for record in await catalogue.log(limit=1)] == [{"nothing": True}]


async def test_a_name_that_is_taken_in_the_folder_is_refused(catalogue: SqliteCatalogue) -> None:
    folder = await catalogue.add(NewItem("album", state=State.QUEUED))
    one, two = await catalogue.unpack(folder.id, [FolderFile(("1",), 1), FolderFile(("2",), 1)])
    await catalogue.edit(one, Edit(name="x"))
    call = await last(catalogue)
    await catalogue.edit(two, Edit(name="1"))
    with pytest.raises(Changed, match="another '1' in its folder since"):
        await catalogue.undo(call)
    await undo(catalogue)
    await catalogue.undo(call)


async def test_save_over_is_taken_back_although_the_temporary_file_is_gone(catalogue: SqliteCatalogue) -> None:
    """`mv tmp f`: f has the content of tmp, which is no more, and the old one is in the trash, with its torrent."""
    torrent = NewTorrent("ab" * 20, None, "magnet:", "t1")
    item = await catalogue.add_torrent(whole("f", content="old", host="old.example"), torrent)
    temporary = await catalogue.add(replace(whole("tmp", content="new", host="new.example"), mode=0o600))
    done = await catalogue.replace(item.id, temporary.id)
    assert done.kept is not None
    assert "given" in {key for record in await catalogue.log(temporary.id) for key in record.what}

    def seen(number: ItemId) -> tuple[object, ...]:
        row = catalogue.item(number)
        assert row is not None
        hosts = [source.host for source in catalogue.sources(number)]
        return row.sha256, row.mode, row.mtime_ns, hosts, catalogue.is_torrent(number)

    after = seen(item.id), seen(done.kept)
    assert [part[-1] for part in after] == [False, True]
    for redo in (False, True, False):
        await undo(catalogue, redo=redo)
        assert (seen(item.id), seen(done.kept)) == (after if redo else after[::-1])


async def test_save_over_of_what_is_still_written_is_taken_back_once_it_is_there(catalogue: SqliteCatalogue) -> None:
    item = await catalogue.add(whole("f", content="old"))
    source = Source(SourceKind.MOUNT, "", "", "")
    temporary = await catalogue.add(
        NewItem("tmp", state=State.WRITING, sources=[source], download=NewDownload("s1"))
    )  # fmt: skip
    await catalogue.replace(item.id, temporary.id)
    call = await last(catalogue)
    with pytest.raises(Changed, match="'f' is being written"):
        await catalogue.undo(call)
    await catalogue.seal("s1", sha("new"), 3, digests={}, mtime_ns=None, keep_old=True)
    await catalogue.undo(call)
    assert facts(catalogue, item).sha256 == sha("old")
    assert [row.sha256 for row in await catalogue.trash_list()] == [sha("new")]
    await undo(catalogue, redo=True)
    await catalogue.start_draft(item.id, "s2")
    await catalogue.seal("s2", sha("newer"), 5, digests={}, mtime_ns=None, keep_old=True)
    redone, *_ = [record for record in await catalogue.log() if record.undoes]
    with pytest.raises(Changed, match="content of 'f' was changed since"):
        await catalogue.undo(redone.call)


async def test_relations_are_taken_back_and_stated_again(catalogue: SqliteCatalogue) -> None:
    for tag in ("a", "b"):
        await catalogue.create_tag(tag)
    index = await BitmapIndex.open(catalogue)
    said = {Relation("a", RelationKind.IMPLIES, "b")}
    await catalogue.relate(*said)
    await undo(catalogue)
    assert index.relations.stated == set()
    await undo(catalogue, redo=True)
    assert index.relations.stated == said
    await catalogue.unrelate(*said)
    await undo(catalogue)
    assert index.relations.stated == said
    await catalogue.remove_tag("b")
    assert index.relations.stated == set()
    await undo(catalogue)
    assert index.relations.stated == said
    assert index.has_tag("b")
    await catalogue.relate(Relation("b", RelationKind.EXCLUDES, "a"))
    call = await last(catalogue)
    await catalogue.remove_tag("a")
    with pytest.raises(Changed, match="there is no tag 'a' any more"):
        await catalogue.undo(call)


async def test_saved_queries_come_back_with_their_texts(catalogue: SqliteCatalogue) -> None:
    async def saved() -> dict[str, str]:
        return {query.name: query.text for query in await catalogue.saved_queries()}

    await catalogue.create_tag("a")
    await catalogue.save_query("one", "a and not b")
    await undo(catalogue)
    assert await saved() == {}
    await undo(catalogue, redo=True)
    await catalogue.rename_query("one", "two")
    await undo(catalogue)
    assert await saved() == {"one": "a and not b"}
    await catalogue.rename_tag("a", "c")
    assert await saved() == {"one": "c and not b"}
    await undo(catalogue)
    assert await saved() == {"one": "a and not b"}
    await catalogue.forget_query("one")
    call = await last(catalogue)
    await undo(catalogue)
    assert await saved() == {"one": "a and not b"}
    await catalogue.undo(await last(catalogue))  # the undo itself
    await catalogue.save_query("one", "x")
    with pytest.raises(Changed, match="another query was saved"):
        await catalogue.undo(call)


async def test_moves_are_taken_back(catalogue: SqliteCatalogue) -> None:
    def places(*items: ItemId) -> list[tuple[ItemId | None, str, bool]]:
        rows = [catalogue.item(item) for item in items]
        return [(row.parent, row.name, row.trashed_ns is not None) for row in rows if row is not None]

    one, two = [(await catalogue.add(NewItem(name, kind=Kind.FOLDER))).id for name in ("one", "two")]
    x = (await catalogue.add(replace(whole("x"), parent=one))).id
    y = (await catalogue.add(replace(whole("y"), parent=two))).id
    seen = [places(one, two, x, y)]
    for moves, trashed in (
        ([Move(x, two, Edit(name="z"))], []),
        ([Move(x, two, Edit(name="y")), Move(y, two, Edit(name="z"))], []),  # exchanged
        ([Move(y, two, Edit(name="y"))], [x]),  # over the other
        ([Move(two, one)], []),
        ([Move(y, None)], []),
    ):
        await catalogue.move(moves, trashed=trashed)
        seen.append(places(one, two, x, y))
    await catalogue.trash(y)
    await catalogue.move([Move(y, one)])  # out of the trash into a folder
    seen.append(places(one, two, x, y))
    assert len({str(place) for place in seen}) == len(seen)
    await undo(catalogue)
    assert places(y) == [(None, "y", True)]
    await undo(catalogue)
    for then in seen[-2::-1]:
        assert places(one, two, x, y) == then
        if then != seen[0]:
            await undo(catalogue)
    for then in seen[1:-1]:
        await undo(catalogue, redo=True)
        assert places(one, two, x, y) == then


async def test_a_move_whose_folder_is_in_the_way_is_refused(catalogue: SqliteCatalogue) -> None:
    one, two = [(await catalogue.add(NewItem(name, kind=Kind.FOLDER))).id for name in ("one", "two")]
    x = (await catalogue.add(replace(whole("x"), parent=one))).id
    await catalogue.move([Move(x, two)])
    call = await last(catalogue)
    other = await catalogue.add(replace(whole("x", content="2"), parent=one))
    with pytest.raises(Changed, match="another 'x' in its folder since"):
        await catalogue.undo(call)
    await catalogue.trash(other.id)
    await catalogue.trash(one)
    with pytest.raises(Changed, match="the folder that held 'x' is gone, or in the trash"):
        await catalogue.undo(call)
    await catalogue.restore(one)
    await catalogue.move([Move(x, None)])
    with pytest.raises(Changed, match="'x' was moved to another folder since"):
        await catalogue.undo(call)
    await catalogue.move([Move(one, two)])
    into = await last(catalogue)
    await catalogue.move([Move(one, None)])
    await catalogue.move([Move(two, one)])
    await catalogue.undo(into)  # it is as it was before
    assert catalogue.item(one) is not None


async def test_a_change_to_very_many_is_one_row_and_taken_back_at_once(catalogue: SqliteCatalogue) -> None:
    index = await BitmapIndex.open(catalogue)
    items = await catalogue.add_many([whole(f"i{number}", "old") for number in range(1500)])
    ids = BitMap([item.id for item in items])
    had = ids[:100]
    await catalogue.edit_many([(ItemId(item), Edit(add=["new"])) for item in had])

    async def wanted() -> Retagging:
        return Retagging(add={"new": ids}, remove={"old": ids})

    def counts() -> dict[str, int]:
        return {tag.name: tag.items for tag in index.tag_list()}

    assert await catalogue.retag_many(wanted) == 1500
    assert counts() == {"new": 1500, "old": 0}
    for redo, expected in ((False, {"new": 100, "old": 1500}), (True, {"new": 1500, "old": 0})):
        await undo(catalogue, redo=redo)
        assert counts() == expected
        assert await catalogue.check() == []
    assert len(await catalogue.log(limit=1000)) < 20
    await undo(catalogue)
    said = {Relation("old", RelationKind.EXCLUDES, "b")}
    await catalogue.create_tag("b")
    await catalogue.relate(*said)
    await catalogue.merge_tag("old", "new")
    assert counts() == {"b": 0, "new": 1500}
    await undo(catalogue)
    assert counts() == {"b": 0, "new": 100, "old": 1500}
    assert index.relations.stated == said
    assert [catalogue.tags(ItemId(ids[place])) for place in (0, 100)] == [("new", "old"), ("old",)]
    await undo(catalogue, redo=True)
    assert counts() == {"b": 0, "new": 1500}
