"""The page cache of a node belongs to one version at a time."""

from __future__ import annotations

import random
from dataclasses import replace

from engine.types import Change, Facts, ItemId, Kind, State
from tagfs.vfs.aliases import Aliases
from tagfs.vfs.draft import Draft, Version
from tagfs.vfs.pages import Pages, Use

ITEM, OTHER = ItemId(4096), ItemId(4097)
DIRECT, FRESH, KEPT = Use(True, True), Use(False, False), Use(False, True)


class World:
    def __init__(self) -> None:
        self.sha256 = "old"
        self.aliases = Aliases()
        self.pages = Pages(lambda node: self.sha256, self.aliases.nodes)

    def change(self, new: str) -> None:
        facts = Facts("f", Kind.FILE, State.COMPLETE, 1, self.sha256, 0, trashed=False)
        self.pages.apply([Change(ITEM, facts, replace(facts, sha256=new))], [])
        self.sha256 = new

    def close(self, version: Version) -> None:
        """Of a handle that has the page cache."""
        self.pages.close(ITEM, version, direct=False)


def a_draft(base: str = "old", *, staging: str = "") -> Draft:
    return Draft(staging, -1, Version(object()), item=ITEM, over=True, base=Version(base))


def test_readers_of_one_content_share_its_pages() -> None:
    world, version = World(), Version("old")
    assert world.pages.open(ITEM, version) == KEPT
    assert world.pages.open(ITEM, Version("old")) == KEPT
    world.close(version)
    world.close(version)
    assert world.pages.open(ITEM, Version("old")) == KEPT


def test_a_writer_has_them_when_nobody_else_does_and_readers_go_without() -> None:
    world, draft = World(), a_draft()
    assert world.pages.open(ITEM, draft.version, draft) == KEPT  # untouched: it has the same bytes
    assert world.pages.open(ITEM, draft.version, draft) == KEPT
    assert world.pages.open(ITEM, Version("old")) == DIRECT
    world.close(draft.version)
    world.close(draft.version)
    draft.version.key = "old"  # closed without a change
    assert world.pages.open(ITEM, Version("old")) == KEPT


def test_a_writer_goes_without_while_somebody_reads_the_old() -> None:
    world, draft = World(), a_draft()
    assert world.pages.open(ITEM, Version("old")) == KEPT
    assert world.pages.open(ITEM, draft.version, draft) == DIRECT
    assert world.pages.open(ITEM, Version("old"), contested=True) == DIRECT


def test_the_next_content_does_not_find_pages_of_the_last() -> None:
    world = World()
    world.change("new")
    assert world.pages.open(ITEM, Version("new")) == FRESH
    assert world.pages.open(ITEM, Version("new")) == KEPT


def test_what_a_direct_reader_of_the_old_has_mapped_is_not_found_in_the_new() -> None:
    """A private mapping fills the page cache also where the handle does without."""
    world, draft, old = World(), a_draft(staging="s"), Version("old")
    assert world.pages.open(ITEM, draft.version, draft) == FRESH
    assert world.pages.open(ITEM, old, contested=True) == DIRECT
    draft.closed = True
    world.close(draft.version)
    assert world.pages.open(ITEM, draft.version, draft) == FRESH  # it may have one
    assert world.pages.open(ITEM, draft.version, draft) == FRESH
    world.pages.close(ITEM, old, direct=True)
    assert world.pages.open(ITEM, draft.version, draft) == FRESH  # it may have had one
    assert world.pages.open(ITEM, draft.version, draft) == KEPT


def test_a_sealed_draft_takes_its_pages_along() -> None:
    world, draft = World(), a_draft(staging="s")
    assert world.pages.open(ITEM, draft.version, draft) == FRESH
    draft.closed = True
    assert world.pages.open(ITEM, draft.version, draft) == KEPT  # somebody reads it
    world.close(draft.version)
    world.change("new")
    draft.version.key = "new"
    world.pages.sealed(ITEM)
    assert world.pages.open(ITEM, Version("new")) == KEPT
    world.close(draft.version)
    world.close(draft.version)
    assert not world.pages._owners


def test_what_is_written_through_one_node_has_no_pages_in_another() -> None:
    world, draft = World(), a_draft(staging="s")
    world.aliases.replaced(OTHER, ITEM)
    assert world.pages.open(OTHER, draft.version, draft) == FRESH
    assert world.pages.open(ITEM, draft.version, draft) == DIRECT
    world.change("new")
    assert world.pages.open(ITEM, Version("new")) == FRESH


