"""Who removed what out of which folder: `rm -r` removes what is in it one by one and then the folder. Trio thread.

What one program removed just so comes back with the folder. What others removed earlier does not: old versions, locks
and temporary files would be in the way of those that took their names.

State: `_removed`, by folder and program (its thread, as the kernel tells), of the folders that something was removed
from last.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from pyroaring import BitMap

from engine.types import ItemId

MOST: Final = 10_000  # folders; some hundred bytes each


class Removals:
    def __init__(self) -> None:
        self._removed: OrderedDict[ItemId, dict[int, BitMap]] = OrderedDict()

    def note(self, folder: ItemId, item: ItemId, program: int) -> None:
        """`program` has just moved `item`, which was in `folder`, to the trash."""
        by_program = self._removed.setdefault(folder, {})
        self._removed.move_to_end(folder)
        for other, items in list(by_program.items()):
            if other != program:
                items.discard(item)
                if not items:
                    del by_program[other]
        by_program.setdefault(program, BitMap()).add(item)
        if len(self._removed) > MOST:
            self._removed.popitem(last=False)

    def take(self, folder: ItemId, program: int) -> list[ItemId]:
        """What `program` removed out of a folder that it removes now."""
        return [ItemId(item) for item in self._removed.pop(folder, {}).get(program, ())]
