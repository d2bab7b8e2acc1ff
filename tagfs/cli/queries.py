"""QUERY arguments: which of the two spellings a text is in. Pure.

A slash, and neither blank nor parenthesis, makes a path as below /tags (`movie/-/watched`); everything else is an
expression. A path into the mount's own /tags means the query that it spells.
"""

from __future__ import annotations

import os
import re

from tagfs.control.spelling import Spelling
from tagfs.daemon.state import DaemonInfo

_NO_PATH = re.compile(r"[\s()]")


def spelled(text: str, info: DaemonInfo | None, *, expression: bool) -> tuple[str, Spelling]:
    """(query, spelling). `expression` is what the user insists on."""
    if expression:
        return text, Spelling.EXPRESSION
    if text.startswith("@"):
        return text, Spelling.EXPRESSION  # a saved query
    if info is not None and (inside := _below(text, os.path.join(info.mountpoint, "tags"))) is not None:
        return inside, Spelling.PATH
    if "/" in text and not _NO_PATH.search(text):
        return text.strip("/"), Spelling.PATH
    return text, Spelling.EXPRESSION


def _below(text: str, folder: str) -> str | None:
    if not text.startswith(("/", "./", "../", "~")):
        return None
    path = os.path.abspath(os.path.expanduser(text))
    return path[len(folder) :].strip("/") if path.startswith(folder + "/") else None
