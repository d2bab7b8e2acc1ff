"""Exit codes, as documented in docs/cli.md. Pure."""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, which takes 4 ms to import
if TYPE_CHECKING:
    from tagfs.control.errors import Code

OK = 0
FAILED = 1
USAGE = 2
NO_DAEMON = 3
NOT_FOUND = 4
FAULTS = 5
MENDED = 6
INTERRUPTED = 130  # 128 + SIGINT
BROKEN_PIPE = 141  # 128 + SIGPIPE

_BY_NAME = {"NOT_FOUND": NOT_FOUND, "AMBIGUOUS": NOT_FOUND, "BAD_REQUEST": USAGE, "INVALID_PARAMS": USAGE}


def of(code: Code) -> int:
    """The exit code for what a verb answered."""
    return _BY_NAME.get(code.name, FAILED)
