"""What ports.Catalogue promises of suggestions, rules and looks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.catalogue import open_catalogue
from engine.errors import NoSuchItem
from engine.history import Cause
from engine.ports import Catalogue, Edit, Look, NewItem
from engine.types import ItemId, State
from tests.support.catalogue import Recorder, sha, whole


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[Catalogue]:
    async with open_catalogue(str(tmp_path / "catalogue.db")) as opened:
        yield opened
        assert await opened.check() == []


async def add(catalogue: Catalogue, name: str = "x", *tags: str) -> ItemId:
    return (await catalogue.add(whole(name, *tags))).id


def proposed(catalogue: Catalogue, item: ItemId) -> list[str]:
    return [tag for tag, _ in catalogue.suggestions(item)]


async def test_items_are_due_when_added_and_again_when_whole(catalogue: Catalogue) -> None:
    here = await add(catalogue)
    coming = (await catalogue.add(NewItem("y", state=State.QUEUED))).id
    gone = await add(catalogue, "z")
    await catalogue.trash(gone)
    assert await catalogue.to_look_at(0, 10) == [here, coming]
    assert await catalogue.to_look_at(here, 10) == [coming]
    assert await catalogue.to_look_at(0, 1) == [here]
    await catalogue.note_looks([Look(here, 2), Look(coming, 1)])
    assert await catalogue.to_look_at(0, 10) == []
    await catalogue.complete(coming, sha("y"), 1, digests={}, mtime_ns=None, keep_old=False)
    assert await catalogue.to_look_at(0, 10) == [coming]
    await catalogue.note_looks([Look(coming, 2)])
    await catalogue.note_looks([Look(coming, 1)])  # no step back
    assert await catalogue.to_look_at(0, 10) == []
    await catalogue.restore(gone)
    assert await catalogue.to_look_at(0, 10) == [gone]


async def test_what_is_proposed_is_no_tag_until_it_is_accepted(catalogue: Catalogue) -> None:
    item, other = await add(catalogue, "x", "mine"), await add(catalogue, "y")
    seen = Recorder()
    catalogue.observe(seen)
    await catalogue.note_looks([Look(item, 2, proposed=[("year:1979", "name"), ("title:Alien", "name")])])
    assert catalogue.suggestions(item) == [("title:Alien", "name"), ("year:1979", "name")]
    assert catalogue.tags(item) == ("mine",)
    assert seen.changes == []
    assert await catalogue.suggested(0, 10) == [item]
    assert await catalogue.decide([item, other], ["year:1979", "nobody"], accept=True) == 1
    assert catalogue.tags(item) == ("mine", "year:1979")
    assert proposed(catalogue, item) == ["title:Alien"]
    assert await catalogue.decide([item], None, accept=False) == 1
    assert catalogue.tags(item) == ("mine", "year:1979")
    assert await catalogue.suggested(0, 10) == []
    await catalogue.note_looks([Look(item, 2, proposed=[("title:Alien", "name")])])
    assert proposed(catalogue, item) == []  # refused is refused
    with pytest.raises(NoSuchItem):
        await catalogue.decide([item, ItemId(99_999)], None, accept=True)


async def test_what_somebody_said_is_not_proposed_otherwise(catalogue: Catalogue) -> None:
    item = await add(catalogue, "x", "year:1980", "720p")
    look = Look(item, 2, proposed=[("year:1979", "name"), ("1080p", "name"), ("title:Alien", "name")])
    await catalogue.note_looks([look])
    assert proposed(catalogue, item) == ["title:Alien"]


async def test_a_rule_puts_tags_on_once(catalogue: Catalogue) -> None:
    item = await add(catalogue, "x", "old")
    assert await catalogue.note_looks([Look(item, 1, tags=["movie", "old"])]) == 1
    assert catalogue.tags(item) == ("movie", "old")
    await catalogue.edit(item, Edit(remove=["movie", "old"]))
    assert await catalogue.note_looks([Look(item, 2, tags=["movie", "old", "new"])]) == 1
    assert catalogue.tags(item) == ("new",)  # what was taken off stays off, also what the rule had found there


async def test_a_rule_accepts_by_key_what_is_proposed_and_what_was(catalogue: Catalogue) -> None:
    item = await add(catalogue)
    guesses = [("year:1979", "name"), ("title:Alien", "name"), ("1080p", "name")]
    await catalogue.note_looks([Look(item, 2, proposed=guesses, accept={"year", "resolution"})])
    assert catalogue.tags(item) == ("1080p", "year:1979")
    assert proposed(catalogue, item) == ["title:Alien"]
    assert await catalogue.note_looks([Look(item, 0, accept={"title", "year"})]) == 1
    assert catalogue.tags(item) == ("1080p", "title:Alien", "year:1979")


async def test_a_dry_run_counts_and_does_nothing(catalogue: Catalogue) -> None:
    item = await add(catalogue)
    seen = Recorder()
    catalogue.observe(seen)
    assert await catalogue.note_looks([Look(item, 2, tags=["a", "b"])], dry_run=True) == 2
    assert catalogue.tags(item) == ()
    assert await catalogue.to_look_at(0, 10) == [item]
    assert seen.changes == []


async def test_an_item_that_went_costs_the_others_nothing(catalogue: Catalogue) -> None:
    item = await add(catalogue)
    await catalogue.note_looks([Look(ItemId(99_999), 2, tags=["a"]), Look(item, 2, tags=["a"])])
    assert catalogue.tags(item) == ("a",)


async def test_the_journal_says_that_it_was_a_rule(catalogue: Catalogue) -> None:
    item = await add(catalogue)
    await catalogue.by(Cause.RULE).note_looks([Look(item, 2, tags=["movie"])])
    record = (await catalogue.log(item))[0]
    assert record.cause is Cause.RULE
    assert record.what["add"] == ["movie"]


async def test_what_was_decided_survives_a_restart_and_ends_with_the_item(tmp_path: Path) -> None:
    path = str(tmp_path / "c.db")
    async with open_catalogue(path) as catalogue:
        item = await add(catalogue)
        await catalogue.note_looks([Look(item, 2, tags=["a"], proposed=[("year:1979", "name")])])
    async with open_catalogue(path) as catalogue:
        assert proposed(catalogue, item) == ["year:1979"]
        await catalogue.trash(item)
        assert await catalogue.suggested(0, 10) == []
        await catalogue.purge([item])
        assert catalogue.suggestions(item) == []