def test_what_arrives_settles_on_the_first_blob() -> None:
    world = World()
    arriving = Version(("arriving", ITEM), settles=True)
    assert world.pages.open(ITEM, arriving) == FRESH
    assert world.pages.open(ITEM, Version(("arriving", ITEM), settles=True)) == FRESH
    assert world.pages.open(ITEM, Version("old")) == FRESH
    assert world.pages.open(ITEM, Version("old")) == KEPT


def test_what_is_read_before_its_size_is_known_leaves_no_pages() -> None:
    world, arriving = World(), Version(("arriving", ITEM), settles=True)
    world.pages.open_direct(ITEM, arriving)
    world.pages.close(ITEM, arriving, direct=True)
    assert world.pages.open(ITEM, Version("old")) == FRESH
    assert world.pages.open(ITEM, Version("old")) == KEPT


def test_the_size_is_told_once_to_who_has_heard_of_the_file_without_one() -> None:
    world, arriving = World(), Version(("arriving", ITEM), settles=True)
    assert not world.pages.needs_size(ITEM)
    assert world.pages.size_of(ITEM) is None
    assert world.pages.needs_size(ITEM) and world.pages.is_free(ITEM)
    world.pages.sized(ITEM, 1000)
    assert world.pages.open(ITEM, arriving) == FRESH
    assert not world.pages.needs_size(ITEM) and not world.pages.is_free(ITEM)
    assert world.pages.size_of(ITEM) == 1000  # whoever asks while it is open
    world.close(arriving)
    assert world.pages.size_of(ITEM) is None
    assert world.pages.needs_size(ITEM)


def test_the_page_that_came_with_the_size_is_dropped() -> None:
    world = World()
    world.pages.sized(ITEM, 1000)
    assert world.pages.open(ITEM, Version("old")) == FRESH
    assert world.pages.open(ITEM, Version("old")) == KEPT


def test_no_order_of_opens_mixes_two_versions() -> None:
    """Against a model of the kernel: the pages that it has, and what each handle would fill in. Those without the page
    cache do so, too, by a private mapping: who finds their pages has opened before they did."""
    rng = random.Random(1)
    for _ in range(400):
        world, cached, direct, pages = World(), list[Version](), list[Version](), {"old"}
        for _ in range(60):
            if cached and rng.random() < 0.4:
                world.close(cached.pop(rng.randrange(len(cached))))
            elif direct and rng.random() < 0.3:
                if rng.random() < 0.5:
                    pages.add(str(rng.choice(direct).key))
                else:
                    world.pages.close(ITEM, direct.pop(rng.randrange(len(direct))), direct=True)
            elif rng.random() < 0.2:
                world.change(f"new{rng.randrange(3)}")
            else:
                version = Version(rng.choice([world.sha256, "old", "new0"]))
                use = world.pages.open(ITEM, version, contested=rng.random() < 0.2)
                if use.direct_io:
                    direct.append(version)
                else:
                    assert all(other.key == version.key for other in cached)
                    pages = pages if use.keep_cache else {str(version.key)}
                    assert pages == {version.key}
                    cached.append(version)


def test_a_node_stands_for_another_item_until_it_is_forgotten() -> None:
    aliases = Aliases()
    aliases.replaced(ItemId(2), ItemId(1))
    aliases.replaced(ItemId(1), ItemId(3))
    assert (aliases.item(1), aliases.item(2), aliases.item(3)) == (3, 3, None)
    assert sorted(aliases.nodes(ItemId(3))) == [1, 2, 3]
    assert [aliases.refuses(2), aliases.refuses(2), aliases.refuses(2), aliases.refuses(3)] == [
        True,
        False,
        True,
        False,
    ]
    aliases.forget(2)
    aliases.forget(1)
    assert (aliases.item(2), list(aliases.nodes(ItemId(3)))) == (None, [3])
    assert not aliases.refuses(2)


def test_a_row_may_name_the_next_content_before_anybody_is_told() -> None:
    world, old, new = World(), Version("old"), Version("new")
    assert world.pages.open(ITEM, old) == KEPT
    world.pages.changing(ITEM)
    world.close(old)
    world.sha256 = "new"  # committed, and not told of yet
    assert world.pages.open(ITEM, new) == FRESH
    world.close(new)
    world.pages.sealed(ITEM)
    assert not world.pages._owners


def test_what_took_the_place_of_another_content_is_told_on_all_its_nodes() -> None:
    world = World()
    world.aliases.replaced(OTHER, ITEM)
    world.pages.resized(ITEM)
    for node in (ITEM, OTHER):
        assert world.pages.was_resized(node) and not world.pages.needs_size(node)
        world.pages.sized(node, 1000)
        assert not world.pages.was_resized(node)
        assert world.pages.open(node, Version("old")) == FRESH  # the byte that came along
