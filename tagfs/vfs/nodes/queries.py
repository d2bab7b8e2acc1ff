"""/queries: saved queries by their names, and any query expression typed as a name. Nothing is stored by looking.

    mkdir '/queries/movie and not watched'          saves the expression under its own text
    ln -s ../tags/movie/-watched /queries/to-watch  saves the query of that path under a name

A name that is both is the saved one. What is kept is an expression, in which tags are renamed along; a tag that is no
more is carried by nobody there. A saved query that states tags takes items as a path of these tags does.
"""

from __future__ import annotations

import errno

from query.ast import Expr, Query
from query.errors import QueryError
from query.names import NAME_BYTES
from query.parse import parse_expression
from query.renaming import renamed
from query.render import render_expression
from tagfs.vfs import attr, numbers
from tagfs.vfs.attr import Attr
from tagfs.vfs.context import Context
from tagfs.vfs.nodes.query import QueryDirectory, number_of, place_of
from tagfs.vfs.nodes.unfinished import UnfinishedDirectory
from tagfs.vfs.tree import Closed, Directory, Entry, Fixed, Node, Place, Snapshot, malformed, no_entry
from tagfs.vfs.walk import inside_mount, walk

EXPRESSION = Closed("a query by expression takes no items: save it, or use a path below /tags")


class NamedDirectory(QueryDirectory):
    """/queries/NAME: what is saved as that, else the expression that it is."""

    def __init__(self, context: Context, name: str, query: Query, saved: int | None) -> None:
        self._name = name
        self._saved = saved
        super().__init__(context, (name,), query, None)
        if saved is not None:
            self.named = ()

    def meaning(self) -> Expr:
        """The name may have been saved, renamed or forgotten, or a tag in the saved text renamed."""
        try:
            found = find(self._context, self._name)
        except QueryError:
            found = None
        if found is not None:
            self.query, self._saved = found
        self.number = number_of(self.query) if self._saved is None else numbers.of_query(f"saved {self._saved}")
        self.place = EXPRESSION if self._saved is None else place_of(self.query)
        return super().meaning()


class QueriesDirectory(Directory):
    location = ("queries",)
    number = numbers.QUERIES
    place: Place = Closed("only queries are in here: save one with mkdir or ln -s")

    def __init__(self, context: Context) -> None:
        self._context = context

    def attr(self) -> Attr:
        return attr.of_directory(self.number, self._context.views.queries_changed_ns, writable=True)

    async def lookup(self, name: str) -> Node:
        if name.startswith("."):  # no tag does: desktops look for .hidden and its like in every directory
            raise no_entry(name)
        try:
            found = self.directory(name)
        except QueryError as error:
            raise malformed(error) from error
        if found is None:
            raise no_entry(name)
        return found

    def directory(self, name: str) -> NamedDirectory | None:
        """None for an expression that names an unknown tag; QueryError for what is none, and is not saved either."""
        found = find(self._context, name)
        if found is None:
            return None
        query, saved = found
        if saved is None and self._context.index.unknown(query.expr) is not None:
            return None
        return NamedDirectory(self._context, name, query, saved)

    def renamed(self, directory: NamedDirectory, old: str, new: str) -> NamedDirectory | None:
        """What an expression is with another name for one of its tags; None where no name in here says that."""
        if not directory.named:
            return None
        name = render_expression(renamed(directory.query, old, new))
        if name == directory.location[-1] or "/" in name or len(name.encode()) > NAME_BYTES or self.is_saved(name):
            return None
        return self.directory(name)

    async def snapshot(self) -> Snapshot:
        entries: list[Entry] = []
        for saved in await self._context.catalogue.saved_queries():
            try:
                child = NamedDirectory(self._context, saved.name, parse_expression(saved.text), saved.id)
            except QueryError:  # a lookup says what is wrong with it
                continue
            entries.append(Entry(saved.name, child, child.attr()))
        return Fixed(entries)

    def is_saved(self, name: str) -> bool:
        return self._context.catalogue.saved_query(name) is not None

    def is_expression(self, name: str) -> bool:
        try:
            parse_expression(name)
        except QueryError:
            return False
        return True

    async def mkdir(self, name: str) -> Directory:
        """Under its own text. A tag in it that is unknown is a mistake more often than a plan."""
        try:
            query = parse_expression(name)
        except QueryError as error:
            raise malformed(error) from error
        unknown = self._context.index.unknown(query.expr)
        if unknown is not None:
            raise OSError(errno.ENOENT, f"there is no tag or key {unknown!r}")
        return await self._save(name, query)

    async def link(self, name: str, target: str) -> None:
        """`ln -s`: the query of a path in this mount."""
        inside = None if "://" in target else inside_mount(self._context.mountpoint, self, target)
        node = None if inside is None else await walk(self._context, inside)
        if isinstance(node, UnfinishedDirectory):
            raise OSError(errno.EINVAL, f"the query {target!r} is not finished: something must follow")
        if not isinstance(node, QueryDirectory):
            raise OSError(
                errno.EPERM, f"only queries are saved here, and {target!r} is none: link to a path below tags"
            )
        await self._save(name, node.query)

    async def _save(self, name: str, query: Query) -> Directory:
        try:
            text = render_expression(query)
        except QueryError as error:
            raise malformed(error) from error
        await self._context.catalogue.save_query(name, text)
        made = self.directory(name)
        if made is None:
            raise no_entry(name)
        return made

    async def rmdir(self, name: str) -> None:
        if not self.is_saved(name):
            raise OSError(errno.EPERM, f"{name!r} is not saved: there is nothing to remove")
        await self._context.catalogue.forget_query(name)

    async def rename(self, old: str, new: str) -> None:
        if not self.is_saved(old):
            raise OSError(errno.EPERM, f"{old!r} is not saved: save it under another name with ln -s")
        await self._context.catalogue.rename_query(old, new)


def find(context: Context, name: str) -> tuple[Query, int | None] | None:
    """The query of that name, and which saved one it is; QueryError for a name that is no expression either."""
    saved = context.catalogue.saved_query(name)
    if saved is not None:
        return parse_expression(saved.text), saved.id
    return parse_expression(name), None
