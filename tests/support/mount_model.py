"""The contract of the mount as a plain model: a list of things, and what each call does to them.

It knows no engine, no kernel and no cache; of tagfs it takes only the query language, whose meaning has its own oracle.

Each method does what the system call of its name does, or raises OSError with the errno that the call must have.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

from query.ast import End, Expr, Query
from query.errors import QueryError
from query.evaluate import leaves, matches
from query.names import split_pair
from query.parse import Complete, parse_path
from query.relations import Relation, RelationKind, Relations
from query.stated import stated

OPERATORS = ("+", "-", "{", "}", "@", "@@")


def fail(number: int, why: str) -> NoReturn:
    raise OSError(number, why)


@dataclass(eq=False)
class Thing:
    """An item. `id` is found out from the mount once it is there."""

    name: str
    id: int = 0
    tags: set[str] = field(default_factory=set)
    content: bytes = field(default=b"", repr=False)
    xattrs: dict[str, bytes] = field(default_factory=dict)
    trashed: bool = False
    mode: int = 0o644
    kept: bool = False  # what it was before it was changed in place is in the trash already
    target: str | None = None  # of a symlink, which leads out of the mount
    is_folder: bool = False  # an empty one: what is done in folders is compared with a plain file system elsewhere

    def values(self, key: str) -> tuple[str, ...]:
        """Of a built-in key, for `query.evaluate`."""
        if key == "name":
            return (self.name,)
        if key == "ext":
            stem, dot, ext = self.name.rpartition(".")
            return (ext.lower(),) if dot and stem.strip(".") and self.target is None and not self.is_folder else ()
        raise AssertionError(key)

    @property
    def nlink(self) -> int:
        return 1 + len(self.tags)


class Model:
    def __init__(self) -> None:
        self.tags: set[str] = set()
        self.things: list[Thing] = []  # oldest first
        self.relations = Relations()
        self.saved: dict[str, list[str]] = {}  # name below /queries: the steps of its path below /tags

    # -- looking ---------------------------------------------------------------------------------------------------

    def query(self, path: str) -> Query:
        """Of `tags/...`; ENOENT for an unknown tag, EINVAL for a bad query."""
        try:
            parsed = parse_path(tuple(path.split("/")[1:]))
        except QueryError as error:
            raise OSError(errno.EINVAL, str(error)) from error
        assert isinstance(parsed, Complete), path
        for leaf in leaves(parsed.query.expr):
            name = getattr(leaf, "name", None)
            key = getattr(leaf, "key", None)
            if name is not None and name not in self.tags:
                fail(errno.ENOENT, f"no tag {name}")
            if key is not None and key not in ("name", "ext") and not any(t.startswith(f"{key}:") for t in self.tags):
                fail(errno.ENOENT, f"no key {key}")
        return parsed.query

    def members(self, path: str) -> list[Thing]:
        if path == "files":
            return [thing for thing in self.things if not thing.trashed]
        if path == "trash":
            return [thing for thing in self.things if thing.trashed]
        expr = self.saved_expr(path) if path.startswith("queries/") else self.meant(self.query(path))
        return [thing for thing in self.things if not thing.trashed and matches(expr, thing, now=0.0)]

    def meant(self, query: Query) -> Expr:
        return query.expr if query.end is End.LITERAL else self.relations.expand(query.expr)

    def saved_expr(self, path: str) -> Expr:
        """A tag that is gone is carried by nobody."""
        steps = self.saved.get(path.removeprefix("queries/")) or fail(errno.ENOENT, path)
        parsed = parse_path(tuple(steps))
        assert isinstance(parsed, Complete), path
        return self.meant(parsed.query)

    def is_step(self, path: str, name: str) -> bool:
        """Whether a name below `tags/...` means something else than an item."""
        if not path.startswith("tags/") or path.endswith(("/@", "/@@")):
            return False
        return name in self.tags or name in OPERATORS or name == ".tags"

    def listing(self, path: str) -> dict[str, Thing]:
        """What readdir shows: the oldest of a name has it, the others show their number."""
        found: dict[str, Thing] = {}
        for thing in self.members(path):
            plain = thing.name not in found and not self.is_step(path, thing.name)
            found[thing.name if plain else numbered(thing)] = thing
        return found

    def find(self, path: str, name: str, *, tag: int = errno.EISDIR) -> Thing:
        """What a name leads to; `tag` where that is one."""
        if self.is_step(path, name):
            self.members(path)
            fail(tag, name)
        listed = self.listing(path)
        for thing in self.members(path):
            if thing.name == name:
                return thing
        for thing in listed.values():
            if numbered(thing) == name:
                return thing
        fail(errno.ENOENT, name)

    def followed(self, path: str, name: str, *, tag: int = errno.EISDIR) -> Thing:
        """What a name leads to through a symlink, all of which lead nowhere here."""
        thing = self.find(path, name, tag=tag)
        return fail(errno.ENOENT, name) if thing.target is not None else thing

    def maybe(self, path: str, name: str) -> Thing | None:
        try:
            return self.find(path, name)
        except FileNotFoundError:
            return None

    def states(self, path: str) -> tuple[str, ...]:
        """The tags that a path states; EPERM where it states none."""
        if path == "files":
            return ()
        if path == "trash":
            fail(errno.EPERM, path)
        return stated(self.query(path)) or fail(errno.EPERM, path)

    def own(self, thing: Thing, path: str, kept: Sequence[str] = ()) -> set[str]:
        """The tags of a thing that mean one that `path` states, but for `kept`: it itself, another spelling of its
        value, and what implies it, unless the path ends in @@."""
        literal = path not in ("files", "trash") and self.query(path).end is End.LITERAL
        relations = Relations() if literal else self.relations
        wanted = [one for one in self._states(path) if one not in kept]
        leaves = [leaf for one in wanted for leaf in relations.implying(one)]
        return {tag for tag in thing.tags if any(matches(leaf, Thing("", tags={tag}), now=0.0) for leaf in leaves)}

    # -- tags ------------------------------------------------------------------------------------------------------

    def leads_somewhere(self, tag: str) -> bool:
        """A pair of a known key is a query, whether or not there is a tag of that value."""
        pair = split_pair(tag)
        return tag in self.tags or (pair is not None and any(t.startswith(f"{pair[0]}:") for t in self.tags))

    def mkdir_tag(self, tag: str) -> None:
        if self.leads_somewhere(tag):
            fail(errno.EEXIST, tag)
        self.tags.add(tag)

    def rmdir_tag(self, tag: str) -> None:
        if tag not in self.tags:
            fail(errno.ENOENT, tag)
        if self._carried(tag):
            fail(errno.ENOTEMPTY, tag)
        self.tags.remove(tag)
        self.relations = self.relations.removed(tag)

    def rename_tag(self, old: str, new: str) -> None:
        if old == new and self.leads_somewhere(old):
            return
        if old not in self.tags:
            fail(errno.ENOENT, old)
        if new in self.tags and self._carried(new):
            fail(errno.ENOTEMPTY, new)
        self.tags -= {old}
        self.tags |= {new}
        self.relations = self.relations.removed(new).renamed(old, new)
        for steps in self.saved.values():
            steps[:] = [new if step == old else step for step in steps]
        for thing in self.things:
            if old in thing.tags:
                thing.tags = thing.tags - {old} | {new}

    def _carried(self, tag: str) -> bool:
        return any(tag in thing.tags for thing in self.things)

    # -- relations and saved queries -------------------------------------------------------------------------------

    def relate(self, tag: str, kind: RelationKind, other: str) -> None:
        if tag not in self.tags:
            fail(errno.ENOENT, tag)
        if self.relations.find(tag, kind, other) is not None:
            fail(errno.EEXIST, other)
        if other not in self.tags:
            fail(errno.ENOENT, other)
        if tag == other:
            fail(errno.EINVAL, other)
        self.relations = self.relations.added(Relation(tag, kind, other))

    def unrelate(self, tag: str, kind: RelationKind, other: str) -> None:
        found = self.relations.find(tag, kind, other)
        if tag not in self.tags or found is None:
            fail(errno.ENOENT, other)
        self.relations = self.relations.without(found)

    def save(self, name: str, steps: Sequence[str]) -> None:
        if name in self.saved:
            fail(errno.EEXIST, name)
        self.query("/".join(("tags", *steps)))
        self.saved[name] = list(steps)

    def rename_saved(self, name: str, new: str) -> None:
        if name not in self.saved:
            fail(errno.ENOENT, name)
        if name == new:
            return
        if new in self.saved:
            fail(errno.EEXIST, new)
        self.saved[new] = self.saved.pop(name)

    def remove_saved(self, name: str) -> None:
        if name not in self.saved:
            fail(errno.ENOENT, name)
        del self.saved[name]

    # -- items -----------------------------------------------------------------------------------------------------

    def create(self, path: str, name: str, content: bytes) -> Thing:
        """open(O_CREAT | O_EXCL), write, close."""
        self.members(path)  # ENOENT
        if self.is_step(path, name) or self.maybe(path, name) is not None:
            fail(errno.EEXIST, name)
        made = Thing(name, tags=set(self.states(path)), content=content)
        self.tags |= made.tags  # /tags/year:2000 is there as soon as there is some year
        self.things.append(made)
        return made

    def symlink(self, path: str, name: str, target: str) -> None:
        self.create(path, name, b"").target = target
        self.things[-1].mode = 0o777

    def mkdir(self, path: str, name: str) -> None:
        self.create(path, name, b"").is_folder = True

    def rmdir(self, path: str, name: str) -> None:
        thing = self.find(path, name)
        if not thing.is_folder:
            fail(errno.ENOTDIR, name)
        taken = set() if path in ("files", "trash") else self.own(thing, path)
        if path not in ("files", "trash") and taken != thing.tags:
            thing.tags -= taken
        elif path == "trash":
            self.things.remove(thing)
        else:
            self._remove_folder(thing)

    def _remove_folder(self, thing: Thing) -> None:
        if thing.tags or thing.xattrs:
            thing.trashed = True
        else:
            self.things.remove(thing)  # it has nothing that could be brought back

    def unlink(self, path: str, name: str) -> None:
        thing = self.find(path, name)
        if thing.is_folder:
            fail(errno.EISDIR, name)
        if path == "files":
            thing.trashed = True
        elif path == "trash":
            self.things.remove(thing)
        else:
            thing.tags -= self.own(thing, path)

    def write(self, path: str, name: str, change: Callable[[bytes], bytes]) -> None:
        """Open what is there, change it, close it. What a change loses goes to the trash, once."""
        thing = self.followed(path, name)
        if thing.is_folder:
            fail(errno.EISDIR, name)
        if thing.trashed:
            fail(errno.EPERM, "in the trash")
        old, thing.content = thing.content, change(thing.content)
        if not thing.kept and old and not thing.content.startswith(old):
            thing.kept = True
            self._keep(thing, old)

    def link(self, path: str, name: str, to: str, new: str) -> None:
        thing = None if self.is_step(path, name) and self.members(path) is not None else self.find(path, name)
        self.members(to)  # ENOENT
        if self.is_step(to, new) or self.maybe(to, new) is not None:
            fail(errno.EEXIST, new)
        if thing is None or thing.is_folder:
            fail(errno.EPERM, "a directory")
        if thing.trashed:
            fail(errno.EPERM, "in the trash")
        tags = self.states(to)
        if new not in (thing.name, numbered(thing)):
            fail(errno.EPERM, "one name")
        if to == "files":
            fail(errno.EEXIST, "in /files already")
        thing.tags |= set(tags)
        self.tags |= set(tags)

    def rename(self, path: str, name: str, to: str, new: str, *, replace: bool = True) -> None:
        """rename(2), or RENAME_NOREPLACE without `replace`."""
        thing = self.find(path, name)
        self.members(to)  # ENOENT
        there: Thing | None = None
        if not self.is_step(to, new):
            there = self.maybe(to, new)
        elif replace:
            fail(errno.EISDIR, new)  # by the kernel: a file over a directory
        if not replace and (there is not None or self.is_step(to, new)):
            fail(errno.EEXIST, new)  # by the kernel
        if there is not None and thing.is_folder is not there.is_folder:
            fail(errno.ENOTDIR if thing.is_folder else errno.EISDIR, new)  # by the kernel
        if there is thing and (path == to or not thing.is_folder):
            return  # two names of one file: rename(2) does nothing. A folder is another directory on each path
        self._states(path)  # EPERM
        put = () if to in ("files", "trash") else self.states(to)
        if path == "trash" and to == "trash":
            fail(errno.EPERM, "keeps its name")
        if to == "trash" and path != "files":
            fail(errno.EPERM, "from /files alone")
        if to == "trash":
            thing.trashed = True
            return
        if there is not None and there is not thing and path == "trash":
            fail(errno.EEXIST, new)
        if there is not None and not thing.is_folder:
            self._take_over(thing, there)
            return
        thing.trashed = False
        self._move(thing, path, put, new)
        if there is not None and there is not thing:  # an empty folder: what comes in its place is found where it was
            thing.tags |= there.tags
            self._remove_folder(there)

    def _take_over(self, thing: Thing, there: Thing) -> None:
        """`mv tmp f`: f stays who it is and gets the content and mode; what it had goes to the trash."""
        if there.content and there.content != thing.content:
            self._keep(there, there.content)
        there.content, there.mode = thing.content, thing.mode
        self.things.remove(thing)

    def exchange(self, path: str, name: str, to: str, new: str) -> None:
        """RENAME_EXCHANGE."""
        thing, there = self.find(path, name), self.find(to, new)
        if thing is there and (path == to or not thing.is_folder):
            return  # as of rename
        for place in (path, to):
            if place == "trash":
                fail(errno.EINVAL, place)
            if place != "files" and not stated(self.query(place)):
                fail(errno.EINVAL, place)
        if thing is there:
            return
        one, other = self._states(path), self._states(to)
        names = thing.name, there.name
        self._move(thing, path, other, names[1])
        self._move(there, to, one, names[0])

    def _states(self, path: str) -> tuple[str, ...]:
        return () if path in ("files", "trash") else self.states(path)

    def _move(self, thing: Thing, path: str, put: Sequence[str], new: str) -> None:
        thing.tags -= self.own(thing, path, put)
        thing.tags |= set(put)
        self.tags |= set(put)
        if new != numbered(thing):
            thing.name = new

    def _keep(self, thing: Thing, content: bytes) -> None:
        """What it held, in the trash."""
        tags, xattrs = set(thing.tags), dict(thing.xattrs)
        self.things.append(replace(thing, id=0, kept=False, content=content, trashed=True, tags=tags, xattrs=xattrs))

    # -- attributes ------------------------------------------------------------------------------------------------

    def set_tags(self, path: str, name: str, value: str) -> None:
        thing = self.followed(path, name, tag=errno.EPERM)
        if thing.trashed:
            fail(errno.EPERM, "in the trash")
        words = [word for word in value.split(",") if word]
        if any(word[0] in "+-" for word in words):
            for word in words:
                if word[0] == "+":
                    thing.tags.add(word[1:])
                    self.tags.add(word[1:])
            thing.tags -= {word[1:] for word in words if word[0] == "-"}
        else:
            thing.tags = set(words)
            self.tags |= thing.tags

    def set_xattr(self, path: str, name: str, key: str, value: bytes | None) -> None:
        """None removes it."""
        thing = self.followed(path, name, tag=errno.ENODATA if value is None else errno.EPERM)
        if value is None and key not in thing.xattrs:
            fail(errno.ENODATA, key)
        if thing.trashed:
            fail(errno.EPERM, "in the trash")
        if value is None:
            del thing.xattrs[key]
        else:
            thing.xattrs[key] = value

    def chmod(self, path: str, name: str, mode: int) -> None:
        if not self.is_step(path, name):
            self.followed(path, name).mode = mode
            return
        self.members(path)
        if mode != (0o755 if stated(self.query(f"{path}/{name}")) else 0o555):
            fail(errno.EPERM, name)


def numbered(thing: Thing) -> str:
    """`stem~ID.ext`."""
    stem, ext = os.path.splitext(thing.name)
    return f"{stem}~{thing.id}{ext}"
