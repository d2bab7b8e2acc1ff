"""How a daemon in the background tells who started it that it is ready, or why not: one line through a pipe.

    parent: pipe, spawn, wait ◀── {"ready":true}  or  {"error":"one sentence","exit":2}  or the end ── daemon

The daemon's end is closed right after the line, and by the kernel when the daemon dies: the parent never waits for
nothing.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from tagfs.daemon.errors import StartError


@dataclass(slots=True)
class Teller:
    """The daemon's end; without a descriptor nobody listens. Each may be called at any time; the first word counts."""

    descriptor: int | None

    def ready(self) -> None:
        self._tell({"ready": True})

    def failed(self, error: StartError) -> bool:
        """True when somebody listened, who will say it to the user."""
        return self._tell({"error": str(error), "exit": error.exit_code})

    def _tell(self, message: dict[str, object]) -> bool:
        if self.descriptor is None:
            return False
        descriptor, self.descriptor = self.descriptor, None
        try:
            os.write(descriptor, json.dumps(message).encode("ascii") + b"\n")  # below PIPE_BUF, so in one piece
        except BrokenPipeError:  # whoever started us has gone away; the daemon stays
            return False
        finally:
            os.close(descriptor)
        return True


def wait(descriptor: int) -> None:
    """The parent's end: returns once the daemon is ready; StartError with its sentence when it cannot start."""
    with os.fdopen(descriptor, "rb") as stream:
        line = stream.readline()
    if not line:
        raise StartError("The daemon ended before it was ready; its log says why (daemon.log).")
    message = json.loads(line)
    if "error" in message:
        raise StartError(message["error"], message["exit"])
