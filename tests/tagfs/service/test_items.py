"""Verbs about items and tags: references, pages, all or nothing."""

from __future__ import annotations

import pytest

from engine.types import FIRST_ITEM_ID, State
from tagfs.control.errors import Code, VerbError
from tagfs.control.verbs import Spelling
from tagfs.service.verbs import Service
from tests.support.world import World


def refused(code: Code, text: str = "") -> pytest.RaisesExc[VerbError]:
    """With one sentence."""
    return pytest.raises(
        VerbError, check=lambda error: error.code is code and text in error.message and "\n" not in error.message
    )


# -- references --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["f.txt", "id:x", "~", "a/b~1".replace("/", "_"), "\udcff", "two words", "~5000.txt", "id:"]
)
async def test_a_name_means_the_item_of_that_name(world: World, service: Service, name: str) -> None:
    item = await world.item(name)
    assert [view.id for view in await service.show((name,))] == [item.id]


async def test_ids(world: World, service: Service) -> None:
    item = await world.item("f.txt")
    for ref in (f"id:{item.id}", f"~{item.id}", f"f~{item.id}.txt"):
        assert [view.id for view in await service.show((ref,))] == [item.id]
    for ref in (
        "id:1",
        "~4294967296",
        "id:99999999999",
        f"g~{item.id}.txt",
        f"f~{item.id}.mkv",
        "id:-1",
        "none",
        "",
        "id:٤٠٩٦",
    ):
        with refused(Code.NOT_FOUND):
            await service.show((ref,))


async def test_an_ambiguous_name_lists_the_ids(world: World, service: Service) -> None:
    items = [await world.item("f.txt", content=b"%d" % number) for number in range(12)]
    with refused(Code.AMBIGUOUS, f"id:{items[0].id}, id:{items[1].id}") as caught:
        await service.show(("f.txt",))
    assert caught.value.message.count("id:") == 10
    assert [view.id for view in await service.show((f"f~{items[3].id}.txt",))] == [items[3].id]


async def test_what_is_in_the_trash_is_not_found(world: World, service: Service) -> None:
    item = await world.item("f.txt", "a")
    await service.rm(("f.txt",))
    for ref in ("f.txt", f"id:{item.id}", f"f~{item.id}.txt"):
        for call in (
            service.show((ref,)),
            service.tag((ref,), add=("b",)),
            service.rm((ref,)),
            service.status(items=(ref,)),
        ):
            with refused(Code.NOT_FOUND):
                await call
    with refused(Code.NOT_FOUND):
        await service.rm(("f.txt",), forever=True)
    [gone] = await service.rm((f"id:{item.id}",), forever=True)
    assert gone.id == item.id
    assert world.catalogue.item(item.id) is None


async def test_an_item_that_is_named_twice_comes_once(world: World, service: Service) -> None:
    item = await world.item("f.txt")
    assert len(await service.show(("f.txt", f"id:{item.id}", "f.txt"))) == 1


# -- all or nothing ----------------------------------------------------------------------------------------------------


async def test_one_unknown_item_and_nothing_is_done(world: World, service: Service) -> None:
    item = await world.item("f", "a")
    for call in (
        service.tag(("f", "none"), add=("b",)),
        service.rm(("f", "none")),
        service.rm(("f", "none"), forever=True),
        service.pause(("f", "none")),
        service.resume(("f", "none")),
    ):
        with refused(Code.NOT_FOUND):
            await call
    row = world.catalogue.item(item.id)
    assert row is not None
    assert row.trashed_ns is None
    assert world.catalogue.tags(item.id) == ("a",)
    assert not world.index.has_tag("b")


async def test_one_bad_tag_and_nothing_is_done(world: World, service: Service) -> None:
    item = await world.item("f", "a")
    with refused(Code.BAD_REQUEST):
        await service.tag(("f",), add=("b", ".bad"))
    with refused(Code.BAD_REQUEST):
        await service.tag(("f",), add=("state:paused",))
    with refused(Code.NOT_FOUND):
        await service.tag(("f",), add=("b",), remove=("unknown",))
    assert world.catalogue.tags(item.id) == ("a",)
    assert not world.index.has_tag("b")


async def test_tagging(world: World, service: Service) -> None:
    first, second = await world.item("f", "a"), await world.item("g", "a", "é")
    views = await service.tag(("f", "g"), add=("cafe\u0301", "year:2000"), remove=("a", "e\u0301"))
    assert [view.tags for view in views] == [("café", "year:2000")] * 2
    assert world.catalogue.tags(first.id) == world.catalogue.tags(second.id)


