"""One FTP connection, by ftplib. Everything but `abort` blocks and is meant for a thread.

Paths are bytes as the URL has them, percent-decoded, relative to where the login leads. A server that lies about the
address of the data connection is not believed: ftplib uses the one that it talks to.
"""

from __future__ import annotations

import ftplib
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from engine.sources.addresses import is_public
from engine.sources.sockets import require_public
from engine.sources.stream import Fault, FetchFailed

PORT: Final = 21
MOST_LINES: Final = 200  # of one answer: a greeting may be a page
MOST_ANSWER: Final = 64 << 10  # characters of it
_TYPE: Final = re.compile(rb";type=[ai]\Z", re.IGNORECASE)
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
_SIZE: Final = re.compile(r"213[ -]\s*(\d{1,19})\s*")
_MODIFIED: Final = re.compile(r"213[ -]\s*(\d{14})(?:\.\d+)?\s*")


class _Ftp(ftplib.FTP):
    """ftplib's, which collects an answer for as long as it has lines."""

    _lines = _length = 0

    def getmultiline(self) -> str:
        self._lines = self._length = 0
        return super().getmultiline()

    def getline(self) -> str:
        line = super().getline()
        self._lines += 1
        self._length += len(line)
        if self._lines > MOST_LINES or self._length > MOST_ANSWER:
            raise ftplib.error_proto("an answer without end")  # noqa: S321 -- only an exception
        return line


@dataclass(frozen=True, slots=True)
class Place:
    """What a URL names. Texts are bytes as Latin-1, which is what goes over the wire."""

    host: str
    port: int
    user: str
    password: str
    path: str


def place_of(url: str) -> Place:
    """FetchFailed for a URL whose login or path would be more than one command."""
    parts = urlsplit(url)
    path = _TYPE.sub(b"", unquote_to_bytes(parts.path.removeprefix("/")))
    user = unquote_to_bytes(parts.username or "anonymous")
    password = unquote_to_bytes(parts.password or ("" if parts.username else "anonymous@"))
    host = parts.hostname or ""
    if any(_CONTROL.search(text) for text in (path, user, password)):
        raise FetchFailed(f"The URL of a file on {host} holds control characters.", Fault.FINAL)
    if not path or path.endswith(b"/"):
        raise FetchFailed(f"The URL names a directory on {host}, not a file.", Fault.FINAL)
    user_, password_, path_ = (text.decode("latin-1") for text in (user, password, path))
    return Place(host.encode("idna").decode("ascii"), parts.port or PORT, user_, password_, path_)


class FtpSession:
    """`open`, then read the socket that it gives, then `finish`; `abort` in any case."""

    def __init__(self, place: Place, *, connect_timeout: float, timeout: float, public_only: bool) -> None:
        self._place = place
        self._connect_timeout = connect_timeout
        self._timeout = timeout
        self._public_only = public_only
        self._ftp = _Ftp(encoding="latin-1")
        self._is_aborted = False
        self.peer = ""
        self.size: int | None = None
        self.modified: datetime | None = None

    def login(self) -> None:
        """Connect, log in, and ask what there is to know of the file. ftplib's errors, OSError, FetchFailed."""
        place = self._place
        if self._public_only:
            for *_, address in socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM):
                require_public(place.host, str(address[0]))
        self._ftp.connect(place.host, place.port, timeout=self._connect_timeout)
        assert self._ftp.sock is not None
        if self._is_aborted:
            self._ftp.close()
            raise ConnectionAbortedError("nobody waits for this connection any more")
        self.peer = str(self._ftp.sock.getpeername()[0])
        if self._public_only and not is_public(self.peer):
            require_public(place.host, self.peer)
        self._ftp.sock.settimeout(self._timeout)
        self._ftp.login(place.user, place.password)
        self._ftp.voidcmd("TYPE I")
        self.size = self._number("SIZE", _SIZE)
        if (moment := self._number("MDTM", _MODIFIED)) is not None:
            with suppress(ValueError):
                self.modified = datetime.strptime(str(moment), "%Y%m%d%H%M%S").replace(tzinfo=UTC)

    def retrieve(self, start: int) -> tuple[socket.socket, int]:
        """The data connection, non-blocking, and where in the file it begins: 0 where the server cannot go on."""
        try:
            data = self._ftp.transfercmd(f"RETR {self._place.path}", start or None)
        except ftplib.error_perm as error:
            if not start or str(error)[:3] not in ("500", "501", "502", "504"):
                raise
            start = 0
            data = self._ftp.transfercmd(f"RETR {self._place.path}")
        data.setblocking(False)
        return data, start

    def finish(self) -> None:
        """After the end of the data: the server's word that this was all."""
        self._ftp.voidresp()
        with suppress(*ftplib.all_errors):
            self._ftp.quit()

    def abort(self) -> None:
        """Instant, from any thread: who blocks in another one returns with an error."""
        self._is_aborted = True
        if (sock := self._ftp.sock) is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._ftp.close()

    def _number(self, command: str, pattern: re.Pattern[str]) -> int | None:
        """What the server answers about the file; None where it does not know the command."""
        try:
            found = pattern.fullmatch(self._ftp.sendcmd(f"{command} {self._place.path}"))
        except ftplib.error_perm:
            return None  # also for a file that is not there: RETR will say so
        return None if found is None else int(found[1])
