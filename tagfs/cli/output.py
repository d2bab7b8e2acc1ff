"""Writing answers: lines for people, JSON for programs, NUL-terminated names for xargs. Blocking."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable

from tagfs.control.codec import to_json
from tagfs.escape import tame


def say(line: str) -> None:
    """One line on standard output. Names in it should be escaped already; one that was forgotten does no harm."""
    print(tame(line))


def warn(sentence: str) -> None:
    """One line on standard error."""
    print(f"tagfs: {tame(sentence)}", file=sys.stderr)


def json_value(view: object) -> None:
    """One JSON value on one line, in ASCII: a name that is not UTF-8 has lone surrogates (`\\udc80`..`\\udcff`)."""
    print(_dump(view))


def json_list(views: Iterable[object]) -> None:
    """A JSON array with one element a line, written as the elements come."""
    separator = "[\n"
    for view in views:
        print(separator + _dump(view), end="")
        separator = ",\n"
    print("[]" if separator == "[\n" else "\n]")


def _dump(view: object) -> str:
    # json escapes all that is dangerous but DEL, which can only stand inside a text.
    return json.dumps(to_json(view), allow_nan=False).replace("\x7f", "\\u007f")


def nul_terminated(names: Iterable[str]) -> None:
    """The names byte for byte, for `xargs -0`."""
    sys.stdout.flush()
    for name in names:
        sys.stdout.buffer.write(os.fsencode(name) + b"\0")
