"""Attr -> pyfuse3.EntryAttributes, and how long the kernel may keep it."""

from __future__ import annotations

import os
import stat
from typing import Final

import pyfuse3
from pyroaring import BitMap

from tagfs.mount.packed import pack, pack_files
from tagfs.mount.passing import Passing
from tagfs.vfs import numbers
from tagfs.vfs.attr import Attr
from tagfs.vfs.lines import Lines

# The kernel is the cache: what it holds is invalidated when it changes, so it may keep it for long. A day, not for
# ever, since a kernel bug or a lost message would otherwise never heal.
LONG: Final = 86_400.0


class Answers:
    """`umask` hides permission bits of items; all belong to the user who mounted."""

    def __init__(self, *, umask: int, uid: int | None = None, gid: int | None = None) -> None:
        self._owner = (os.getuid() if uid is None else uid, os.getgid() if gid is None else gid)
        self._mask = ~umask
        self.told = BitMap()  # items that the kernel may know by their node id, from the first answer about them on
        self.passing = Passing()

    def entry(self, attr: Attr, *, keep: bool = True, keep_name: bool = True) -> pyfuse3.EntryAttributes:
        """The answer to lookup and readdir for what has a node id of its own: `attr.ino`. The kernel may cache it
        (`keep`), or its attributes but not that the name leads to it (`keep_name`)."""
        if numbers.item_of(attr.ino) is not None:
            self.told.add(attr.ino)
        entry = self.attributes(attr)
        if not keep:
            entry.attr_timeout = 0
        if not (keep and keep_name):
            entry.entry_timeout = 0
        return entry

    def packed(self, name: bytes, attr: Attr, next_id: int, *, keep_name: bool) -> bytes:
        """The same for a listing that is kept, as the kernel reads it."""
        if numbers.item_of(attr.ino) is not None:
            self.told.add(attr.ino)
        return pack(
            name,
            attr,
            next_id,
            self._mode(attr),
            self._owner,
            int(LONG) if keep_name else 0,
            0 if attr.changing else int(LONG),
        )

    def packed_files(self, lines: Lines, numbers: range) -> list[bytes]:
        """The same of whole files among the lines of a listing."""
        self.told.update(lines.ids[numbers.start : numbers.stop])
        kept = [0 if number in lines.uncertain else int(LONG) for number in numbers]
        return pack_files(lines, numbers, self._mask | ~0o777, self._owner, kept, int(LONG))

    def lead_to(self, entry: pyfuse3.EntryAttributes, number: int) -> pyfuse3.EntryAttributes:
        """The last step of an answer, which cannot fail: node id `number` has just been handed out for it.

        A directory whose number differs from its node id (another path to an equal query) has its attributes asked
        for at once, since of pyfuse3's answers only that to getattr can show a number that is not the node id. What
        readdir shows is written over by `Listings`."""
        if entry.st_ino != number:
            entry.st_ino = pyfuse3.InodeT(number)
            entry.attr_timeout = 0
        if number in self.passing.unsure:
            entry.attr_timeout = 0
        return entry

    def attributes(self, attr: Attr) -> pyfuse3.EntryAttributes:
        """The answer to getattr and setattr."""
        entry = self._fill(attr)
        entry.st_ino = pyfuse3.InodeT(attr.ino)
        return entry

    def _fill(self, attr: Attr) -> pyfuse3.EntryAttributes:
        entry = pyfuse3.EntryAttributes()
        entry.entry_timeout = LONG
        entry.attr_timeout = 0 if attr.changing else LONG
        entry.st_mode = pyfuse3.ModeT(self._mode(attr))
        entry.st_nlink = attr.nlink
        entry.st_uid, entry.st_gid = self._owner
        entry.st_size = attr.size
        entry.st_blocks = attr.blocks
        entry.st_mtime_ns = attr.mtime_ns
        entry.st_atime_ns = attr.mtime_ns
        entry.st_ctime_ns = attr.ctime_ns
        return entry

    def _mode(self, attr: Attr) -> int:
        return attr.mode if stat.S_ISLNK(attr.mode) else attr.mode & (self._mask | ~0o777)
