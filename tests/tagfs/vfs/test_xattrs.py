"""Extended attributes below the kernel: the contract's table, and the tag lists that people write."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from unicodedata import normalize

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.ports import NewItem
from engine.types import ItemId, Kind
from query.errors import BadName
from query.names import check_own_tag
from tagfs.vfs.newcomers import Newcomers
from tagfs.vfs.tree import Stated
from tagfs.vfs.xattrs import LIST_MAX, READ_ONLY, VALUE_MAX, Copier, Copy, Xattrs, tags_edit
from tests.support.world import World


def failing(number: int) -> pytest.RaisesExc[OSError]:
    return pytest.raises(OSError, check=lambda error: error.errno == number)


# -- tag lists ---------------------------------------------------------------------------------------------------------

tag_texts = st.one_of(
    st.sampled_from(["a", "b", "movie", "year:2000", "e\u0301", "é", "h.264", "c++", "a b", "and"]),
    st.text("ab:~.+-{}@, \n\0é", max_size=5),
)


def stored(text: str) -> str | None:
    """The tag that a word means; None when it can be none."""
    try:
        return check_own_tag(text)
    except BadName:
        return None


@given(st.lists(tag_texts, max_size=5))
@example([])
@example(["a", "a", ""])
@example(["", "", ""])
@example(["", "a"])
@example([" "])
def test_a_list_replaces_all_tags_or_is_refused(words: list[str]) -> None:
    words = [word for word in words if "," not in word]
    text = ",".join(words)
    meant = [word.strip() for word in words if word.strip()]
    if any(word[0] in "+-" for word in meant):
        return
    if any(stored(word) is None for word in meant) or ("," in text and len(meant) < len(words)):
        with failing(errno.EINVAL):
            tags_edit(text)
        return
    edit = tags_edit(text)
    assert edit.tags is not None
    assert set(edit.tags) == {stored(word) for word in meant}
    assert not edit.add
    assert not edit.remove


@given(st.lists(st.tuples(st.sampled_from("+-"), tag_texts), min_size=1, max_size=5))
@example([("+", "a"), ("-", "a")])
def test_signed_words_add_and_remove(words: list[tuple[str, str]]) -> None:
    words = [(sign, word) for sign, word in words if "," not in word]
    text = ",".join(sign + word for sign, word in words)
    if not words:
        return
    meant = [(sign, stored(word.strip())) for sign, word in words]
    if any(tag is None for _, tag in meant):
        with failing(errno.EINVAL):
            tags_edit(text)
        return
    edit = tags_edit(text)
    assert edit.tags is None
    assert set(edit.add) == {tag for sign, tag in meant if sign == "+"}
    assert set(edit.remove) == {tag for sign, tag in meant if sign == "-"}


@given(st.lists(tag_texts, min_size=1), st.lists(tag_texts, min_size=1))
def test_both_kinds_together_are_refused(plain: list[str], signed: list[str]) -> None:
    first = [word for word in plain if word.strip() and word.strip()[0] not in "+-" and "," not in word]
    if first:
        with failing(errno.EINVAL):
            tags_edit(",".join([*first, *(f"+{word}" for word in signed)]))


@given(st.text())
def test_a_list_of_tags_never_fails_otherwise(text: str) -> None:
    try:
        edit = tags_edit(text)
    except OSError as error:
        assert error.errno == errno.EINVAL
        assert "\n" not in str(error.strerror)
    else:
        for tag in (*(edit.tags or ()), *edit.add, *edit.remove):
            assert tag == normalize("NFC", tag) == check_own_tag(tag)


# -- attributes of an item ---------------------------------------------------------------------------------------------


@pytest.fixture
async def item(world: World) -> ItemId:
    return (await world.item("f.mkv", "a")).id


@pytest.fixture
def xattrs(world: World) -> Xattrs:
    return Xattrs(world.context, Newcomers())


async def test_a_rating_that_is_set_again_stays(world: World, item: ItemId, xattrs: Xattrs) -> None:
    for rating in (b"8", b"8", b"6"):
        await xattrs.set(item, "user.baloo.rating", rating)
        assert world.catalogue.tags(item) == ("a", f"rating:{rating.decode()}")
    await xattrs.remove(item, "user.baloo.rating")
    assert world.catalogue.tags(item) == ("a",)
    with failing(errno.EINVAL):
        await xattrs.set(item, "user.baloo.rating", b"")


async def test_a_tag_attribute_is_found_in_any_normal_form(world: World, item: ItemId, xattrs: Xattrs) -> None:
    await xattrs.set(item, "user.tag.cafe\u0301", b"")
    assert world.catalogue.tags(item) == ("a", "café")
    assert xattrs.get(item, "user.tag.cafe\u0301") == xattrs.get(item, "user.tag.café") == b""
    await xattrs.remove(item, "user.tag.cafe\u0301")
    assert world.catalogue.tags(item) == ("a",)


async def test_pairs_by_attribute(world: World, item: ItemId, xattrs: Xattrs) -> None:
    await xattrs.set(item, "user.tag.year", b"1999")
    await xattrs.set(item, "user.tag.year", b"2000")
    assert world.catalogue.tags(item) == ("a", "year:1999", "year:2000")
    assert xattrs.get(item, "user.tag.year") == b"1999"
    assert xattrs.get(item, "user.tag.year:2000") == b""
    await xattrs.remove(item, "user.tag.year:1999")
    assert world.catalogue.tags(item) == ("a", "year:2000")
    await xattrs.remove(item, "user.tag.year")
    assert world.catalogue.tags(item) == ("a",)


@pytest.mark.parametrize("tag", ["", ".x", "+x", "a,b", "state", "\udcff"])
async def test_bad_tag_attributes(world: World, item: ItemId, xattrs: Xattrs, tag: str) -> None:
    name = f"user.tag.{tag}"
    value = b"paused" if tag == "state" else b""
    with failing(errno.EINVAL):
        await xattrs.set(item, name, value)
    with failing(errno.ENODATA):
        xattrs.get(item, name)
    assert world.catalogue.tags(item) == ("a",)


@pytest.mark.parametrize("name", sorted(READ_ONLY))
async def test_what_is_computed_cannot_be_changed(item: ItemId, xattrs: Xattrs, name: str) -> None:
    with failing(errno.EPERM):
        await xattrs.set(item, name, b"x")
    with pytest.raises(OSError, check=lambda error: error.errno in (errno.EPERM, errno.ENODATA)):
        await xattrs.remove(item, name)


# -- copiers -----------------------------------------------------------------------------------------------------------


def by_copier(to: Stated | None) -> Copier:
    async def copier() -> Copy | None:
        return Copy(to)

    return copier


@pytest.mark.parametrize(
    ("to", "kept"),
    [
        (Stated(("a",)), ("a",)),
        (Stated(("a", "elsewhere")), ("a",)),
        (Stated(("rating:7",)), ("rating:7",)),
        (Stated(()), ()),
        (None, ("a", "b", "rating:7")),
    ],
)
async def test_a_copier_takes_no_tag_off_that_its_path_states(
    world: World, item: ItemId, xattrs: Xattrs, to: Stated | None, kept: tuple[str, ...]
) -> None:
    copier = by_copier(to)

    async def tags_after(change: Callable[[], Awaitable[None]]) -> tuple[str, ...]:
        await xattrs.set(item, "user.baloo.rating", b"7")
        await xattrs.set(item, "user.xdg.tags", b"a,b,rating:7")
        await change()
        return world.catalogue.tags(item)

    assert await tags_after(lambda: xattrs.remove(item, "user.xdg.tags", copier=copier)) == kept
    copied = await tags_after(lambda: xattrs.set(item, "user.xdg.tags", b"own", copier=copier))
    assert set(copied) == {*kept, "own"}
    ratings = {"rating:7"}.intersection(kept)
    unrated = await tags_after(lambda: xattrs.remove(item, "user.baloo.rating", copier=copier))
    assert set(unrated) == {"a", "b", *ratings}
    rated = await tags_after(lambda: xattrs.set(item, "user.baloo.rating", b"8", copier=copier))
    assert set(rated) == {"a", "b", "rating:8", *ratings}


async def test_what_a_path_implies_stays_under_a_copier(world: World, item: ItemId, xattrs: Xattrs) -> None:
    await xattrs.set(item, "user.xdg.tags", b"year:2000.0,b")
    await xattrs.remove(item, "user.xdg.tags", copier=by_copier(Stated(("year:2000",))))
    assert world.catalogue.tags(item) == ("year:2000.0",)


async def test_what_is_computed_is_not_said_by_a_copier(world: World, item: ItemId, xattrs: Xattrs) -> None:
    before = {name: xattrs.get(item, name) for name in xattrs.list(item)}
    for name in (*READ_ONLY, "user.tagfs.state", "user.tagfs.mode", "user.tagfs.unheard"):
        await xattrs.set(item, name, b"paused", copier=by_copier(None))
    for name in before:
        if name != "user.xdg.tags":
            await xattrs.remove(item, name, copier=by_copier(Stated(())))
    assert {name: xattrs.get(item, name) for name in xattrs.list(item)} == before


async def test_a_symlink_lists_nothing_that_the_kernel_lets_nobody_get(world: World, xattrs: Xattrs) -> None:
    link = await world.catalogue.add(NewItem("l", kind=Kind.SYMLINK, target="/nowhere", tags=["a"]))
    assert xattrs.list(link.id) == []


@pytest.mark.parametrize("name", ["user.xdg.origin.url", "user.xdg.referrer.url", "user.xdg.comment", "user.\udcff"])
async def test_what_other_programs_write_is_kept(item: ItemId, xattrs: Xattrs, name: str) -> None:
    """Browsers, wget and `cp -a` of what they saved set the origin; refusing it makes `cp -a` fail."""
    await xattrs.set(item, name, b"https://example.org/x")
    assert xattrs.get(item, name) == b"https://example.org/x"
    assert name in xattrs.list(item)
    await xattrs.remove(item, name)
    with failing(errno.ENODATA):
        xattrs.get(item, name)


async def test_what_is_in_the_trash_keeps_its_attributes(world: World, item: ItemId, xattrs: Xattrs) -> None:
    await xattrs.set(item, "user.x", b"1")
    await world.catalogue.trash(item)
    calls: list[Callable[[str], Awaitable[None]]] = [
        lambda name: xattrs.set(item, name, b"2"),
        lambda name: xattrs.remove(item, name),
    ]
    for call in calls:
        for name in ("user.x", "user.tags", "user.tag.a"):
            with failing(errno.EPERM):
                await call(name)
    assert xattrs.get(item, "user.x") == b"1"
    assert world.catalogue.tags(item) == ("a",)


async def test_values_and_lists_have_limits(item: ItemId, xattrs: Xattrs) -> None:
    """F2: E2BIG, never EIO."""
    for size in (0, 1, 4096, VALUE_MAX):
        await xattrs.set(item, "user.x", b"v" * size)
        assert len(xattrs.get(item, "user.x")) == size
    with failing(errno.E2BIG):
        await xattrs.set(item, "user.x", b"v" * (VALUE_MAX + 1))
    for number in range(300):
        await xattrs.set(item, f"user.{'n' * 240}{number}", b"")
    with failing(errno.E2BIG):
        xattrs.list(item)
    for number in range(60):
        await xattrs.remove(item, f"user.{'n' * 240}{number}")
    assert sum(len(name) + 1 for name in xattrs.list(item)) <= LIST_MAX


async def test_two_thousand_tags(world: World, item: ItemId, xattrs: Xattrs) -> None:
    wanted = [f"tag-{number:04}" for number in range(2000)]
    await xattrs.set(item, "user.xdg.tags", ",".join(wanted).encode())
    assert xattrs.get(item, "user.xdg.tags").decode().split(",") == wanted
    assert len(world.index.tag_list()) == 2001


@pytest.mark.parametrize("name", ["security.selinux", "trusted.x", "system.posix_acl_access", "user", "x", ""])
async def test_other_namespaces(item: ItemId, xattrs: Xattrs, name: str) -> None:
    for call in (lambda: xattrs.set(item, name, b""), lambda: xattrs.remove(item, name)):
        with failing(errno.EOPNOTSUPP):
            await call()
    with failing(errno.EOPNOTSUPP):
        xattrs.get(item, name)
    with failing(errno.EINVAL):
        await xattrs.set(item, "user.", b"")
