"""A query with a tag by another name, as a tree and as the path that spells it. Imports the lexer and the renderer of
paths; pure, any thread."""

from __future__ import annotations

from collections.abc import Sequence

from query.ast import And, Compare, Expr, Leaf, Not, Or, Query, Range, Tag
from query.errors import QueryError
from query.lexeme import Lexeme
from query.path_lexer import check_limits, lex
from query.render import leaf_components
from query.terms import exact, text_of


def renamed(query: Query, old: str, new: str) -> Query:
    """`query` with `new` wherever it names the tag `old`; equal to `query` where it does not.

    A comparison or a range names values, not the tag, and stays."""
    return Query(renamed_expr(query.expr, old, new), query.end)


def renamed_expr(expr: Expr, old: str, new: str) -> Expr:
    match expr:
        case Not(operand):
            return Not(renamed_expr(operand, old, new))
        case And(operands) | Or(operands):
            return type(expr)(tuple(renamed_expr(operand, old, new) for operand in operands))
        case leaf:
            return exact(new) if text_of(leaf) == old else leaf


def renamed_path(components: Sequence[str], old: str, new: str) -> tuple[str, ...] | None:
    """The path that spells, component by component, the same query or beginning of one with `new` in place of `old`.

    None where there is none: it would be too long, or need another number of components."""
    path = list(components)
    try:
        lexemes = list(lex(components))
        for lexeme in lexemes:
            if any(text_of(leaf) == old for leaf in _leaves(lexeme)):
                path[lexeme.at] = _respelled(components[lexeme.at], lexeme, old, new)
        check_limits(path)
        if [_meaning(lexeme, old, new) for lexeme in lexemes] != [_meaning(lexeme, new, new) for lexeme in lex(path)]:
            return None
    except QueryError:
        return None
    return tuple(path)


def _leaves(lexeme: Lexeme) -> tuple[Leaf, ...]:
    match lexeme.payload:
        case tuple(leaves):
            return leaves
        case Tag() | Compare() | Range() as leaf:
            return (leaf,)
        case _:
            return ()


def _meaning(lexeme: Lexeme, old: str, new: str) -> tuple[object, ...]:
    leaves = tuple(renamed_expr(leaf, old, new) for leaf in _leaves(lexeme))
    return lexeme.type, lexeme.at, leaves or lexeme.text


def _respelled(component: str, lexeme: Lexeme, old: str, new: str) -> str:
    """A component that names `old`, with `new` instead; nobody has looked yet whether that means what it should."""
    if lexeme.type == "VALUE":  # its key stands before it
        return leaf_components(exact(new))[-1].removeprefix(new.partition(":")[0] + ":")
    leaves = _leaves(lexeme)
    texts = lexeme.text.split(",") if len(leaves) > 1 else [lexeme.text]
    words = [new if text_of(leaf) == old else text for leaf, text in zip(leaves, texts, strict=True)]
    dashes = len(component) - len(component.lstrip("-"))
    return "-" * dashes + ",".join(words)
