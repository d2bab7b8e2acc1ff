"""Directories that go along when what their path names is renamed or means another query: values for `turning.py`.

    a tag a is renamed to z     /tags/a, /tags/b/-a, /queries/a or c and all that is below them are found by z from the
                                commit on; whoever holds one of them open notices nothing
    a saved query is renamed    likewise /queries/a
    a is merged into z          likewise; where there is such a directory already, two show the same from then on

Only what cannot be spelled with the new name in as many components stays behind, and shows nothing. Trio thread.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from query.ast import Expr, Leaf
from query.renaming import renamed_expr

if TYPE_CHECKING:
    from tagfs.vfs.known import View


class Path(NamedTuple):
    """How the kernel came to a directory: by `name` in the directory with node id `parent`. `named` are the tags and
    terms of the whole path as it was typed, of which the normalised query may have lost some."""

    parent: int
    name: str
    named: tuple[Leaf, ...]


class Along(NamedTuple):
    """A directory that is found by another path, which ends with `name`. `replaces`: that led to another one before."""

    directory: int
    name: str
    named: tuple[Leaf, ...]
    replaces: bool


class Places(Protocol):
    """Where the directories are that the kernel knows. Implemented above, by the mount."""

    def tag_renamed(self, directories: Collection[int], old: str, new: str, *, replace: bool) -> list[Along]:
        """Find those of `directories` by `new` that can be found so, with all below them. Instant.

        `replace`: also where another directory has that path already, which is found no more; else that stays there."""

    def query_renamed(self, old: str, new: str) -> list[Along]:
        """The same of the directory of a saved query, which replaces another one."""


@dataclass(slots=True, eq=False)
class Move:
    """A directory whose query means something else since a commit. `was`: what it meant before, by the names that the
    tags in it have now; so it does for what carries one of those that were `renamed` since, by their names of now."""

    directory: int
    old: View
    new: View
    was: Expr
    renamed: set[str]

    def follow(self, old: str, new: str) -> None:
        """Tag `old` was renamed."""
        self.was = renamed_expr(self.was, old, new)
        self.renamed = self.renamed - {old} | {new}


@dataclass(slots=True, eq=False)
class Renaming:
    """Something was renamed, and the kernel may not know yet. `names` lead elsewhere since. `tag`: if it was one, what
    it is called now; in `directories` items that carry it may have come or gone."""

    tag: str | None
    names: list[tuple[int, str]]
    directories: set[int]
