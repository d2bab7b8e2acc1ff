"""What a path means: the tree, or what may still follow. Imports query.ast; pure.

The methods of PathBuilder are called by lark at each reduction of path.lark, named after the rules' aliases, with the
values of the rule's symbols. Lists grow in place on the left recursion, so a parse is linear in its length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from lark import Transformer

from query.ast import And, End, Expr, Leaf, Not, Op, Or, Query
from query.lexeme import Lexeme


class Expects(Enum):
    """What an unfinished path needs next."""

    OPERAND = "a tag, a term or {"  # and - as well, unless the path ends in one
    TERM = "a tag or a term of the open group"  # and }, if the group has one already
    VALUE = "a value of the key"  # and an operator, if none is there yet


@dataclass(frozen=True, slots=True)
class Complete:
    """The components are a query."""

    query: Query


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The components begin a query but stop where something must follow.

    expects  what must follow
    before   the query as far as it is complete: `a/+/b/-` gives a OR b; None if nothing is
    branch   the complete steps of the last branch, which what follows will narrow: b there, None after `a/+`
    negated  the step that is being written has its `-`
    group    the terms of the group that is still open, () after `{`; None if none is open
    key, op  of the value that is missing; op is None while an operator may still come (`year:`)
    """

    expects: Expects
    before: Expr | None = None
    branch: Expr | None = None
    negated: bool = False
    group: tuple[Leaf, ...] | None = None
    key: str | None = None
    op: Op | None = None


class PathBuilder(Transformer[Lexeme, Complete | Unfinished]):
    """Callbacks for path.lark. Stateless: one instance serves all parses."""

    # start

    def complete(self, children: Sequence[Any]) -> Complete:
        return Complete(Query(_any(children[0])))

    def items(self, children: Sequence[Any]) -> Complete:
        return Complete(Query(_any(children[0]), End.ITEMS))

    def literal(self, children: Sequence[Any]) -> Complete:
        return Complete(Query(_any(children[0]), End.LITERAL))

    def unfinished(self, children: Sequence[Any]) -> Unfinished:
        rest: Unfinished = children[0]
        return replace(rest, before=rest.branch)

    def unfinished_branch(self, children: Sequence[Any]) -> Unfinished:
        branches: list[Expr] = children[0]
        rest: Unfinished = children[1]
        if rest.branch is not None:
            branches.append(rest.branch)
        return replace(rest, before=_any(branches))

    # lists of branches, steps, terms

    def first_branch(self, children: Sequence[Any]) -> list[Expr]:
        return [_all(children[0])]

    def next_branch(self, children: Sequence[Any]) -> list[Expr]:
        branches: list[Expr] = children[0]
        branches.append(_all(children[1]))
        return branches

    def first(self, children: Sequence[Any]) -> list[Any]:
        return [children[0]]

    def following(self, children: Sequence[Any]) -> list[Any]:
        grown: list[Any] = children[0]
        grown.append(children[1])
        return grown

    def list_first(self, children: Sequence[Any]) -> list[Any]:
        return list(children[0].payload)

    def list_following(self, children: Sequence[Any]) -> list[Any]:
        terms: list[Any] = children[0]
        terms.extend(children[1].payload)
        return terms

    # steps and operands

    def negated(self, children: Sequence[Any]) -> Expr:
        return Not(children[0])

    def group(self, children: Sequence[Any]) -> Expr:
        return Or(tuple(children[0]))

    def listed(self, children: Sequence[Any]) -> Expr:
        return Or(children[0].payload)

    def leaf(self, children: Sequence[Any]) -> Leaf:
        leaf: Leaf = children[0].payload
        return leaf

    def compared(self, children: Sequence[Any]) -> Leaf:
        leaf: Leaf = children[-1].payload  # of VALUE
        return leaf

    # what is missing

    def no_step(self, children: Sequence[Any]) -> Unfinished:
        return Unfinished(Expects.OPERAND)

    def gap_first(self, children: Sequence[Any]) -> Unfinished:
        gap: Unfinished = children[0]
        return gap

    def gap_following(self, children: Sequence[Any]) -> Unfinished:
        gap: Unfinished = children[1]
        return replace(gap, branch=_all(children[0]))

    def gap_operand(self, children: Sequence[Any]) -> Unfinished:
        return Unfinished(Expects.OPERAND, negated=True)

    def gap_hole(self, children: Sequence[Any]) -> Unfinished:
        hole: Unfinished = children[0]
        return hole

    def gap_negated(self, children: Sequence[Any]) -> Unfinished:
        hole: Unfinished = children[0]
        return replace(hole, negated=True)

    def hole_value(self, children: Sequence[Any]) -> Unfinished:
        value: Unfinished = children[0]
        return value

    def hole_open(self, children: Sequence[Any]) -> Unfinished:
        return Unfinished(Expects.TERM, group=())

    def hole_terms(self, children: Sequence[Any]) -> Unfinished:
        return Unfinished(Expects.TERM, group=tuple(children[0]))

    def hole_open_value(self, children: Sequence[Any]) -> Unfinished:
        value: Unfinished = children[0]
        return replace(value, group=())

    def hole_terms_value(self, children: Sequence[Any]) -> Unfinished:
        value: Unfinished = children[1]
        return replace(value, group=tuple(children[0]))

    def value_of(self, children: Sequence[Any]) -> Unfinished:
        key = children[0]
        return Unfinished(Expects.VALUE, key=key.text, op=children[1].payload if len(children) > 1 else None)


def _all(steps: list[Expr]) -> Expr:
    return steps[0] if len(steps) == 1 else And(tuple(steps))


def _any(branches: list[Expr]) -> Expr:
    return branches[0] if len(branches) == 1 else Or(tuple(branches))
