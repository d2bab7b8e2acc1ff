"""An unfinished query (/tags, /tags/a/+, /tags/a/{, /tags/year:, /tags/year:/gt): it has no items and lists what may
follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from query.ast import Compare, Leaf, Op
from query.builtin import BUILTIN_KEYS
from query.errors import QueryError
from query.evaluate import leaves
from query.names import split_pair
from query.parse import Unfinished
from query.render import value_component
from tagfs.vfs import attr, numbers
from tagfs.vfs.attr import Attr
from tagfs.vfs.context import Context
from tagfs.vfs.tree import Closed, Directory, Entry, Fixed, Node, Place, Snapshot, Stated, malformed, no_entry

if TYPE_CHECKING:
    from tagfs.vfs.nodes.steps import Steps


def named_by(parsed: Unfinished) -> tuple[Leaf, ...]:
    """What an unfinished path names already, its key as a comparison."""
    before = () if parsed.before is None else tuple(leaves(parsed.before))
    key = () if parsed.key is None else (Compare(parsed.key, Op.NE, ""),)
    return (*before, *(parsed.group or ()), *key)


class UnfinishedDirectory(Directory):
    place: Place = Closed("a query that is not finished holds no items")

    def __init__(self, context: Context, path: tuple[str, ...], parsed: Unfinished, steps: Steps) -> None:
        self.location = ("tags", *path)
        self.number = numbers.of_query(f"unfinished {path!r}")
        self.path = path
        self._context = context
        self._value_of = parsed.key
        self.named = named_by(parsed)
        self._steps = steps

    def attr(self) -> Attr:
        return attr.of_directory(self.number, self._context.views.tags_changed_ns, writable=False)

    async def lookup(self, name: str) -> Node:
        try:
            child = self._steps.step(self.path, name)
        except QueryError as error:
            raise malformed(error) from error
        if child is None:
            raise no_entry(name)
        return child

    async def snapshot(self) -> Snapshot:
        if self._value_of in BUILTIN_KEYS:
            await self._context.index.prepare(Compare(self._value_of, Op.EQ, ""))
        found: list[Entry] = []
        for name in self._names():
            try:
                child = self._steps.step(self.path, name)
            except QueryError:  # a value that this operator cannot take is no suggestion
                continue
            if child is not None:
                found.append(Entry(name, child, child.attr()))
        return Fixed(found)

    async def rmdir(self, name: str) -> None:
        """`rmdir /tags/year:/2000` removes the tag year:2000."""
        place = child.place if (child := self._steps.step(self.path, name)) else None
        if self.path != (f"{self._value_of}:",) or not isinstance(place, Stated):
            await super().rmdir(name)  # refused
        else:
            (tag,) = place.tags
            await self._context.catalogue.remove_tag(tag)

    def _names(self) -> list[str]:
        """Values in use of the key, or plain tags and one `key:` a key."""
        index = self._context.index
        if self._value_of is not None:
            return [value_component(self._value_of, value.name) for value in index.values(self._value_of)]
        plain = [tag.name for tag in index.tag_list() if split_pair(tag.name) is None]
        return plain + [f"{key}:" for key in index.own_keys()]
