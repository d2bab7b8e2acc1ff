"""readdir: from a snapshot to what the kernel takes, entry by entry. Trio thread.

The kernel keeps each entry with its attributes (readdirplus), so that `ls -l` asks for nothing more. A snapshot that
something has overtaken is still shown to its reader, but the kernel is told to keep nothing of it.

    snapshot ─┬─ overtaken ──▶ one by one
              └─ up to date ─▶ the first one by pyfuse3, which makes the buffer ─▶ as many as fit, as bytes (`Packed`)

What the kernel has had of a snapshot, and has not dropped as far as it says, it is shown the next time without
linking it again (half of the kernel's time). Where that is wrong it asks, and is given all of it the next time.

Even of an answer that it may not keep, the kernel takes the size, and with O_APPEND it writes there. So where a size
may have changed since the snapshot, it is that of the moment of the answer: in what was overtaken (also by a first
write, `Views.overwritten`), and of what was changing already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from weakref import ReferenceType, WeakKeyDictionary, ref

import pyfuse3

from tagfs.mount.answers import Answers
from tagfs.mount.inodes import Inodes
from tagfs.mount.packed import Packed, size_of
from tagfs.mount.token import Room
from tagfs.vfs.attr import Attr
from tagfs.vfs.context import Context
from tagfs.vfs.lines import Lines
from tagfs.vfs.names import is_certain
from tagfs.vfs.nodes.folder import FolderDirectory, way_to
from tagfs.vfs.nodes.items import item_attr
from tagfs.vfs.tree import Directory, Entry, FolderNode, ItemNode, Snapshot

AT_ONCE: Final = 256  # entries that are packed before somebody looks whether they fit


@dataclass(slots=True)
class Given:
    """What the kernel has had of a snapshot in one directory: the first `count` entries, when it had dropped `dropped`
    items."""

    snapshot: ReferenceType[Snapshot]
    dropped: int
    count: int = 0


class Listings:
    """State: the entries of a snapshot as the kernel takes them, made once and kept as long as the snapshot is cached;
    and by directory what the kernel has had."""

    def __init__(self, context: Context, inodes: Inodes, answers: Answers) -> None:
        self._context = context
        self._inodes = inodes
        self._answers = answers
        self._packed: WeakKeyDictionary[Snapshot, Packed] = WeakKeyDictionary()
        self._given: WeakKeyDictionary[Directory, Given] = WeakKeyDictionary()
        self._dropped = 0

    def reply(self, opened: OpenDirectory, start: int, token: pyfuse3.ReaddirToken) -> None:
        """Entries of the snapshot from number `start` on, as many as the kernel has room for."""
        snapshot, directory = opened.snapshot, opened.directory
        assert snapshot is not None
        entries, keep = snapshot.entries, not snapshot.stale()
        given = self._had(directory, snapshot) if keep else Given(ref(snapshot), 0)
        number, used = start, 0
        while number < len(entries):
            entry = entries[number]
            if isinstance(entry.node, ItemNode):
                taken = self._reply_item(entry, number, token, keep=keep)
            else:
                taken = self._reply_other(directory, entry, number, token, used, keep=keep)
            if not taken:
                break
            number += 1
            used += size_of(_bytes(entry.name))
            if keep and (room := Room.of(token, used)) is not None:
                before = room.left
                number = self._fill(room, snapshot, number, known=given.count >= len(entries))
                used += before - room.left
        if start <= given.count < number:
            given.count = number

    def dropped(self) -> None:
        """The kernel has dropped nodes, wherever it was shown them."""
        self._dropped += 1

    def looked_up(self, directory: Directory) -> None:
        """The kernel has asked for the name of an item: it does not hold all that it has had."""
        self._given.pop(directory, None)

    def _had(self, directory: Directory, snapshot: Snapshot) -> Given:
        given = self._given.get(directory)
        if given is None or given.snapshot() is not snapshot or given.dropped != self._dropped:
            given = self._given[directory] = Given(ref(snapshot), self._dropped)
        return given

    def _fill(self, room: Room, snapshot: Snapshot, number: int, *, known: bool) -> int:
        """Entries from `number` on, up to one that is no file; the number of the first that is not among them. Nothing
        where somebody has gone ahead of what is packed (seekdir): to catch up would take long."""
        packed = self._packed.get(snapshot)
        if packed is None:
            packed = self._packed[snapshot] = Packed()
        while number <= len(packed) + AT_ONCE:
            if number >= len(packed):
                self._pack(packed, snapshot)
            piece, end = packed.take(number, room.left, known=known)
            if end == number:
                return number
            room.put(piece)
            number = end
        return number

    def _pack(self, packed: Packed, snapshot: Snapshot) -> None:
        """Some more; what is changing is left out."""
        lines = snapshot.entries
        numbers = range(len(packed), min(len(packed) + AT_ONCE, len(lines)))
        if not isinstance(lines, Lines):
            self._pack_entries(packed, lines, numbers)
            return
        start = numbers.start
        for odd in filter(lines.entries.__contains__, numbers):
            packed.extend(self._answers.packed_files(lines, range(start, odd)))
            self._pack_entries(packed, lines, range(odd, odd + 1))
            start = odd + 1
        packed.extend(self._answers.packed_files(lines, range(start, numbers.stop)))

    def _pack_entries(self, packed: Packed, lines: Sequence[Entry], numbers: range) -> None:
        for number in numbers:
            name, node, attr = lines[number]
            if isinstance(node, ItemNode) and not attr.changing:
                packed.add(self._answers.packed(_bytes(name), attr, number + 1, keep_name=is_certain(name)))
            else:
                packed.skip()

    def _reply_item(self, entry: Entry, number: int, token: pyfuse3.ReaddirToken, *, keep: bool) -> bool:
        attr = entry.attr if keep and not entry.attr.changing else self._attr_now(entry)
        answer = self._answers.entry(attr, keep=keep, keep_name=is_certain(entry.name))
        return bool(pyfuse3.readdir_reply(token, pyfuse3.FileNameT(_bytes(entry.name)), answer, number + 1))

    def _attr_now(self, entry: Entry) -> Attr:
        assert isinstance(entry.node, ItemNode)
        row = self._context.catalogue.item(entry.node.item)
        return entry.attr if row is None else item_attr(self._context, row)

    def _reply_other(
        self, directory: Directory, entry: Entry, number: int, token: pyfuse3.ReaddirToken, used: int, *, keep: bool
    ) -> bool:
        """A directory, link, text or blob: its node id counts as handed out only once the kernel has taken it.

        A directory is listed by the number that stat shows, which need not be its node id (`Answers.lead_to`). pyfuse3
        knows only one number of an entry, so the other is written over what it has put there."""
        name, node = pyfuse3.FileNameT(_bytes(entry.name)), entry.node
        keep_name = True
        if isinstance(node, FolderNode):
            node = FolderDirectory(self._context, way_to(directory, node.item), node.item)
            keep_name = is_certain(entry.name)
        answer = self._answers.entry(entry.attr, keep=keep, keep_name=keep_name)
        shown = answer.st_ino
        node_id = self._inodes.hand_out(node)
        taken = bool(pyfuse3.readdir_reply(token, name, self._answers.lead_to(answer, node_id), number + 1))
        if not taken:
            self._inodes.forget(node_id, 1)
        elif shown != node_id and isinstance(node, Directory):
            size = size_of(name)
            if (room := Room.of(token, used + size)) is not None:
                room.renumber(size, node_id, shown)
        return taken


class OpenDirectory:
    """`snapshot` is made by the first read, and again after a rewind."""

    __slots__ = ("directory", "snapshot")

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.snapshot: Snapshot | None = None


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
