"""Many change tags at once, by the mount, the command line, its socket and by downloads that end: when a call returns,
who made it finds on every path that he knows exactly what there has to be.

Each worker has tags and items of its own, so what it must see is exact whatever the others do; its directories are held
open, looked at in full before and after each change, and a process stands in one of them. So all of it is in the caches
of the kernel, and nothing but the daemon's word takes it out. One tag is shared, and compared when all have ended.
TAGFS_STEPS sets how many changes each worker makes, and then they are others each time.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tagfs.control.client import Client
from tests.mount.conftest import Mount
from tests.support.nginx import Nginx, nginx

STEPS = int(os.environ.get("TAGFS_STEPS", "8"))
SEED = random.randrange(2**32) if "TAGFS_STEPS" in os.environ else 4
WORKERS = 4
REMEMBERED = 12  # names of which each is looked for everywhere, though most are no more
SHARED = "shared"
TAGS = ("x", "y", "z", SHARED)
BYTES = b"what a download brings" * 99

# Path, with the tags as they are called by then -> whether an item of these tags is there.
QUERIES: dict[str, Callable[[set[str]], bool]] = {
    "tags/{x}": lambda t: "x" in t,
    "tags/{y}": lambda t: "y" in t,
    "tags/{z}": lambda t: "z" in t,
    "tags/{x}/{y}": lambda t: {"x", "y"} <= t,
    "tags/{y}/{x}": lambda t: {"x", "y"} <= t,
    "tags/{x}/-/{y}": lambda t: "x" in t and "y" not in t,
    "tags/{x}/+/{z}": lambda t: bool({"x", "z"} & t),
    "tags/{x}/-{y},{z}": lambda t: "x" in t and not {"y", "z"} & t,
    "queries/{x} and not {z}": lambda t: "x" in t and "z" not in t,
    "tags/shared/{x}": lambda t: {"x", SHARED} <= t,
}
STANDING_IN = "tags/{x}/-/{y}"
# All workers' items are in these: only the own names are looked at.
CROWDED: dict[str, Callable[[set[str]], bool]] = {"files": lambda t: True, "tags/shared": lambda t: SHARED in t}

# It also sets tags: a program that has just made a file would add to its tags rather than replace them.
STANDING = """
import json, os, sys
for line in sys.stdin:
    names, *words = json.loads(line)
    if words:
        os.setxattr(words[0], "user.xdg.tags", words[1].encode())
    found = sorted(os.listdir("."))
    there = sorted(name for name in names if os.path.lexists(name))
    print(json.dumps([found, there]), flush=True)
