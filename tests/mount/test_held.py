"""Directories that somebody holds open, or stands in, go along when what their path names is renamed, whoever does it.

mv does so by itself for one directory: the kernel moves its name. All others, and all of them where the command line
renames, merges or takes something back, are found by the new name because the daemon says so.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.mount.conftest import Mount

# Path, with {} for the tag -> what is in it. The folder D has the tag, and holds h.
HELD = {
    "tags/{}": ["D", "f", "g"],
    "tags/x/{}": ["f"],
    "tags/{}/x": ["f"],
    "tags/-/{}": ["e"],
    "tags/x/-{}": ["e"],
    "tags/{},n": ["D", "f", "g"],
    "tags/{}/{}/@": ["D", "f", "g"],
    "tags/{}/D": ["h"],
    "queries/{} and not x": ["D", "g"],
    "queries/saved": ["e"],
}
NAMES = ("D", "e", "f", "g", "h")


@pytest.fixture
def filled(mount: Mount) -> Mount:
    for tag in "xyn":
        os.mkdir(mount / "tags" / tag)
    for file in ("tags/x/e", "tags/x/f", "tags/y/g"):
        (mount / file).touch()
    os.link(mount / "tags/x/f", mount / "tags/y/f")
    os.mkdir(mount / "tags/y/D")
    (mount / "tags/y/D/h").touch()
    os.mkdir(mount / "queries/x and not y")
    os.rename(mount / "queries/x and not y", mount / "queries/saved")
    return mount


@contextmanager
def holding(mount: Mount, tag: str) -> Iterator[dict[str, int]]:
    """All of these directories open, each of them and all in it known to the kernel, and a file of each open."""
    opened: list[int] = []
    held: dict[str, int] = {}
    try:
        for path, names in HELD.items():
            top = mount / path.format(tag, tag)
            opened.append(os.open(top, os.O_RDONLY))
            held[path] = opened[-1]
            assert sorted(os.listdir(top)) == names
            opened.extend(os.open(top / name, os.O_RDONLY) for name in names)
        yield held
    finally:
        for descriptor in opened:
            os.close(descriptor)


def shown(directory: int) -> tuple[list[str], list[str]]:
    """What a held directory lists, and what stat finds in it."""
    found = []
    for name in NAMES:
        try:
            os.stat(name, dir_fd=directory)
        except FileNotFoundError:
            continue
        found.append(name)
    return sorted(os.listdir(directory)), found


def check(mount: Mount, held: dict[str, int], tag: str, *, tagged: bool = False) -> None:
    """`tagged`: e has the tag as well."""
    for path, names in HELD.items():
        expected = names
        if tagged and path not in ("tags/{}/D", "queries/{} and not x"):
            expected = [] if names == ["e"] else sorted([*names, "e"])
        assert shown(held[path]) == (expected, expected), path
        assert mount.names(path.format(tag, tag)) == expected, path


def rename_by_mv(mount: Mount) -> None:
    os.rename(mount / "tags/y", mount / "tags/z")


def rename_by_command(mount: Mount) -> None:
    mount.tagfs("tags", "--rename", "y", "z")


def rename_over_another(mount: Mount) -> None:
    """Somebody holds that one as well, and sees what it shows from then on."""
    os.mkdir(mount / "tags/z")
    there = os.open(mount / "tags/z", os.O_RDONLY)
    mount.tagfs("tags", "--rename", "y", "z")
    assert shown(there) == (["D", "f", "g"], ["D", "f", "g"])
    os.close(there)


def merge(mount: Mount) -> None:
    os.mkdir(mount / "tags/z")
    assert mount.names("tags/z") == mount.names("tags/x/z") == []
    mount.tagfs("tags", "--merge", "y", "z")


@pytest.mark.parametrize("rename", [rename_by_mv, rename_by_command, rename_over_another, merge])
def test_a_renamed_tag_takes_its_directories_along(filled: Mount, rename: Callable[[Mount], None]) -> None:
    standing = subprocess.Popen(
        ["sh", "-c", "while read line; do ls; done"],
        cwd=filled / "tags/y/x",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holding(filled, "y") as held, standing:
        rename(filled)
        check(filled, held, "z")
        assert "y" not in filled.names("tags")
        for path in ("tags/y", "tags/x/y", "tags/y/x", "queries/y and not x"):
            assert not os.path.lexists(filled / path)
        os.link(filled / "files/e", filled / "tags/z/e")  # and what comes later
        check(filled, held, "z", tagged=True)
        answer, _ = standing.communicate("\n")
        assert answer.split() == ["e", "f"]
        filled.tagfs("tags", "--rename", "z", "again")
        check(filled, held, "again", tagged=True)


def test_what_is_taken_back_takes_them_along(filled: Mount) -> None:
    filled.tagfs("tags", "--rename", "y", "z")
    with holding(filled, "z") as held:
        filled.tagfs("undo")
        check(filled, held, "y")
        filled.tagfs("redo")
        check(filled, held, "z")


def test_a_saved_query_takes_its_directory_along(filled: Mount) -> None:
    held = os.open(filled / "queries/saved", os.O_RDONLY)
    filled.tagfs("queries", "--rename", "saved", "again")
    filled.tagfs("tags", "--rename", "y", "z")
    assert shown(held) == (["e"], ["e"])
    assert not os.path.lexists(filled / "queries/saved")
    os.rename(filled / "queries/again", filled / "queries/last")
    os.link(filled / "files/e", filled / "tags/z/e")
    assert shown(held) == ([], [])
    os.close(held)
