"""What bytes are, by libmagic: the library behind file(1). In disk threads; ctypes gives the GIL away meanwhile.

It sees the first HEAD bytes, never a path. Its parsers for executables, compound documents and tables, and the
unpacking of compressed content, stay switched off: what they add is no class of `type:`, and what they read was written
by strangers. 0.05 to 0.4 ms a look, 1 ms for a text.

State: one libmagic cookie, which one thread uses at a time. Without the library every answer is None, and types come
from names.
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
from typing import Final

from engine.media_types import UNKNOWN, says_enough

log = logging.getLogger(__name__)

HEAD: Final = 36 << 10  # an ISO 9660 image says at 32 KiB what it is

MIME_TYPE: Final = 0x10
NO_CHECK: Final = 0x1000 | 0x8000 | 0x10000 | 0x40000 | 0x80000 | 0x100000  # compress application elf cdf csv tokens

# What Python's mimetypes, and so a name, calls otherwise.
_ALIASES: Final = {
    "audio/x-m4a": "audio/mp4",
    "video/x-m4v": "video/mp4",
    "audio/x-hx-aac-adts": "audio/aac",
    "application/x-rar": "application/vnd.rar",
    "application/vnd.sqlite3": "application/x-sqlite3",
}
_NOTHING: Final = frozenset({"application/octet-stream", "application/x-empty", "inode/x-empty"})


class Magic:
    def __init__(self, library: str = "libmagic.so.1") -> None:
        self._lock = threading.Lock()
        self._cookie: ctypes.c_void_p | None = None
        try:
            self._library = ctypes.CDLL(library)
        except OSError as error:
            log.warning("what files are is told by their names alone, since libmagic cannot be used: %s", error)
            return
        self._declare()
        cookie = self._library.magic_open(MIME_TYPE | NO_CHECK)
        if cookie is None or self._library.magic_load(cookie, None) != 0:
            log.warning("what files are is told by their names alone, since libmagic has no database")
            return
        self._cookie = ctypes.c_void_p(cookie)

    def _declare(self) -> None:
        library = self._library
        library.magic_open.argtypes, library.magic_open.restype = [ctypes.c_int], ctypes.c_void_p
        library.magic_load.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        library.magic_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
        library.magic_buffer.restype = ctypes.c_char_p

    def look(self, head: bytes) -> str | None:
        """The MIME type of content that begins so; UNKNOWN where it tells none, None where nobody can tell."""
        if self._cookie is None:
            return None
        with self._lock:
            found: bytes | None = self._library.magic_buffer(self._cookie, head, len(head))
        if found is None:  # libmagic gave up on it
            return UNKNOWN
        mime = found.decode("ascii", "replace")
        return UNKNOWN if mime in _NOTHING or "/" not in mime else _ALIASES.get(mime, mime)

    def look_at(self, path: str, name: str = "") -> str | None:
        """As `look`, of a file; None also where `name`, by which it is known, says enough. OSError."""
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            head = os.pread(fd, HEAD, 0)
        finally:
            os.close(fd)
        return None if name and says_enough(name, head) else self.look(head)
