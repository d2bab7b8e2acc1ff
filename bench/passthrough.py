"""A careful read-only passthrough on pyfuse3: what the Python binding itself allows.

python -m bench.passthrough SOURCE MOUNTPOINT

Timeouts as ours (a day), a listing is a snapshot that is made at the first read, reads are `pread` on the loop, which
is the quickest that can be done there. It knows nothing but the files of SOURCE, and expects them not to change.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Sequence

import pyfuse3
import trio

LONG = 86_400.0
FIELDS = (
    "st_mode",
    "st_nlink",
    "st_uid",
    "st_gid",
    "st_size",
    "st_blocks",
    "st_atime_ns",
    "st_mtime_ns",
    "st_ctime_ns",
)


class Passthrough(pyfuse3.Operations):
    """State: the path of each node id, and the listing of each open directory."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self._paths: dict[int, bytes] = {pyfuse3.ROOT_INODE: os.fsencode(source)}
        self._ids: dict[bytes, int] = {}
        self._listings: dict[int, tuple[bytes, list[tuple[bytes, pyfuse3.EntryAttributes]] | None]] = {}
        self._last = int(pyfuse3.ROOT_INODE)

    def _entry(self, path: bytes) -> pyfuse3.EntryAttributes:
        try:
            found = os.lstat(path)
        except OSError as error:
            raise pyfuse3.FUSEError(error.errno or errno.EIO) from None
        entry = pyfuse3.EntryAttributes()
        for field in FIELDS:
            setattr(entry, field, getattr(found, field))
        entry.entry_timeout = entry.attr_timeout = LONG
        entry.st_ino = self._number(path)
        return entry

    def _number(self, path: bytes) -> pyfuse3.InodeT:
        number = self._ids.get(path)
        if number is None:
            self._last += 1
            number = self._ids[path] = self._last
            self._paths[number] = path
        return pyfuse3.InodeT(number)

    async def lookup(self, parent_inode: int, name: bytes, ctx: object) -> pyfuse3.EntryAttributes:
        return self._entry(self._paths[parent_inode] + b"/" + name)

    async def getattr(self, inode: int, ctx: object) -> pyfuse3.EntryAttributes:
        entry = self._entry(self._paths[inode])
        entry.st_ino = pyfuse3.InodeT(inode)
        return entry

    async def opendir(self, inode: int, ctx: object) -> int:
        self._last += 1
        self._listings[self._last] = (self._paths[inode], None)
        return self._last

    async def readdir(self, fh: int, start_id: int, token: pyfuse3.ReaddirToken) -> None:
        path, entries = self._listings[fh]
        if entries is None or start_id == 0:
            entries = [(name, self._entry(path + b"/" + name)) for name in os.listdir(path)]
            self._listings[fh] = (path, entries)
        for number in range(start_id, len(entries)):
            if not pyfuse3.readdir_reply(token, pyfuse3.FileNameT(entries[number][0]), entries[number][1], number + 1):
                return

    async def releasedir(self, fh: int) -> None:
        del self._listings[fh]

    async def open(self, inode: int, flags: int, ctx: object) -> pyfuse3.FileInfo:
        fd = os.open(self._paths[inode], os.O_RDONLY | os.O_CLOEXEC)
        return pyfuse3.FileInfo(fh=pyfuse3.FileHandleT(fd), keep_cache=True)

    async def read(self, fh: int, off: int, size: int) -> bytes:
        return os.pread(fh, size, off)

    async def release(self, fh: int) -> None:
        os.close(fh)

    async def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        """Node ids are kept: the kernel may ask for any of them again by its path."""


def main() -> None:
    source, mountpoint = map(os.path.abspath, sys.argv[1:3])
    assert stat.S_ISDIR(os.stat(source).st_mode)
    pyfuse3.init(Passthrough(source), mountpoint, {"fsname=passthrough", "default_permissions"})
    try:
        trio.run(lambda: pyfuse3.main(max_tasks=1000))
    finally:
        pyfuse3.close()


if __name__ == "__main__":
    main()
