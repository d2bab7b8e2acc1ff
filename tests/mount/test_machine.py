"""The mount against a plain model of the contract: random system calls on both, and after each all that can be seen is
the same: names, numbers, sizes, links, modes, content, tags and attributes, on every path.

The kernel's caches are between the test and the daemon, so this is also a test that nothing in them is ever stale.
TAGFS_STEPS sets how many calls are made in all (200 by default, for a quick run).
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from query.relations import RelationKind
from tests.mount.conftest import Mount
from tests.mount.test_working_folders import EXCHANGE, NOREPLACE, rename2
from tests.support.machines import run_on_mounts
from tests.support.mount_model import Model, Thing, numbered

TAGS = ("a", "b", "c", "year:1999", "year:2000")
NAMES = ("f", "g.txt", "a", "h.tar.gz", "-x", "é")
PLACES = (
    "files", "trash", "tags/a", "tags/b", "tags/a/b", "tags/year:1999", "tags/a/-/b", "tags/a/+/b", "tags/-/a",
    "tags/c/-/{/a/b/}", "tags/year:1990..", "tags/ext:txt", "tags/a/@", "tags/a/@@",
)  # fmt: skip
QUERIES = ("later", "q")  # names of saved ones
SAVED = (["a", "-", "b"], ["a", "+", "b"], ["year:1999"], ["-", "a"])
SEEN = (*PLACES, *(f"queries/{name}" for name in QUERIES))
VALUES = ("a", "b", "a,b,c", "+a", "-a", "+b,-a", "", "year:1999", "+year:2000,-year:1999")

tags = st.sampled_from(TAGS)
sizes = st.sampled_from((0, 9, 12, 5000, 200_000))
queries = st.sampled_from(QUERIES)
kinds = st.sampled_from(RelationKind)
KEYS = ("user.xdg.comment", "user.mine")


class MountMachine(RuleBasedStateMachine):
    """`tried` counts calls that both sides refused, `done` those that both carried out."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="tagfs-machine-"))
        self.mount = Mount(self.folder)
        self.mount.start()
        self.model = Model()
        self.done = self.tried = self.made = 0
        self.others = ThreadPoolExecutor(1)  # who has not written the files, and so sets their tags as they are

    def teardown(self) -> None:
        self.others.shutdown()
        try:
            self.mount.stop()
            self.mount.close()
        finally:
            shutil.rmtree(self.folder)

    # -- how a step is made --------------------------------------------------------------------------------------

    def both(self, real: Callable[[], object], model: Callable[[], object]) -> bool:
        """Make one call on both sides; true if both carried it out, and refused with the same errno otherwise."""
        expected = outcome(model)
        found = outcome(real)
        assert found == expected, f"{name_of(found)} instead of {name_of(expected)}"
        if expected is None:
            self.done += 1
        else:
            self.tried += 1
        return expected is None

    def path(self, place: str, name: str) -> str:
        return os.path.join(self.mount.top, place, name)

    def some_place(self, data: st.DataObject, *, with_items: bool = False) -> str:
        """As a rule one that is there."""
        listed = {place: self.expected(place) for place in PLACES}
        there = [place for place, found in listed.items() if isinstance(found, dict) and (found or not with_items)]
        return data.draw(st.sampled_from((*there * 3, *PLACES)))

    def something(self, data: st.DataObject) -> tuple[str, str]:
        """A place and a name, as a rule of something that is there."""
        place = self.some_place(data, with_items=True)
        listed = self.expected(place)
        there = sorted(listed) if isinstance(listed, dict) else []
        return place, data.draw(st.sampled_from((*there * 5, *NAMES)))

    def settled(self, path: str) -> str:
        """Until it is no draft any more: its tags are replaced but for those of the path that it was made at."""
        self.mount.wait_for(lambda: outcome(lambda: os.stat(path)) is not None or not is_draft(path))
        return path

    def content(self, size: int) -> bytes:
        """Other bytes each time."""
        self.made += 1
        return (self.made.to_bytes(8, "little") * (size // 8 + 1))[:size]

    # -- steps ---------------------------------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        for tag in TAGS:
            self.mkdir_tag(tag)
        for place in ("tags/a", "tags/b", "tags/year:1999", "files"):
            self.create(place, NAMES[0], 12)
        for place, name in (("files", "h.tar.gz"), ("tags/a/b", "é")):
            self.make_folder(place, name)

    @rule(tag=tags)
    def mkdir_tag(self, tag: str) -> None:
        self.both(lambda: os.mkdir(self.path("tags", tag)), lambda: self.model.mkdir_tag(tag))

    @rule(tag=tags)
    def rmdir_tag(self, tag: str) -> None:
        key, colon, value = tag.partition(":")
        spelled = f"{key}:/{value}" if colon else tag
        self.both(lambda: os.rmdir(self.path("tags", spelled)), lambda: self.model.rmdir_tag(tag))

    @rule(old=tags, new=tags)
    def rename_tag(self, old: str, new: str) -> None:
        real = lambda: os.rename(self.path("tags", old), self.path("tags", new))  # noqa: E731 - as everywhere here
        self.both(real, lambda: self.model.rename_tag(old, new))

    @rule(tag=tags, kind=kinds, other=tags)
    def relate(self, tag: str, kind: RelationKind, other: str) -> None:
        real = lambda: os.mkdir(self.mount / "relations" / tag / kind / other)  # noqa: E731
        self.both(real, lambda: self.model.relate(tag, kind, other))

    @rule(tag=tags, kind=kinds, other=tags, data=st.data())
    def unrelate(self, tag: str, kind: RelationKind, other: str, data: st.DataObject) -> None:
        stated = sorted(self.model.relations.stated)
        tag, kind, other = data.draw(st.sampled_from(stated)) if stated else (tag, kind, other)
        real = lambda: os.rmdir(self.mount / "relations" / tag / kind / other)  # noqa: E731
        self.both(real, lambda: self.model.unrelate(tag, kind, other))

    @rule(name=queries, steps=st.sampled_from(SAVED))
    def save_query(self, name: str, steps: list[str]) -> None:
        real = lambda: os.symlink("../tags/" + "/".join(steps), self.path("queries", name))  # noqa: E731
        self.both(real, lambda: self.model.save(name, steps))

    @rule(name=queries, new=queries)
    def rename_query(self, name: str, new: str) -> None:
        real = lambda: os.rename(self.path("queries", name), self.path("queries", new))  # noqa: E731
        self.both(real, lambda: self.model.rename_saved(name, new))

    @rule(name=queries)
    def remove_query(self, name: str) -> None:
        self.both(lambda: os.rmdir(self.path("queries", name)), lambda: self.model.remove_saved(name))

    @rule(data=st.data(), name=st.sampled_from(NAMES))
    def symlink(self, data: st.DataObject, name: str) -> None:
        place, target = self.some_place(data), f"/outside/{self.made}"
        path = self.path(place, name)
        if self.both(lambda: os.symlink(target, path), lambda: self.model.symlink(place, name, target)):
            self.find_new("files")  # for it need not be in a directory whose tags require more

    @rule(data=st.data(), name=st.sampled_from(NAMES))
    def mkdir(self, data: st.DataObject, name: str) -> None:
        self.make_folder(self.some_place(data), name)

    def make_folder(self, place: str, name: str) -> None:
        if self.both(lambda: os.mkdir(self.path(place, name)), lambda: self.model.mkdir(place, name)):
            self.find_new("files")

    @rule(data=st.data())
    def rmdir(self, data: st.DataObject) -> None:
        place, name = self.something(data)
        if self.model.is_step(place, name):
            return  # a tag
        self.both(lambda: os.rmdir(self.path(place, name)), lambda: self.model.rmdir(place, name))

    @rule(data=st.data(), name=st.sampled_from(NAMES), size=sizes)
    def create_somewhere(self, data: st.DataObject, name: str, size: int) -> None:
        self.create(self.some_place(data), name, size)

    def create(self, place: str, name: str, size: int) -> None:
        path, content = self.path(place, name), self.content(size)

        def real() -> None:
            with open(path, "xb", buffering=0) as file:
                file.write(content)
                made.append(os.fstat(file.fileno()).st_ino)

        made: list[int] = []
        if self.both(real, lambda: self.model.create(place, name, content)):
            self.model.things[-1].id = made[0]

    @rule(data=st.data(), size=sizes)
    def overwrite(self, data: st.DataObject, size: int) -> None:
        content = self.content(size)
        self.change(data, lambda path: rewrite(path, os.O_TRUNC, content), lambda old: content)

    @rule(data=st.data(), size=sizes)
    def append(self, data: st.DataObject, size: int) -> None:
        content = self.content(size)
        self.change(data, lambda path: rewrite(path, os.O_APPEND, content), lambda old: old + content)

    @rule(data=st.data(), size=sizes, offset=sizes)
    def patch(self, data: st.DataObject, size: int, offset: int) -> None:
        content = self.content(size)
        self.change(data, lambda path: rewrite(path, 0, content, offset), lambda old: patched(old, content, offset))

    @rule(data=st.data(), size=sizes)
    def truncate(self, data: st.DataObject, size: int) -> None:
        self.change(data, lambda path: os.truncate(path, size), lambda old: old[:size].ljust(size, b"\0"))

    def change(self, data: st.DataObject, real: Callable[[str], object], model: Callable[[bytes], bytes]) -> None:
        place, name = self.something(data)
        path = self.settled(self.path(place, name))
        note(f"changing {path}")
        if self.both(lambda: real(path), lambda: self.model.write(place, name, model)):
            note(f"which is {self.model.find(place, name)!r:.200}")
            self.settled(self.path("files", numbered(self.model.find(place, name))))
            self.find_new("trash")

    def find_new(self, place: str) -> None:
        """The number of what a call has made there, if it has."""
        known = {thing.id for thing in self.model.things}
        for thing in self.model.things:
            if not thing.id:
                (thing.id,) = {entry.inode() for entry in os.scandir(self.mount / place)} - known

    @rule(data=st.data())
    def unlink(self, data: st.DataObject) -> None:
        place, name = self.something(data)
        self.both(lambda: os.unlink(self.path(place, name)), lambda: self.model.unlink(place, name))

    @rule(new=st.none() | st.sampled_from(NAMES), how=st.sampled_from((0, 0, NOREPLACE, EXCHANGE)), data=st.data())
    def rename(self, new: str | None, how: int, data: st.DataObject) -> None:
        (place, name), to = self.something(data), self.some_place(data)
        self.move(place, name, to, name if new is None else new, how)

    @rule(how=st.sampled_from((0, 0, NOREPLACE, EXCHANGE)), data=st.data())
    def rename_onto(self, how: int, data: st.DataObject) -> None:
        """Onto what is there."""
        (place, name), (to, new) = self.something(data), self.something(data)
        self.move(place, name, to, new, how)

    @rule(new=st.none() | st.sampled_from(NAMES), how=st.sampled_from((0, 0, NOREPLACE, EXCHANGE)), data=st.data())
    def rename_folder(self, new: str | None, how: int, data: st.DataObject) -> None:
        """Of a folder, which there are fewer of; half of the time onto another one."""
        folders = self.folders()
        if not folders:
            return
        place, name = data.draw(st.sampled_from(folders))
        to, other = data.draw(st.sampled_from(folders)) if new is None else (self.some_place(data), new)
        self.move(place, name, to, other, how)

    def folders(self) -> list[tuple[str, str]]:
        listed = [(place, self.expected(place)) for place in PLACES]
        numbers = {thing.id for thing in self.model.things if thing.is_folder}
        return [
            (place, name)
            for place, found in listed
            if isinstance(found, dict)
            for name, number in found.items()
            if number in numbers
        ]

    def move(self, place: str, name: str, to: str, new: str, how: int) -> None:
        if self.model.is_step(place, name) or self.model.is_step(to, new):
            return  # directories, of which other tests tell
        ends = self.model.maybe(place, name), self.model.maybe(to, new)
        if all(ends) and any(end.target is not None for end in ends if end):
            return  # nor has a symlink content that another item could take over
        one, other = self.settled(self.path(place, name)), self.settled(self.path(to, new))
        note(f"renaming {one} to {other}, {how}")

        def model() -> None:
            if how == EXCHANGE:
                self.model.exchange(place, name, to, new)
            else:
                self.model.rename(place, name, to, new, replace=how != NOREPLACE)

        if self.both(lambda: rename2(Path(one), Path(other), how), model):
            self.find_new("trash")

    @rule(new=st.none() | st.sampled_from(NAMES), data=st.data())
    def link(self, new: str | None, data: st.DataObject) -> None:
        (place, name), to = self.something(data), self.some_place(data)
        new = name if new is None else new
        real = lambda: os.link(self.path(place, name), self.path(to, new))  # noqa: E731
        self.both(real, lambda: self.model.link(place, name, to, new))

    @rule(value=st.sampled_from(VALUES), data=st.data())
    def set_tags(self, value: str, data: st.DataObject) -> None:
        place, name = self.something(data)
        path = self.settled(self.path(place, name))
        real = lambda: self.others.submit(os.setxattr, path, "user.xdg.tags", value.encode()).result()  # noqa: E731
        self.both(real, lambda: self.model.set_tags(place, name, value))

    @rule(key=st.sampled_from(KEYS), value=st.none() | st.binary(max_size=20), data=st.data())
    def set_xattr(self, key: str, value: bytes | None, data: st.DataObject) -> None:
        place, name = self.something(data)
        path = self.path(place, name)

        def real() -> None:
            if value is None:
                os.removexattr(path, key)
            else:
                os.setxattr(path, key, value)

        self.both(real, lambda: self.model.set_xattr(place, name, key, value))

    @rule(mode=st.sampled_from((0o600, 0o644, 0o755)), data=st.data())
    def chmod(self, mode: int, data: st.DataObject) -> None:
        place, name = self.something(data)
        found = None if self.model.is_step(place, name) else self.model.maybe(place, name)
        if found is not None and found.is_folder:
            return  # which may always be entered
        self.both(lambda: os.chmod(self.path(place, name), mode), lambda: self.model.chmod(place, name, mode))

    # -- what can be seen ----------------------------------------------------------------------------------------

    @invariant()
    def everything_looks_as_it_should(self) -> None:
        for place in SEEN:
            found, expected = self.seen(place), self.expected(place)
            assert found == expected, f"{place}: {found} instead of {expected}"
        assert sorted(os.listdir(self.mount / "tags")) == sorted(
            {tag if ":" not in tag else tag.partition(":")[0] + ":" for tag in self.model.tags}
        )
        assert sorted(os.listdir(self.mount / "relations")) == self.model.relations.tags()
        assert sorted(os.listdir(self.mount / "queries")) == sorted(self.model.saved)
        for thing in self.model.things:
            self.check(thing)

    def seen(self, place: str) -> dict[str, int] | int:
        """Names and numbers as readdir and as lookup give them; an errno where there is none."""
        try:
            with os.scandir(self.mount / place) as entries:
                found = {entry.name: entry.inode() for entry in entries}
        except OSError as error:
            return error.errno or 0
        for name, number in found.items():
            assert os.stat(self.path(place, name), follow_symlinks=False).st_ino == number, (place, name)
        return found

    def expected(self, place: str) -> dict[str, int] | int:
        try:
            return {name: thing.id for name, thing in self.model.listing(place).items()}
        except OSError as error:
            return error.errno or 0

    def check(self, thing: Thing) -> None:
        path = self.path("trash" if thing.trashed else "files", numbered(thing))
        status = os.lstat(path)
        if thing.is_folder:
            assert (status.st_ino, os.listdir(path)) == (thing.id, []), thing
            assert stat.S_ISDIR(status.st_mode)
            self.check_xattrs(thing, path)
            return
        found = (status.st_ino, status.st_size, status.st_nlink, status.st_mode & 0o777)
        size = len(thing.content if thing.target is None else thing.target)
        assert found == (thing.id, size, thing.nlink, thing.mode), thing
        if thing.target is not None:
            assert os.readlink(path) == thing.target
            return
        assert Path(path).read_bytes() == thing.content, thing
        self.check_xattrs(thing, path)

    def check_xattrs(self, thing: Thing, path: str) -> None:
        listed = {name: os.getxattr(path, name) for name in os.listxattr(path) if not name.startswith("user.tagfs.")}
        wanted = {"user.xdg.tags": ",".join(sorted(thing.tags)).encode()} if thing.tags else {}
        assert listed == wanted | thing.xattrs, thing


def rewrite(path: str, flags: int, content: bytes, offset: int = 0) -> None:
    descriptor = os.open(path, os.O_WRONLY | flags)
    try:
        os.lseek(descriptor, offset, os.SEEK_SET)
        os.write(descriptor, content)
    finally:
        os.close(descriptor)


def patched(old: bytes, content: bytes, offset: int) -> bytes:
    if not content:
        return old
    return old[:offset].ljust(offset, b"\0") + content + old[offset + len(content) :]


def outcome(call: Callable[[], object]) -> int | None:
    try:
        call()
    except OSError as error:
        return error.errno
    return None


def is_draft(path: str) -> bool:
    return not os.path.isdir(path) and os.getxattr(path, "user.tagfs.state") == b"writing"


def name_of(number: int | None) -> str:
    return "success" if number is None else errno.errorcode[number]


@pytest.mark.timeout(3600)
def test_the_mount_does_what_the_model_does() -> None:
    run_on_mounts(MountMachine, steps=200)
