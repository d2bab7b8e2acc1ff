"""A folder item against a directory of the machine's own file system: random calls in both, and after each the same
errno, the same tree, the same content, on every path of the folder.

Within a folder people work as anywhere else (decision 19), so whatever the kernel and a plain file system do is right.
TAGFS_STEPS sets how many calls are made in all (150 by default, for a quick run).
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.mount.conftest import Mount
from tests.mount.test_machine import name_of, outcome, rewrite
from tests.mount.test_working_folders import EXCHANGE, NOREPLACE, rename2
from tests.support.machines import run_on_mounts

NAMES = ("f", "g.txt", "d", "e", "+", "a", "-x", "é")  # of which some mean other things in a query
PATHS = ("work", "tags/a/work", "tags/a/-/b/work", "queries/a/work")  # below files first

paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
sizes = st.sampled_from((0, 9, 5000, 200_000))
# Where tagfs says something else than other file systems, and why: docs/filesystem.md.
ALIKE = {errno.ENOTEMPTY: errno.EEXIST}  # both are right for rename(2)


class FolderMachine(RuleBasedStateMachine):
    """`tried` counts calls that both refused, `done` those that both carried out."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="tagfs-machine-"))
        self.mount = Mount(self.folder)
        self.mount.start()
        self.plain = self.folder / "plain"
        self.plain.mkdir()
        (self.mount / "tags/a").mkdir()
        (self.mount / "tags/b").mkdir()
        (self.mount / "tags/a/work").mkdir()
        self.work = self.mount / "files/work"
        self.done = self.tried = self.made = 0

    def teardown(self) -> None:
        try:
            self.mount.stop()
            self.mount.close()
        finally:
            shutil.rmtree(self.folder)

    def both(self, call: Callable[[Path], object]) -> None:
        expected = outcome(lambda: call(self.plain))
        found = outcome(lambda: call(self.work))
        same = found == expected or ALIKE.get(found or 0, found) == ALIKE.get(expected or 0, expected)
        assert same, f"{name_of(found)} instead of {name_of(expected)}"
        if expected is None:
            self.done += 1
        else:
            self.tried += 1

    def some(self, data: st.DataObject) -> str:
        """As a rule a path that is there."""
        there = sorted(str(path.relative_to(self.plain)) for path in self.plain.rglob("*"))
        return data.draw(st.sampled_from(there * 3) | paths if there else paths)

    def content(self, size: int) -> bytes:
        self.made += 1
        return (self.made.to_bytes(8, "little") * (size // 8 + 1))[:size]

    # -- steps ---------------------------------------------------------------------------------------------------

    @rule(path=paths)
    def mkdir(self, path: str) -> None:
        self.both(lambda top: os.mkdir(top / path))

    @rule(data=st.data())
    def rmdir(self, data: st.DataObject) -> None:
        path = self.some(data)
        self.both(lambda top: os.rmdir(top / path))

    @rule(path=paths, size=sizes)
    def create(self, path: str, size: int) -> None:
        content = self.content(size)

        def call(top: Path) -> None:
            with open(top / path, "xb", buffering=0) as file:
                file.write(content)

        self.both(call)

    @rule(data=st.data(), flags=st.sampled_from((os.O_TRUNC, os.O_APPEND, 0)), size=sizes, offset=sizes)
    def rewrite(self, data: st.DataObject, flags: int, size: int, offset: int) -> None:
        path, content = self.some(data), self.content(size)
        self.both(lambda top: rewrite(os.fspath(top / path), flags, content, offset))

    @rule(data=st.data(), size=sizes)
    def truncate(self, data: st.DataObject, size: int) -> None:
        path = self.some(data)
        self.both(lambda top: os.truncate(top / path, size))

    @rule(data=st.data())
    def unlink(self, data: st.DataObject) -> None:
        path = self.some(data)
        self.both(lambda top: os.unlink(top / path))

    @rule(path=paths, leads=st.sampled_from(("f", "d/e", "/outside", "../d")))
    def symlink(self, path: str, leads: str) -> None:
        self.both(lambda top: os.symlink(leads, top / path))

    @rule(data=st.data(), new=paths, how=st.sampled_from((0, 0, NOREPLACE, EXCHANGE)))
    def rename(self, data: st.DataObject, new: str, how: int) -> None:
        old = self.some(data)
        self.both(lambda top: rename2(top / old, top / new, how))

    @rule(data=st.data(), how=st.sampled_from((0, 0, NOREPLACE, EXCHANGE)))
    def rename_onto(self, data: st.DataObject, how: int) -> None:
        """Onto what is there: files, links, folders that are empty or not, itself, what is in it."""
        old, new = self.some(data), self.some(data)
        self.both(lambda top: rename2(top / old, top / new, how))

    @rule(data=st.data(), mode=st.sampled_from((0o600, 0o644, 0o755)))
    def chmod(self, data: st.DataObject, mode: int) -> None:
        path = self.some(data)
        if not (self.plain / path).is_dir():  # the modes of folders are the mount's
            self.both(lambda top: os.chmod(top / path, mode))

    @rule(data=st.data(), when=st.integers(0, 2**31))
    def utime(self, data: st.DataObject, when: int) -> None:
        path = self.some(data)
        self.both(lambda top: os.utime(top / path, (when, when)))

    # -- what can be seen ----------------------------------------------------------------------------------------

    @invariant()
    def the_trees_are_the_same(self) -> None:
        expected, found = tree(self.plain), tree(self.work)
        wrong = [path for path in expected.keys() | found.keys() if found.get(path) != expected.get(path)]
        assert not wrong, [f"{path}: {found.get(path)!r:.90} instead of {expected.get(path)!r:.90}" for path in wrong]
        for path in PATHS[1:]:
            assert names(self.mount / path) == sorted(expected), path


def tree(top: Path) -> dict[str, object]:
    """What is below, by path: mode, size and content of files, targets of links, names in folders."""
    found: dict[str, object] = {}
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = Path(folder) / name
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                found[os.fspath(path.relative_to(top))] = os.readlink(path)
            elif stat.S_ISDIR(status.st_mode):
                found[os.fspath(path.relative_to(top))] = sorted(os.listdir(path))
            else:
                content = path.read_bytes()
                digest = hashlib.sha256(content).hexdigest()[:8]
                found[os.fspath(path.relative_to(top))] = (status.st_mode & 0o777, status.st_size, len(content), digest)
    return found


def names(top: Path) -> list[str]:
    return sorted(
        os.fspath((Path(folder) / name).relative_to(top))
        for folder, folders, files in os.walk(top)
        for name in folders + files
    )


@pytest.mark.timeout(3600)
def test_a_folder_does_what_a_directory_does() -> None:
    run_on_mounts(FolderMachine, steps=150)
