"""Which names a change makes wrong: plain decisions over values, for `settling.py` to hand to the kernel. Pure.

A name that was never looked up, or led nowhere, needs no forgetting (absence is not cached). So of one item only these
matter, in each directory that had it or has it now:

    it left, or was renamed away     its name and `stem~ID.ext`
    it came, or was renamed          its name, if that may have led to another item until now
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import replace
from typing import Final

from pyroaring import BitMap

from engine.types import Change, Facts, ItemId, Kind, State, TagChange
from query.ast import Expr, Leaf, Tag
from query.builtin import BUILTIN_KEYS
from query.evaluate import leaves, matches
from query.names import split_pair
from query.normalise import normalise_expr
from query.renaming import renamed_expr
from query.terms import text_of
from tagfs.vfs.names import tilde_ids, tilde_name

BARE: Final = Facts("", Kind.FILE, State.COMPLETE, None, None, 0, trashed=False)  # an item with nothing to it


def stale_names(
    item: ItemId,
    before: Facts | None,
    after: Facts | None,
    *,
    was: bool,
    is_: bool,
    shared: Callable[[str], bool],
) -> Iterator[str]:
    """Names of `item` that led somewhere else before the change, in a directory where it `was` and now `is_` a member.

    `shared`: whether more than one item has a name."""
    renamed = is_renamed(before, after)
    if was and before is not None and (not is_ or renamed):
        yield before.name
        yield tilde_name(before.name, item)
    came = is_ and (not was or renamed)
    if came and after is not None and (shared(after.name) or any(True for _ in tilde_ids(after.name))):
        yield after.name


def is_renamed(before: Facts | None, after: Facts | None) -> bool:
    """Whether a name of the item leads to another node: it has another name, or has become a folder."""
    return before is not None and after is not None and (before.name, before.kind) != (after.name, after.kind)


def folders_of(change: Change) -> set[ItemId]:
    """The folders that held the item before the change or hold it now, directly: none, one or two."""
    found = (facts.parent for facts in (change.before, change.after) if facts is not None)
    return {folder for folder in found if folder is not None}


def is_put_elsewhere(before: Facts | None, after: Facts | None) -> bool:
    """Whether the item went into a folder, out of one, or from one to another, for anybody to see outside the trash."""
    seen = is_live(before) or is_live(after)
    return seen and before is not None and after is not None and before.parent != after.parent


def is_on_top(facts: Facts | None) -> bool:
    """Whether it is live and in no folder."""
    return facts is not None and facts.live and facts.parent is None


def is_listed_in(facts: Facts | None, folder: ItemId) -> bool:
    """A folder shows what it holds in the trash as well."""
    return facts is not None and not facts.trashed and facts.parent == folder


def is_relisted(change: Change) -> bool:
    """Whether /files, /trash or /blobs have other entries since: not so when only tags, times and the like changed."""
    before, after = change.before, change.after
    if before is None or after is None:
        return True
    seen = (before.name, before.kind, before.trashed, before.buried, before.sha256, before.parent)
    return seen != (after.name, after.kind, after.trashed, after.buried, after.sha256, after.parent)


def is_live(facts: Facts | None) -> bool:
    return facts is not None and facts.live


def is_trashed(facts: Facts | None) -> bool:
    return facts is not None and facts.trashed


def tags_of_change(before: Facts | None, after: Facts | None) -> frozenset[str]:
    """Tags that came or went with the change, as queries see it: all of them where the item appeared or vanished."""
    old = before.tags if before is not None and before.live else frozenset[str]()
    new = after.tags if after is not None and after.live else frozenset[str]()
    return old | new if is_live(before) != is_live(after) else old ^ new


def retagged_items(tags: Iterable[TagChange]) -> BitMap:
    """All items whose tags were changed in bulk."""
    found = BitMap()
    for change in tags:
        found |= change.gained
        found |= change.lost
    return found


def keys_of_change(before: Facts | None, after: Facts | None, asked: Set[str]) -> Iterator[str]:
    """Those of the built-in keys in `asked` whose value the change altered."""
    if before is not None and after is not None:
        for key in BUILTIN_KEYS & asked:
            if before.values(key) != after.values(key):
                yield key


def named_in(leaves: Iterator[Leaf]) -> tuple[frozenset[str], frozenset[str]]:
    """The plain tags and the keys that a query names."""
    tags: set[str] = set()
    keys: set[str] = set()
    for leaf in leaves:
        if isinstance(leaf, Tag):
            tags.add(leaf.name)
        else:
            keys.add(leaf.key)
    return frozenset(tags), frozenset(keys)


def named_as(leaf: Leaf) -> str:
    """`movie` of a tag, `year:` of a comparison or a range."""
    return leaf.name if isinstance(leaf, Tag) else f"{leaf.key}:"


def key_of(tag: str) -> str | None:
    """`year` of `year:2000`, None of a plain tag."""
    pair = split_pair(tag)
    return None if pair is None else pair[0]


def follows(before: Expr, after: Expr, old: str, new: str) -> bool:
    """Whether a query that has become another one when tag `old` was renamed to `new` matches the items that it did: it
    looked at `old` by its name alone, and at `new` in no way."""
    tagged = [replace(BARE, tags=frozenset((tag,))) for tag in (old, new)]
    others = (leaf for leaf in leaves(before) if text_of(leaf) != old)
    alone = not any(matches(leaf, facts, now=0.0) for leaf in others for facts in tagged)
    return alone and normalise_expr(renamed_expr(before, old, new)) == after


def is_moved(expr: Expr, old: str, new: str) -> bool:
    """Whether items may have come into or gone out of a query that still stands when tag `old` was renamed to `new`.

    Not so for the query `new` alone: nothing carried that tag."""
    if expr == Tag(new):
        return False
    tagged = [replace(BARE, tags=frozenset((tag,))) for tag in (old, new)]
    return any(matches(leaf, facts, now=0.0) for leaf in leaves(expr) for facts in tagged)
