"""How a path below /tags grows by one component: operator, tag or term. The only user of the path grammar. Trio
thread."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from query.ast import Query
from query.builtin import BUILTIN_KEYS
from query.errors import QueryError, QueryTooLong
from query.parse import Complete, parse_path
from tagfs.vfs.context import Context
from tagfs.vfs.names import is_tidy
from tagfs.vfs.nodes.narrowing import NarrowingDirectory
from tagfs.vfs.nodes.query import NARROWING, QueryDirectory
from tagfs.vfs.nodes.unfinished import UnfinishedDirectory, named_by
from tagfs.vfs.tree import Directory

OPERATORS = frozenset({"+", "-", "{", "}", "@", "@@"})
_OPENS_VALUE = (":", "eq", "ne", "lt", "le", "gt", "ge", "has")  # the ends of what a value may follow


class Steps:
    def __init__(self, context: Context) -> None:
        self._context = context

    def step(self, path: tuple[str, ...], name: str) -> Directory | None:
        """The directory that `name` leads to from `path`; None when it names no known tag or key.

        Raises QueryError when it reads as part of a query, but as a wrong one."""
        if not self._may_be_step(path, name):
            return None
        parsed = parse_path((*path, name))
        if isinstance(parsed, Complete):
            if self._context.index.unknown(parsed.query.expr) is not None:
                return None
            return QueryDirectory(self._context, (*path, name), parsed.query, self)
        if any(self._context.index.unknown(leaf) is not None for leaf in named_by(parsed)):
            return None
        return UnfinishedDirectory(self._context, (*path, name), parsed, self)

    def is_step(self, path: tuple[str, ...], name: str) -> bool:
        """Whether an item of this name would be hidden in the directory of `path`."""
        try:
            return self.step(path, name) is not None
        except QueryError:
            return False

    def hiding(self, path: tuple[str, ...]) -> HidingSteps:
        """`is_step` for all names of a listing of the directory of `path`."""
        return HidingSteps(self, path, self._context.index.has_tag)

    def is_meant(self, name: str, problem: QueryError) -> bool:
        """Whether a name with which something is wrong as a query was meant as one. If not, it is a file name that is
        not here, like `a,.txt` or `--help`: what wants to make it must hear that it is absent, not that it is bad."""
        operand = name.lstrip("-")
        key, colon, _ = operand.partition(":")
        known = bool(colon) and (key in BUILTIN_KEYS or key in self._context.index.own_keys())
        return known or operand in OPERATORS or isinstance(problem, QueryTooLong)

    def narrowing(self, path: tuple[str, ...], query: Query) -> Directory:
        return NarrowingDirectory(self._context, path, query)

    def _may_be_step(self, path: tuple[str, ...], name: str) -> bool:
        """A quick no for most item names: a parse takes longer than a look at the name."""
        if name in OPERATORS or name.startswith("-") or ":" in name or "," in name:
            return True
        if path and path[-1].endswith(_OPENS_VALUE):
            return True  # maybe the value of year:/2000 or year:/gt/2000
        return self._context.index.has_tag(name if name.isascii() else unicodedata.normalize("NFC", name))


class HidingSteps:
    """Which names of items are hidden in a directory: those that are steps from there, and that of the narrowing tags.
    Most names of a listing are neither spelled as a part of a query nor called as a tag is."""

    def __init__(self, steps: Steps, path: tuple[str, ...], has_tag: Callable[[str], bool]) -> None:
        self._steps = steps
        self._path = path
        self._has_tag = has_tag
        self._valued = bool(path) and path[-1].endswith(_OPENS_VALUE)

    def __call__(self, name: str) -> bool:
        if name == NARROWING:
            return True
        if self._valued or name[0] in "+-{}@" or ":" in name or "," in name or not name.isascii():
            return self._steps.is_step(self._path, name)
        return self._has_tag(name) and self._steps.is_step(self._path, name)

    def among(self, names: str) -> set[str]:
        if self._valued or not is_tidy(names):
            return set(filter(self, names.split("/")))
        each = names.split("/")
        return set(filter(self, filter(self._has_tag, each))).union([NARROWING] if NARROWING in each else [])
