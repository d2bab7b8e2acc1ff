"""/queries: any query expression typed as a name is a directory of what matches. Nothing is stored by looking."""

from __future__ import annotations

from query.errors import QueryError
from query.parse import parse_expression
from tagfs.vfs import attr, numbers
from tagfs.vfs.attr import Attr
from tagfs.vfs.context import Context
from tagfs.vfs.nodes.query import QueryDirectory
from tagfs.vfs.tree import Closed, Directory, Fixed, Node, Place, Snapshot, malformed, no_entry


class QueriesDirectory(Directory):
    location = ("queries",)
    number = numbers.QUERIES
    place: Place = Closed("queries cannot be saved yet: name an expression to list what matches")

    def __init__(self, context: Context) -> None:
        self._context = context

    def attr(self) -> Attr:
        return attr.of_directory(self.number, self._context.started_ns, writable=False)

    async def lookup(self, name: str) -> Node:
        if name.startswith("."):  # no tag does: desktops look for .hidden and its like in every directory
            raise no_entry(name)
        try:
            query = parse_expression(name)
        except QueryError as error:
            raise malformed(error) from error
        if self._context.index.unknown(query.expr) is not None:
            raise no_entry(name)
        return QueryDirectory(self._context, (name,), query, None)

    async def snapshot(self) -> Snapshot:
        return Fixed([])
