"""`python -m engine.suggest.worker [FOLDER]`: reads names, says what tags they suggest. JSON objects, one a line.

    {"kind": "film", "name": "Alien.1979.1080p.mkv"}                  ─▶ {"tags": ["title:Alien", ...]}
    {"kind": "song", "name": "x.mp3", "path": "/.../blobs/ab/..."}    ─▶ {"tags": [...]} or {"error": "one sentence"}

A process of its own, since both libraries are pure Python: a name costs guessit 8 ms, in which the event loop of the
daemon would answer nobody, and what tinytag reads was written by strangers. Here that has little memory, nothing of
the file system but FOLDER to read (`confine`), and a clock: a name that takes longer than PATIENCE ends the process. It
ends by itself when its standard input does, that is with the daemon.
"""

from __future__ import annotations

import json
import mimetypes
import os
import resource
import signal
import sys
from typing import Any, Final

from engine import suggested
from engine.suggest import song_names
from engine.suggest.confine import confine

MEMORY: Final = 512 << 20  # bytes of address space; 100 MiB are in use, 30 MiB of them in memory
PATIENCE: Final = 20  # seconds; who asks has less
LINE: Final = 1 << 16


def main() -> None:
    _limit()
    mimetypes.init()  # of files in /etc, for guessit
    confine(sys.argv[1:])
    for line in iter(lambda: sys.stdin.buffer.readline(LINE), b""):
        signal.alarm(PATIENCE)
        answer = _answer(json.loads(line))
        signal.alarm(0)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _limit() -> None:
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 16),
        (resource.RLIMIT_NPROC, 0),
    ):
        _, hard = resource.getrlimit(limit)
        resource.setrlimit(limit, (value if hard == resource.RLIM_INFINITY else min(value, hard),) * 2)
    os.nice(10)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the daemon's terminal, whose ctrl-c the daemon answers


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    name = question["name"].encode(errors="replace").decode()
    try:
        if question["kind"] == "film":
            return {"tags": film(name)}
        return {"tags": song(name, question.get("path"))}
    except Exception as error:  # a library that stumbles over one name: the next one is another matter
        return {"error": f"{type(error).__name__}: {error}"[:500]}


def film(name: str) -> tuple[str, ...]:
    from guessit import guessit  # 0.1 s, which songs do not pay

    return suggested.of_film(name, guessit(name, {"no_user_config": True}))


def song(name: str, path: str | None) -> tuple[str, ...]:
    """What the file says of itself, and where it says neither artist nor title, what its name says."""
    inside = _embedded(path) if path is not None else {}
    if not inside.get("artist") and not inside.get("title"):
        inside = {**song_names.read(name), **{key: value for key, value in inside.items() if value}}
    return suggested.of_song(inside)


def _embedded(path: str) -> dict[str, Any]:
    from tinytag import TinyTag, TinyTagException

    try:
        with open(path, "rb") as file:
            found = TinyTag.get(file_obj=file, duration=False)
    except (TinyTagException, OSError):  # no tags, or none of a kind that it knows
        return {}
    return {key: getattr(found, key) for key in ("artist", "album", "title", "year", "track")}


if __name__ == "__main__":
    main()
