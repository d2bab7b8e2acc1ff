"""The daemon, with something otherwise that no user may change. Words in the environment variable ODD say what:

    eager-gc            content that nothing refers to goes at once, unless this very daemon has just placed it
    no-file-sync        fsync and fdatasync of files do nothing, and syncfs
    no-folder-sync      fsync of folders does nothing, nor syncfs where it is meant for them
    sync-all            no file and no folder is synced by itself on the way in, if syncfs can do it
    no-catalogue-sync   SQLite syncs nothing
    overtaken-answers   what the kernel is told about a node that it knows comes after a message that it is wrong

`python -P -m tests.support.odd_daemon MOUNTPOINT`, with the arguments of tagfs.daemon. A product without switches for
these cannot be run without them by accident. ODD_FUSECTL is where fusectl is mounted; ODD_BOOT
is the boot id of the machine.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from tagfs.daemon import wreck
from tagfs.daemon.__main__ import main

GRACE: Final = 10.0  # seconds that content which was just placed is safe for
HASTE: Final = 1000  # how much quicker the collector's clock goes for what was there before


def eager_gc() -> None:
    from engine.blobs import gc

    gc.PERIOD = 0.05
    gc.Collector.__init__.__kwdefaults__.update(grace=GRACE, clock=lambda: time.monotonic() * HASTE)


def without_sync(is_meant: Callable[[int], bool]) -> None:
    for name in ("fsync", "fdatasync"):
        setattr(os, name, _unless(is_meant, getattr(os, name)))


def _unless(is_meant: Callable[[int], bool], sync: Callable[[int], None]) -> Callable[[int], None]:
    return lambda fd: None if is_meant(os.fstat(fd).st_mode) else sync(fd)


def without_file_sync() -> None:
    from engine.blobs import syncing

    without_sync(stat.S_ISREG)
    syncing.syncfs = lambda fd: None


def without_folder_sync() -> None:
    from engine.blobs.syncing import Syncing

    without_sync(stat.S_ISDIR)
    Syncing.names = lambda self: True


def sync_all() -> None:
    from engine.blobs import syncing

    syncing.FEW, syncing.MUCH = 1, sys.maxsize


def without_catalogue_sync() -> None:
    from engine.catalogue import database

    database.WRITER_PRAGMAS = {**database.WRITER_PRAGMAS, "synchronous": "off"}


def overtaken_answers() -> None:
    """Each answer comes after a message that what is known of the node is wrong, so the kernel hands it to who has
    asked, and does not keep it. Under load that happens to one now and then."""
    import pyfuse3

    from tagfs.mount.ops import Operations

    for name in ("lookup", "getattr"):
        setattr(Operations, name, _overtaken(getattr(Operations, name), pyfuse3.invalidate_inode))


def _overtaken(answer: Callable[..., Any], forget: Callable[..., None]) -> Callable[..., Any]:
    async def overtaken(*args: Any) -> Any:
        found = await answer(*args)
        with suppress(FileNotFoundError):  # it is just about to hear of that node
            forget(found.st_ino, attr_only=True)
        return found

    return overtaken


ODDITIES: Mapping[str, Callable[[], None]] = {
    "eager-gc": eager_gc,
    "no-file-sync": without_file_sync,
    "no-folder-sync": without_folder_sync,
    "sync-all": sync_all,
    "no-catalogue-sync": without_catalogue_sync,
    "overtaken-answers": overtaken_answers,
}


def booted(boot: str) -> None:
    """What was in the page cache is believed after a crash of the daemon alone."""
    from engine.transfer import live
    from tagfs.intake import drops
    from tagfs.vfs import sealing

    live._boot_id = lambda: boot
    sealing._boot = lambda: boot.translate(str.maketrans("0123456789", "abcdefghij"))
    begin = drops.DropStore.__init__

    def begin_elsewhere(self: drops.DropStore, state: str) -> None:
        begin(self, state)
        self._boot = boot

    drops.DropStore.__init__ = begin_elsewhere


if __name__ == "__main__":
    if "ODD_BOOT" in os.environ:
        booted(os.environ["ODD_BOOT"])
    wreck.CONNECTIONS = os.environ.get("ODD_FUSECTL", wreck.CONNECTIONS)
    for word in os.environ.get("ODD", "").split():
        ODDITIES[word]()
    sys.exit(main(sys.argv[1:]))
