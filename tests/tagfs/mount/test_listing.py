"""Listings as bytes: the same that pyfuse3 makes of them one by one, and what the kernel is shown again."""

from __future__ import annotations

import ctypes
import os
import stat
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyfuse3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.columns import Columns
from engine.types import FIRST_ITEM_ID, ItemId
from tagfs.mount.answers import Answers
from tagfs.mount.listing import AT_ONCE, Listings, OpenDirectory
from tagfs.mount.packed import Packed, size_of
from tagfs.mount.token import Room, _Fields
from tagfs.vfs import attr
from tagfs.vfs.attr import Attr
from tagfs.vfs.lines import Lines
from tagfs.vfs.names import is_certain
from tagfs.vfs.tree import Directory, Entry, FolderNode, ItemNode, Snapshot, TextNode
from tests.support.world import World
from tests.tagfs.mount.test_inodes import inodes_of

PAGE = 4096
free = ctypes.CDLL(None).free
free.argtypes = [ctypes.c_void_p]


@dataclass
class Buffer:
    """A token as pyfuse3 makes it for a readdirplus, with so much room."""

    room: int = PAGE
    token: pyfuse3.ReaddirToken = field(default_factory=pyfuse3.ReaddirToken)

    def __post_init__(self) -> None:
        self._fields = _Fields.from_address(id(self.token))
        self._fields.room = self.room

    def bytes(self) -> bytes:
        if not self._fields.start:
            return b""
        return ctypes.string_at(self._fields.start, self._fields.next - self._fields.start)

    def close(self) -> None:
        free(self._fields.start)


class Shown(Snapshot):
    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.overtaken = False

    def stale(self) -> bool:
        return self.overtaken


def item_attr(number: int, *, size: int = 0, mtime_ns: int = 0, mode: int = 0o100664, changing: bool = False) -> Attr:
    return Attr(FIRST_ITEM_ID + number, mode, size, -(-size // 512), 1 + number, mtime_ns, mtime_ns + 7, changing)


ATTRS = [
    item_attr(0),
    item_attr(1, size=2**40 + 1, mtime_ns=1_700_000_000_123_456_789),
    item_attr(2, mtime_ns=-1),
    item_attr(3, mtime_ns=-(2**63)),
    item_attr(4, changing=True),
    item_attr(5, mode=stat.S_IFLNK | 0o777),
]
NAMES = ["a", "film.mkv", "12345678", "-a", "\udcff.txt", "é" * 127, "x" * 255]


@pytest.mark.parametrize("shown", ATTRS)
@pytest.mark.parametrize("name", NAMES)
def test_an_entry_has_the_bytes_that_libfuse_gives_it(shown: Attr, name: str) -> None:
    answers = Answers(umask=0o027, uid=1000, gid=1001)
    raw, keep_name = name.encode("utf-8", "surrogateescape"), is_certain(name)
    buffer = Buffer()
    entry = answers.entry(shown, keep_name=keep_name)
    assert pyfuse3.readdir_reply(buffer.token, pyfuse3.FileNameT(raw), entry, 4711)
    told, answers.told = answers.told, type(answers.told)()
    assert answers.packed(raw, shown, 4711, keep_name=keep_name) == buffer.bytes()
    assert len(buffer.bytes()) == size_of(raw)
    assert answers.told == told
    buffer.close()


wide = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 2**63 - 1), st.integers(0, 0o7777), wide, wide)))
def test_lines_have_the_bytes_of_their_entries(rows: list[tuple[str, int, int, int, int]]) -> None:
    count = range(FIRST_ITEM_ID, FIRST_ITEM_ID + len(rows))
    names = [name.encode("utf-8", "surrogateescape") for name, *_ in rows]
    numbers = [array("q", [row[column] for row in rows]) for column in (1, 2, 3, 4)]
    lines = Lines()
    lines.add(Columns(array("I", count), b"/".join(names), *numbers, array("I", count), {}), {})
    lines.name(None)
    answers = Answers(umask=0o027, uid=1000, gid=1001)
    one_by_one = [
        answers.packed(os.fsencode(name), shown, number, keep_name=is_certain(name))
        for number, (name, _, shown) in enumerate(lines, 1)
    ]
    told, answers.told = answers.told, type(answers.told)()
    assert answers.packed_files(lines, range(len(rows))) == one_by_one
    assert answers.packed_files(lines, range(1, len(rows))) == one_by_one[1:]
    assert answers.told == told


