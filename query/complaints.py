"""Sentences for what the grammars refuse. Imports query.errors and the lexers' names; pure.

lark says which terminal came and which ones it would have accepted. Those two identify the mistake: the terminals that
may follow differ between the start of a branch, a negated step, an open group and an ended query.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

from query.errors import QueryError
from query.lexeme import Lexeme
from query.path_lexer import place

END = "$END"  # lark's terminal after the last token


def about_path(lexeme: Lexeme, expected: Set[str], components: Sequence[str]) -> QueryError:
    """Why `lexeme` cannot stand where it does in a path. A path never ends too early: then it is unfinished."""
    at = lexeme.at
    return QueryError(f"{place(at, components[at])}: {_path_reason(lexeme, expected)}", at)


def _path_reason(lexeme: Lexeme, expected: Set[str]) -> str:
    if expected == {END}:
        return "nothing but items may follow @ or @@"
    if "_OPEN" not in expected:  # groups do not nest, so only here
        if lexeme.type == "_CLOSE":
            return "a group needs at least one tag"
        return "a group holds tags and terms only; close it with } first"
    if "_MINUS" not in expected:
        return "after - comes a tag, a term or a group"
    match lexeme.type:
        case "_CLOSE":
            return "there is no open group to close"
        case "_PLUS":
            return "+ stands between two branches, and there is none before it"
        case _:
            return "@ and @@ end a query, and there is no complete one before"


def about_expression(lexeme: Lexeme, expected: Set[str], text: str) -> QueryError:
    """Why `lexeme` cannot stand where it does in an expression."""
    if lexeme.type == END:
        return QueryError(f"column {len(text) + 1}: {_end_reason(text, expected)}")
    return QueryError(f"column {lexeme.at + 1}: {_expression_reason(lexeme, expected)}")


def _end_reason(text: str, expected: Set[str]) -> str:
    if not text.strip():
        return "the expression is empty"
    if "_RPAR" in expected:
        return "a parenthesis is never closed"
    return f"the expression ends where {_wanted(expected)} should follow"


def _expression_reason(lexeme: Lexeme, expected: Set[str]) -> str:
    shown = repr(lexeme.text)
    if expected == {END}:
        return f"{shown} follows @ or @@, which end an expression"
    if not expected.isdisjoint(("TAG", "VALUE")):
        return f"{shown} stands where {_wanted(expected)} should"
    match lexeme.type:
        case "_RPAR":
            return "this parenthesis was never opened"
        case "_ITEMS" | "_LITERAL":
            return f"{shown} may only stand at the end, outside parentheses"
        case "OP":
            return f"{shown} needs a plain key before it, as in year >= 2000"
        case "_COMMA":
            return "a comma joins tags and terms only; use or"
        case "VALUE":
            return f"{shown} follows a complete comparison; join the two with and or or"
        case _:
            return f"{shown} follows another operand; join the two with and or or"


def _wanted(expected: Set[str]) -> str:
    if "VALUE" in expected:
        return "a value"
    if "_LPAR" in expected:
        return "a tag, a term, not or a parenthesis"
    return "a tag or a term"
