"""Who reads only to look: thumbnailers and indexers, which are not to fetch what a listing shows. Trio thread.

Those that are careful open with O_NOATIME. The others are known by their names, as `ps -o comm` shows them: 15 bytes,
and of the process, since FUSE tells the thread. Two reads in /proc, some 30 µs, and only when something that arrives is
opened.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from tagfs.mount.callers import name_of

COMM: Final = 15  # bytes that the kernel keeps of a name, proc_pid_comm(5)


def names(text: str) -> frozenset[str]:
    """Of a comma-separated list, cut as the kernel cuts them."""
    words = (word.strip().encode("utf-8", "surrogateescape")[:COMM] for word in text.split(","))
    return frozenset(word.decode("utf-8", "surrogateescape") for word in words if word)


def is_onlooker(thread: int, known: Collection[str]) -> bool:
    """False also for a program that has ended, or that lives where we cannot see it (0)."""
    return name_of(thread) in known