@given(st.lists(st.one_of(st.none(), st.integers(1, 5)), max_size=20), st.data())
def test_takes_what_fits_up_to_what_is_left_out(sizes: list[int | None], data: st.DataObject) -> None:
    """None: left out. Others: so many words, none of which is 0."""
    packed = Packed()
    for number, words in enumerate(sizes, 1):
        if words is None:
            packed.skip()
        else:
            packed.add(number.to_bytes(8, "little") * words)
    start, room = data.draw(st.integers(0, len(sizes))), data.draw(st.integers(0, 100))
    known = data.draw(st.booleans())
    expected, end = b"", start
    for number, words in enumerate(sizes[start:], start + 1):
        if words is None or len(expected) + 8 * words > room:
            break
        word = number.to_bytes(8, "little")
        expected, end = expected + (bytes(8) if known else word) + word * (words - 1), number
    assert packed.take(start, room, known=known) == (expected, end)
    assert len(packed) == len(sizes)


@pytest.fixture
async def directory(world: World) -> Directory:
    await world.item("f", "a")
    return await world.directory("tags/a")


@pytest.fixture
def listings(world: World) -> Listings:
    return Listings(world.context, inodes_of(world), Answers(umask=0o022))


def line(number: int) -> Entry:
    """Mostly files, with names of many lengths."""
    name = f"{number}" + "n" * (number * 37 % 200)
    if number % 50 == 3:
        return Entry(name, TextNode(16, lambda: ""), attr.of_text(16, 0))
    if number % 50 == 17:
        return Entry(name, FolderNode(ItemId(FIRST_ITEM_ID + number)), item_attr(number, mode=stat.S_IFDIR | 0o755))
    return Entry(name, ItemNode(ItemId(FIRST_ITEM_ID + number)), item_attr(number, size=number))


def listed(listings: Listings, directory: Directory, snapshot: Snapshot, start: int = 0) -> list[bytes]:
    """What the kernel gets, one answer after the other."""
    opened = OpenDirectory(directory)
    opened.snapshot = snapshot
    answers: list[bytes] = []
    while True:
        buffer = Buffer()
        listings.reply(opened, start, buffer.token)
        answers.append(buffer.bytes())
        buffer.close()
        if not answers[-1]:
            return answers
        start = max(next_id for _, next_id in entries(answers[-1]))


def entries(answer: bytes) -> Iterator[tuple[int, int]]:
    """(node id, number of the next) of each."""
    at = 0
    while at < len(answer):
        length = int.from_bytes(answer[at + 144 : at + 148], "little")
        yield int.from_bytes(answer[at : at + 8], "little"), int.from_bytes(answer[at + 136 : at + 144], "little")
        at += size_of(b"x" * length)


def node_ids(answers: list[bytes]) -> list[int]:
    return [node_id for answer in answers for node_id, _ in entries(answer)]


LINES = [line(number) for number in range(2 * AT_ONCE + 100)]


def as_columns(shown: Sequence[Entry]) -> Lines:
    lines = Lines()
    for name, node, known in shown:
        ids, odd = array("I", [known.ino]), not isinstance(node, ItemNode)
        numbers = [array("q", [value]) for value in (known.size, known.mode & 0o7777, known.mtime_ns, known.ctime_ns)]
        found = Columns(ids, os.fsencode(name), *numbers, array("I", [known.nlink - 1]), {})
        lines.add(found, {known.ino: Entry(name, node, known)} if odd else {})
    lines.name(None)
    return lines


@pytest.mark.parametrize("columns", [False, True])
async def test_a_listing_is_the_same_as_one_by_one(
    listings: Listings, directory: Directory, world: World, monkeypatch: pytest.MonkeyPatch, *, columns: bool
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Listings, "_fill", lambda _listings, _room, _snapshot, number, known: number)
        alone = Listings(world.context, inodes_of(world), Answers(umask=0o022))
        one_by_one = listed(alone, directory, Shown(LINES))
    made, real = 0, pyfuse3.readdir_reply

    def count(*args: object) -> bool:
        nonlocal made
        made += 1
        return bool(real(*args))

    monkeypatch.setattr(pyfuse3, "readdir_reply", count)
    answers = listed(listings, directory, Shown(as_columns(LINES) if columns else LINES))
    assert answers == one_by_one
    assert made < len(LINES) / 3  # most of them went as bytes


