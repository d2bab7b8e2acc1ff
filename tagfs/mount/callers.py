"""Whether the program that waits for our answer to a lookup is about to make that name. Trio thread.

mkdir(2) and symlink(2) look a name up first, and fail with EEXIST where it leads somewhere; the request that reaches us
is the one that stat(2) makes. Below /queries every expression leads somewhere, so none could ever be saved under its
own text, were it not for what the kernel says of the waiting thread: /proc/TID/syscall names the call that it is in. It
says so to who may trace the thread, which is not everywhere (Yama's ptrace_scope, another user). Where it does not, the
name of the program decides, which covers mkdir(1).
"""

from __future__ import annotations

import os
import platform
from typing import Final

import trio

# asm/unistd.h: mkdir mkdirat symlink symlinkat
_MAKING: Final = {
    "x86_64": frozenset({83, 258, 88, 266}),
    "aarch64": frozenset({34, 36}),
    "riscv64": frozenset({34, 36}),
    "loongarch64": frozenset({34, 36}),
}

# Right after it has sent its request a thread is still shown as running, until it sleeps: some microseconds.
_LOOKS: Final = 40
_PAUSE: Final = 0.0005


async def is_making(thread: int) -> bool:
    """Whether `thread` is in mkdir(2) or symlink(2), as far as one may know."""
    calls = _MAKING.get(platform.machine())
    for _ in range(_LOOKS if calls else 0):
        text = _read(thread, "syscall")
        if text is None:
            break
        number = text.split(maxsplit=1)[0]
        if number != "running":
            return number.isdecimal() and int(number) in (calls or ())
        await trio.sleep(_PAUSE)
    return _read(thread, "comm") == "mkdir"


def is_naming(thread: int) -> bool:
    """Whether a program asks that makes and moves names by trade: it is to hear of a name that cannot be that it is
    absent, since it may be about to come."""
    return _read(thread, "comm") in ("mkdir", "ln", "mv")


def _read(thread: int, what: str) -> str | None:
    """None where we may not know, or the thread is gone or in another namespace."""
    try:
        fd = os.open(f"/proc/{thread}/{what}", os.O_RDONLY)
    except OSError:
        return None
    try:
        return os.read(fd, 256).decode(errors="replace").strip() or None
    except OSError:
        return None
    finally:
        os.close(fd)
