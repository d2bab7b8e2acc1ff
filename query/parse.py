"""The two doors into the language: `parse_path` and `parse_expression`. Pure but for reading two grammar files once.

    components ─ path_lexer ──────▶ lexemes ─ path.lark ──────▶ path_builder ───────▶ Complete | Unfinished
    text ─────── expression_lexer ▶ lexemes ─ expression.lark ▶ expression_builder ─▶ Query

What comes back is the query as it was written; query.normalise makes equal queries equal values. Both are linear in the
length of their input and raise nothing but QueryError. Any thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final, cast

from lark import Lark
from lark.exceptions import UnexpectedToken

from query import expression_lexer, path_lexer
from query.ast import Query
from query.complaints import about_expression, about_path
from query.expression_builder import ExpressionBuilder
from query.expression_lexer import ExpressionLexer
from query.path_builder import Complete, Expects, PathBuilder, Unfinished
from query.path_lexer import PathLexer

__all__ = ["Complete", "Expects", "Unfinished", "parse_expression", "parse_path"]

# A lookup of a path asks for each of its beginnings, and programs stat the same few directories again and again. An
# entry holds a tuple of short texts and its tree: about 1 KiB, 60 KiB at worst.
_CACHED_PATHS: Final = 1024

# Names below /queries, looked up as often but far fewer.
_CACHED_EXPRESSIONS: Final = 128


def parse_path(components: Sequence[str]) -> Complete | Unfinished:
    """What the components below /tags mean: a query, or the beginning of one.

    No components at all are unfinished, too. Raises QueryError, whose `component` is the index of the one at fault, and
    QueryTooLong past 255 components, 16 KiB of text or 255 bytes in one component.
    """
    return _parse_path(tuple(components))


def parse_expression(text: str) -> Query:
    """The query that `text` spells; raises QueryError, whose message names the column, counted from 1.

    QueryTooLong past 16 KiB of text or 64 levels of parentheses and nots.
    """
    return _parse_expression(text)


@lru_cache(maxsize=_CACHED_EXPRESSIONS)
def _parse_expression(text: str) -> Query:
    expression_lexer.check_limits(text)
    try:
        return cast(Query, _expression_grammar().parse(text))
    except UnexpectedToken as unexpected:
        raise about_expression(unexpected.token, unexpected.accepts, text) from None


@lru_cache(maxsize=_CACHED_PATHS)
def _parse_path(components: tuple[str, ...]) -> Complete | Unfinished:
    path_lexer.check_limits(components)
    try:
        return cast(Complete | Unfinished, _path_grammar().parse(components))
    except UnexpectedToken as unexpected:
        raise about_path(unexpected.token, unexpected.accepts, components) from None


@cache
def _path_grammar() -> Lark:
    return Lark(_grammar("path.lark"), parser="lalr", strict=True, lexer=PathLexer, transformer=PathBuilder())


@cache
def _expression_grammar() -> Lark:
    return Lark(
        _grammar("expression.lark"), parser="lalr", strict=True, lexer=ExpressionLexer, transformer=ExpressionBuilder()
    )


def _grammar(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
