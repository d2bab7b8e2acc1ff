"""readdir: from a snapshot to what the kernel takes, entry by entry. Trio thread.

The kernel keeps each entry with its attributes (readdirplus), so that `ls -l` asks for nothing more. A snapshot that
something has overtaken is still shown to its reader, but the kernel is told to keep nothing of it.

Even of an answer that it may not keep, the kernel takes the size, and with O_APPEND it writes there. So the size of
what changes is that of the moment of the answer, never that of the snapshot.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import pyfuse3

from tagfs.mount.answers import Answers
from tagfs.mount.inodes import Inodes
from tagfs.vfs.attr import Attr
from tagfs.vfs.context import Context
from tagfs.vfs.names import is_certain
from tagfs.vfs.nodes.folder import FolderDirectory, way_to
from tagfs.vfs.nodes.items import item_attr
from tagfs.vfs.tree import Directory, Entry, FolderNode, ItemNode, Snapshot


class Listings:
    """The entries of a snapshot as the kernel takes them are made once and kept as long as the snapshot is cached."""

    def __init__(self, context: Context, inodes: Inodes, answers: Answers) -> None:
        self._context = context
        self._inodes = inodes
        self._answers = answers
        self._items: WeakKeyDictionary[Snapshot, list[tuple[bytes, pyfuse3.EntryAttributes] | None]] = (
            WeakKeyDictionary()
        )

    def reply(self, opened: OpenDirectory, start: int, token: pyfuse3.ReaddirToken) -> None:
        """Entries of the snapshot from number `start` on, as many as the kernel has room for."""
        snapshot = opened.snapshot
        assert snapshot is not None
        entries, drafts = snapshot.entries, self._context.drafts
        keep = not snapshot.stale()
        made = self._items.setdefault(snapshot, [None] * len(entries))
        for number in range(start, len(entries)):
            entry = entries[number]
            if isinstance(entry.node, ItemNode):
                ready = made[number]
                if not keep or entry.attr.changing or drafts.get(entry.node.item) is not None:
                    answer = self._answers.entry(self._attr_now(entry), keep=keep, keep_name=is_certain(entry.name))
                    ready = (_bytes(entry.name), answer)
                elif ready is None:
                    answer = self._answers.entry(entry.attr, keep_name=is_certain(entry.name))
                    ready = made[number] = (_bytes(entry.name), answer)
                if not pyfuse3.readdir_reply(token, pyfuse3.FileNameT(ready[0]), ready[1], number + 1):
                    return
            elif not self._reply_other(opened.directory, entry, number, token, keep=keep):
                return

    def _attr_now(self, entry: Entry) -> Attr:
        assert isinstance(entry.node, ItemNode)
        row = self._context.catalogue.item(entry.node.item)
        return entry.attr if row is None else item_attr(self._context, row)

    def _reply_other(
        self, directory: Directory, entry: Entry, number: int, token: pyfuse3.ReaddirToken, *, keep: bool
    ) -> bool:
        """A directory, link, text or blob: its node id counts as handed out only once the kernel has taken it."""
        name, node = pyfuse3.FileNameT(_bytes(entry.name)), entry.node
        keep_name = True
        if isinstance(node, FolderNode):
            node = FolderDirectory(self._context, way_to(directory, node.item), node.item)
            keep_name = is_certain(entry.name)
        answer = self._answers.entry(entry.attr, keep=keep, keep_name=keep_name)
        node_id = self._inodes.hand_out(node)
        taken = bool(pyfuse3.readdir_reply(token, name, self._answers.lead_to(answer, node_id), number + 1))
        if not taken:
            self._inodes.forget(node_id, 1)
        return taken


class OpenDirectory:
    """`snapshot` is made by the first read, and again after a rewind."""

    __slots__ = ("directory", "snapshot")

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.snapshot: Snapshot | None = None


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
