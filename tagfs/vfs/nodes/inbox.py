"""/inbox: a drop folder. Below it every tag is a directory; what is put there is fetched and gets the tags of its path.

Only what was dropped is listed, with the directories on the way to it: bad files, and those that are being written or
read. A name means what was dropped, else a tag.
"""

from __future__ import annotations

import errno
import unicodedata

from query.errors import BadName
from query.names import check_own_tag
from tagfs.vfs import attr, numbers
from tagfs.vfs.attr import Attr
from tagfs.vfs.context import Context
from tagfs.vfs.inbox import Drop, Path
from tagfs.vfs.tree import Directory, DropNode, Entry, Fixed, Inbox, Node, Place, Snapshot, no_entry


class InboxDirectory(Directory):
    """`path` are the tags, as typed."""

    keeps = False  # files go without a change of any item
    kept = False  # tags come and go, and no view follows these directories

    def __init__(self, context: Context, path: Path) -> None:
        self.location = ("inbox", *path)
        self.number = numbers.of_query(f"inbox {path!r}") if path else numbers.INBOX
        self.place: Place = Inbox(path)
        self._path = path
        self._context = context

    def attr(self) -> Attr:
        return attr.of_directory(self.number, self._context.inbox.changed_ns, writable=True, changing=True)

    async def lookup(self, name: str) -> Node:
        drop = self._context.inbox.named(self._path, name)
        if drop is not None:
            return DropNode(drop.number)
        if not self._leads_on(name):
            raise no_entry(name)
        return InboxDirectory(self._context, (*self._path, name))

    async def snapshot(self) -> Snapshot:
        entries = [
            Entry(drop.record.name, DropNode(drop.number), drop_attr(drop))
            for drop in self._context.inbox.within(self._path)
        ]
        taken = {entry.name for entry in entries}
        for name in self._context.inbox.folders(self._path):
            if name not in taken:
                child = InboxDirectory(self._context, (*self._path, name))
                entries.append(Entry(name, child, child.attr()))
        return Fixed(entries)

    async def mkdir(self, name: str) -> Directory:
        """Makes the tag."""
        try:
            tag = check_own_tag(name)
        except BadName as error:
            raise OSError(errno.EINVAL, str(error)) from error
        await self._context.catalogue.create_tag(tag)
        return InboxDirectory(self._context, (*self._path, name))

    async def rmdir(self, name: str) -> None:
        """Nothing happens to the tag: `rm -r` of what was dropped is to work, and no more."""
        below = (*self._path, name)
        if any(self._context.inbox.within(below)) or self._context.inbox.folders(below):
            raise OSError(errno.ENOTEMPTY, "there are files in it that were not taken in")

    def _leads_on(self, name: str) -> bool:
        """Whether it is a tag, or on the way to something that was dropped when it was one."""
        return self._context.index.has_tag(unicodedata.normalize("NFC", name)) or name in self._context.inbox.folders(
            self._path
        )


def drop_attr(drop: Drop) -> Attr:
    return attr.of_drop(drop.number, drop.size, drop.mtime_ns, gone=drop.gone)
