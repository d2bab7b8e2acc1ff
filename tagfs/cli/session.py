"""Which state directory a command means, and the daemon on it. Blocking; one object a command."""

from __future__ import annotations

import os
from collections.abc import Mapping

from tagfs.control.client import Client, NoDaemon
from tagfs.daemon.state import DaemonInfo, read_info


class Session:
    """What the verbs of one command share. Nothing is read or connected before it is asked for."""

    def __init__(self, state: str | None, environ: Mapping[str, str]) -> None:
        self.option = state  # --state as given
        self.environ = environ
        self._state: str | None = None

    @property
    def state(self) -> str:
        """The state directory, absolute. ConfigError when it stands in a config file that cannot be used."""
        if self._state is None:
            given = self.option or self.environ.get("TAGFS_STATE")
            if given:
                self._state = os.path.abspath(given)
            else:
                from tagfs.config.load import load

                self._state = load(self.environ).config.paths.state
        return self._state

    def info(self) -> DaemonInfo | None:
        """What the last daemon on the state directory said of itself."""
        return read_info(self.state)

    def client(self) -> Client:
        """A connection to the daemon; NoDaemon says how to start one."""
        info = self.info()
        try:
            if info is not None:
                return Client(info.socket)
        except NoDaemon as error:
            if not error.__cause__:  # somebody else's socket is no missing daemon
                raise
        raise NoDaemon(f"No daemon runs on {self.state}. Start one: tagfs mount DIR")