async def test_tags_are_made_all_or_none(world: World, service: Service) -> None:
    await service.tag_create(("a", "b", "a", "e\u0301"))
    assert [tag.name for tag in (await service.tags()).tags] == ["a", "b", "é"]
    for names, code in ((("c", "a"), Code.EXISTS), (("c", "é"), Code.EXISTS), (("c", "+x"), Code.BAD_REQUEST)):
        with refused(code):
            await service.tag_create(names)
    assert not world.index.has_tag("c")


async def test_tags_are_removed_all_or_none(world: World, service: Service) -> None:
    await service.tag_create(("a", "b", "é"))
    await world.item("f", "used")
    gone = await world.item("g", "trashed")
    await world.catalogue.trash(gone.id)
    for names, code in (
        (("a", "none"), Code.NOT_FOUND),
        (("a", "b", "used"), Code.IN_USE),
        (("a", "trashed", "b"), Code.IN_USE),
    ):
        with refused(code):
            await service.tag_delete(names)
        assert {tag.name for tag in world.index.tag_list()} == {"a", "b", "é", "used", "trashed"}
    await service.tag_delete(("a", "b", "a", "e\u0301"))
    assert {tag.name for tag in world.index.tag_list()} == {"used", "trashed"}


async def test_tags_are_renamed(world: World, service: Service) -> None:
    item = await world.item("f", "é", "b")
    await service.tag_rename("e\u0301", "z")
    assert world.catalogue.tags(item.id) == ("b", "z")
    for old, new, code in (
        ("none", "x", Code.NOT_FOUND),
        ("z", "b", Code.IN_USE),
        ("z", "{", Code.BAD_REQUEST),
        ("z", "ext:mkv", Code.BAD_REQUEST),
    ):
        with refused(code):
            await service.tag_rename(old, new)
    assert world.catalogue.tags(item.id) == ("b", "z")


# -- pages -------------------------------------------------------------------------------------------------------------


async def test_pages_of_items_and_of_the_trash(world: World, service: Service) -> None:
    """The trash is kept in the order of removal, and was cut into pages by it, but continued by id."""
    items = [await world.item(f"f{number}", "a") for number in range(7)]
    for trashed in (False, True):
        seen: list[int] = []
        after: int | None = 0
        while after is not None:
            page = await service.ls(None if trashed else "a", trashed=trashed, after=after, limit=3)
            assert len(page.items) <= 3
            seen += [view.id for view in page.items]
            after = page.next
        assert seen == [item.id for item in items]
        for item in [*items[3:], *items[:3]]:
            await world.catalogue.trash(item.id)
    assert (await service.ls("a")).items == ()


async def test_pages_of_tags(world: World, service: Service) -> None:
    await world.item("f", "a", "b", "year:1", "year:2", "é")
    await world.item("g", "a", "c")
    for query, expected in ((None, ["a", "b", "c", "year:1", "year:2", "é"]), ("a and c", ["a", "c"])):
        seen: list[str] = []
        after: str | None = ""
        while after is not None:
            page = await service.tags(query, after=after, limit=2)
            seen += [tag.name for tag in page.tags]
            after = page.next
        assert seen == expected
    assert [tag.items for tag in (await service.tags()).tags] == [2, 1, 1, 1, 1, 1]


async def test_queries_in_both_spellings(world: World, service: Service) -> None:
    for number, tags in enumerate((("a",), ("a", "b"), ("b",))):
        await world.item(f"f{number}", *tags)
    for query, spelling, names in (
        ("a and not b", Spelling.EXPRESSION, ["f0"]),
        ("a/-/b", Spelling.PATH, ["f0"]),
        ("/a/+/b/", Spelling.PATH, ["f0", "f1", "f2"]),
        ("a or b", Spelling.EXPRESSION, ["f0", "f1", "f2"]),
    ):
        assert [view.name for view in (await service.ls(query, spelling=spelling)).items] == names
    for query, spelling, code in (
        ("a and", Spelling.EXPRESSION, Code.BAD_REQUEST),
        ("a/+", Spelling.PATH, Code.BAD_REQUEST),
        ("", Spelling.PATH, Code.BAD_REQUEST),
        ("a/}", Spelling.PATH, Code.BAD_REQUEST),
        ("none", Spelling.PATH, Code.NOT_FOUND),
        ("a and none:1", Spelling.EXPRESSION, Code.NOT_FOUND),
    ):
        with refused(code):
            await service.ls(query, spelling=spelling)
    for arguments in ({"limit": 0}, {"limit": 1001}, {"query": "a", "trashed": True}):
        with refused(Code.BAD_REQUEST):
            await service.ls(**arguments)


