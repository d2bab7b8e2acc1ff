"""From the tree back to text, in both spellings. Imports query.ast and the words of the lexers; pure, any thread.

    parse_path(render_path(q)).query == q                          for every q that parse_path returns
    parse_expression(render_expression(q)) == q                    for every q that parse_expression returns
    normalise(parse_expression(render_expression(q))) == normalise(q)    for every q
    render_path(q) parses to a query that matches the same items         for every q, or QueryError

Only expressions nest without limit. A path is a union of branches of steps, so the last line means: nots move inward
and, where a step would have to be more than a group of terms, and distributes over or.
"""

from __future__ import annotations

from itertools import chain, product
from math import prod
from typing import Final

from query import expression_lexer, path_lexer
from query.ast import And, Compare, Expr, Leaf, Not, Op, Or, Query, Range, Tag
from query.errors import QueryError, QueryTooLong, show
from query.escapes import escape
from query.names import NAME_BYTES
from query.terms import DOTS

_SYMBOLS: Final = {Op.NE: "!=", Op.LT: "<", Op.LE: "<=", Op.GT: ">", Op.GE: ">=", Op.HAS: "has"}

# A branch needs a component of its own and a + before the next.
_MAX_BRANCHES: Final = (path_lexer.MAX_COMPONENTS + 1) // 2

_Branch = tuple[Expr, ...]  # steps: leaf, Or of leaves, or Not of either


def render_path(query: Query) -> tuple[str, ...]:
    """The components below /tags that spell `query`, the `@` or `@@` of its end included.

    Raises QueryTooLong if they would pass the limits of a path, and QueryError for the few values that no component
    spells, such as `.` as an operand of a user's key.
    """
    components = list(chain.from_iterable(_separated(_branches(query.expr))))
    if query.end.value:
        components.append(query.end.value)
    path_lexer.check_limits(components)
    return tuple(components)


def render_expression(query: Query) -> str:
    """The expression that spells `query`, with no more parentheses than it needs; QueryTooLong past the limits."""
    text = _expression(query.expr, _OR, 0)
    if query.end.value:
        text = f"{text} {query.end.value}"
    expression_lexer.check_limits(text)
    return text


def value_component(key: str, value: str) -> str:
    """How a path spells `value` where it stands alone: in a listing of `key:/` and after `key:/eq`."""
    return escape(key, value)


# Paths


def _separated(branches: list[_Branch]) -> list[tuple[str, ...]]:
    spelled: list[tuple[str, ...]] = []
    for branch in branches:
        if spelled:
            spelled.append(("+",))
        spelled.extend(map(_step, branch))
    return spelled


def _branches(expr: Expr) -> list[_Branch]:
    """The branches whose union is `expr`; a top-level Or of several operands is a union already."""
    if isinstance(expr, Or) and len(expr.operands) > 1:
        return _union([_product(operand, negated=False) for operand in expr.operands])
    return _product(expr, negated=False)


def _product(expr: Expr, *, negated: bool) -> list[_Branch]:
    """The branches of `expr`, or of its negation, with groups of leaves left whole."""
    match expr:
        case Not(operand):
            return _product(operand, negated=not negated)
        case Or(operands) if not all(isinstance(operand, Leaf) for operand in operands):
            parts = [_product(operand, negated=negated) for operand in operands]
            return _distributed(parts) if negated else _union(parts)
        case And(operands):
            parts = [_product(operand, negated=negated) for operand in operands]
            return _union(parts) if negated else _distributed(parts)
        case _:
            return [(Not(expr) if negated else expr,)]


def _union(parts: list[list[_Branch]]) -> list[_Branch]:
    _limit(sum(map(len, parts)))
    return list(chain.from_iterable(parts))


def _distributed(parts: list[list[_Branch]]) -> list[_Branch]:
    """a and (b or c) as the branches a/b and a/c."""
    _limit(prod(map(len, parts)))
    return [tuple(chain.from_iterable(choice)) for choice in product(*parts)]


def _limit(branches: int) -> None:
    if branches > _MAX_BRANCHES:
        raise QueryTooLong(f"as a path the query needs more than {_MAX_BRANCHES} branches")


def _step(step: Expr) -> tuple[str, ...]:
    match step:
        case Not(operand):
            spelled = _step(operand)
            if len(spelled) == 1 and len(spelled[0].encode()) < NAME_BYTES:
                return ("-" + spelled[0],)
            return ("-", *spelled)
        case Or(operands):
            return ("{", *chain.from_iterable(map(_step, operands)), "}")
        case Tag() | Compare() | Range():
            return leaf_components(step)
        case And():
            raise AssertionError("a step is no And: _product takes them apart")


def leaf_components(leaf: Leaf) -> tuple[str, ...]:
    """How a path spells a single term; QueryError for the few that it cannot."""
    match leaf:
        case Tag(name):
            components: tuple[str, ...] = (name,)
        case Compare(key, op, value):
            spelled = escape(key, value)
            pair = f"{key}:{spelled}"
            if op is Op.EQ and DOTS not in spelled and "," not in spelled and len(pair.encode()) <= NAME_BYTES:
                components = (pair,)
            else:
                components = (f"{key}:", op.value, spelled)
        case Range(key, low, high):
            components = (f"{key}:{escape(key, low or '')}{DOTS}{escape(key, high or '')}",)
            if "," in components[0]:
                raise QueryError(f"no path can spell a bound with a comma, as in {show(components[0])}")
    for component in components:
        if "/" in component or component in (".", ".."):
            raise QueryError(f"no path can spell the value {show(component)}")
    return components


# Expressions. A construct is put in parentheses where its neighbours bind tighter than it does.

_OR, _AND, _NOT = range(3)


def _expression(expr: Expr, binding: int, depth: int) -> str:
    """`expr` as an operand of something that binds as tight as `binding`, below `depth` parentheses and nots."""
    if depth > expression_lexer.MAX_DEPTH:
        raise QueryTooLong(f"as an expression the query nests deeper than {expression_lexer.MAX_DEPTH} levels")
    match expr:
        case And((single,)) | Or((single,)):
            return _expression(single, binding, depth)
        case Or(operands):
            return _joined(" or ", operands, _OR, binding, depth)
        case And(operands):
            return _joined(" and ", operands, _AND, binding, depth)
        case Not(operand):
            return "not " + _expression(operand, _NOT, depth + 1)
        case _:
            return _leaf(expr)


def _joined(word: str, operands: tuple[Expr, ...], own: int, binding: int, depth: int) -> str:
    enclosed = binding > own
    text = word.join(_expression(operand, own + 1, depth + enclosed) for operand in operands)
    return f"({text})" if enclosed else text


def _leaf(leaf: Leaf) -> str:
    match leaf:
        case Tag(name):
            return _word(name)
        case Compare(key, Op.EQ, value):
            return f"{_word(key)}:{_quoted(value) if DOTS in value else _word(value)}"
        case Compare(key, op, value):
            return f"{_word(key)} {_SYMBOLS[op]} {_word(value)}"
        case Range(key, low, high):
            return f"{_word(key)}:{_word(low) if low else ''}{DOTS}{_word(high) if high else ''}"


def _word(text: str) -> str:
    return text if expression_lexer.is_bare(text) else _quoted(text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'