async def test_a_folder_is_listed_by_the_number_that_stat_shows(
    listings: Listings, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else by its node id, where that cannot be written over."""
    shown = [int.from_bytes(answer[128:136], "little") for answer in listed(listings, directory, Shown([line(17)]))[:1]]
    assert shown == [FIRST_ITEM_ID + 17]
    monkeypatch.setattr(Room, "of", lambda _token, _used: None)
    (answer, _) = listed(listings, directory, Shown([line(17)]))
    assert answer[128:136] == answer[:8] != shown[0].to_bytes(8, "little")


async def test_whoever_goes_ahead_gets_the_rest(listings: Listings, directory: Directory) -> None:
    """seekdir, in what nobody has listed before."""
    for start in (1, AT_ONCE, AT_ONCE + 1, len(LINES) - 1, len(LINES)):
        snapshot = Shown(LINES)
        assert len(node_ids(listed(listings, directory, snapshot, start))) == len(LINES) - start
        assert len(node_ids(listed(listings, directory, snapshot, 0))) == len(LINES)


FILES = [Entry(f"{number}", ItemNode(ItemId(attr.ino)), attr) for number, attr in enumerate(map(item_attr, range(99)))]
NUMBERS = [entry.attr.ino for entry in FILES]


def shown_anew(answers: list[bytes]) -> int:
    """How many the kernel is told to link."""
    found = node_ids(answers)
    assert [node_id or number for node_id, number in zip(found, NUMBERS, strict=True)] == NUMBERS
    return sum(map(bool, found))


async def test_what_the_kernel_has_had_is_not_linked_again(listings: Listings, directory: Directory) -> None:
    snapshot = Shown(FILES)
    assert shown_anew(listed(listings, directory, snapshot)) == len(FILES)
    again = listed(listings, directory, snapshot)
    assert shown_anew(again) == len(again) - 1  # of each answer that is not empty the first, by pyfuse3
    listings.looked_up(directory)
    assert shown_anew(listed(listings, directory, snapshot)) == len(FILES)
    assert shown_anew(listed(listings, directory, snapshot)) < len(FILES)
    listings.dropped()
    assert shown_anew(listed(listings, directory, snapshot)) == len(FILES)
    assert shown_anew(listed(listings, directory, snapshot)) < len(FILES)
    assert shown_anew(listed(listings, directory, Shown(FILES))) == len(FILES)


async def test_another_path_is_shown_all(listings: Listings, directory: Directory, world: World) -> None:
    snapshot = Shown(FILES)
    listed(listings, directory, snapshot)
    assert shown_anew(listed(listings, await world.directory("tags/a/a"), snapshot)) == len(FILES)


async def test_who_has_had_a_part_is_shown_all(listings: Listings, directory: Directory) -> None:
    snapshot = Shown(FILES)
    assert len(node_ids(listed(listings, directory, snapshot, 50))) == len(FILES) - 50
    assert shown_anew(listed(listings, directory, snapshot)) == len(FILES)


async def test_of_what_was_overtaken_nothing_is_kept(listings: Listings, directory: Directory) -> None:
    snapshot = Shown(FILES)
    for _ in range(2):
        listed(listings, directory, snapshot)
    snapshot.overtaken = True
    for answer in listed(listings, directory, snapshot)[:-1]:
        assert answer[16:32] == bytes(16)  # both timeouts


def test_a_token_that_is_not_as_we_know_it_is_not_touched() -> None:
    buffer = Buffer()
    assert Room.of(buffer.token, 0) is None  # nothing there to compare with
    name = pyfuse3.FileNameT(b"name")
    assert pyfuse3.readdir_reply(buffer.token, name, Answers(umask=0).entry(item_attr(0)), 1)
    assert Room.of(buffer.token, size_of(b"name") + 8) is None
    assert Room.of(object(), size_of(b"name")) is None
    room = Room.of(buffer.token, size_of(b"name"))
    assert room is not None
    assert room.left == PAGE - size_of(b"name")
    before = buffer.bytes()
    room.renumber(size_of(b"name") + 8, FIRST_ITEM_ID, 1)  # more than is there
    room.renumber(size_of(b"name"), FIRST_ITEM_ID + 1, 1)  # somebody else
    assert buffer.bytes() == before
    buffer.close()
