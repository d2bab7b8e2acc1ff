"""Inode numbers: who owns which range. Pure.

        1 ..      15   fixed directories
       16 ..      31   the texts of /.tagfs
     4096 .. 2**32-1   items: the number is the item id
    2**40 .. 2**41-1   blobs: 2**40 + blob id
    2**42 .. 2**43-1   files in /inbox, numbered from each start on
    2**61 .. 2**62-1   directories and links that were looked up by another path than their first (never reused)
    2**62 .. 2**63-1   query directories: a hash of the normalised query, so that it is the same on every path

The kernel allows a directory one parent only: if `/tags/a/a` answered lookup with the node id of `/tags/a`, it would
say ELOOP; `/tags/b/a` would steal the dentry of `/tags/a/b`. So each path has its own node id, while stat shows the
number of the query on all of them (docs/decisions/0002).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from engine.types import FIRST_ITEM_ID, LAST_ITEM_ID, BlobId, ItemId

ROOT: Final = 1
TAGS: Final = 2
FILES: Final = 3
QUERIES: Final = 4
BLOBS: Final = 5
TRASH: Final = 6
DOT: Final = 7
INBOX: Final = 8
RELATIONS: Final = 9
STATUS: Final = 16
ERRORS: Final = 17
VERSION: Final = 18
MARKERS: Final = 24  # and the next ones

_BLOB_BASE: Final = 2**40
DROP_BASE: Final = 2**42
ALIAS_BASE: Final = 2**61
QUERY_BASE: Final = 2**62


def of_blob(blob: BlobId) -> int:
    return _BLOB_BASE + blob


def blob_of(number: int) -> BlobId | None:
    return BlobId(number - _BLOB_BASE) if _BLOB_BASE <= number < 2 * _BLOB_BASE else None


def is_drop(number: int) -> bool:
    return DROP_BASE <= number < 2 * DROP_BASE


def item_of(number: int) -> ItemId | None:
    return ItemId(number) if FIRST_ITEM_ID <= number <= LAST_ITEM_ID else None


def of_query(canonical: str) -> int:
    """The number of a query directory: 62 bits of BLAKE2b of the query's canonical text."""
    return QUERY_BASE | int.from_bytes(blake2b(canonical.encode(), digest_size=8).digest()) >> 2
