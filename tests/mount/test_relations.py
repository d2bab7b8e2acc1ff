"""Relations between tags, by mkdir and rmdir and in the command line: at once on every path."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.mount.conftest import Mount


@pytest.fixture
def library(mount: Mount) -> Mount:
    """Two books and a film, tagged."""
    mount.sh("mkdir tags/series:dune tags/sci-fi tags/film tags/movie tags/watched")
    mount.put("tags/series:dune/dune.epub", "1")
    mount.put("tags/sci-fi/solaris.epub", "2")
    mount.put("tags/film/stalker.mkv", "3")
    return mount


@contextmanager
def standing(place: Path) -> Iterator[Callable[[str], str]]:
    """A shell with that working directory, to be asked for what a command prints."""
    with subprocess.Popen(
        ["bash"],
        cwd=place,
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as shell:

        def ask(command: str) -> str:
            assert shell.stdin is not None and shell.stdout is not None
            shell.stdin.write(command + "; printf '\\nend\\n'\n")
            shell.stdin.flush()
            lines: list[str] = []
            while (line := shell.stdout.readline().rstrip("\n")) != "end":
                assert line or shell.poll() is None, command
                lines.append(line)
            return " ".join(filter(None, lines))

        yield ask


def refused(number: int, path: Path, *, removing: bool = False) -> None:
    with pytest.raises(OSError) as caught:
        os.rmdir(path) if removing else os.mkdir(path)
    assert caught.value.errno == number


def test_mkdir_says_so_and_rmdir_takes_it_back(library: Mount) -> None:
    epub = library / "tags/sci-fi/dune.epub"
    assert not epub.exists()
    (library / "relations/series:dune/implies/sci-fi").mkdir()
    assert epub.exists()
    assert library.names("tags/sci-fi") == ["dune.epub", "solaris.epub"]
    assert library.names("tags/sci-fi/@@") == ["solaris.epub"]
    assert library.names("queries/not sci-fi") == ["stalker.mkv"]
    assert os.stat(epub).st_ino == os.stat(library / "files/dune.epub").st_ino
    number = os.stat(library / "tags/sci-fi").st_ino
    (library / "relations/series:dune/implies/sci-fi").rmdir()
    assert not epub.exists()
    assert library.names("tags/sci-fi") == ["solaris.epub"]
    assert os.stat(library / "tags/sci-fi").st_ino == number


def test_relations_are_directories(library: Mount) -> None:
    assert library.names("relations") == []
    assert library.names("relations/film") == ["excludes", "implies", "requires", "same-as"]
    (library / "relations/film/same-as/movie").mkdir()
    (library / "relations/series:dune/excludes/film").mkdir()
    assert library.names("relations") == ["film", "movie", "series:dune"]
    assert library.names("relations/movie/same-as") == ["film"]
    assert library.names("relations/film/implies") == []
    assert library.names("relations/film/same-as/movie") == []
    assert "relations/movie/same-as/film" in library.sh("find relations")
    assert library.tagfs("relation").splitlines() == ["film same-as movie", "series:dune excludes film"]
    (library / "relations/movie/same-as/film").rmdir()  # from either side
    assert library.names("relations") == ["series:dune"]
    library.tagfs("tags", "--rename", "film", "films")
    assert library.json("relation") == [{"tag": "series:dune", "relation": "excludes", "other": "films"}]


def test_what_cannot_be(library: Mount) -> None:
    relations = library / "relations"
    refused(errno.EINVAL, relations / "film/implies/film")
    refused(errno.ENOENT, relations / "film/implies/nothing")
    refused(errno.ENOENT, relations / "nothing/implies/film")
    refused(errno.EINVAL, relations / "film/implies/a,b")
    refused(errno.EINVAL, relations / "film/implies/size:1")
    refused(errno.EPERM, relations / "other")
    refused(errno.EPERM, relations / "film/like")
    refused(errno.EPERM, relations / "film", removing=True)
    refused(errno.EPERM, relations / "film/implies", removing=True)
    refused(errno.ENOENT, relations / "film/implies/movie", removing=True)
    (relations / "film/implies/movie").mkdir()
    refused(errno.EEXIST, relations / "film/implies/movie")
    refused(errno.EPERM, relations / "film/implies/movie/x")
    assert library.tagfs("relation", "add", "film", "likes", "movie", check=False) == ""
    library.sh("! touch relations/f && ! touch relations/film/implies/f && ! ln -s /x relations/film/implies/l")


def test_whoever_stands_in_a_directory_sees_it(library: Mount) -> None:
    """The working directory stays in the tree, and what it lists and finds is what holds."""
    with standing(library / "tags/sci-fi") as ask:
        assert ask("ls; cat dune.epub 2>/dev/null") == "solaris.epub"
        library.tagfs("relation", "add", "series:dune", "implies", "sci-fi")
        assert ask("ls; cat dune.epub; echo; ls @@") == "dune.epub solaris.epub 1 solaris.epub"
        assert ask("python3 -c 'import os; print(os.getcwd())'") == str(library / "tags/sci-fi")
        library.tagfs("relation", "add", "sci-fi", "excludes", "series:dune")
        assert ask("ls; cat dune.epub 2>/dev/null") == "solaris.epub"
        library.tagfs("relation", "rm", "sci-fi", "excludes", "series:dune")
        library.tagfs("relation", "rm", "series:dune", "implies", "sci-fi")
        assert ask("ls; stat dune.epub 2>&1 | grep -c 'No such file'") == "solaris.epub 1"
        assert ask("python3 -c 'import os; print(os.getcwd())'") == str(library / "tags/sci-fi")


def test_so_many_names_that_the_directory_is_forgotten(mount: Mount, tmp_path: Path) -> None:
    """Beyond `settling.MANY`. One of them is open meanwhile, and the kernel keeps what is in use."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(1100):
        (folder / f"f{number}").write_text(str(number))
    mount.tagfs("import", str(folder), "-t", "x")
    mount.sh("mkdir tags/a")
    mount.put("tags/a/own")
    with standing(mount / "tags/a") as ask:
        for _ in range(2):
            mount.sh("mkdir relations/x/implies/a")
            assert ask("ls | wc -l; cat f7; echo") == "1101 7"
            with (mount / "tags/a/f9").open():
                mount.sh("rmdir relations/x/implies/a")
                assert ask("ls; ls f7 f9 2>&1 | grep -c 'No such file'") == "own 2"
                assert [name for name in ("f7", "f9", "own") if os.path.exists(mount / "tags/a" / name)] == ["own"]


