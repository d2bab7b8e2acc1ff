"""The process that guesses: the real one, and such as die, hang and talk nonsense."""

from __future__ import annotations

import logging
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from engine.suggest import guesser as module
from engine.suggest.guesser import LIMIT, REST, About, Guesser, Question

ALIEN = Question(About.FILM, "Alien.1979.1080p.BluRay.x264-GRP.mkv")
TAGS = ("title:Alien", "year:1979", "1080p", "codec:h.264")


@asynccontextmanager
async def guessing(
    script: str | None = None, clock: Callable[[], float] = time.monotonic, *, folder: Path | None = None
) -> AsyncIterator[Guesser]:
    worker = Guesser(folder=None if folder is None else str(folder))
    guesser = worker if script is None else Guesser((sys.executable, "-c", script), clock=clock)
    try:
        yield guesser
    finally:
        await guesser.close()


async def test_a_name_is_answered_and_the_process_stays() -> None:
    async with guessing() as guesser:
        assert guesser.pid is None
        assert await guesser.ask(ALIEN) == TAGS
        pid = guesser.pid
        assert await guesser.ask(Question(About.SONG, "Can - Halleluwah.mp3")) == ("artist:Can", "title:Halleluwah")
        assert guesser.pid == pid
        await guesser.close()
        assert guesser.pid is None
        with pytest.raises(ProcessLookupError):
            os.kill(pid or 0, 0)
        assert await guesser.ask(ALIEN) == TAGS  # and comes back when asked


async def test_names_of_any_bytes_are_answered() -> None:
    async with guessing() as guesser:
        for name in ("\udcff.1979.1080p.x264.mkv", "a\nb 1979.mkv", '"}{', "x" * 255):
            await guesser.ask(Question(About.FILM, name))
        assert await guesser.ask(ALIEN) == TAGS


async def test_a_song_is_asked_itself_before_its_name(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    words = ("artist=Can", "title=Oh Yeah", "track=3/7", "date=1971")
    tagged = [argument for word in words for argument in ("-metadata", word)]
    command = ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "sine=d=0.1", *tagged, "-f", "flac", str(path)]
    await trio.run_process(command)
    async with guessing(folder=tmp_path) as guesser:
        found = await guesser.ask(Question(About.SONG, "Somebody - Else.flac", str(path)))
        assert found == ("artist:Can", "title:Oh Yeah", "year:1971", "track:3")
        path.write_bytes(os.urandom(5000))
        assert await guesser.ask(Question(About.SONG, "A - B.flac", str(path))) == ("artist:A", "title:B")
        path.unlink()
        assert await guesser.ask(Question(About.SONG, "A - B.flac", str(path))) == ("artist:A", "title:B")


async def test_it_is_confined_and_knows_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    async with guessing() as guesser:
        assert await guesser.ask(ALIEN) == TAGS
        process = Path(f"/proc/{guesser.pid}")
        assert "hunter2" not in (process / "environ").read_text()
        assert sorted(os.listdir(process / "fd")) == ["0", "1", "2"]
        status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
        assert status["NoNewPrivs"] == "1"
        if platform.machine() in ("x86_64", "aarch64"):
            assert status["Seccomp"] == "2"


async def test_a_killed_process_costs_one_question_at_most(caplog: pytest.LogCaptureFixture) -> None:
    async with guessing() as guesser:
        assert await guesser.ask(ALIEN) == TAGS
        assert guesser.pid is not None
        os.kill(guesser.pid, signal.SIGKILL)
        assert await guesser.ask(ALIEN) == ()
        assert await guesser.ask(ALIEN) == TAGS
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("script", ["", "print('nonsense', flush=True); input()", "print('[1]', flush=True); input()"])
async def test_one_that_always_fails_is_left_alone_for_an_hour(script: str, caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    async with guessing(script, lambda: now[0]) as guesser:
        for _ in range(LIMIT):
            assert await guesser.ask(ALIEN) == ()
        assert "for an hour" in caplog.text
        assert await guesser.ask(ALIEN) == ()
        assert guesser.pid is None  # not even started
        now[0] += REST + 1
        guesser._command = list(Guesser()._command)
        assert await guesser.ask(ALIEN) == TAGS


async def test_one_that_hangs_is_ended_at_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START", 0.2)
    async with guessing("import signal; signal.pause()") as guesser:
        with trio.fail_after(60):
            assert await guesser.ask(ALIEN) == ()
        assert guesser.pid is None


async def test_one_that_cannot_be_started_costs_nothing() -> None:
    guesser = Guesser(("/nowhere/python",))
    assert await guesser.ask(ALIEN) == ()


async def test_who_is_cancelled_leaves_a_process_that_can_be_closed() -> None:
    async with guessing("import signal; signal.pause()") as guesser:
        with trio.move_on_after(0.2):
            await guesser.ask(ALIEN)
        await guesser.close()
        assert guesser.pid is None


def test_it_ends_with_the_daemon_and_may_not_write(tmp_path: Path) -> None:
    """Its standard input ends when the daemon does, however that ends."""
    command = [sys.executable, "-m", "engine.suggest.worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b'{"kind": "song", "name": "A - B.mp3"}\n')
        process.stdin.flush()
        assert process.stdout.readline() == b'{"tags": ["artist:A", "title:B"]}\n'
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        assert next(line for line in limits.splitlines() if "Max file size" in line).split()[3] == "0"
        process.stdin.close()
        assert process.wait(60) == 0
