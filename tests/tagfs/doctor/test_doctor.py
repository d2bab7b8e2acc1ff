"""doctor: each thing that can be wrong is made wrong, and is named with what to do."""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import trio

from engine import clock
from engine.catalogue import migrations, open_catalogue
from tagfs.cli import exits, main
from tagfs.config.settings import Config, MountOptions
from tagfs.daemon import mountpoint
from tagfs.daemon.state import DaemonInfo, lock, write_info
from tagfs.doctor import running, system
from tagfs.doctor.finding import Finding, Verdict
from tests.support.small_disk import small_disk
from tests.tagfs.cli.conftest import Ran


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setenv("TAGFS_STATE", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("TAGFS_CONFIG", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def made(state: Path) -> Path:
    """A state directory with a catalogue, and no daemon."""
    state.mkdir(mode=0o700)

    async def make() -> None:
        async with open_catalogue(str(state / "catalogue.sqlite")):
            pass

    trio.run(make)
    return state


@pytest.fixture
def doctor(state: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def run(*arguments: str) -> Ran:
        code = main.run(["doctor", *arguments])
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return run


def wrong(ran: Ran) -> list[str]:
    """What is not as it should be on any machine, without what this one lacks."""
    return [
        line for line in ran.lines if not line.startswith("ok") and " ports: " not in line and " mount: " not in line
    ]


def test_all_is_well_before_the_first_start_and_after_it(doctor: Callable[..., Ran], state: Path) -> None:
    ran = doctor()
    assert wrong(ran) == []
    assert f"{state} does not exist yet" in ran.out
    assert not state.exists()


def test_a_sound_state_directory(doctor: Callable[..., Ran], made: Path) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in made.rglob("*"))
    ran = doctor()
    assert (ran.code, wrong(ran)) == (exits.OK, [])
    assert "It is sound." in ran.out
    assert sorted((path, path.stat().st_mtime_ns) for path in made.rglob("*")) == before  # it changes nothing
    found = json.loads(doctor("--json").out)
    assert {tuple(finding) for finding in found} == {("about", "verdict", "sentence", "advice")}
    assert all(finding["verdict"] == "ok" for finding in json.loads(doctor("--json").out) if finding["about"] == "fuse")


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def strange(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")


def damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 * 2 : 4096 * 4] = b"\xff" * 8192
    path.write_bytes(data)


DATABASE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: (path.unlink(), (path.parent / "blobs").mkdir()), "is missing, and there are contents"),
    "missing beside its log": (lambda path: path.rename(f"{path}-wal"), "is missing, and its log is there"),
    "empty": (lambda path: os.truncate(path, 0), "is empty, which it never is"),
    "newer": (newer, "by a newer tagfs (schema 99)"),
    "strange": (strange, "no catalogue of tagfs"),
    "no database": (lambda path: path.write_bytes(b"x" * 10_000), "cannot be read"),
    "damaged": (damaged, "damaged"),
}


@pytest.mark.parametrize("name", DATABASE)
def test_what_is_wrong_with_the_database(doctor: Callable[..., Ran], made: Path, name: str) -> None:
    spoil, sentence = DATABASE[name]
    spoil(made / "catalogue.sqlite")
    ran = doctor("-q")
    assert ran.code == exits.FAILED
    (line,) = [line for line in ran.lines if " database: " in line]
    assert line.startswith("FAULT") and sentence in line
    assert line.endswith(".") and ("tagfs restore" in line or "Install that version" in line)


def test_a_log_that_was_left_is_no_fault(doctor: Callable[..., Ran], made: Path) -> None:
    (made / "catalogue.sqlite-wal").write_bytes(b"x" * 100)
    assert (doctor("-q").code, wrong(doctor("-q"))) == (exits.OK, [])


def test_who_may_look_into_the_state_directory(doctor: Callable[..., Ran], made: Path) -> None:
    made.chmod(0o755)
    ran = doctor("-q")
    said = f"WARNING  state: Others may look into {made} (mode 0755). chmod 0700 {made}; a start does."
    assert (ran.code, wrong(ran)) == (exits.OK, [said])


