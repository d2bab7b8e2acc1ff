"""What is suggested for items, and rules, as verbs answer with them; see `views`. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProposalView:
    tag: str
    origin: str  # what proposes it: name or content


@dataclass(frozen=True, slots=True)
class SuggestionView:
    id: int
    name: str
    suggestions: tuple[ProposalView, ...]  # sorted by tag


@dataclass(frozen=True, slots=True)
class SuggestionPage:
    """Items for which something is suggested, in ascending id order; `next` as in `ItemPage`."""

    items: tuple[SuggestionView, ...]
    next: int | None


@dataclass(frozen=True, slots=True)
class DecidedView:
    items: int
    tags: int  # suggestions that were decided


@dataclass(frozen=True, slots=True)
class RuleView:
    number: int  # as it stands in the config file, from 1
    match: str
    tags: tuple[str, ...]
    accept: tuple[str, ...]
    items: int  # that match now


@dataclass(frozen=True, slots=True)
class RulesView:
    rules: tuple[RuleView, ...]
    tags: int  # that were put on, or with `dry_run` would be
