"""The history and the trash, as verbs answer with them; see `views`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConcernedView:
    id: int
    name: str | None  # as it is now; of one that has ended the last one, if the history has it


@dataclass(frozen=True, slots=True)
class ChangeView:
    """What happened to some items alike, or to a tag, in one call; the changes of a call follow each other."""

    id: int
    call: int  # what `undo` takes
    at: str
    cause: str  # mount, command, download, rule, upkeep, undo
    undoes: int | None  # the call that this one took back
    undone: int | None  # the call that took this one back
    # add, remove: tags. name, folder, content: what was and what is, empty for none. trash: in or out. made, ended,
    # dropped, given, removed: the name, if there is one. tag: created, removed or renamed, and names.
    what: Mapping[str, tuple[str, ...]]
    count: int  # of the items
    items: tuple[ConcernedView, ...]  # the first ten


@dataclass(frozen=True, slots=True)
class ChangePage:
    """The newest first. `next` is what `before` must be for the page that follows, None on the last."""

    changes: tuple[ChangeView, ...]
    next: int | None


@dataclass(frozen=True, slots=True)
class TrashView:
    """What is in the trash by itself, with all that it holds."""

    id: int
    name: str
    kind: str
    size: int  # bytes of its content, each counted once
    frees: int  # bytes that come back when this alone ends: none where something else uses the same content
    trashed: str
    folder: str  # where it was: the folders that hold it, from the top, `album/cd 1`; empty at the top
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrashPage:
    """In ascending id order; `next` as in `ItemPage`. `total`, `size` and `frees` are about all of the trash."""

    items: tuple[TrashView, ...]
    next: int | None
    total: int
    size: int
    frees: int


@dataclass(frozen=True, slots=True)
class EmptiedView:
    items: int  # ended for good
    size: int  # bytes of their content, counted once
    freed: int  # bytes of these that nothing uses any more


@dataclass(frozen=True, slots=True)
class UndoneView:
    """`changes` are what was taken back. `missing`: items of several that needed nothing, since they have ended."""

    call: int
    changes: tuple[ChangeView, ...]
    missing: int
