"""From the text of an expression to the terminals of expression.lark. Imports the term readers; pure.

A word is a run of characters other than white space and ``( ) , = < > " '`` and the pair ``!=``. Quotes work as in a
shell: they may stand anywhere in a word, everything between them is literal, and a backslash inside makes the next
character literal. Outside them a backslash is a character like others. In a word

    the first colon      splits key from value, quoted or not
    `..` in the value    makes a range, unless it is quoted
    and or not has       in lower or upper case are operators, unless something of them is quoted

The word after a comparison operator is its value and is not read further.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from lark.lexer import Lexer

from query.ast import Compare, Op, Range, Tag
from query.errors import BadName, QueryError, QueryTooLong, show
from query.lexeme import Lexeme
from query.names import clean
from query.terms import exact, ranged, split_range

MAX_BYTES: Final = 16 * 1024  # of UTF-8, as for paths
MAX_DEPTH: Final = 64  # of parentheses and nots; every walk over a tree may recurse

_LOWER: Final = {"and": "_AND", "or": "_OR", "not": "_NOT", "has": "OP", "@": "_ITEMS", "@@": "_LITERAL"}
KEYWORDS: Final = _LOWER | {word.upper(): terminal for word, terminal in _LOWER.items()}

_MARKS: Final = {"(": "_LPAR", ")": "_RPAR", ",": "_COMMA"}
_COMPARISONS: Final = {"=": Op.EQ, "!=": Op.NE, "<": Op.LT, "<=": Op.LE, ">": Op.GT, ">=": Op.GE}

# Each character is matched in one way only and nothing follows a word, so the scan is linear whatever the text.
# Possessive quantifiers would say so, but Python 3.11.2 (Debian 12) matches them wrongly around alternatives.
_BARE: Final = r"""(?:[^\s(),=<>"'!]|!(?!=))+"""
_QUOTED: Final = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*\'"""
_LEXEME: Final = re.compile(
    rf"(?P<space>\s+)|(?P<mark>[(),])|(?P<op>[<>]=?|!?=)|(?P<word>(?:{_BARE}|{_QUOTED})+)", re.DOTALL
)
_PART: Final = re.compile(rf"(?P<bare>{_BARE})|(?P<quoted>{_QUOTED})", re.DOTALL)
_BARE_WORD: Final = re.compile(_BARE)
_BACKSLASHED: Final = re.compile(r"\\(.)", re.DOTALL)


def check_limits(text: str) -> None:
    """Raise QueryTooLong for an expression that is refused unread."""
    length = len(text.encode(errors="surrogatepass"))
    if length > MAX_BYTES:
        raise QueryTooLong(f"the expression has {length} bytes, more than {MAX_BYTES}")


def is_bare(text: str) -> bool:
    """Whether `text` is one word and no keyword without quotes."""
    return _BARE_WORD.fullmatch(text) is not None and text not in KEYWORDS


class ExpressionLexer(Lexer):
    """Lark's door to `lex`; the input of a parse is a str."""

    __future_interface__ = 2

    def __init__(self, lexer_conf: object) -> None:
        pass

    def lex(self, lexer_state: Any, parser_state: Any) -> Iterator[Any]:
        return lex(lexer_state.text.text)


def lex(text: str) -> Iterator[Lexeme]:
    """The lexemes of `text`; raises QueryError for what no word can be, and for nesting deeper than MAX_DEPTH."""
    depth = _Depth()
    after_op = False
    at = 0
    while at < len(text):
        found = _LEXEME.match(text, at)
        if found is None:
            raise QueryError(f"column {at + 1}: {_unread(text[at:])}")
        if not found["space"]:
            try:
                lexeme = _lexeme(found, after_op)
            except BadName as bad:
                raise QueryError(f"column {at + 1}: {bad}") from None
            depth.see(lexeme)
            yield lexeme
            after_op = lexeme.type == "OP"
        at = found.end()


class _Depth:
    """Counts the parentheses and nots that are open at a lexeme."""

    def __init__(self) -> None:
        self.open: list[int] = []  # the depth outside each open parenthesis
        self.depth = 0

    def see(self, lexeme: Lexeme) -> None:
        match lexeme.type:
            case "_LPAR":
                self.open.append(self.depth)
                self.depth += 1
            case "_NOT":
                self.depth += 1
            case "_RPAR":
                self.depth = self.open.pop() if self.open else 0
            case "_AND" | "_OR":
                # The nots of the operand before end here; an enclosing parenthesis does not.
                self.depth = self.open[-1] + 1 if self.open else 0
            case _:
                pass
        if self.depth > MAX_DEPTH:
            raise QueryTooLong(f"column {lexeme.at + 1}: the expression is nested deeper than {MAX_DEPTH} levels")


def _lexeme(found: re.Match[str], after_op: bool) -> Lexeme:
    at, text = found.start(), found.group()
    if found["mark"]:
        return Lexeme(_MARKS[text], at, text)
    if found["op"]:
        return Lexeme("OP", at, text, _COMPARISONS[text])
    if text in KEYWORDS:
        return Lexeme(KEYWORDS[text], at, text, Op.HAS if KEYWORDS[text] == "OP" else None)
    plain, mask = _unquote(clean(text))
    if after_op:
        return Lexeme("VALUE", at, text, plain)
    leaf = _leaf(plain, mask)
    return Lexeme("TAG" if isinstance(leaf, Tag) else "TERM", at, text, leaf)


def _unquote(word: str) -> tuple[str, str]:
    """The characters of a word without its quotes, and the same with a NUL for each that was quoted."""
    plain: list[str] = []
    mask: list[str] = []
    for part in _PART.finditer(word):
        if part["bare"]:
            plain.append(part["bare"])
            mask.append(part["bare"])
        else:
            plain.append(_BACKSLASHED.sub(r"\1", part["quoted"][1:-1]))
            mask.append("\0" * len(plain[-1]))
    return "".join(plain), "".join(mask)


def _leaf(plain: str, mask: str) -> Tag | Compare | Range:
    colon = plain.find(":")
    if colon >= 0:
        bounds = split_range(mask[colon + 1 :])
        if bounds is not None:
            low, high = len(bounds[0]), len(bounds[1])
            return ranged(plain[:colon], plain[colon + 1 :][:low], plain[len(plain) - high :])
    return exact(plain)


def _unread(rest: str) -> str:
    """Why no lexeme begins here: every character but these begins one."""
    if rest[0] in "\"'":
        return f"the quote {rest[0]} is never closed"
    return f"{show(rest[0])} is no operator; did you mean != or a quoted tag?"
