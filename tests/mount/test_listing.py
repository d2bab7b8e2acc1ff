"""Query directories as tools see them: ls, stat, find, du, cp, rsync, grep, md5sum and globs over real paths."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mount.conftest import Mount

ITEMS = {
    "one.iso": "a",
    "two.iso": "a,b",
    "three.txt": "b",
    "four.txt": "a,b,c",
    "five.txt": "c",
    "six.mkv": "a,c,year:1999",
    "seven.mkv": "b,year:2000",
    "eight.mkv": "c,year:2010",
}


@pytest.fixture
def filled(mount: Mount) -> Mount:
    for name, tags in ITEMS.items():
        file = mount.put(f"files/{name}", f"content of {name}\n" * 100)
        os.setxattr(file, "user.xdg.tags", tags.encode())
    return mount


QUERIES = {
    "a": lambda t: "a" in t,
    "a/b": lambda t: {"a", "b"} <= t,
    "b/a": lambda t: {"a", "b"} <= t,
    "a/a": lambda t: "a" in t,
    "a/b/a": lambda t: {"a", "b"} <= t,
    "a/+/b": lambda t: bool({"a", "b"} & t),
    "a/+/a": lambda t: "a" in t,
    "a/-/b": lambda t: "a" in t and "b" not in t,
    "a/-b": lambda t: "a" in t and "b" not in t,
    "-/a": lambda t: "a" not in t,
    "a/{/b/c/}": lambda t: "a" in t and bool({"b", "c"} & t),
    "a/b,c": lambda t: "a" in t and bool({"b", "c"} & t),
    "a/-/{/b/c/}": lambda t: "a" in t and not {"b", "c"} & t,
    "a/b/+/c/-/a": lambda t: {"a", "b"} <= t or ("c" in t and "a" not in t),
    "year:2000..": lambda t: bool({"year:2000", "year:2010"} & t),
    "year:1999..2000": lambda t: bool({"year:1999", "year:2000"} & t),
    "year:/2000": lambda t: "year:2000" in t,
    "year:/gt/1999": lambda t: bool({"year:2000", "year:2010"} & t),
    "ext:mkv": None,
    "type:text": lambda t: True,  # by content, whatever the names say
    "type:video": lambda t: False,
    "a/@": lambda t: "a" in t,
}
# Of each class in tagfs/vfs/nodes at least one, with something in it.
# fmt: off
DIRECTORIES = [
    ".", "tags", "tags/a", "tags/b", "tags/a/b", "tags/b/a", "tags/a/a", "tags/a/+", "tags/a/{", "tags/a/@", "tags/-/b",
    "tags/year:", "tags/year:/1999", "tags/a/.tags", "tags/a/D", "tags/a/D/s", "tags/year:/1999/D", "tags/b/D", "files",
    "files/D", "files/D/s", "queries", "queries/rest", "queries/b", "queries/b/D", "relations", "relations/a",
    "relations/a/implies", "inbox", "inbox/a", "blobs", "trash", "trash/gone", ".tagfs",
]
# fmt: on
MKV = ["eight.mkv", "seven.mkv", "six.mkv"]


def matching(query: str) -> list[str]:
    predicate = QUERIES[query]
    if predicate is None:
        return MKV
    return sorted(name for name, tags in ITEMS.items() if predicate(set(tags.split(","))))


def test_every_query_lists_exactly_what_matches(filled: Mount) -> None:
    for query in QUERIES:
        assert filled.names(f"tags/{query}") == matching(query), query


def test_equal_queries_are_one_directory(filled: Mount) -> None:
    def number(query: str) -> int:
        return (filled / f"tags/{query}").stat().st_ino

    assert number("a/b") == number("b/a") == number("a/b/a")
    assert number("a") == number("a/a") == number("a/+/a")
    assert number("a/-/b") == number("a/-b")
    assert number("a") != number("b")


def test_an_item_has_one_inode_number_on_every_path(filled: Mount) -> None:
    paths = ["files/two.iso", "tags/a/two.iso", "tags/b/a/two.iso", "tags/a/+/c/two.iso", "queries/a and b/two.iso"]
    numbers = {(filled / path).stat().st_ino for path in paths}
    assert numbers == {int(os.getxattr(filled / "files/two.iso", "user.tagfs.id"))}


def test_readdir_and_stat_tell_the_same_numbers(new_mount: Callable[..., Mount]) -> None:
    """`ls -i`, `find -inum`, du and rsync trust either. In every kind of directory, when the kernel meets what is in it
    and when it knows it, and on several paths to the same."""
    mount = new_mount(options="facets")
    mount.start()
    mount.sh(
        "mkdir tags/a tags/b files/D files/D/s tags/a/E inbox/a files/gone; "
        "touch files/g files/gone/f tags/a/f files/D/s/f;"
        "ln -s /etc/hostname tags/a/l; ln tags/a/f tags/b/f; setfattr -n user.xdg.tags -v a,year:1999 files/D;"
        "mkdir 'queries/a and b' relations/a/implies/b; ln -s ../tags/-/b queries/rest; touch inbox/a/x.txt"
    )
    mount.sh("mv files/gone trash/")
    mount.settle(mount / "tags/a/f")
    empty = set(DIRECTORIES)
    for path in DIRECTORIES * 2:
        with os.scandir(mount / path) as entries:
            for entry in entries:
                assert entry.inode() == entry.stat(follow_symlinks=False).st_ino, entry.path
                empty.discard(path)
    assert not empty
    folder = (mount / "files/D").stat().st_ino
    found = mount.sh(f"find files tags/a tags/b tags/year:/1999 -maxdepth 1 -inum {folder}").split()
    assert found == ["files/D", "tags/a/D", "tags/b/D", "tags/year:/1999/D"]


def test_a_directory_of_another_query_does_not_have_the_item(filled: Mount) -> None:
    for path in ("tags/c/one.iso", "tags/a/-/b/two.iso", "tags/unknown", "tags/a/unknown", "tags/-/unknown"):
        with pytest.raises(FileNotFoundError):
            os.stat(filled / path)


def test_globs_see_items_only(filled: Mount) -> None:
    assert filled.sh("cd tags/a/+/b && echo *.iso").split() == ["one.iso", "two.iso"]
    assert filled.sh("echo tags/a/-/b/*").split() == ["tags/a/-/b/one.iso", "tags/a/-/b/six.mkv"]
    assert filled.sh("cd 'tags/a/{/b/c/}' && echo *").split() == ["four.txt", "six.mkv", "two.iso"]


@pytest.mark.parametrize("query", ["a/+/b", "a/-/b", "a/{/b/c/}", "year:2000.."])
def test_the_tools_of_every_day(filled: Mount, tmp_path: Path, query: str) -> None:
    """Bar 2: each tool sees each matching item once, with its content."""
    names = matching(query)
    here = f"tags/{query}"
    assert filled.sh(f"ls '{here}'").split() == names
    assert filled.sh(f"cd '{here}' && stat -c '%n %s' *").splitlines() == [
        f"{name} {len(name) * 100 + 1200}" for name in names
    ]
    assert sorted(filled.sh(f"find '{here}' -type f -printf '%f\\n'").split()) == names
    blocks = {name: os.stat(filled / here / name).st_blocks * 512 for name in names}
    assert int(filled.sh(f"du -s --block-size=1 '{here}'").split()[0]) == sum(blocks.values())
    filled.sh(f"mkdir '{tmp_path}/cp' && cp '{here}'/* '{tmp_path}/cp/'")
    filled.sh(f"rsync -a '{here}/' '{tmp_path}/rsync/'")
    for copy in ("cp", "rsync"):
        assert sorted(os.listdir(tmp_path / copy)) == names
        for name in names:
            assert (tmp_path / copy / name).read_text() == f"content of {name}\n" * 100
    assert filled.sh(f"rsync -ani '{here}/' '{tmp_path}/rsync/'") == ""  # nothing more to do: sizes and times agree
    found = filled.sh(f"grep -rl 'content of' '{here}'").split()
    assert sorted(os.path.basename(path) for path in found) == names
    sums = filled.sh(f"cd '{here}' && md5sum -- *").split()
    assert sums[0::2] == [
        hashlib.md5(f"content of {name}\n".encode() * 100, usedforsecurity=False).hexdigest() for name in names
    ]


def test_md5sum_of_a_glob(filled: Mount) -> None:
    sums = filled.sh("md5sum tags/a/+/b/*.iso").split()
    assert sums[1::2] == ["tags/a/+/b/one.iso", "tags/a/+/b/two.iso"]


def test_find_over_the_whole_mount_ends_and_sees_each_item_once_a_tag(filled: Mount) -> None:
    lines = filled.sh("find . -type f -printf '%f\\n'").split()
    for name, tags in ITEMS.items():
        assert lines.count(name) == 1 + len(tags.split(",")), name  # /files and one a tag
    blobs = [name for name in lines if len(name) == 64]
    assert len(blobs) == len(ITEMS)


def test_du_counts_an_item_once(filled: Mount) -> None:
    blocks = sum(os.stat(filled / "files" / name).st_blocks * 512 for name in ITEMS)
    assert int(filled.sh("du -s --block-size=1 tags").split()[0]) == blocks


def test_an_unfinished_query_lists_the_tags_that_may_follow(filled: Mount) -> None:
    tags = ["a", "b", "c", "year:"]
    assert filled.names("tags") == tags
    for path in ("tags/a/+", "tags/-", "tags/{", "tags/a/{/b"):
        assert filled.names(path) == tags, path
    assert filled.names("tags/year:") == ["1999", "2000", "2010"]
    assert filled.names("tags/year:/ge") == ["1999", "2000", "2010"]
    assert filled.names("tags/state:") == ["complete"]


def test_narrowing_tags_are_symlinks_that_lead_on(filled: Mount) -> None:
    assert filled.names("tags/a/.tags") == ["b", "c", "year:1999"]
    assert os.readlink(filled / "tags/a/.tags/b") == "../b"
    assert filled.names("tags/a/.tags/b") == matching("a/b")
    assert ".tags" not in filled.names("tags/a")


def test_facets_lists_narrowing_tags_beside_the_items(new_mount: Callable[..., Mount]) -> None:
    mount = new_mount(options="facets")
    mount.start()
    os.setxattr(mount.put("files/x", "x"), "user.xdg.tags", b"a,b")
    os.setxattr(mount.put("files/y", "y"), "user.xdg.tags", b"a")
    assert mount.names("tags/a") == ["b", "x", "y"]
    assert mount.names("tags/a/b") == ["x"]


@pytest.mark.parametrize("path", ["tags/a/}", "tags/+", "tags/a/+/+", "tags/a/{/}", "tags/a/{/b/+", "queries/a and"])
def test_a_malformed_query_is_einval_and_errors_says_why(filled: Mount, path: str) -> None:
    with pytest.raises(OSError) as caught:
        os.stat(filled / path)
    assert caught.value.errno == errno.EINVAL
    assert filled.errors().strip()


def test_a_long_path_is_too_long_and_harms_nobody(filled: Mount) -> None:
    with pytest.raises(OSError) as caught:
        os.stat(filled / "tags" / "/".join(["a"] * 300))
    assert caught.value.errno == errno.ENAMETOOLONG
    with pytest.raises(OSError) as caught:
        os.stat(filled / "tags" / ("x" * 300))
    assert caught.value.errno == errno.ENAMETOOLONG
    assert filled.names("tags/" + "/".join(["a"] * 255)) == matching("a")


def test_queries_by_expression(filled: Mount) -> None:
    for expression, query in {
        "a and b": "a/b",
        "a or b": "a/+/b",
        "a and not (b or c)": "a/-/{/b/c/}",
        "year >= 2000": "year:2000..",
    }.items():
        assert filled.names(f"queries/{expression}") == matching(query)
        assert (filled / f"queries/{expression}").stat().st_ino == (filled / f"tags/{query}").stat().st_ino
    assert filled.names("queries") == []  # looking stores nothing


def test_blobs_by_content(filled: Mount) -> None:
    content = b"content of one.iso\n" * 100
    blob = filled / "blobs" / hashlib.sha256(content).hexdigest()
    assert blob.read_bytes() == content
    with pytest.raises(PermissionError):
        os.unlink(blob)
    with pytest.raises(PermissionError):
        (filled / "blobs/new").write_bytes(b"")


def test_status_errors_version(filled: Mount) -> None:
    assert filled.names(".tagfs") == ["errors", "status", "version"]
    assert ".tagfs" not in filled.names(".")
    assert f"items   {len(ITEMS)}" in (filled / ".tagfs/status").read_text()
    assert (filled / ".tagfs/version").read_text().strip()


def test_hidden_names_and_collisions(filled: Mount) -> None:
    """An item named like a tag is listed as stem~ID, and plainly below @; of equal names the older keeps the name."""
    os.setxattr(filled.put("files/b", "second b"), "user.xdg.tags", b"a,c")
    os.setxattr(filled.put("tags/c/one.iso", "second one.iso"), "user.xdg.tags", b"+a")
    hidden = (filled / "files/b").stat().st_ino
    second = (filled / "tags/c/one.iso").stat().st_ino
    listed = filled.names("tags/a")
    assert f"b~{hidden}" in listed
    assert "b" not in listed
    assert f"one~{second}.iso" in listed
    assert "one.iso" in listed
    assert "b" in filled.names("tags/a/@")
    assert (filled / f"tags/a/b~{hidden}").read_text() == "second b"
    assert (filled / "tags/a/one.iso").read_text().startswith("content of")
    assert (filled / f"tags/a/one~{second}.iso").read_text() == "second one.iso"
    assert (filled / f"tags/c/one~{second}.iso").stat().st_ino == second  # always resolves
    assert (filled / "tags/a/b").is_dir()
