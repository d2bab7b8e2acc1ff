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
    # dropped, given: the name, if there is one. tag: created, removed, renamed or merged, and names.
    what: Mapping[str, tuple[str, ...]]
    count: int  # of the items
    items: tuple[ConcernedView, ...]  # the first ten


@dataclass(frozen=True, slots=True)
class ChangePage:
    """The newest first. `next` is what `before` must be for the page that follows, None on the last."""

    changes: tuple[ChangeView, ...]
    next: int | None


@dataclass(frozen=True, slots=True)
class UndoneView:
    """`changes` are what was taken back. `missing`: items of several that needed nothing, since they have ended."""

    call: int
    changes: tuple[ChangeView, ...]
    missing: int
