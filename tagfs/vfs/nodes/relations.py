"""/relations: what tags say about each other.

    /relations/              tags that say something of another one; any other tag is there when it is named
    /relations/A/            implies  same-as  excludes  requires
    /relations/A/implies/    the tags that A was said to imply, as empty directories: mkdir says so, rmdir takes it back

Any change of a tag may alter these directories, so the kernel asks each time.
"""

from __future__ import annotations

import errno
from unicodedata import normalize

from query.errors import BadName
from query.names import check_own_tag
from query.relations import Relation, RelationKind
from tagfs.vfs import attr, numbers
from tagfs.vfs.attr import Attr
from tagfs.vfs.context import Context
from tagfs.vfs.tree import Closed, Directory, Entry, Fixed, Node, Place, Snapshot, no_entry

KINDS = frozenset(RelationKind)


class RelationsPart(Directory):
    keeps = False
    kept = False
    place: Place = Closed("only relations between tags are made here, with mkdir")
    writable = False

    def __init__(self, context: Context, *location: str) -> None:
        names = tuple(map(str, location))  # a kind as text, wherever it comes from
        self.location = ("relations", *names)
        self.number = numbers.of_query(f"relations {names!r}") if names else numbers.RELATIONS
        self._context = context

    def attr(self) -> Attr:
        changed_ns = self._context.views.relations_changed_ns
        return attr.of_directory(self.number, changed_ns, writable=self.writable, changing=True)

    def _listing(self, names: list[str], child: type[RelationsPart]) -> Snapshot:
        made = [child(self._context, *self.location[1:], name) for name in names]
        return Fixed([Entry(directory.location[-1], directory, directory.attr()) for directory in made])


class RelationsDirectory(RelationsPart):
    def __init__(self, context: Context) -> None:
        super().__init__(context)

    async def lookup(self, name: str) -> Node:
        tag = normalize("NFC", name)
        if not self._context.index.has_tag(tag):
            raise no_entry(name)
        return RelationsOfTag(self._context, tag)

    async def snapshot(self) -> Snapshot:
        return self._listing(self._context.index.relations.tags(), RelationsOfTag)

    async def mkdir(self, name: str) -> Directory:
        raise OSError(errno.EPERM, f"tags are made below /tags: mkdir /tags/{name}")

    async def rmdir(self, name: str) -> None:
        raise OSError(errno.EPERM, f"remove the relations of {name!r} one by one, as in {name}/implies/OTHER")


class RelationsOfTag(RelationsPart):
    async def lookup(self, name: str) -> Node:
        if name not in KINDS or not self._context.index.has_tag(self.location[-1]):
            raise no_entry(name)
        return RelationsOfKind(self._context, self.location[-1], name)

    async def snapshot(self) -> Snapshot:
        return self._listing([kind.value for kind in RelationKind], RelationsOfKind)


class RelationsOfKind(RelationsPart):
    writable = True

    async def lookup(self, name: str) -> Node:
        tag, kind = self._of
        if self._context.index.relations.find(tag, kind, normalize("NFC", name)) is None:
            raise no_entry(name)
        return OtherTag(self._context, tag, kind, normalize("NFC", name))

    async def snapshot(self) -> Snapshot:
        return self._listing(self._context.index.relations.direct(*self._of), OtherTag)

    async def mkdir(self, name: str) -> Directory:
        relation = self._relation(name)
        await self._context.catalogue.relate(relation)
        return OtherTag(self._context, *relation)

    async def rmdir(self, name: str) -> None:
        await self._context.catalogue.unrelate(self._relation(name))

    def _relation(self, name: str) -> Relation:
        try:
            return Relation(*self._of, check_own_tag(name))
        except BadName as error:
            raise OSError(errno.EINVAL, str(error)) from error

    @property
    def _of(self) -> tuple[str, RelationKind]:
        _, tag, kind = self.location
        return tag, RelationKind(kind)


class OtherTag(RelationsPart):
    """Empty: that it is there says it all."""

    async def lookup(self, name: str) -> Node:
        raise no_entry(name)

    async def snapshot(self) -> Snapshot:
        return Fixed([])
