"""A file in /inbox as it is opened, and its attributes. Trio thread."""

from __future__ import annotations

import errno
import os

import trio

from tagfs.vfs.content import OpenFile, read_local
from tagfs.vfs.inbox import Drop, Inbox


class DropFile(OpenFile):
    """Made by whoever has opened the drop; `close` closes it."""

    def __init__(self, inbox: Inbox, drop: Drop, *, writing: bool) -> None:
        self.drop = drop
        self._inbox = inbox
        self._writing = writing

    async def read(self, offset: int, size: int) -> bytes:
        return await read_local(self.drop.fd, offset, size)

    async def write(self, offset: int, data: bytes) -> int:
        return self._inbox.write(self.drop, offset, data) if self._writing else await super().write(offset, data)

    async def fsync(self, *, data_only: bool) -> None:
        await trio.to_thread.run_sync(os.fdatasync if data_only else os.fsync, self.drop.fd)

    async def close(self) -> None:
        self._inbox.close(self.drop, writing=self._writing)


def drop_xattrs(drop: Drop) -> list[str]:
    return [name for name, value in _xattrs(drop).items() if value is not None]


def drop_xattr(drop: Drop, name: str) -> bytes:
    value = _xattrs(drop).get(name)
    if value is None:
        raise OSError(errno.ENODATA, f"there is no attribute {name}")
    return value.encode("utf-8", "surrogateescape")


def _xattrs(drop: Drop) -> dict[str, str | None]:
    return {"user.tagfs.state": drop.state, "user.tagfs.error": drop.record.error}
