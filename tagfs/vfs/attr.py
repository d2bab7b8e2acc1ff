"""What stat shows, as plain values. Pure."""

from __future__ import annotations

import stat
from typing import NamedTuple

from engine.types import Item, Kind

BLOCK = 512  # st_blocks counts these, whatever st_blksize says (stat(2))


class Attr(NamedTuple):
    """`changing`: the kernel must ask again each time, since it changes without a commit (progress, growing files)."""

    ino: int
    mode: int
    size: int
    blocks: int
    nlink: int
    mtime_ns: int
    ctime_ns: int
    changing: bool = False


def of_directory(ino: int, changed_ns: int, *, writable: bool, changing: bool = False) -> Attr:
    """nlink 1 says "number of subdirectories unknown" (as btrfs does), so that find looks at each entry."""
    mode = stat.S_IFDIR | (0o755 if writable else 0o555)
    return Attr(
        ino=ino, mode=mode, size=0, blocks=0, nlink=1, mtime_ns=changed_ns, ctime_ns=changed_ns, changing=changing
    )  # fmt: skip


def of_text(ino: int, now_ns: int) -> Attr:
    """Size 0 and read directly, as procfs does."""
    return Attr(
        ino=ino, mode=stat.S_IFREG | 0o444, size=0, blocks=0, nlink=1, mtime_ns=now_ns, ctime_ns=now_ns, changing=True
    )


def of_link(ino: int, target: str, changed_ns: int) -> Attr:
    mode = stat.S_IFLNK | 0o777
    size = len(target.encode("utf-8", "surrogateescape"))
    return Attr(ino=ino, mode=mode, size=size, blocks=0, nlink=1, mtime_ns=changed_ns, ctime_ns=changed_ns)


def of_blob(ino: int, size: int, mtime_ns: int) -> Attr:
    return Attr(
        ino=ino,
        mode=stat.S_IFREG | 0o440,
        size=size,
        blocks=_blocks(size),
        nlink=1,
        mtime_ns=mtime_ns,
        ctime_ns=mtime_ns,
    )


def of_drop(ino: int, size: int, mtime_ns: int, *, gone: bool) -> Attr:
    """A file in /inbox: it goes without a change of any item, so the kernel is to ask each time."""
    return Attr(
        ino=ino,
        mode=stat.S_IFREG | 0o644,
        size=size,
        blocks=_blocks(size),
        nlink=0 if gone else 1,
        mtime_ns=mtime_ns,
        ctime_ns=mtime_ns,
        changing=True,
    )


def of_item(
    item: Item, *, size: int | None = None, present: int | None = None, mtime_ns: int | None = None
) -> Attr:  # fmt: skip
    """`size`, `present` (bytes) and `mtime_ns` are what is known of an item that is not whole beyond its row.

    nlink counts the paths: /files and one a tag; in a folder one for the folder and one for the tags of it. More than
    one makes du count the item once a run.
    """
    ctime_ns = max(item.mtime_ns, item.added_ns)
    nlink = 1 + item.tag_count + (item.parent is not None)
    if item.kind is Kind.FOLDER:
        mode = item.mode | (item.mode & 0o444) >> 2  # who may read it may enter it
        return Attr(item.id, stat.S_IFDIR | mode, 0, 0, 1, item.mtime_ns, ctime_ns)
    if item.kind is Kind.SYMLINK:
        link = of_link(item.id, item.target or "", item.mtime_ns)
        return Attr(link.ino, link.mode, link.size, 0, nlink, item.mtime_ns, ctime_ns)
    full = size if size is not None else item.size or 0
    here = full if present is None else present
    # By position: a listing makes 100,000 of them, and names cost half a microsecond each time.
    return Attr(
        item.id,
        stat.S_IFREG | item.mode,
        full,
        -(-here // BLOCK),
        nlink,
        item.mtime_ns if mtime_ns is None else mtime_ns,
        ctime_ns,
        not item.state.whole,
    )


def _blocks(size: int) -> int:
    return -(-size // BLOCK)
