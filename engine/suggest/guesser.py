"""The process that guesses (`worker`), supervised: started when asked, ended when nobody asks. On the trio thread.

    asked ──▶ running ──(IDLE seconds without a question)──▶ ended
               │  ▲
     died or silent, which costs its question only
               ▼  │
            restarted, at most LIMIT times an hour ──▶ resting: nothing is suggested for what comes meanwhile

One question is under way at a time, so whatever kills the process is known by name. State: the process, and when it was
lost.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import trio

_log = logging.getLogger(__name__)

ANSWER: Final = 10.0  # seconds for one name, of which it takes 0.01
START: Final = 30.0  # seconds for the first one after a start
IDLE: Final = 60.0
LIMIT: Final = 5
REST: Final = 3600.0
LINE: Final = 1 << 16


class About(StrEnum):
    FILM = "film"
    SONG = "song"


@dataclass(frozen=True, slots=True)
class Question:
    """`name` may have the folder's before a slash; `path` is the content of a song, if it is to be read."""

    about: About
    name: str
    path: str | None = None


class _Lost(Exception):
    """The process died or is silent."""


class Guesser:
    def __init__(
        self,
        command: Sequence[str] = (sys.executable, "-P", "-m", "engine.suggest.worker"),
        *,
        folder: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`folder` is where the contents of songs are, which is all that the process may read."""
        self._clock = clock
        self._command = [*command, *([] if folder is None else [folder])]
        self._process: trio.Process | None = None
        self._buffer = b""
        self._is_fresh = True
        self._losses: deque[float] = deque(maxlen=LIMIT)

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def ask(self, question: Question) -> tuple[str, ...]:
        """The tags that it suggests; none where it fails, which is never a reason to wait for it again."""
        if self._is_resting():
            return ()
        try:
            return await self._answer(question)
        except _Lost as loss:
            await self._lose(question, str(loss))
            return ()

    def _is_resting(self) -> bool:
        return len(self._losses) == LIMIT and self._clock() - self._losses[0] < REST

    async def _answer(self, question: Question) -> tuple[str, ...]:
        process = self._process or await self._start()
        assert process.stdin is not None
        line = {"kind": question.about.value, "name": question.name, "path": question.path}
        with trio.move_on_after(START if self._is_fresh else ANSWER):
            try:
                await process.stdin.send_all(json.dumps(line).encode() + b"\n")
                answer = await self._line(process)
            except (trio.BrokenResourceError, trio.ClosedResourceError, ValueError) as error:
                raise _Lost(f"it ended ({type(error).__name__})") from error
            self._is_fresh = False
            if "error" in answer:
                _log.info("nothing is suggested by the name %r: %s", question.name, answer["error"])
            return tuple(tag for tag in answer.get("tags", ()) if isinstance(tag, str))
        raise _Lost("it did not answer in time")

    async def _start(self) -> trio.Process:
        try:
            self._process = await trio.lowlevel.open_process(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env={name: value for name, value in os.environ.items() if name.startswith("PYTHON")},
            )  # fmt: skip
        except OSError as error:
            raise _Lost(f"it cannot be started: {error}") from error
        self._buffer, self._is_fresh = b"", True
        return self._process

    async def _line(self, process: trio.Process) -> dict[str, Any]:
        """ValueError for what is no answer."""
        assert process.stdout is not None
        while b"\n" not in self._buffer:
            more = await process.stdout.receive_some(LINE)
            if not more or len(self._buffer) > LINE:
                raise ValueError("no answer")
            self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer = json.loads(line)
        if not isinstance(answer, dict):
            raise ValueError("no answer")  # noqa: TRY004  # what came over the pipe, not who called
        return answer

    async def _lose(self, question: Question, why: str) -> None:
        await self.close()
        self._losses.append(self._clock())
        _log.info("the process that guesses was lost over %r: %s", question.name, why)
        if self._is_resting():
            _log.warning("nothing is guessed from names for an hour: the process for it was lost %d times", LIMIT)

    async def close(self) -> None:
        """End it. Instant but for the kernel: it has nothing to save."""
        process, self._process = self._process, None
        if process is None:
            return
        with trio.CancelScope(shield=True):
            process.kill()
            await process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    await pipe.aclose()