"""


@dataclass
class Thing:
    content: bytes
    tags: set[str] = field(default_factory=set)


class Worker:
    """One thread of the test: makes changes and looks at all that they concern."""

    def __init__(self, mount: Mount, number: int, server: Nginx) -> None:
        self.mount, self.number, self.server = mount, number, server
        self.random = random.Random(SEED + number)
        self.called = {tag: f"{tag}{number}" for tag in "xyz"} | {SHARED: SHARED}
        self.things: dict[str, Thing] = {}
        self.names: list[str] = []  # that ever were
        self.implies = False  # whether z implies x
        self.serial = 0
        self.steps = (
            *[self.set_tags] * 3, self.call_tag, self.call_tag, self.call_where, self.link, self.unlink, self.move,
            self.rename, self.rename_tag, self.rename_tag, self.merge_tag, self.relate, self.append, self.save_over,
            self.trash, self.download, self.command,
        )  # fmt: skip

    def run(self) -> None:
        for tag in "xyz":
            os.mkdir(self.mount / "tags" / self.tag(tag))
        for _ in range(4):
            self.create()
        standing = self.mount / self.path(STANDING_IN)
        self.held = {path: os.open(self.mount / self.path(path), os.O_RDONLY) for path in (*QUERIES, *CROWDED)}
        command = [sys.executable, "-c", STANDING]
        try:
            with (
                Client(str(self.mount.state / "control.sock")) as self.client,
                subprocess.Popen(
                    command, cwd=standing, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                ) as self.standing,
            ):
                self.check("the beginning")
                for _ in range(STEPS):
                    step = self.random.choice(self.steps)
                    step()
                    self.check(step.__name__)
                assert self.standing.stdin is not None
                self.standing.stdin.close()
        finally:
            for descriptor in self.held.values():
                os.close(descriptor)

    def tag(self, tag: str) -> str:
        return self.called[tag]

    def path(self, path: str) -> str:
        return path.format(**self.called)

    def any(self) -> str:
        return self.random.choice(sorted(self.things))

    def new_name(self) -> str:
        self.serial += 1
        name = f"w{self.number}-{self.serial}"
        self.names = [*self.names, name]
        gone = [name for name in self.names if name not in self.things]
        self.names = [one for one in self.names if one in self.things or one in gone[-REMEMBERED:]]
        return name

    def file(self, name: str) -> Path:
        return self.mount / "files" / name

    # -- changes ---------------------------------------------------------------------------------------------------

    def create(self) -> None:
        name, content = self.new_name(), os.urandom(self.random.randrange(1, 9000))
        (self.mount / "tags" / self.tag("x") / name).write_bytes(content)
        self.things[name] = Thing(content, {"x"})

    def set_tags(self) -> None:
        name, tags = self.any(), self.random.sample(TAGS, 2)
        thing = self.things[name]
        self.ask_standing([self.names, str(self.file(name)), f"+{self.tag(tags[0])},-{self.tag(tags[1])}"])
        thing.tags.add(tags[0])
        thing.tags.discard(tags[1])

    def call_tag(self) -> None:
        names, tags = self.random.sample(sorted(self.things), 2), self.random.sample(TAGS, 2)
        params = {"items": names, "add": [self.tag(tags[0])], "remove": [self.tag(tags[1])]}
        self.client.call("tag", params)
        for name in names:
            self.things[name].tags.add(tags[0])
            self.things[name].tags.discard(tags[1])

    def call_where(self) -> None:
        first, second = self.random.sample("xyz", 2)
        query = f"{self.tag(first)} and not {self.tag(second)}"
        found = [t for t in self.things.values() if first in self.holds(t) and second not in self.holds(t)]
        add, remove = self.random.sample(TAGS, 2)
        self.client.call("tag_where", {"query": query, "add": [self.tag(add)], "remove": [self.tag(remove)]})
        for thing in found:
            thing.tags.add(add)
            thing.tags.discard(remove)

    def command(self) -> None:
        name, tag = self.any(), self.random.choice(TAGS)
        self.mount.tagfs("tag", name, "-t", self.tag(tag))
        self.things[name].tags.add(tag)

    def link(self) -> None:
        tag = self.random.choice(TAGS)
        for name in [name for name, thing in self.things.items() if tag not in self.holds(thing)][:1]:
            os.link(self.file(name), self.mount / "tags" / self.tag(tag) / name)
            self.things[name].tags.add(tag)

    def unlink(self) -> None:
        tag = self.random.choice(TAGS)
        for name in [name for name, thing in self.things.items() if tag in self.holds(thing)][:1]:
            os.unlink(self.mount / "tags" / self.tag(tag) / name)
            self.take_off(self.things[name], tag)

    def move(self) -> None:
        old, new = self.random.sample(TAGS, 2)
        for name, thing in self.things.items():
            if old in self.holds(thing) and new not in self.holds(thing):
                os.rename(self.mount / "tags" / self.tag(old) / name, self.mount / "tags" / self.tag(new) / name)
                self.take_off(thing, old, but=new)
                thing.tags.add(new)
                return

    def rename(self) -> None:
        old, new = self.any(), self.new_name()
        os.rename(self.file(old), self.file(new))
        self.things[new] = self.things.pop(old)

    def rename_tag(self) -> None:
        """The old paths are gone, and what is held goes along."""
        tag = self.random.choice("xyz")
        old, new = self.tag(tag), self.new_tag(tag)
        if self.random.random() < 0.5:
            os.rename(self.mount / "tags" / old, self.mount / "tags" / new)
        else:
            self.client.call("tag_rename", {"old": old, "new": new})
        self.is_called(tag, new)

    def merge_tag(self) -> None:
        """Into one that is looked at, too."""
        tag = self.random.choice("xyz")
        old, new = self.tag(tag), self.new_tag(tag)
        os.mkdir(self.mount / "tags" / new)
        for path in (f"tags/{new}", f"tags/{self.tag('x')}/{new}"):
            assert self.mount.names(path) == []
        self.client.call("tag_merge", {"old": old, "new": new})
        self.is_called(tag, new)

    def new_tag(self, tag: str) -> str:
        self.serial += 1
        return f"{tag}{self.number}-{self.serial}"

    def is_called(self, tag: str, new: str) -> None:
        gone = [self.path(path) for path in QUERIES if f"{{{tag}}}" in path]
        self.called[tag] = new
        for path in gone:
            assert not os.path.lexists(self.mount / path), path

    def relate(self) -> None:
        params = {"tag": self.tag("z"), "relation": "implies", "other": self.tag("x")}
        directory = self.mount / "relations" / self.tag("z") / "implies" / self.tag("x")
        if self.implies:
            self.random.choice((lambda: os.rmdir(directory), lambda: self.client.call("unrelate", params)))()
        else:
            self.random.choice((lambda: os.mkdir(directory), lambda: self.client.call("relate", params)))()
        self.implies = not self.implies

    def append(self) -> None:
        name, more = self.any(), os.urandom(self.random.randrange(1, 5000))
        with self.file(name).open("ab") as file:
            file.write(more)
        self.things[name].content += more

    def save_over(self) -> None:
        name, other, content = self.any(), self.new_name(), os.urandom(self.random.randrange(1, 9000))
        self.file(other).write_bytes(content)
        os.rename(self.file(other), self.file(name))
        self.things[name].content = content

    def trash(self) -> None:
        """And back with its tags."""
        name = self.any()
        os.unlink(self.file(name))
        thing = self.things.pop(name)
        self.check("trash, on the way")
        [entry] = [n for n in os.listdir(self.mount / "trash") if n == name] or [""]
        if entry:
            os.rename(self.mount / "trash" / entry, self.file(name))
            self.things[name] = thing

    def download(self) -> None:
        name = self.new_name()
        self.client.call("add", {"urls": [self.server.url("d")], "name": name, "tags": [self.tag("x")]})
        assert os.path.exists(self.mount / "tags" / self.tag("x") / name)
        assert os.path.exists(self.mount / "tags" / self.tag("x") / "-" / self.tag("y") / name)
        # Nobody's call ends with that, so it is not promised to be seen everywhere as soon as the row says so.
        self.mount.wait_for(lambda: name in self.mount.names(f"tags/{self.tag('x')}/state:complete"))
        assert os.getxattr(self.file(name), "user.tagfs.state") == b"complete"
        assert name not in self.mount.names(f"tags/{self.tag('x')}/state:downloading")
        self.things[name] = Thing(BYTES, {"x"})

    # -- the model, and looking ------------------------------------------------------------------------------------

    def holds(self, thing: Thing) -> set[str]:
        return thing.tags | ({"x"} if self.implies and "z" in thing.tags else set())

    def take_off(self, thing: Thing, tag: str, but: str = "") -> None:
        """With what implies it."""
        gone = {tag, "z"} if tag == "x" and self.implies else {tag}
        thing.tags -= gone - {but}

    def check(self, after: str) -> None:
        for path, matches in QUERIES.items():
            expected = sorted(name for name, thing in self.things.items() if matches(self.holds(thing)))
            self.look(path, expected, after)
            for there in (self.mount / self.path(path), self.held[path]):
                found = sorted(os.listdir(there))
                assert found == expected, (after, path, there, found, expected)
        for path, matches in CROWDED.items():
            self.look(path, sorted(n for n, thing in self.things.items() if matches(self.holds(thing))), after)
        matches = QUERIES[STANDING_IN]
        expected = sorted(name for name, thing in self.things.items() if matches(self.holds(thing)))
        assert self.ask_standing([self.names]) == [expected, expected], (after, "who stands there")

    def ask_standing(self, words: list[object]) -> object:
        assert self.standing.stdin is not None
        assert self.standing.stdout is not None
        print(json.dumps(words), file=self.standing.stdin, flush=True)
        return json.loads(self.standing.stdout.readline())

    def look(self, path: str, expected: list[str], after: str) -> None:
        """By the directory that is held open and by its path, each name that ever was, and what stat and read say."""
        there = self.mount / self.path(path)
        for name in self.names:
            by_path, by_held = os.path.lexists(there / name), _is_in(self.held[path], name)
            assert (by_path, by_held) == (name in expected,) * 2, (after, path, name, by_path, by_held, expected)
        for name in expected:
            thing, status = self.things[name], os.stat(there / name)
            found = status.st_size, status.st_nlink
            assert found == (len(thing.content), 1 + len(thing.tags)), (after, path, name, found, thing.tags)
            assert (there / name).read_bytes() == thing.content, (after, path, name)


def _is_in(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


@pytest.mark.timeout(3600)
def test_nothing_is_ever_stale(mount: Mount, tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    (tmp_path / "served/d").write_bytes(BYTES)
    os.mkdir(mount / "tags" / SHARED)
    with nginx(tmp_path / "nginx", tmp_path / "served") as server, ThreadPoolExecutor(WORKERS) as pool:
        (tmp_path / f"seed {SEED}").touch()
        workers = [Worker(mount, number, server) for number in range(WORKERS)]
        for done in [pool.submit(worker.run) for worker in workers]:
            done.result()
    things = {name: thing for worker in workers for name, thing in worker.things.items()}
    assert mount.names("files") == sorted(things)
    assert mount.names("tags/shared") == sorted(name for name, thing in things.items() if SHARED in thing.tags)
    assert mount.names("tags/-/shared") == sorted(name for name, thing in things.items() if SHARED not in thing.tags)
