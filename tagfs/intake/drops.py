"""What was dropped into /inbox and is still there, on the disk: `inbox/` in the state directory. Blocks: in threads.

    <32 hex>        the content, as far as it is written
    <32 hex>.json   where it is in /inbox and how it stands; written whole and renamed into place

`closed` in a record is empty while somebody writes, then the name of the boot, and `synced` once the content is on the
disk: a crash of the daemon loses nothing of a closed file, a power cut may, and then nobody knows whether it is whole.
Names from outside never get into names here. A content without a record, or a record without a content, is what a crash
left of a drop that was being made or taken away, and goes at the next start.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
from dataclasses import dataclass
from typing import Any, Final

from engine.disk import own_file

log = logging.getLogger(__name__)

FOLDER: Final = "inbox"
_SYNCED: Final = "synced"
_KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Record:
    """`path` are the tags below /inbox, `name` the file's, both as typed. `closed`: its last writer is done with it.
    `error`: why it cannot be taken, one sentence; None while nobody knows."""

    path: tuple[str, ...]
    name: str
    closed: bool = False
    error: str | None = None


class DropStore:
    """State: the files below `folder`, of which one daemon is the only user."""

    def __init__(self, state: str) -> None:
        self._folder = os.path.join(state, FOLDER)
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            self._boot = file.read().strip()

    def load(self) -> dict[str, Record]:
        """All drops by key. Makes the folder, and takes away what a crash left."""
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        found: dict[str, Record] = {}
        names = set(os.listdir(self._folder))
        for key in filter(_KEY.fullmatch, sorted(names)):
            record = self._read(key) if f"{key}.json" in names else None
            if record is not None:
                found[key] = record
        kept = {name for key in found for name in (key, f"{key}.json")}
        for name in names - kept:
            os.unlink(os.path.join(self._folder, name))
        return found

    def create(self, record: Record) -> tuple[str, int]:
        """The key of a new, empty drop, and a descriptor to write and read it."""
        key = secrets.token_hex(16)
        fd = os.open(self.path(key), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            self.write(key, record)
        except OSError:
            os.close(fd)
            os.unlink(self.path(key))
            raise
        return key, fd

    def write(self, key: str, record: Record) -> None:
        """Durable when it returns, and so is the content of a drop that is closed."""
        if record.closed:
            fd = self.open(key)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        self._put(f"{key}.new", key, record, _SYNCED if record.closed else "", sync=True)
        self._sync_folder()

    def note_closed(self, key: str, record: Record) -> None:
        """Instant, and known after a crash of the daemon. `write` follows."""
        self._put(f"{key}.closed", key, record, self._boot, sync=False)

    def _put(self, temporary: str, key: str, record: Record, closed: str, *, sync: bool) -> None:
        path = self.path(temporary)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fields = {"path": record.path, "name": record.name, "closed": closed, "error": record.error}
            os.write(fd, json.dumps(fields).encode("ascii"))
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(path, self.path(f"{key}.json"))

    def remove(self, key: str) -> None:
        os.unlink(self.path(f"{key}.json"))
        os.unlink(self.path(key))
        self._sync_folder()

    def open(self, key: str) -> int:
        return os.open(self.path(key), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)

    def content(self, key: str) -> bytes:
        with open(self.path(key), "rb", opener=own_file) as file:
            return file.read()

    def path(self, name: str) -> str:
        return os.path.join(self._folder, name)

    def _read(self, key: str) -> Record | None:
        with open(self.path(f"{key}.json"), "rb", opener=own_file) as file:
            content = file.read()
        try:
            return self._record(json.loads(content))
        except (ValueError, KeyError, TypeError):
            log.warning("the record of the dropped file %s cannot be read, and is given up", key)
            return None

    def _record(self, found: Any) -> Record:
        path, error = tuple(str(tag) for tag in found["path"]), found["error"]
        closed = found["closed"] in (_SYNCED, self._boot)
        return Record(path, str(found["name"]), closed, None if error is None else str(error))

    def _sync_folder(self) -> None:
        fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
