"""Relations and saved queries over the socket's verbs: what they answer, refuse, and what other verbs make of them."""

from __future__ import annotations

import pytest

from query.ast import Tag
from tagfs.control.errors import Code, VerbError
from tagfs.control.verbs import Spelling
from tagfs.control.views import RelationView, SavedQueryView
from tagfs.service.events import Watcher
from tagfs.service.verbs import Service
from tests.support.world import World


async def names(service: Service, query: str, spelling: Spelling = Spelling.EXPRESSION) -> list[str]:
    return [item.name for item in (await service.ls(query, spelling=spelling)).items]


async def test_relations_are_stated_listed_and_taken_back(world: World, service: Service) -> None:
    await world.item("dune", "series:dune")
    await world.item("solaris", "sci-fi")
    await service.relate("series:dune", "implies", "sci-fi")
    assert await service.relations() == (RelationView("series:dune", "implies", "sci-fi"),)
    assert await service.relations("sci-fi") == await service.relations()
    assert await names(service, "sci-fi") == ["dune", "solaris"]
    assert await names(service, "sci-fi @@") == await names(service, "sci-fi/@@", Spelling.PATH) == ["solaris"]
    assert [(tag.name, tag.items) for tag in (await service.tags("sci-fi")).tags] == [("sci-fi", 2), ("series:dune", 1)]
    assert [(tag.name, tag.items) for tag in (await service.tags("sci-fi @@")).tags] == [("sci-fi", 1)]
    await service.unrelate("series:dune", "implies", "sci-fi")
    assert await service.relations() == ()
    assert await names(service, "sci-fi") == ["solaris"]


@pytest.mark.parametrize(
    ("tag", "relation", "other", "code"),
    [
        ("a", "implies", "nothing", Code.NOT_FOUND),
        ("nothing", "implies", "a", Code.NOT_FOUND),
        ("a", "likes", "b", Code.BAD_REQUEST),
        ("a", "implies", "a", Code.BAD_REQUEST),
        ("a", "implies", "b", Code.EXISTS),
        ("a", "implies", "size:1", Code.BAD_REQUEST),
    ],
)
async def test_what_cannot_be_stated(
    world: World, service: Service, tag: str, relation: str, other: str, code: Code
) -> None:
    await service.tag_create(("a", "b"))
    await service.relate("a", "implies", "b")
    with pytest.raises(VerbError) as caught:
        await service.relate(tag, relation, other)
    assert caught.value.code is code
    with pytest.raises(VerbError) as caught:
        await service.unrelate("b", "implies", "a")
    assert caught.value.code is Code.NOT_FOUND


async def test_saved_queries_are_queries_wherever_one_is_taken(world: World, service: Service) -> None:
    await world.item("new", "movie")
    await world.item("old", "movie", "watched")
    await service.query_save("to watch", "movie/-/watched", spelling=Spelling.PATH)
    (saved,) = await service.queries()
    assert saved == SavedQueryView("to watch", "movie and not watched", saved.added)
    assert await names(service, "@to watch") == await names(service, "@to watch", Spelling.PATH) == ["new"]
    assert [tag.name for tag in (await service.tags("@to watch")).tags] == ["movie"]
    await service.query_rename("to watch", "evening")
    for query in ("@to watch", "@", "@@"):
        with pytest.raises(VerbError):
            await names(service, query)
    await service.tag_rename("watched", "seen")
    assert await names(service, "@evening") == ["new"]
    await service.query_save("later", "seen")
    with pytest.raises(VerbError) as caught:
        await service.query_delete(("evening", "nothing"))
    assert caught.value.code is Code.NOT_FOUND
    assert len(await service.queries()) == 2
    await service.query_delete(("evening", "later"))
    assert await service.queries() == ()


@pytest.mark.parametrize(
    ("name", "query", "code"),
    [
        ("x", "nothing", Code.NOT_FOUND),
        ("x", "a and", Code.BAD_REQUEST),
        ("a/b", "a", Code.BAD_REQUEST),
        ("taken", "a", Code.EXISTS),
    ],
)
async def test_what_cannot_be_saved(world: World, service: Service, name: str, query: str, code: Code) -> None:
    await service.tag_create(("a",))
    await service.query_save("taken", "a")
    with pytest.raises(VerbError) as caught:
        await service.query_save(name, query)
    assert caught.value.code is code


async def test_who_watches_a_query_follows_the_relations(world: World, service: Service) -> None:
    watcher = Watcher(world.catalogue, lambda: world.index.relations.expand(Tag("sci-fi")))
    world.catalogue.observe(watcher)
    await service.tag_create(("series:dune", "sci-fi"))
    await world.item("before", "series:dune")
    await service.relate("series:dune", "implies", "sci-fi")
    await world.item("after", "series:dune")
    event = watcher.take()
    assert event is not None
    assert (event.event, event.name) == ("added", "after")
    assert watcher.take() is None