def test_rm_takes_off_what_implies_the_tags_of_the_path(library: Mount) -> None:
    library.sh(
        "mkdir relations/series:dune/implies/sci-fi"
        " && ln files/dune.epub tags/sci-fi/@@/dune.epub && ln files/dune.epub tags/watched/"
    )
    assert os.getxattr(library / "files/dune.epub", "user.xdg.tags") == b"sci-fi,series:dune,watched"
    os.unlink(library / "tags/sci-fi/@@/dune.epub")  # as it stands: the tag alone
    assert os.getxattr(library / "files/dune.epub", "user.xdg.tags") == b"series:dune,watched"
    os.unlink(library / "tags/sci-fi/dune.epub")
    assert os.getxattr(library / "files/dune.epub", "user.xdg.tags") == b"watched"
    assert library.names("tags/sci-fi") == ["solaris.epub"]
    library.put("tags/sci-fi/new.epub")
    assert os.getxattr(library / "files/new.epub", "user.xdg.tags") == b"sci-fi"


def test_mv_takes_off_what_implies_the_tags_that_it_leaves(library: Mount) -> None:
    library.sh("mkdir relations/series:dune/implies/sci-fi && mv tags/sci-fi/dune.epub tags/watched/")
    assert os.getxattr(library / "files/dune.epub", "user.xdg.tags") == b"watched"
    library.sh("mv tags/sci-fi/solaris.epub tags/series:dune/")
    assert os.getxattr(library / "files/solaris.epub", "user.xdg.tags") == b"series:dune"
    assert library.names("tags/sci-fi") == ["solaris.epub"]


