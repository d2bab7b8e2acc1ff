"""What a query takes from where: which leaf goes to which part of the index. Pure decisions; any thread."""

from __future__ import annotations

from typing import Final

from engine.index.builtin import ORDERED, ordered_stretches
from query.ages import resolve
from query.ast import Compare, Expr, Leaf, Op, Range, Tag
from query.builtin import BUILTIN_KEYS
from query.evaluate import leaves

SEARCHED: Final = frozenset({"name", "sha256"})


def own(leaf: Leaf) -> bool:
    """Whether `leaf` is about tags that people put on items."""
    return isinstance(leaf, Tag) or leaf.key not in BUILTIN_KEYS


def searched(leaf: Compare | Range) -> bool:
    """Whether only a look at each item answers this comparison of a built-in key, which holds no age."""
    return leaf.key in SEARCHED or (leaf.key in ORDERED and ordered_stretches(leaf) is None)


def settled_leaves(expr: Expr) -> list[Leaf]:
    """The leaves of `expr` as the index answers them: without ages, in parts (see `parts`)."""
    return [part for leaf in leaves(resolve(expr, now=0.0)) for part in parts(leaf)]


def parts(leaf: Leaf) -> tuple[Leaf, ...]:
    """Leaves that hold of an item together when `leaf` does.

    That is `leaf` itself but for `added:7d..soon`: one bound is in the order of dates, the other is compared as text,
    so each goes its own way. An item has one size and was added once, so both bounds are about the same value.
    """
    match leaf:
        case Range(key, str(low), str(high)) if key in ORDERED and ordered_stretches(leaf) is None:
            return Compare(key, Op.GE, low), Compare(key, Op.LE, high)
        case _:
            return (leaf,)
