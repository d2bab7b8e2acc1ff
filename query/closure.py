"""What follows from relations between tags: who implies whom, and what else a tag asks for. Imports query.ast; pure.

    implies, same-as      from tag to tag, closed: whatever satisfies a tag satisfies all that it implies
    requires              closed as well: what is required may require in its turn
    excludes              not closed: it looks at who implies the other tag, not at what that excludes or requires

A pair takes part as the values compare: an item tagged `year:2000.0` satisfies `year:2000` and all that this implies.
All walks go over a set of what was seen, so cycles end them and the order of the relations says nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

from query.ast import Compare, Leaf, Op, Range, Tag
from query.builtin import BUILTIN_KEYS
from query.evaluate import satisfies
from query.names import split_pair
from query.terms import exact, text_of
from query.values import Kind, classify, position, span

# Leaves whose closure is remembered: those of the queries that are asked again and again.
CACHED: Final = 4096


class Names:
    """A set of tags, to be asked which of them satisfy a leaf. State: none that changes.

    Equality is a look-up in the values of a key, sorted by kind as query.values describes; what else compares looks at
    each of them.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._plain: set[str] = set()
        self._pairs: defaultdict[str, list[tuple[Kind, Any, str, str]]] = defaultdict(list)
        for name in names:
            pair = split_pair(name)
            if pair is None:
                self._plain.add(name)
            else:
                value = classify(pair[1])
                self._pairs[pair[0]].append((value.kind, value.key, pair[1], name))
        self._columns = {key: _columns(rows) for key, rows in self._pairs.items()}

    def satisfying(self, leaf: Leaf) -> Sequence[str]:
        match leaf:
            case Tag(name):
                return (name,) if name in self._plain else ()
            case Compare(key) | Range(key) if key in BUILTIN_KEYS or key not in self._columns:
                return ()
            case Compare(key, Op.EQ, value):
                return self._equal(key, value)
            case Compare(key) | Range(key):
                return [name for _, _, value, name in self._pairs[key] if satisfies(leaf, value, now=0.0)]

    def _equal(self, key: str, value: str) -> list[str]:
        bound, found = classify(value), list[str]()
        for kind, (keys, names) in self._columns[key].items():
            where = span(bound, kind)
            if where is not None:  # where it is None the texts differ, since equal texts are of one kind
                start, end = position(keys, where)
                found += names[start:end]
        return found


def _columns(rows: Iterable[tuple[Kind, Any, str, str]]) -> Mapping[Kind, tuple[list[Any], list[str]]]:
    columns: dict[Kind, list[tuple[Any, str]]] = {}
    for kind, key, _, name in rows:
        columns.setdefault(kind, []).append((key, name))
    return {kind: tuple(map(list, zip(*sorted(column), strict=True))) for kind, column in columns.items()}  # type: ignore[misc]  # two lists


@dataclass(frozen=True, slots=True)
class Conditions:
    """What an item has to satisfy, and must not, beside a tag: tags, to be taken with all that imply them."""

    required: frozenset[str]
    excluded: frozenset[str]


class Closure:
    """`implied`, `required` and `excluded` say of a tag which it names so. State: what was found out already."""

    def __init__(
        self,
        implied: Mapping[str, frozenset[str]],
        required: Mapping[str, frozenset[str]],
        excluded: Mapping[str, frozenset[str]],
    ) -> None:
        self._implied, self._required, self._excluded = implied, required, excluded
        self._implying: defaultdict[str, set[str]] = defaultdict(set)
        for name, others in implied.items():
            for other in others:
                self._implying[other].add(name)
        self._targets = Names(self._implying)
        self.implying: Callable[[Leaf], tuple[Leaf, ...]] = lru_cache(CACHED)(self._find_implying)
        self.conditions: Callable[[Leaf], Conditions | None] = lru_cache(CACHED)(self._find_conditions)

    def _find_implying(self, leaf: Leaf) -> tuple[Leaf, ...]:
        """`leaf` itself and the leaves of all tags that imply one which satisfies it: any of them is enough."""
        found, pending = {leaf: None}, [leaf]
        while pending:
            for target in self._targets.satisfying(pending.pop()):
                for name in self._implying[target]:
                    further = exact(name)
                    if further not in found:
                        found[further] = None
                        pending.append(further)
        return tuple(found)

    def _find_conditions(self, leaf: Leaf) -> Conditions | None:
        """None for a leaf that has none: a comparison that names no single value, a tag without."""
        text = text_of(leaf)
        if text is None or not (self._required or self._excluded):
            return None
        seen, pending = {text}, [text]
        excluded: set[str] = set()
        while pending:
            for name in self._alike(pending.pop()):
                excluded |= self._excluded.get(name, frozenset())
                further = self._required.get(name, frozenset()) - seen
                seen |= further
                pending += further
        required = seen - {text}
        return Conditions(frozenset(required), frozenset(excluded)) if required or excluded else None

    # -- tags that imply each other ----------------------------------------------------------------------------------

    def _alike(self, text: str) -> Iterable[str]:
        """The tags of the relations that imply this one and are implied by it, itself among them."""
        group = self._groups.get(text)
        if group is not None:
            return group
        own = exact(text)  # no relation names it, but one that equals it may be
        others = {name for leaf in self.implying(own) for name in self._nodes.satisfying(leaf)}
        mutual = {name for name in others if self._leads(text, name)}
        return {text, *mutual}

    def _leads(self, text: str, name: str) -> bool:
        """Whether a tag implies `name`."""
        only = Names((text,))
        return any(only.satisfying(leaf) for leaf in self.implying(exact(name)))

    @cached_property
    def _nodes(self) -> Names:
        return Names({*self._implied, *self._implying, *self._required, *self._excluded})

    @cached_property
    def _groups(self) -> dict[str, frozenset[str]]:
        """The strongly connected components among the tags of the relations, a tag being its own where it is alone."""
        nodes = {*self._implied, *self._implying, *self._required, *self._excluded}
        before = {name: {*self._implying.get(name, ()), *self._nodes.satisfying(exact(name))} for name in nodes}
        after: defaultdict[str, list[str]] = defaultdict(list)
        for name, others in before.items():
            for other in others:
                after[other].append(name)
        order: dict[str, None] = {}
        for name in nodes:
            order.update(dict.fromkeys(_finished(name, after, order)))
        groups: dict[str, frozenset[str]] = {}
        for name in reversed(order):
            if name not in groups:
                group = frozenset(_finished(name, before, groups))
                groups.update(dict.fromkeys(group, group))
        return groups


def _finished(start: str, edges: Mapping[str, Iterable[str]], known: Mapping[str, object]) -> list[str]:
    """What can be reached from `start` but through what is known, each after all that it leads to (Kosaraju)."""
    if start in known:
        return []
    done: list[str] = []
    seen = {start}
    stack = [(start, iter(edges.get(start, ())))]
    while stack:
        name, others = stack[-1]
        for other in others:
            if other not in seen and other not in known:
                seen.add(other)
                stack.append((other, iter(edges.get(other, ()))))
                break
        else:
            done.append(name)
            stack.pop()
    return done
