"""What a service manager is told: the protocol of sd_notify(3), a datagram of NAME=VALUE lines to $NOTIFY_SOCKET.

    start ──▶ READY=1, STATUS=… ──▶ (WATCHDOG=1 twice in each WATCHDOG_USEC) ──▶ STOPPING=1

Without $NOTIFY_SOCKET nobody is told anything. The variables are taken out of the environment, so that no child of ours
talks in our name. A manager that does not listen costs a line in the log and nothing else. Trio thread after the start.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import MutableMapping
from typing import Final

log = logging.getLogger(__name__)

SOCKET: Final = "NOTIFY_SOCKET"
WATCHDOG: Final = "WATCHDOG_USEC"
WATCHDOG_PID: Final = "WATCHDOG_PID"


class Notifier:
    """`address` is the path of a unix socket, or begins with @ for the abstract namespace; None: nobody listens.
    `watchdog` is the time in seconds within which the manager wants to hear of us; None: it does not wait."""

    def __init__(self, address: str | None = None, watchdog: float | None = None) -> None:
        self._address = address
        self.watchdog = watchdog

    @classmethod
    def of(cls, environ: MutableMapping[str, str]) -> Notifier:
        """As the manager asks for; its variables are gone from `environ` afterwards."""
        address = environ.pop(SOCKET, None)
        usec, pid = environ.pop(WATCHDOG, ""), environ.pop(WATCHDOG_PID, "")
        meant = usec.isdecimal() and int(usec) > 0 and pid in ("", str(os.getpid()))
        known = address is not None and address[:1] in ("/", "@") and len(address) > 1
        return cls(address if known else None, int(usec) / 1e6 if meant and known else None)

    def ready(self, status: str) -> None:
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def status(self, text: str) -> None:
        self._send(f"STATUS={_line(text)}")

    def stopping(self) -> None:
        self._send("STOPPING=1\nSTATUS=Unmounting")

    def alive(self) -> None:
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        name = os.fsencode(self._address)
        target = b"\0" + name[1:] if name.startswith(b"@") else name
        try:
            with socket.socket(
                socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            ) as sender:
                sender.sendto(message.encode("utf-8", "backslashreplace"), target)
        except OSError as error:  # it is full, gone, or its name too long
            log.info("the service manager at %s was not told: %s", self._address, error.strerror or error)


def _line(text: str) -> str:
    """A newline would begin another assignment."""
    return text.replace("\n", " ")
