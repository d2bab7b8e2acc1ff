"""The one abstract syntax of a query, shared by both spellings. Imports nothing of tagfs.

    Query ── expr ──▶ Tag | Compare | Range | Not | And | Or
          └─ end  ──▶ End

All nodes are frozen and hashable, so that a normalised query is a dictionary key.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TypeAlias


class Op(StrEnum):
    """Comparison operators, spelled as in `year:/gt/2000`."""

    EQ = "eq"
    NE = "ne"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"
    HAS = "has"


class End(Enum):
    """How a path query ends."""

    OPEN = ""  # may be continued
    ITEMS = "@"  # only items below
    LITERAL = "@@"  # only items below, relations between tags off


@dataclass(frozen=True, slots=True)
class Tag:
    """Items that carry the plain tag `name` (no `:` in it)."""

    name: str


@dataclass(frozen=True, slots=True)
class Compare:
    """Items with at least one value of `key` for which `value-of-item op value` holds. `key:value` is `EQ`."""

    key: str
    op: Op
    value: str


@dataclass(frozen=True, slots=True)
class Range:
    """Items with at least one value of `key` in the inclusive range; a missing bound is open, but not both."""

    key: str
    low: str | None
    high: str | None


@dataclass(frozen=True, slots=True)
class Not:
    operand: Expr


@dataclass(frozen=True, slots=True)
class And:
    """All of `operands` (at least two once normalised)."""

    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of `operands` (at least two once normalised)."""

    operands: tuple[Expr, ...]


Leaf: TypeAlias = Tag | Compare | Range
Expr: TypeAlias = Leaf | Not | And | Or


@dataclass(frozen=True, slots=True)
class Query:
    expr: Expr
    end: End = End.OPEN
