"""What a request costs at least: a mount that answers setxattr and getattr at once, with pyfuse3's main and with ours.

python -m bench.requests [ours | pyfuse3]

Each setxattr forgets the attributes of its file, as that of a tag does, so that a getattr follows: two requests and a
message each. CPU is that of the thread that answers.
"""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
from multiprocessing import Process
from pathlib import Path
from typing import TYPE_CHECKING

import pyfuse3
import trio

from bench.contest import until
from bench.scale.tagging import PROCESSES, SECONDS, hammer
from tagfs.mount import requests

if TYPE_CHECKING:
    from pyfuse3 import EntryAttributes, FileNameT, InodeT, RequestContext, XAttrNameT

MOST = 1000


def main() -> None:
    for which in sys.argv[1:] or ("pyfuse3", "ours"):
        with tempfile.TemporaryDirectory() as mountpoint:
            server = Process(target=_serve, args=(mountpoint, which))
            server.start()
            until(lambda: os.path.ismount(mountpoint))
            for processes in PROCESSES:
                before = _cpu(server.pid)
                rate, p99 = hammer([f"{mountpoint}/{number}" for number in range(processes)], processes, _tag)
                each = (_cpu(server.pid) - before) / (rate * SECONDS) * 1e6
                print(
                    f"{which}, {processes} processes: {rate:,.0f} a second, p99 {p99:.1f} ms, {each:.0f} us of CPU each"
                )
            subprocess.run(["fusermount3", "-u", mountpoint], check=True)
            server.join()


class Operations(pyfuse3.Operations):
    """Any number is a file."""

    async def lookup(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> EntryAttributes:
        if not name.isdigit():
            raise pyfuse3.FUSEError(errno.ENOENT)
        return _answer(pyfuse3.InodeT(int(name) + 2))

    async def getattr(self, inode: InodeT, ctx: RequestContext) -> EntryAttributes:
        return _answer(inode)

    async def setxattr(self, inode: InodeT, name: XAttrNameT, value: bytes, ctx: RequestContext) -> None:
        pyfuse3.invalidate_inode(inode, attr_only=True)


def _answer(inode: InodeT) -> EntryAttributes:
    answer = pyfuse3.EntryAttributes()
    answer.st_ino = inode
    answer.st_mode = pyfuse3.ModeT(stat.S_IFDIR | 0o755 if inode == pyfuse3.ROOT_INODE else stat.S_IFREG | 0o644)
    answer.st_nlink, answer.st_uid, answer.st_gid = 1, os.getuid(), os.getgid()
    answer.attr_timeout = answer.entry_timeout = 86_400
    return answer


def _serve(mountpoint: str, which: str) -> None:
    pyfuse3.init(Operations(), mountpoint, {"fsname=bench", "default_permissions"})
    try:
        trio.run(requests.Requests(MOST).serve) if which == "ours" else trio.run(pyfuse3.main, 1, MOST)
    finally:
        pyfuse3.close()


def _cpu(process: int | None) -> float:
    """Seconds of its main thread."""
    return int(Path(f"/proc/{process}/task/{process}/schedstat").read_text().split()[0]) / 1e9


def _tag(path: str, turn: int) -> None:
    os.setxattr(path, "user.xdg.tags", b"%d" % turn)


if __name__ == "__main__":
    main()
