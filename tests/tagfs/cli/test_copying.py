"""Copying out: every way of it gives the same file."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tagfs.cli import copying
from tagfs.cli.copying import copy_out, new_folder
from tagfs.control.views import ContentView


def refuse(number: int) -> Callable[..., Any]:
    def refused(*_: object, **__: object) -> Any:
        raise OSError(number, os.strerror(number))

    return refused


@pytest.fixture(params=["whatever works", "no reflink", "by hand"])
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    if request.param != "whatever works":
        monkeypatch.setattr(copying.fcntl, "ioctl", refuse(errno.EOPNOTSUPP))
    if request.param == "by hand":
        monkeypatch.setattr(copying.os, "copy_file_range", refuse(errno.EXDEV))
    path = tmp_path / "blob"
    path.write_bytes(os.urandom(3_000_001))
    return path


def content(source: Path) -> ContentView:
    return ContentView(4096, "a", str(source), source.stat().st_size, 1_700_000_000_987_654_321, 0o764)


def test_bytes_time_and_mode(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    with source.open("rb") as stream:
        copy_out(stream.fileno(), str(target), content(source), replace=False)
    assert target.read_bytes() == source.read_bytes()
    status = target.stat()
    assert status.st_mtime_ns == 1_700_000_000_987_654_321
    assert status.st_mode & 0o777 == 0o664 & ~copying._umask()  # never executable: a server chose the content
    assert sorted(os.listdir(tmp_path)) == ["blob", "target"]


def test_an_existing_file_is_replaced_when_asked(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("old")
    with source.open("rb") as stream:
        with pytest.raises(FileExistsError):
            copy_out(stream.fileno(), str(target), content(source), replace=False)
        assert target.read_text() == "old"
        copy_out(stream.fileno(), str(target), content(source), replace=True)
    assert target.read_bytes() == source.read_bytes()


def test_a_file_that_came_meanwhile_is_not_replaced(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    fill = copying._fill

    def meanwhile(source: int, out: int) -> None:
        target.write_text("theirs")
        fill(source, out)

    monkeypatch.setattr(copying, "_fill", meanwhile)
    with source.open("rb") as stream, pytest.raises(FileExistsError):
        copy_out(stream.fileno(), str(target), content(source), replace=False)
    assert target.read_text() == "theirs"
    assert sorted(os.listdir(tmp_path)) == ["blob", "target"]


def test_nothing_is_left_of_a_copy_that_failed(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "_fill", refuse(errno.ENOSPC))
    with source.open("rb") as stream, pytest.raises(OSError, match="No space left"):
        copy_out(stream.fileno(), str(tmp_path / "target"), content(source), replace=False)
    assert os.listdir(tmp_path) == ["blob"]


def test_a_filesystem_without_links(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying.os, "link", refuse(errno.EPERM))
    with source.open("rb") as stream:
        copy_out(stream.fileno(), str(tmp_path / "target"), content(source), replace=False)
    assert (tmp_path / "target").read_bytes() == source.read_bytes()


def test_a_folder_that_came_meanwhile_stays_as_it_is(tmp_path: Path) -> None:
    target = tmp_path / "target"
    with pytest.raises(OSError, match="not empty") as caught, new_folder(str(target)) as beside:
        (Path(beside) / "ours").touch()
        (target / "theirs").mkdir(parents=True)
    assert caught.value.filename == str(target)
    assert os.listdir(tmp_path) == ["target"] and os.listdir(target) == ["theirs"]
