"""Which version of a remote file our bytes belong to. Pure.

Two answers may be put together only if the server vouches that they are parts of the same thing: by a strong ETag, or
by a Last-Modified that was at least a minute old when first seen (RFC 9110, 8.8.2.2: a file may change twice within
the second that the date can tell). Without either, a download that was cut begins again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.sources.stream import Head

SETTLED_NS: Final = 60 * 10**9  # how old a modification must be to serve as a validator


@dataclass(frozen=True, slots=True)
class Version:
    """`size` is bytes of the whole, None while unknown; `last_modified` is kept only where it may validate."""

    size: int | None
    etag: str | None = None
    last_modified: str | None = None

    @property
    def validator(self) -> str | None:
        """What goes into If-Range."""
        return self.etag or self.last_modified


def version_of(head: Head, size: int | None, now_ns: int) -> Version:
    """Of the first answer. `now_ns` is our clock, for servers that do not send theirs."""
    clock = now_ns if head.date_ns is None else head.date_ns
    settled = head.last_modified_ns is not None and clock - head.last_modified_ns >= SETTLED_NS
    return Version(size, head.etag, head.last_modified if settled else None)


def contradiction(known: Version, head: Head, total: int | None) -> str | None:
    """What in a later answer shows that it is about another version, a sentence; None for nothing."""
    if known.size is not None and total is not None and known.size != total:
        return f"The file on the server changed: it had {known.size} bytes and has {total} now."
    if known.etag is not None and head.etag is not None:
        return None if known.etag == head.etag else "The file on the server changed: its ETag is another one now."
    if known.last_modified is not None and head.last_modified is not None and known.last_modified != head.last_modified:
        return "The file on the server changed: its modification time is another one now."
    return None