def test_a_config_file_that_cannot_be_used(doctor: Callable[..., Ran], made: Path, tmp_path: Path) -> None:
    file = tmp_path / ".config/tagfs/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[transfer]\nmax_actve = 3\n")
    ran = doctor("-q")
    assert ran.code == exits.FAILED
    assert "max_actve is not a setting" in ran.out
    file.write_text('[transfer]\nproxy = "http://me:secret@p:1"\n')
    file.chmod(0o644)
    ran = doctor("-q")
    assert ran.code == exits.FAILED and "chmod 600" in ran.out and "secret@" not in ran.out


def test_a_full_disk(doctor: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "96m") as disk:
        monkeypatch.setenv("TAGFS_STATE", str(disk.path / "state"))
        assert "Only 96.0 MiB are free. Below 64.0 MiB downloads wait" in doctor("-q").out
        disk.fill(leave=32 << 20)
        ran = doctor("-q")
        assert ran.code == exits.FAILED
        assert "32.0 MiB are free, and downloads wait below 64.0 MiB. Delete something" in ran.out


def test_contents_on_another_file_system(doctor: Callable[..., Ran], made: Path) -> None:
    with small_disk(made / "blobs", "1m"):
        assert f"{made}/blobs is on another file system" in doctor("-q").out


def test_a_daemon_that_does_not_answer(doctor: Callable[..., Ran], made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "PATIENCE", 0.05)
    held = lock(str(made))
    try:
        write_info(str(made), DaemonInfo(os.getpid(), str(made / "control.sock"), str(made), "0.0.1"))
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(made / "control.sock"))
            listening.listen()
            ran = doctor("-q")
    finally:
        os.close(held)
    assert ran.code == exits.FAILED
    assert f"It runs (pid {os.getpid()}) and does not answer." in ran.out


def about(findings: list[Finding], word: str) -> list[Finding]:
    return [finding for finding in findings if finding.about == word and finding.verdict is not Verdict.OK]


def test_what_fuse_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert about(list(system.fuse(Config())), "fuse") == []
    with monkeypatch.context() as patch:
        patch.setattr(mountpoint, "FUSE_DEVICE", str(tmp_path / "fuse"))
        (found,) = about(list(system.fuse(Config())), "fuse")
        assert "is missing" in found.sentence and "modprobe fuse" in found.advice
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "which", lambda _: None)
        (found,) = about(list(system.fuse(Config())), "fuse")
        assert found.advice == "Install the package fuse3."
    (tmp_path / "fuse.conf").write_text("# user_allow_other\n")
    (tmp_path / "fusermount3").write_text("#!/bin/sh\necho fusermount3 version: 3.99.1\n")
    (tmp_path / "fusermount3").chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(mountpoint, "FUSE_CONF", str(tmp_path / "fuse.conf"))
    monkeypatch.setattr(shutil, "which", lambda _: str(tmp_path / "fusermount3"))
    found_all = list(system.fuse(Config(mount=MountOptions(allow_other=True))))
    assert [finding.verdict for finding in about(found_all, "fuse")] == [Verdict.FAULT, Verdict.FAULT]
    assert "chmod u+s" in found_all[1].advice and "user_allow_other" in found_all[2].advice
    (tmp_path / "fuse.conf").write_text("user_allow_other\n")
    (tmp_path / "fusermount3").chmod(0o4755)
    found_all = list(system.fuse(Config(mount=MountOptions(allow_other=True))))
    assert about(found_all, "fuse") == [] and "3.99.1" in found_all[1].sentence


def test_limits_ports_and_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1024))
    (found,) = system.limits()
    assert found.verdict is Verdict.WARNING and "1024 files" in found.sentence
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, resource.RLIM_INFINITY))
    assert [finding.verdict for finding in system.limits()] == [Verdict.OK]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (found,) = system.ports(f"127.0.0.1:{port}, 127.0.0.1:0")
        assert found.verdict is Verdict.WARNING and f"127.0.0.1:{port}" in found.sentence
    elsewhere = f"127.0.0.99:{port}"  # where no test that runs beside this one has anything
    assert [finding.verdict for finding in system.ports(elsewhere)] == [Verdict.OK]
    assert list(system.clock()) == []
    monkeypatch.setattr(time, "time", lambda: 0.0)
    (found,) = system.clock()
    assert "1970-01-01" in found.sentence


def test_what_is_said_twice_is_the_same() -> None:
    assert running.SCHEMA == migrations.VERSION
    assert system.BUILT == clock.BUILT
    assert running.APPLICATION == migrations.APPLICATION_ID
