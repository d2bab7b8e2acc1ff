"""Addresses that are not spoken to any more, because peers at them lied again and again. Trio thread.

libtorrent bans a peer by address and port where several may share an address, and one that connects to us comes from
another port each time. Who was banned three times is banned whatever the port: behind one address there may be honest
ones, too, but not many, and the torrent does without them.

State: for one life of the daemon, how often peers at an address were banned; the last MOST addresses count.
"""

from __future__ import annotations

from typing import Final

import libtorrent as lt

PATIENCE: Final = 3  # bans
MOST: Final = 10_000  # addresses; some 100 bytes each


class Bans:
    def __init__(self) -> None:
        self._times: dict[str, int] = {}  # the longest known first
        self.addresses: dict[str, None] = {}

    def note(self, address: str) -> bool:
        """A peer there was banned. True if the address is from now on."""
        times = self._times[address] = self._times.pop(address, 0) + 1
        if len(self._times) > MOST:
            self._times.pop(next(iter(self._times)))
        if times < PATIENCE or address in self.addresses:
            return False
        self.addresses[address] = None
        if len(self.addresses) > MOST:
            self.addresses.pop(next(iter(self.addresses)))
        return True

    def filter(self) -> lt.ip_filter:
        made = lt.ip_filter()
        for address in self.addresses:
            made.add_rule(address, address, 1)  # blocked
        return made
