"""Rules of the user's: what matches gets tags, or some of what is suggested for it. Pure; imports query.

A rule is a query with a consequence. It is a text in the config file and is understood here, once, at the start.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from engine.errors import EngineError
from engine.suggested import KEYS
from query.ast import Compare, Query, Range
from query.builtin import BUILTIN_KEYS
from query.errors import BadName, QueryError
from query.evaluate import leaves
from query.names import check_own_tag, split_pair
from query.parse import parse_expression


class BadRule(EngineError):
    """A rule that cannot be; the sentence says which and why."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`number` counts from 1, as the rules stand in the file."""

    number: int
    match: str
    query: Query
    tags: tuple[str, ...]
    accept: frozenset[str]  # of KEYS


@dataclass(frozen=True, slots=True)
class RuleText:
    """As it stands in the file."""

    match: str
    tags: Sequence[str] = ()
    accept: Sequence[str] = ()


def understand(texts: Iterable[RuleText], file: str) -> tuple[Rule, ...]:
    """BadRule for the first one that cannot be."""
    return tuple(_understood(number, text, file) for number, text in enumerate(texts, 1))


def check_keys(rules: Sequence[Rule], in_use: Collection[str], file: str) -> None:
    """BadRule for the first one that asks for a key that is neither built in, nor suggested, nor set by a rule, nor in
    use: it is mistyped, and would never match."""
    known = {*BUILTIN_KEYS, *KEYS, *in_use}
    known |= {pair[0] for rule in rules for tag in rule.tags if (pair := split_pair(tag))}
    for rule in rules:
        for leaf in leaves(rule.query.expr):
            if isinstance(leaf, Compare | Range) and leaf.key not in known:
                near = difflib.get_close_matches(leaf.key, known, n=1)
                hint = f"; did you mean {near[0]}?" if near else "."
                raise BadRule(f"{file}: rule {rule.number}: no item has the key {leaf.key!r}{hint}")


def _understood(number: int, text: RuleText, file: str) -> Rule:
    where = f"{file}: rule {number}"
    try:
        query = parse_expression(text.match)
    except (QueryError, BadName) as error:
        raise BadRule(f"{where}: match cannot be understood: {error}") from error
    try:
        tags = tuple(dict.fromkeys(map(check_own_tag, text.tags)))
    except BadName as error:
        raise BadRule(f"{where}: {error}.") from error
    for word in text.accept:
        if word not in KEYS:
            raise BadRule(f"{where}: accept knows {', '.join(KEYS)}, and not {word!r}.")
    if not tags and not text.accept:
        raise BadRule(f"{where}: it has neither tags nor accept, and would do nothing.")
    return Rule(number, text.match, query, tags, frozenset(text.accept))