def test_narrowing_counts_with_relations(library: Mount) -> None:
    library.sh("mkdir relations/series:dune/implies/sci-fi; ln files/dune.epub files/stalker.mkv tags/watched/")
    assert library.names("tags/watched/.tags") == ["film", "sci-fi", "series:dune"]
    assert library.names("tags/watched/.tags/sci-fi") == ["dune.epub"]
    assert library.json("tags", "watched") == [
        {"name": "film", "items": 1},
        {"name": "sci-fi", "items": 1},
        {"name": "series:dune", "items": 1},
        {"name": "watched", "items": 2},
    ]
    assert {tag["name"] for tag in library.json("tags", "watched @@")} == {"film", "series:dune", "watched"}  # type: ignore[attr-defined,index]  # a list
    assert library.tagfs("ls", "sci-fi").split() == ["dune.epub", "solaris.epub"]
    assert library.tagfs("ls", "sci-fi @@").split() == library.tagfs("ls", "sci-fi/@@").split() == ["solaris.epub"]


def test_relations_survive_a_restart_and_follow_tags(library: Mount) -> None:
    library.sh(
        "mkdir relations/series:dune/implies/sci-fi relations/film/same-as/movie relations/movie/requires/watched"
    )
    assert library.names("tags/movie") == []
    library.kill()
    subprocess.run(["fusermount3", "-u", "-z", str(library.top)], check=True)
    library.start()
    assert library.names("tags/sci-fi") == ["dune.epub", "solaris.epub"]
    library.sh("ln files/stalker.mkv tags/watched/; mv tags/sci-fi tags/space; mv tags/watched tags/seen")
    assert library.names("tags/space") == ["dune.epub", "solaris.epub"]
    assert library.names("tags/movie") == library.names("tags/film") == ["stalker.mkv"]
    library.sh("rm tags/seen/stalker.mkv")
    assert library.names("tags/film") == []
    library.sh("rmdir tags/seen")  # nobody carries it: what was required is no more
    assert library.names("tags/film") == ["stalker.mkv"]
    assert library.tagfs("relation").splitlines() == ["film same-as movie", "series:dune implies space"]
    assert library.tagfs("verify").strip()


def test_relations_and_tags_that_change_at_once_leave_nothing_stale(mount: Mount) -> None:
    """Three threads: mkdir, setxattr, looking. Afterwards each name is asked for where it may be cached."""
    mount.sh("mkdir tags/a tags/b tags/c")
    names = [f"f{number}" for number in range(6)]
    for name in names:
        mount.put(f"tags/a/{name}", name)
    paths = ["tags/a", "tags/b", "tags/c", "tags/b/-/c", "tags/-/b", "queries/b or c", "tags/b/@@"]
    failed: list[BaseException] = []
    done = threading.Event()

    def relate() -> None:
        for number in range(40):
            relation = mount / f"relations/{'ab'[number % 2]}/{('implies', 'excludes', 'requires')[number % 3]}/c"
            other = mount / "relations/a/implies/b"
            relation.mkdir()
            other.mkdir()
            (relation if number % 2 else other).rmdir()
            (other if number % 2 else relation).rmdir()

    def retag() -> None:
        for number in range(120):
            value = ",".join(sorted({"abc"[number % 3], "abc"[number % 2], "abc"[number // 3 % 3]}))
            os.setxattr(mount / "files" / names[number % 6], "user.tags", value.encode())

    def look() -> None:
        while not done.is_set():
            for path in paths:
                os.listdir(mount / path)
                for name in names:
                    os.path.exists(mount / path / name)

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in (relate, retag, look)]
    for thread in threads:
        thread.start()
    for thread in threads[:2]:
        thread.join(120)
    done.set()
    threads[2].join(60)
    assert not failed
    assert mount.names("relations") == []
    for path in paths:
        cached = [name for name in names if os.path.exists(mount / path / name)]
        assert cached == mount.names(path), path
    own = {name: os.getxattr(mount / "files" / name, "user.xdg.tags").decode().split(",") for name in names}
    assert mount.names("tags/b/-/c") == [name for name in names if "b" in own[name] and "c" not in own[name]]
    assert mount.names("tags/b") == [name for name in names if "b" in own[name]]
