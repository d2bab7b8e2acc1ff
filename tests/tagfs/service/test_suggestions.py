"""What is suggested, decided and done by rules, as the socket answers it."""

from __future__ import annotations

import pytest

from engine.history import Cause
from engine.ports import Look, NewItem
from engine.suggest.rules import RuleText, understand
from engine.types import ItemId
from tagfs.control.errors import Code, VerbError
from tagfs.service.suggestions import STEP
from tagfs.service.verbs import Service
from tests.support.world import World
from tests.tagfs.service.conftest import Reports


async def propose(world: World, *items: int, tags: tuple[str, ...] = ("year:1979",)) -> None:
    proposed = [(tag, "name") for tag in tags]
    await world.catalogue.note_looks([Look(ItemId(item), 2, proposed=proposed) for item in items])


async def test_pages_hold_what_is_asked_for(world: World, service: Service) -> None:
    items = [(await world.item(f"{number}.mkv", "odd" if number % 2 else "even")).id for number in range(9)]
    await propose(world, *items)
    found, after, pages = [], 0, 0
    while True:
        page = await service.suggestions(query="odd", after=after, limit=2)
        found += [view.id for view in page.items]
        pages += 1
        if page.next is None:
            break
        after = page.next
    assert found == items[1::2]
    assert pages <= 3
    assert [view.id for view in (await service.suggestions()).items] == items
    assert [view.id for view in (await service.suggestions(("3.mkv",))).items] == [items[3]]


async def test_a_folder_stands_for_what_is_in_it(world: World, service: Service) -> None:
    folder = await world.folder("album", {"1.mp3": b"1", "cd/2.mp3": b"2"})
    inside = list(world.index.below(folder.id))
    songs = [item for item in inside if world.catalogue.item(ItemId(item)).name.endswith("mp3")]  # type: ignore[union-attr]
    other = await world.item("other.mp3")
    await propose(world, *songs, other.id, tags=("artist:Can", "title:x"))
    assert [view.id for view in (await service.suggestions(("album",))).items] == sorted(songs)
    decided = await service.suggest_decide(("album",), tags=("artist:Can",), accept=True)
    assert (decided.items, decided.tags) == (2, 2)
    for song in songs:
        assert world.catalogue.tags(ItemId(song)) == ("artist:Can",)
    assert world.catalogue.tags(other.id) == ()


async def test_a_decision_needs_to_know_of_what(world: World, service: Service) -> None:
    with pytest.raises(VerbError, match="Of which items"):
        await service.suggest_decide(accept=True)
    with pytest.raises(VerbError, match="not both"):
        await service.suggest_decide(("x",), query="y", accept=True)
    with pytest.raises(VerbError) as caught:
        await service.suggest_decide(("nobody",), accept=True)
    assert caught.value.code is Code.NOT_FOUND


async def test_all_that_a_query_finds_is_decided_in_one_call(world: World, service: Service) -> None:
    items = [(await world.item(f"{number}.mkv")).id for number in range(5)]
    await propose(world, *items)
    await world.catalogue.trash(items[0])
    decided = await service.suggest_decide(query="ext:mkv", accept=True)
    assert (decided.items, decided.tags) == (4, 4)
    calls = {record.call for record in await world.catalogue.log() if "year:1979" in record.what.get("add", ())}
    assert len(calls) == 1
    assert (await service.suggestions()).items == ()


async def test_rules_are_applied_to_what_is_there(world: World, report: Reports) -> None:
    items = [(await world.item(f"{number}.mkv")).id for number in range(3)]
    many = [(await world.catalogue.add(new)).id for new in await _texts(world, STEP)]
    rules = understand([RuleText("ext:mkv", ["movie"]), RuleText("ext:txt and not movie", ["text", "old"])], "f")
    service = Service(world.context, world.store, rules)
    await world.catalogue.note_looks([Look(items[0], 2, tags=["movie"])])
    await world.catalogue.decide(items[:1], None, accept=True)
    expected = 2 + 2 * STEP
    dry = await service.rules(dry_run=True, report=report)
    assert (dry.tags, [rule.items for rule in dry.rules]) == (expected, [3, STEP])
    assert world.catalogue.tags(items[1]) == ()
    assert (await service.rules(apply=True, report=report)).tags == expected
    assert world.catalogue.tags(items[1]) == ("movie",)
    assert world.catalogue.tags(many[-1]) == ("old", "text")
    assert report[-1].items_done == report[-1].items_total == 3 + STEP
    assert (await world.catalogue.log(items[1]))[0].cause is Cause.RULE
    assert (await service.rules(apply=True, report=report)).tags == 0
    assert (await service.rules(report=report)).tags == 0


async def _texts(world: World, number: int) -> list[NewItem]:
    first = await world.item("a.txt")
    return [
        NewItem(f"{one}.txt", sha256=first.sha256, size=first.size) for one in range(number - 1)
    ]  # fmt: skip
