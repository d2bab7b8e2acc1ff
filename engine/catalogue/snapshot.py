"""A copy of the whole database as of one moment, while everything goes on. In a thread, over connections of its own.

SQLite's backup API copies page by page inside one read transaction: the writer goes on, its log grows meanwhile.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import Final

from engine.catalogue import points
from engine.catalogue.database import fsync_file, open_reader, raw
from engine.types import Blob

BLOBS: Final = "SELECT id, sha256, size FROM blob ORDER BY sha256"


def copy_to(path: str, target: str) -> list[Blob]:
    """The database `path` to the file `target`, which is replaced, private and durable when this returns. Returns the
    blobs that the copy names. sqlite3.Error, OSError."""
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb"):
        pass
    source = open_reader(path)
    try:
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            raw(source).backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()  # one file: it is nobody's to write to
            blobs = [points.blob_of(row) for row in copy.execute(BLOBS).fetchall()]
    finally:
        source.close()
    fsync_file(target)
    return blobs
