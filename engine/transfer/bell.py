"""A signal that many may wait for and that rings again and again. On the trio thread."""

from __future__ import annotations

import trio


class Bell:
    """Take `next` before looking at the state that it announces, and wait for it afterwards: no ring is missed."""

    __slots__ = ("next",)

    def __init__(self) -> None:
        self.next = trio.Event()

    def ring(self) -> None:
        self.next.set()
        self.next = trio.Event()
