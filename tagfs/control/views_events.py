"""What happens, as `events` tells it; see `views`. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventView:
    """One thing that happened. Which fields are set depends on `event`; the others are None."""

    # watching, added, state, finished, failed, progress, renamed, tags, trashed, restored, removed, lost, tag, tagged,
    # untagged
    event: str
    at: str
    id: int | None = None
    name: str | None = None  # of the item, or of the tag
    old: str | None = None  # the name or state before; of a tag, the name that is no more
    state: str | None = None
    tags: tuple[str, ...] | None = None  # own tags, sorted
    url: str | None = None
    error: str | None = None
    done: int | None = None
    total: int | None = None
    speed: float | None = None
    eta: float | None = None
    count: int | None = None  # of events that were lost, of items that a tag came to or went from
