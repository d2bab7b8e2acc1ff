"""Hashes of the pieces of a file: what of it was found right, and who brought what was not. Trio thread; hashing in
disk threads.

A piece is hashed once all of it is here. Readers see it after that, and not before: what they got must not be taken
back. One that is wrong is dropped from the range map, whoever brought all of it is not asked any more if there are
others, and nothing else is fetched again. State: `StagedFile.checked`, what was found right by this process; what an
earlier one left is hashed again.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from engine.sources.stream import Fault
from engine.transfer.mirrors import Mirror
from engine.transfer.outcome import Again
from engine.transfer.pieces import due
from engine.transfer.shared import Shared
from engine.transfer.staged import StagedFile
from engine.types import Pieces

TRIES: Final = 3  # of one piece, where nobody else could be asked

_log = logging.getLogger(__name__)


class PieceCheck:
    """Of one staged file while it is fetched: `run` in a task. StagingLost where the disk cannot be read."""

    def __init__(self, pieces: Pieces, file: StagedFile, shared: Shared, checked: Callable[[], None]) -> None:
        """`checked` is called when a piece was found right."""
        self._pieces = pieces
        self._file = file
        self._shared = shared
        self._checked = checked
        self._wrong: Counter[int] = Counter()

    async def run(self) -> None:
        while True:
            bell = self._shared.arrived.next
            for index in self._due():
                await self._check(index)
                break
            else:
                await bell.wait()

    def _due(self) -> Iterator[int]:
        file = self._file
        if file.size is None or file.checked is None:
            return iter(())
        return due(self._pieces, file.size, file.ranges, file.checked)

    async def _check(self, index: int) -> None:
        file, pieces = self._file, self._pieces
        assert file.size is not None
        assert file.checked is not None
        start, end = index * pieces.length, min((index + 1) * pieces.length, file.size)
        if await file.digest(start, end, pieces.algorithm) == pieces.hashes[index]:
            file.checked.add(start, end)
            self._shared.arrival.wake(start, end)
            self._checked()
        else:
            self._wrong[index] += 1
            file.drop(start, end)
            self._blame(index, start, end)
        self._shared.arrival.bell.ring()

    def _blame(self, index: int, start: int, end: int) -> None:
        """Whoever brought all of it is left, if there are others. Of several nobody knows which it was; then the next
        try tells, or the one after it."""
        shared = self._shared
        culprits = [mirror for mirror in shared.mirrors if any(mirror.brought.overlap(start, end))]
        for mirror in culprits:
            mirror.brought.remove(start, end)
            mirror.wrong += 1
        others = [mirror for mirror in shared.mirrors if mirror.left is None and mirror not in culprits]
        names = ", ".join(mirror.host for mirror in culprits) or "an earlier run"
        _log.info("item %d: piece %d is wrong, of %s: fetched again", shared.record.item, index, names)
        if others:
            _leave(shared, [one for one in culprits if len(culprits) == 1 or one.wrong > 1], index)
        elif culprits and self._wrong[index] >= TRIES:
            shared.end(Again(f"Piece {index} of the file is wrong each time it is fetched.", Fault.STUBBORN))


def _leave(shared: Shared, mirrors: Sequence[Mirror], index: int) -> None:
    for mirror in mirrors:
        mirror.left = f"{mirror.host} sent a wrong piece {index}."
    for connection in shared.connections.values():
        if connection.mirror in mirrors:
            connection.scope.cancel()
