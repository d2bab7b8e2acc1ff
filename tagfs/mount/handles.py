"""Open files and directories by the number that the kernel holds. Single owner."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Handles(Generic[T]):
    def __init__(self) -> None:
        self._open: dict[int, T] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._open)

    def add(self, opened: T) -> int:
        self._next += 1
        self._open[self._next] = opened
        return self._next

    def __getitem__(self, handle: int) -> T:
        try:
            return self._open[handle]
        except KeyError:
            raise OSError(errno.EBADF, f"handle {handle} is not open") from None

    def __iter__(self) -> Iterator[T]:
        return iter(self._open.values())

    def pop(self, handle: int) -> T | None:
        return self._open.pop(handle, None)

    def drain(self) -> list[T]:
        """All that is still open, which is nobody's any more."""
        left = list(self._open.values())
        self._open.clear()
        return left
