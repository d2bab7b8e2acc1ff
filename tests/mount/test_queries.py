"""Saved queries: made, listed, renamed and removed below /queries, and used from there and in the command line."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.mount.conftest import Mount


@pytest.fixture
def films(mount: Mount) -> Mount:
    mount.sh("mkdir tags/movie tags/watched tags/1080p")
    mount.put("tags/movie/seen.mkv", "1")
    mount.put("tags/movie/new.mkv", "2")
    mount.sh("ln files/seen.mkv tags/watched/")
    return mount


@contextmanager
def films_at(films: Mount, path: str) -> Iterator[int]:
    """A descriptor of a directory, as a process has that stands in it."""
    descriptor = os.open(films / path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def test_a_path_is_saved_by_a_symlink_to_it(films: Mount) -> None:
    films.sh("ln -s ../tags/movie/-watched queries/to-watch && cd queries && ln -s ../tags/movie/+/watched/ all")
    films.sh(f"ln -s {films.top}/tags/year:/gt/2000 queries/x", check=False)
    assert films.names("queries") == ["all", "to-watch"]
    assert films.names("queries/to-watch") == ["new.mkv"]
    assert films.json("queries") == [
        {"name": name, "query": query, "added": added["added"]}
        for (name, query), added in zip(
            [("all", "movie or watched"), ("to-watch", "movie and not watched")],
            films.json("queries"),  # type: ignore[call-overload]  # a list
            strict=True,
        )
    ]
    films.sh("stat -c %F queries/to-watch | grep -q directory && ls -l queries | grep -q '^drwx.* to-watch$'")
    assert films.tagfs("ls", "@to-watch") == "new.mkv\n"
    assert films.sh("ls -d queries/to-watch/*.mkv").split() == ["queries/to-watch/new.mkv"]


def test_mkdir_in_an_expression_is_refused_and_not_absent(films: Mount) -> None:
    for path in ("queries/movie and not watched/new", "queries/movie or watched/new/"):
        with pytest.raises(PermissionError):
            os.mkdir(films / path)
        with pytest.raises(PermissionError):
            os.symlink("x", films / path.rstrip("/"))
    assert films.names("queries") == []


def test_mkdir_saves_an_expression_under_its_own_text(films: Mount) -> None:
    films.sh("mkdir 'queries/movie and not watched'")
    assert films.names("queries") == ["movie and not watched"]
    assert films.names("queries/movie and not watched") == ["new.mkv"]
    films.sh("ls 'queries/movie or watched' && mkdir 'queries/movie or watched'")  # which the kernel knows already
    os.mkdir(films / "queries/not movie")
    assert films.names("queries") == ["movie and not watched", "movie or watched", "not movie"]
    number = os.stat(films / "queries/movie or watched").st_ino
    with pytest.raises(FileExistsError):
        os.mkdir(films / "queries/movie or watched")
    films.sh("mv tags/watched tags/seen && ls 'queries/movie or watched'")
    assert os.stat(films / "queries/movie or watched").st_ino == number
    assert [query["query"] for query in films.json("queries")] == [  # type: ignore[index,attr-defined]  # a list
        "movie and not seen", "movie or seen", "not movie",
    ]  # fmt: skip
    for name, code in (("nothing", errno.ENOENT), ("movie and", errno.EINVAL), ("not movie/x", errno.EPERM)):
        with pytest.raises(OSError) as caught:
            os.mkdir(films / "queries" / name)
        assert caught.value.errno == code, name


def test_a_name_need_be_no_expression(films: Mount) -> None:
    films.sh("ln -s ../tags/movie/-watched 'queries/to watch (soon)' && ls 'queries/to watch (soon)'")
    os.symlink("../tags/movie", films / "queries/don't")
    assert films.names("queries") == ["don't", "to watch (soon)"]
    films.sh("cd queries && mv \"don't\" 'we all' && rmdir 'we all'")
    assert films.tagfs("ls", "@to watch (soon)") == "new.mkv\n"
    with pytest.raises(OSError) as caught:
        os.stat(films / "queries/we all")
    assert caught.value.errno == errno.EINVAL


def test_looking_saves_nothing(films: Mount) -> None:
    films.sh("stat 'queries/movie and not watched' 'queries/movie or watched' queries/movie; ls 'queries/not movie'")
    assert films.names("queries") == []
    assert films.tagfs("queries") == ""


def test_saved_queries_are_renamed_removed_and_survive(films: Mount) -> None:
    films.tagfs("queries", "--save", "to-watch", "movie and not watched")
    number = os.stat(films / "queries/to-watch").st_ino
    films.sh("mv queries/to-watch queries/evening")
    assert films.names("queries") == ["evening"]
    assert os.stat(films / "queries/evening").st_ino == number
    films.sh("mv tags/watched tags/seen && mv tags/movie tags/film")
    assert films.names("queries/evening") == ["new.mkv"]
    films.kill()
    subprocess.run(["fusermount3", "-u", "-z", str(films.top)], check=True)
    films.start()
    assert films.tagfs("queries").split(maxsplit=1) == ["evening", "film and not seen\n"]
    assert os.stat(films / "queries/evening").st_ino == number
    assert films.names("queries/evening") == ["new.mkv"]
    films.sh("ln files/new.mkv tags/seen/")
    assert films.names("queries/evening") == []
    films.tagfs("queries", "--rename", "evening", "night")
    assert not (films / "queries/evening").exists()
    films.sh("rmdir queries/night")
    assert not (films / "queries/night").exists()
    assert films.names("queries") == []
    assert films.names("files") == ["new.mkv", "seen.mkv"]


def test_the_saved_one_of_a_name_wins(films: Mount) -> None:
    assert films.names("queries/movie") == ["new.mkv", "seen.mkv"]
    with films_at(films, "queries/movie") as here:
        films.tagfs("queries", "--save", "movie", "movie and watched")
        assert films.names("queries/movie") == os.listdir(here) == ["seen.mkv"]
        films.tagfs("queries", "--delete", "movie")
        assert films.names("queries/movie") == sorted(os.listdir(here)) == ["new.mkv", "seen.mkv"]


def test_a_tag_that_is_gone_is_carried_by_nobody(films: Mount) -> None:
    films.sh("ln -s ../tags/movie/-1080p queries/small; ln -s ../tags/1080p queries/big; rmdir tags/1080p")
    assert films.names("queries") == ["big", "small"]
    assert films.names("queries/big") == []
    assert films.names("queries/small") == ["new.mkv", "seen.mkv"]
    films.sh("mkdir tags/1080p && ln files/new.mkv tags/1080p/")
    assert films.names("queries/big") == ["new.mkv"]
    assert films.names("queries/small") == ["seen.mkv"]


def test_a_saved_query_that_states_tags_takes_files(films: Mount) -> None:
    films.sh("ln -s ../tags/movie/-watched queries/to-watch; ln -s ../tags/movie/+/watched queries/all")
    films.put("queries/to-watch/third.mkv", "3")
    assert os.getxattr(films / "files/third.mkv", "user.xdg.tags") == b"movie"
    films.sh("rm queries/to-watch/new.mkv")
    assert films.names("tags/movie") == ["seen.mkv", "third.mkv"]
    for path in ("queries/all/x", "queries/movie/x", "queries/x"):
        with pytest.raises(OSError) as caught:
            (films / path).write_text("x")
        assert caught.value.errno == errno.EPERM, path


@pytest.mark.parametrize(
    ("target", "number"),
    [
        ("../tags/movie/+", errno.EINVAL),
        ("../tags/nothing", errno.ENOENT),
        ("../files/new.mkv", errno.EPERM),
        ("../tags", errno.EINVAL),
        ("/etc/passwd", errno.EPERM),
        ("https://example.org/x", errno.EPERM),
    ],
)
def test_what_is_no_query_is_not_saved(films: Mount, target: str, number: int) -> None:
    with pytest.raises(OSError) as caught:
        os.symlink(target, films / "queries/x")
    assert caught.value.errno == number
    assert films.names("queries") == []


def test_relations_count_in_saved_queries(films: Mount) -> None:
    films.sh("ln -s ../tags/watched queries/seen; ln -s ../tags/watched/@@ queries/exactly")
    films.sh("mkdir relations/movie/implies/watched")
    assert films.names("queries/seen") == ["new.mkv", "seen.mkv"]
    assert films.names("queries/exactly") == ["seen.mkv"]
