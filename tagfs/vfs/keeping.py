"""How often the old content of an item that is changed in place goes to the trash. Trio thread.

A database or a log that is written again and again would bury all else there, so of one item one content an hour is
kept: the first change of the hour keeps what was there before it (docs/decisions/0020). A restart begins a new hour.
State: `_kept_at`, when an old content of the item last went to the trash.
"""

from __future__ import annotations

from typing import Final

import trio

from engine.types import ItemId

KEEP_EVERY: Final = 3600.0  # seconds


class Keeping:
    def __init__(self) -> None:
        self._kept_at: dict[ItemId, float] = {}

    def is_due(self, item: ItemId) -> bool:
        """Whether to keep one now; if so, none for an hour."""
        now = trio.current_time()
        if now - self._kept_at.get(item, -KEEP_EVERY) < KEEP_EVERY:
            return False
        self._kept_at = {one: at for one, at in self._kept_at.items() if now - at < KEEP_EVERY}
        self._kept_at[item] = now
        return True