async def test_rm_forever_of_what_is_live_or_being_written(world: World, service: Service) -> None:
    item = await world.item("f")
    draft = await world.drafts.create("g", (), 0o644)
    assert draft.item is not None
    views = await service.rm(("f", "g"), forever=True)
    assert [view.id for view in views] == [item.id, draft.item]
    assert not len(world.index.live)
    world.drafts.leave(draft, writing=True)
    await draft.sealed.wait()
    assert world.catalogue.item(draft.item) is None


async def test_what_is_being_written_is_shown_as_far_as_it_is(world: World, service: Service) -> None:
    draft = await world.drafts.create("g", (), 0o644)
    [view] = await service.show(("g",))
    assert (view.state, view.size, view.done) == (State.WRITING.value, 0, 0)
    assert view.id == FIRST_ITEM_ID
    world.drafts.leave(draft, writing=True)
    await draft.sealed.wait()


# -- folders -----------------------------------------------------------------------------------------------------------


async def test_a_folder_is_one_item_of_a_listing_and_lists_what_is_in_it(world: World, service: Service) -> None:
    album = await world.folder("album", {"1.flac": b"1", "cd 2/1.flac": b"2", "cd 2/2.flac": b"3"}, "music")
    other = await world.item("1.flac", "music")
    inside = {item.name: item for item in await world.catalogue.children(album.id)}
    (second,) = [item for item in await world.catalogue.children(inside["cd 2"].id) if item.name == "2.flac"]
    for query in (None, "music"):
        assert [view.id for view in (await service.ls(query)).items] == [album.id, other.id]
    found = (await service.ls("music and ext:flac")).items
    assert [view.name for view in found] == ["1.flac", "1.flac", "2.flac", "1.flac"]
    pages = [(await service.ls(folder="album", after=after, limit=1)) for after in (0, inside["1.flac"].id)]
    assert [[view.name for view in page.items] for page in pages] == [["1.flac"], ["cd 2"]]
    assert [page.next for page in pages] == [inside["1.flac"].id, None]
    (view,) = await service.show((f"id:{second.id}",))
    assert (view.folder, view.tags, view.inherited) == (inside["cd 2"].id, (), ("music",))
    with refused(Code.BAD_REQUEST, "is no folder"):
        await service.ls(folder=f"id:{other.id}")
    with refused(Code.BAD_REQUEST, "without a query"):
        await service.ls("music", folder="album")


async def test_references_lead_into_folders(world: World, service: Service) -> None:
    album = await world.folder("album", {"1.flac": b"1", "cd 2/2.flac": b"2", "cd 2/1.flac": b"3"})
    other = await world.item("1.flac")
    (inner,) = await service.show(("2.flac",))  # the only one of that name
    assert [view.id for view in await service.show(("album/cd 2/2.flac", "1.flac"))] == [inner.id, other.id]
    assert [view.id for view in await service.show((f"album/cd 2/2~{inner.id}.flac",))] == [inner.id]
    await service.tag(("album/1.flac", "album/cd 2"), add=("x",))
    assert [view.name for view in (await service.ls("x")).items] == ["1.flac", "cd 2"]
    for ref in ("album/none", "album/1.flac/x", "none/1.flac", "album/", "1.flac/x"):
        with refused(Code.NOT_FOUND):
            await service.show((ref,))
    await service.rm(("album",))
    for ref in ("album/1.flac", "2.flac", f"id:{inner.id}"):
        with refused(Code.NOT_FOUND):
            await service.show((ref,))
    assert [view.name for view in (await service.ls(trashed=True)).items] == ["album"]
    assert [view.name for view in (await service.ls(folder=f"id:{album.id}")).items] == ["1.flac", "cd 2"]
    await service.rm((f"id:{album.id}",), forever=True)
    assert world.catalogue.item(inner.id) is None
    assert [(view.name, view.items) for view in (await service.tags()).tags] == [("x", 0)]


async def test_names_are_those_of_live_items_some_at_a_time(world: World, service: Service) -> None:
    for name in ("b.mkv", "a.mkv", "a.txt", "c"):
        await world.item(name)
    assert await service.names("a") == ("a.mkv", "a.txt")
    assert await service.names(limit=2) == ("a.mkv", "a.txt")
    for limit in (0, 1001):
        with refused(Code.BAD_REQUEST):
            await service.names(limit=limit)
