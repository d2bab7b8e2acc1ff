"""Relations between tags and saved queries, as verbs answer with them; see `views`. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RelationView:
    tag: str
    relation: str  # implies, same-as, excludes, requires
    other: str


@dataclass(frozen=True, slots=True)
class SavedQueryView:
    name: str
    query: str  # as an expression
    added: str
