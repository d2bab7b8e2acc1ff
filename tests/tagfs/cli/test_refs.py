"""What a person may type for an item, as far as no mount is needed."""

import os
from pathlib import Path

import pytest

from tagfs.cli.refs import resolve
from tagfs.cli.verb import NotFound, UsageError


def test_ids_and_names_are_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").touch()  # a file of another filesystem says nothing about items
    names = [
        "id:4711",
        "~4711",
        "a.iso",
        "here",
        "id:x",
        "~",
        "~x",
        "a\0b",
        os.fsdecode(b"\xff"),
        "folder/in it/f",
        "a/\0",
    ]
    assert resolve(names, None) == ("id:4711", "id:4711", *names[2:])


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("./nowhere", "./nowhere does not exist."),
        ("./a/\x1b", r"\./a/\\x1b does not exist."),
        ("../a/\0", r"\.\./a/\\x00 does not exist."),
        ("/" + "x" * 300 + "/y", "does not exist."),
    ],
)
def test_a_path_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, sentence: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFound, match=sentence):
        resolve([path], None)


def test_a_path_must_lie_on_the_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").touch()
    with pytest.raises(UsageError, match=r"\./here does not lie on a tagfs mount\."):
        resolve(["./here"], None)
