"""What `tagfs complete` answers, and real shells with their Tab key pressed."""

import os
import pty
import select
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from engine.types import SourceKind, State
from query.builtin import BUILTIN_KEYS, CHOICES
from tagfs.cli import table
from tagfs.cli.complete import BUILTIN, VALUES, answer, unquoted
from tagfs.config.mount_options import OPTIONS
from tests.support.memory_verbs import MemoryVerbs
from tests.tagfs.cli.conftest import Tagfs

ROOT = Path(__file__).parents[3]
TAGS = ["1080p", "film", "movie", "movies", "to watch", "type", "year:1999", "year:2000"]
NAMES = ["a b.mkv", "alien.mkv", "brazil.mkv"]


class Fake:
    def __init__(self, tags: Iterable[str] = TAGS) -> None:
        self._tags = list(tags)
        self.above: list[str | None] = []

    def tags(self, prefix: str, above: str | None) -> list[str]:
        self.above.append(above)
        return [tag for tag in self._tags if tag.startswith(prefix)]

    def names(self, prefix: str) -> list[str]:
        return [name for name in NAMES if name.startswith(prefix)]

    def saved(self, prefix: str) -> list[str]:
        return [name for name in ("to watch", "today") if name.startswith(prefix)]


@pytest.mark.parametrize(
    ("typed", "candidates"),
    [
        (["mo"], ["mount"]),
        (["--"], ["--help", "--state", "--version"]),
        (["--state", "/srv/t", "unt"], ["untag"]),
        (["--state=/srv/t", "unt"], ["untag"]),
        (["help", "ver"], ["verify"]),
        (["tags", "mo"], ["movie", "movies"]),
        (["ls", "-/mo"], ["-/movie", "-/movies"]),
        (["ls", "-/film", "mo"], ["movie", "movies"]),
        (["tags", "--del"], ["--delete"]),
        (["tags", "--delete", "mo"], ["movie", "movies"]),
        (["tags", "--delete", "film", "mo"], ["movie", "movies"]),
        (["tags", "--rename", "fi"], ["film"]),
        (["tag", "al"], ["alien.mkv"]),
        (["tag", "alien.mkv", "-t", "fi"], ["film"]),
        (["tag", "alien.mkv", "--tag=fi"], ["--tag=film"]),
        (["tag", "-t", "film,mo"], ["film,movie", "film,movies"]),
        (["tag", "-t", "movie,mo"], ["movie,movies"]),
        (["tag", "-t", "film", "al"], ["alien.mkv"]),
        (["tag", "-t", "y"], ["year:"]),
        (["tag", "-t", "year:"], ["year:1999", "year:2000"]),
        (["tag", "--", "-t"], []),
        (["tag", "--", "al"], ["alien.mkv"]),
        (["ls", "sta"], ["state:"]),
        (["ls", "state:pa"], ["state:paused"]),
        (["ls", "type"], ["type", "type:"]),
        (["ls", "movie/-fi"], ["movie/-film"]),
        (["ls", "movie/-/fi"], ["movie/-/film"]),
        (["ls", "'movie and (fi"], ["movie and (film"]),
        (["ls", "movie and not to"], ["movie and not to watch"]),
        (["ls", "movie\\ and\\ 1"], ["movie and 1080p"]),
        (["verify", "-"], ["--data", "--subset", "--repair", "-h", "--help", "--json", "--state"]),
        (["mount", "dir", "-o", "facets,um"], ["facets,umask="]),
        (["completion", "b"], ["bash"]),
        (["relation", "a"], ["add"]),
        (["relation", "mo"], ["movie", "movies"]),
        (["relation", "add", "mo"], ["movie", "movies"]),
        (["relation", "add", "movie", "im"], ["implies"]),
        (["relation", "add", "movie", "implies", "fi"], ["film"]),
        (["queries", "--delete", "to"], ["to watch", "today"]),
        (["queries", "--delete", "today", "to"], ["to watch", "today"]),
        (["queries", "--rename", "tod"], ["today"]),
        (["queries", "--save", "tod"], []),
        (["ls", "movie and @to"], ["movie and @to watch", "movie and @today"]),
        (["no-such-verb", "x"], []),
        (["verify", "x"], []),
    ],
)  # fmt: skip
def test_what_may_follow(typed: list[str], candidates: list[str]) -> None:
    assert sorted(answer(typed, Fake()).candidates) == sorted(candidates)


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        (["add", "fi"], "files"),
        (["import", ""], "files"),
        (["mount", ""], "dirs"),
        (["ls", "--state", ""], "dirs"),
        (["tag", "T/files/x"], "files"),
        (["ls", "~/T/tags/"], "files"),
        (["tag", "-t", "ye"], "none nospace"),
        (["mount", "-o", "ro"], "none nospace"),
        (["tag", "-t", "movi"], "none"),
    ],
)
def test_what_else_may_follow(typed: list[str], first: str) -> None:
    assert answer(typed, Fake()).text().splitlines()[0] == first


def test_a_path_is_completed_by_what_narrows_it() -> None:
    fake = Fake()
    answer(["ls", "movie/1080p/+/fi"], fake)
    answer(["ls", "fi"], fake)
    assert fake.above == ["movie/1080p/+", None]


def test_every_verb_can_be_completed_after() -> None:
    for verb in table.ENTRIES:
        assert "--state" in answer([verb, "--"], Fake()).candidates
    assert set(OPTIONS) == {word.rstrip("=") for word in answer(["mount", "-o", ""], Fake()).candidates}


def test_what_cannot_be_typed_is_not_offered() -> None:
    assert answer(["tag", "-t", ""], Fake(["a\nb", "a\x1b", "a\udcff", "ab"])).text() == "none\nab\n"


