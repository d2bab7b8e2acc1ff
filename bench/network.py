"""Networks of the benchmark's own, with nothing in them but this process and what it starts. They need root.

Some BitTorrent clients connect to no 127.x address (transmission), others to none of their own machine (btfs). So the
transfers meet at one more address of the loopback in a namespace, and on-demand reading has its server at the other end
of a pair of virtual interfaces, in a second namespace.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import subprocess
import time
from dataclasses import dataclass

CLONE_NEWNET = 0x40000000


@dataclass(frozen=True)
class Place:
    """Where a server runs: its address, and the words before its command."""

    address: str = "127.0.0.1"
    prefix: tuple[str, ...] = ()


def own_network() -> Place:
    """From here on this process is in a namespace whose loopback has the address that is returned."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        print(f"no network of our own ({os.strerror(ctypes.get_errno())}): run as root to have all contenders")
        return Place()
    ip("link set lo up", "addr add 10.9.8.7/32 dev lo")
    return Place("10.9.8.7")


def another_machine() -> Place:
    """A namespace beside ours, at the other end of a cable. Call `own_network` first."""
    holder = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
    atexit.register(holder.kill)
    theirs = f"/proc/{holder.pid}/ns/net"
    while os.readlink(theirs) == os.readlink("/proc/self/ns/net"):
        time.sleep(0.01)  # another process has no event to wait for
    prefix = ("nsenter", f"--net={theirs}")
    ip(f"link add bench0 type veth peer name bench1 netns {holder.pid}", "addr add 10.9.9.1/24 dev bench0")
    ip("link set bench0 up")
    ip("link set lo up", "addr add 10.9.9.2/24 dev bench1", "link set bench1 up", prefix=prefix)
    return Place("10.9.9.2", prefix)


def ip(*commands: str, prefix: tuple[str, ...] = ()) -> None:
    for command in commands:
        subprocess.run([*prefix, "ip", *command.split()], check=True)
