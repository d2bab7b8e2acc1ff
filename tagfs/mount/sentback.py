"""Opens of what has lost its name a moment ago. Trio thread.

The kernel looks a name up and asks us to open what it led to; in between somebody else may move that to the trash, end
it, or give its content to another item. On a local file system the open still succeeds, or makes a new file. Here it is
answered ESTALE: the kernel looks the name up anew, once, and finds what is there by then, or makes it. Who comes back
with the same node was not that unlucky (the path leads through /trash) and hears what is wrong.

State: `_last`, by thread what it was sent back from.
"""

from __future__ import annotations

from typing import Final

MOST: Final = 1024


class SentBack:
    def __init__(self) -> None:
        self._last: dict[int, int] = {}

    def take(self, thread: int) -> int | None:
        """The node that this thread was sent back from, by its open before; None: it was not."""
        return self._last.pop(thread, None)

    def add(self, thread: int, node: int) -> None:
        while len(self._last) >= MOST:
            del self._last[next(iter(self._last))]
        self._last[thread] = node
