"""Where the daemon's log goes: standard error in the foreground, a file in the background. Set up once, before threads.

One event is one line, whatever names are in it; only a traceback adds lines of its own.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from logging.handlers import WatchedFileHandler

from tagfs.escape import tame

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
JOURNAL_FORMAT = "%(name)s: %(message)s"  # the journal has its own time and level

_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


def to_stderr(level: str) -> None:
    """With the priorities of sd-daemon(3) where standard error is the journal."""
    journal = _is_journal(2)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine(JOURNAL_FORMAT if journal else FORMAT, priorities=journal))
    _install(handler, level)


def to_file(path: str, level: str, *, max_size: int | None = None, keep: int = 1, follow: bool = False) -> None:
    """Append to `path`, see LogFile; standard output and error go there too, for the libraries that print. OSError
    when it cannot be opened."""
    handler = LogFile(path, max_size, keep, follow=follow)
    handler.setFormatter(OneLine(FORMAT))
    _install(handler, level)


class LogFile(WatchedFileHandler):
    """A file of mode 0600, opened again when it was moved away. Once it has `max_size` bytes it moves itself away, to
    `path`.1, and that to `path`.2, up to `path`.`keep`. `follow`: it may be a symlink. Called under the lock of
    logging, in any thread."""

    def __init__(self, path: str, max_size: int | None, keep: int, *, follow: bool = False) -> None:
        self._max_size = max_size
        self._flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
        self._keep = keep
        super().__init__(path, encoding="utf-8", errors="backslashreplace")

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self._max_size is not None and os.stat(self.baseFilename).st_size >= self._max_size:
                self._rotate()
        except FileNotFoundError:
            pass  # somebody moved it away, and it is opened again
        except OSError:
            self._max_size = None  # said once, on standard error, which is this file
            self.handleError(record)
        super().emit(record)

    def _rotate(self) -> None:
        for number in range(self._keep - 1, 0, -1):
            with suppress(FileNotFoundError):
                os.replace(f"{self.baseFilename}.{number}", f"{self.baseFilename}.{number + 1}")
        os.replace(self.baseFilename, f"{self.baseFilename}.1")

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, self._flags, 0o600)
        stream = os.fdopen(descriptor, "a", encoding=self.encoding, errors=self.errors)
        for standard in (1, 2):
            os.dup2(descriptor, standard)
        return stream


class OneLine(logging.Formatter):
    """Escapes what names from outside bring along, after formatting: no argument can be forgotten."""

    def __init__(self, form: str, *, priorities: bool = False) -> None:
        super().__init__(form)
        self._priorities = priorities

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # overrides
        line = tame(super().formatMessage(record))
        return f"<{_PRIORITIES.get(record.levelno, 6)}>{line}" if self._priorities else line

    def formatException(self, ei: object) -> str:  # noqa: N802  # overrides
        trace = super().formatException(ei)  # type: ignore[arg-type]  # the stubs' type is private
        return "\n".join(map(tame, trace.split("\n")))


def _install(handler: logging.Handler, level: str) -> None:
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("httpcore", "httpx", "hpack"):  # a line a request, with URLs that may hold secrets
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.captureWarnings(True)


def _is_journal(descriptor: int) -> bool:
    status = os.fstat(descriptor)
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
