"""A network of the benchmark's own, with nothing in it but this process and what it starts.

Some BitTorrent clients connect to no 127.x address (transmission), or bind to the first real interface and then reach
no loopback (btfs as root). In a namespace whose loopback has one more address all of them meet.
"""

from __future__ import annotations

import ctypes
import os
import subprocess

ADDRESS = "10.9.8.7"
CLONE_NEWNET = 0x40000000


def own_network() -> str:
    """The address to meet at. Needs root; without it that is 127.0.0.1, which not all contenders can reach."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        print(f"no network of our own ({os.strerror(ctypes.get_errno())}): run as root to have all contenders")
        return "127.0.0.1"
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "addr", "add", f"{ADDRESS}/32", "dev", "lo"], check=True)
    return ADDRESS
