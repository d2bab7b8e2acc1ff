"""Items and tags, as verbs answer with them; see `views`. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ItemView:
    id: int
    name: str
    kind: str  # file, folder, symlink
    state: str  # queued, downloading, paused, complete, seeding, failed, writing, missing, skipped
    size: int | None
    done: int  # bytes that are here; equals size when whole
    tags: tuple[str, ...]  # own tags, sorted
    sha256: str | None
    added: str
    mtime: str
    url: str | None
    error: str | None
    trashed: str | None = None
    folder: int | None = None  # the folder item that it is directly in
    inherited: tuple[str, ...] = ()  # tags that it has by the folders that hold it, sorted
    target: str | None = None  # of a symlink: where it leads


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Items in ascending id order. `next` is what `after` must be for the page that follows, None on the last."""

    items: tuple[ItemView, ...]
    next: int | None


@dataclass(frozen=True, slots=True)
class TagView:
    name: str  # `movie`, `year:2000`
    items: int


@dataclass(frozen=True, slots=True)
class TagPage:
    """Tags sorted by name; `next` as in `ItemPage`."""

    tags: tuple[TagView, ...]
    next: str | None