@pytest.mark.parametrize("word", ["plain", "with blank", "it's", 'say "x"', "back\\slash", "$HOME `x`", "", "é"])
def test_words_are_read_as_shells_do(word: str) -> None:
    assert unquoted(shlex.quote(word)) == word
    assert unquoted(shlex.quote(word).removesuffix("'")) == word
    double = '"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`")
    assert unquoted(double) == unquoted(double + '"') == word


def test_the_tables_are_those_of_the_query_language() -> None:
    assert set(BUILTIN) == BUILTIN_KEYS
    for key, choices in CHOICES.items():
        assert VALUES[key] == choices
    assert set(VALUES["source"]) == {kind.value for kind in SourceKind}
    assert set(VALUES["state"]) <= {state.value for state in State}


def test_the_daemon_is_asked(tagfs: Tagfs, verbs: MemoryVerbs) -> None:
    verbs.put("alien.mkv", tags=("movie", "mo", "year:1979"))
    assert tagfs("complete", "--", "ls", "mo").lines == ["none", "mo", "movie"]
    assert tagfs("complete", "--", "rm", "al").lines == ["none", "alien.mkv"]
    tagfs("queries", "--save", "later", "movie")
    assert tagfs("complete", "--", "ls", "@la").lines == ["none", "@later"]


def test_without_a_daemon_less_is_offered_and_nothing_said(tagfs: Tagfs, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, lines in (
        (["tag", "-t", "mo"], ["none"]),
        (["rm", "al"], ["files"]),
        (["status", "--js"], ["none", "--json"]),
        ([], ["none", *table.ENTRIES, "help"]),
    ):
        ran = tagfs("complete", "--", *arguments)
        assert (ran.code, ran.lines, ran.err) == (0, lines, "")
    monkeypatch.setenv("TAGFS_CONFIG", "/nowhere/config.toml")
    monkeypatch.delenv("TAGFS_STATE")
    assert tagfs("complete", "--", "rm", "al").out == "files\n"


# -- real shells -----------------------------------------------------------------------------------------------

START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
PREPARE = {
    "bash": "PS1='REA''DY>'; source <(tagfs completion bash)",
    "zsh": "PS1='REA''DY>'; autoload -Uz compinit; compinit -u -D; source <(tagfs completion zsh)",
    "fish": "function fish_prompt; echo -n REA'DY>'; end; tagfs completion fish | source",
}
WRAPPER = """#!/bin/sh
case $1 in
    complete|completion) exec {python} -m tagfs "$@" ;;
    *) printf '%s\\n' "$@" > {out}.new && mv {out}.new {out} ;;
esac
"""


class Shell:
    """An interactive shell on a terminal, in which `tagfs` writes down what it was called with."""

    def __init__(self, name: str, folder: Path, environ: dict[str, str]) -> None:
        self.out = folder / "out"
        script = folder / "bin/tagfs"
        script.parent.mkdir()
        script.write_text(WRAPPER.format(python=sys.executable, out=self.out))
        script.chmod(0o755)
        environ = {
            **environ, "PATH": f"{script.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "TERM": "xterm",
            "LC_ALL": "C.UTF-8", "HOME": str(folder), "INPUTRC": "/dev/null",
        }  # fmt: skip
        self._terminal, theirs = pty.openpty()
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *START[name]], stdin=theirs, stdout=theirs, stderr=theirs, env=environ, cwd=folder
        )
        os.close(theirs)
        self.seen = b""
        self._type(PREPARE[name] + "\r")
        self._until(b"READY>")

    def line(self, typed: str) -> list[str]:
        """The arguments of the command that was typed, each tab of it pressed."""
        self.out.unlink(missing_ok=True)
        self.seen = b""
        self._type(typed + "\r")
        self._until(b"READY>", lambda: self.out.exists())
        return self.out.read_text().splitlines()

    def _type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def _until(self, prompt: bytes, done: object = None) -> None:
        while prompt not in self.seen or (callable(done) and not done()):
            ready, _, _ = select.select([self._terminal], [], [], 60)
            assert ready, f"the shell says nothing more: {self.seen!r}"
            self.seen += os.read(self._terminal, 65536)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)


@pytest.fixture(params=sorted(START))
def shell(request: pytest.FixtureRequest, state: Path, verbs: MemoryVerbs) -> Iterator[Shell]:
    assert shutil.which(request.param), f"install {request.param}: make test does"
    for name in ("alien 1979.mkv", "brazil.mkv"):
        verbs.put(name, tags=("movie", "to watch", "year:1979", "year:1985"))
    folder = state.parent / "shell"
    folder.mkdir()
    (folder / "list.txt").touch()
    made = Shell(request.param, folder, {"TAGFS_STATE": str(state)})
    yield made
    made.close()


def test_the_tab_key(shell: Shell) -> None:
    for typed, arguments in (
        ("tagfs stat\t-", ["status", "-"]),
        ("tagfs tag brazi\t-t mov\t", ["tag", "brazil.mkv", "-t", "movie"]),
        ("tagfs tag alien\t--ta\tmovie,to\t", ["tag", "alien 1979.mkv", "--tag", "movie,to watch"]),
        ("tagfs ls state:pa\t", ["ls", "state:paused"]),
        ("tagfs tag x -t year:198\t", ["tag", "x", "-t", "year:1985"]),
        ("tagfs ls movie/-/to\t", ["ls", "movie/-/to watch"]),
        ("tagfs add li\t", ["add", "list.txt"]),
        ("tagfs mount d -o facets,uma\t077", ["mount", "d", "-o", "facets,umask=077"]),
    ):
        assert shell.line(typed) == arguments, shell.seen
