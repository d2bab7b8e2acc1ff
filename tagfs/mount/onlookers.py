"""Who reads only to look: thumbnailers and indexers, which are not to fetch what a listing shows. Trio thread.

Those that are careful open with O_NOATIME. The others are known by their names, as `ps -o comm` shows them: 15 bytes,
and of the process, since FUSE tells the thread. Two reads in /proc, some 30 µs, and only when something that arrives is
opened.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

COMM: Final = 15  # bytes that the kernel keeps of a name, proc_pid_comm(5)

_GROUP: Final = re.compile(rb"^Tgid:\s+(\d+)$", re.MULTILINE)


def names(text: str) -> frozenset[str]:
    """Of a comma-separated list, cut as the kernel cuts them."""
    words = (word.strip().encode("utf-8", "surrogateescape")[:COMM] for word in text.split(","))
    return frozenset(word.decode("utf-8", "surrogateescape") for word in words if word)


def is_onlooker(thread: int, known: Collection[str]) -> bool:
    """False also for a program that has ended, or that lives where we cannot see it (0)."""
    try:
        with open(f"/proc/{thread}/status", "rb") as stream:
            group = _GROUP.search(stream.read())
        if group is None:
            return False
        with open(f"/proc/{int(group[1])}/comm", "rb") as stream:
            return stream.read().rstrip(b"\n").decode("utf-8", "surrogateescape") in known
    except OSError:
        return False
