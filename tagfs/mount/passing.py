"""Directories by which nobody walks until names in them are forgotten. Trio thread.

    mv /tags/year:1999 /tags/z, and that was the last year: /tags/year:1990.. leads nowhere since
        the kernel has locked /tags until we answer, and so cannot forget that name before
        answer ──▶ it goes on, and a thread of ours that has waited for the lock has it forget the name
               └─▶ somebody walks to /tags/year:1990..: first the kernel asks whether he may walk through /tags, since
                   it may keep nothing of that meanwhile, and is answered when the name is forgotten

Who changes names in there himself asks the same once more when he has locked it. He would wait for what waits for him,
so he waits BRIEFLY, as does everybody of whom it is not known that his call locks nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

import trio

from tagfs.mount.callers import is_walking

WALKING: Final = 10.0  # seconds
BRIEFLY: Final = 0.005
LOOK: Final = 0.0005  # right after it has sent its request a thread is still shown as running


class Passing:
    """State: `unsure`, the directories of whose attributes the kernel may keep nothing, by how many operations and
    messages; and what who walks there has to wait for."""

    def __init__(self) -> None:
        self.unsure = Counter[int]()
        self._pending: defaultdict[int, list[trio.Event]] = defaultdict(list)

    @contextmanager
    def guarding(self, directories: Collection[int]) -> Iterator[None]:
        """While an operation runs that makes names in them wrong."""
        self.unsure.update(directories)
        try:
            yield
        finally:
            for directory in directories:
                self._grow_sure(directory)

    def shut(self, directory: int, done: trio.Event) -> None:
        """The operation has ended; who comes by waits until `done`, which `open` must follow."""
        self.unsure[directory] += 1
        self._pending[directory].append(done)

    def open(self, directory: int, done: trio.Event) -> None:
        self._grow_sure(directory)
        self._pending[directory].remove(done)
        if not self._pending[directory]:
            del self._pending[directory]

    def _grow_sure(self, directory: int) -> None:
        self.unsure[directory] -= 1
        if not self.unsure[directory]:
            del self.unsure[directory]

    async def walk(self, directory: int, thread: int) -> None:
        """Before the kernel is told the attributes of a directory, for which that thread waits."""
        begun = trio.current_time()
        for done in tuple(self._pending.get(directory, ())):
            while not done.is_set():
                patience = WALKING if is_walking(thread) else BRIEFLY
                if trio.current_time() > begun + patience:
                    return
                with trio.move_on_after(LOOK):
                    await done.wait()
