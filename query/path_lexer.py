"""From path components to the terminals of path.lark. Imports the term readers of this package; pure.

A component is taken whole. Only four things are read inside one: a leading `-`, commas, the first colon and, in the
value after it, the first `..`. After `KEY:` as a component of its own the next one is an operator or a value and is
not read at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from lark.lexer import Lexer

from query.ast import Leaf, Op
from query.errors import BadName, QueryError, QueryTooLong, show
from query.escapes import unescape
from query.lexeme import Lexeme
from query.names import NAME_BYTES, check_key, clean
from query.terms import compared, exact, ranged, split_range

MAX_COMPONENTS: Final = 255
MAX_BYTES: Final = 16 * 1024  # of UTF-8, the slashes between the components included

OPERATORS: Final = {"+": "_PLUS", "-": "_MINUS", "{": "_OPEN", "}": "_CLOSE", "@": "_ITEMS", "@@": "_LITERAL"}

_OPS: Final = {op.value: op for op in Op}


def check_limits(components: Sequence[str]) -> None:
    """Raise QueryTooLong for a path that is refused unread."""
    if len(components) > MAX_COMPONENTS:
        raise QueryTooLong(f"the query has {len(components)} components, more than {MAX_COMPONENTS}")
    total = max(0, len(components) - 1)
    for at, component in enumerate(components):
        # Surrogates are counted here and refused with a better sentence when they are read.
        length = len(component) if component.isascii() else len(component.encode(errors="surrogatepass"))
        if length > NAME_BYTES:
            raise QueryTooLong(f"{place(at, component)} is longer than {NAME_BYTES} bytes", at)
        total += length
    if total > MAX_BYTES:
        raise QueryTooLong(f"the query has {total} bytes, more than {MAX_BYTES}")


def place(at: int, text: str) -> str:
    """How messages name a component: counted from 1, with its text."""
    return f"component {at + 1} ({show(text)})"


class PathLexer(Lexer):
    """Lark's door to `lex`; the input of a parse is the sequence of components."""

    __future_interface__ = 2

    def __init__(self, lexer_conf: object) -> None:
        pass

    def lex(self, lexer_state: Any, parser_state: Any) -> Iterator[Any]:
        return lex(lexer_state.text)


def lex(components: Sequence[str]) -> Iterator[Lexeme]:
    """The lexemes of `components`; raises QueryError for what no term can be."""
    key: str | None = None  # of a KEY whose value has not come yet
    op: Op | None = None  # that came after it
    for at, component in enumerate(components):
        try:
            text = clean(component)
            if key is None:
                for lexeme in _operand(at, text):
                    yield lexeme
                    if lexeme.type == "KEY":
                        key = lexeme.text
            elif op is None and text in _OPS:
                op = _OPS[text]
                yield Lexeme("OP", at, text, op)
            else:
                # Judged here and not when the parser comes to it, so that the first mistake is the one reported.
                yield Lexeme("VALUE", at, text, compared(key, op or Op.EQ, unescape(key, text)))
                key = op = None
        except BadName as bad:
            raise QueryError(f"{place(at, component)}: {bad}", at) from None


def _operand(at: int, text: str) -> Iterator[Lexeme]:
    while text[:1] == "-" and text != "-":
        yield Lexeme("_MINUS", at, "-")
        text = text[1:]
    if text in OPERATORS:
        yield Lexeme(OPERATORS[text], at, text)
    elif "," in text:
        parts = text.split(",")
        if "" in parts:
            raise BadName("a list has a tag on each side of its commas")
        yield Lexeme("LIST", at, text, tuple(map(_term, parts)))
    elif text.find(":") == len(text) - 1 > 0:
        yield Lexeme("KEY", at, check_key(text[:-1]))
    else:
        yield Lexeme("LEAF", at, text, _term(text))


@lru_cache(maxsize=4096)
def _term(text: str) -> Leaf:
    """The leaf of a component that is neither operator nor list, or of one element of a list."""
    key, colon, value = text.partition(":")
    if colon:
        bounds = split_range(value)
        if bounds is not None:
            low, high = bounds
            return ranged(key, unescape(key, low), unescape(key, high))
        return compared(key, Op.EQ, unescape(key, value))
    return exact(text)
