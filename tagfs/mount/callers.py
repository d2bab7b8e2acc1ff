"""Who asks: the name of a program, whether it is about to make the name that it looks up, and whether it may have a
directory locked. Trio thread.

mkdir(2) and symlink(2) look a name up first, and fail with EEXIST where it leads somewhere; the request that reaches us
is the one that stat(2) makes. Below /queries every expression leads somewhere, so none could ever be saved under its
own text, were it not for what the kernel says of the waiting thread: /proc/TID/syscall names the call that it is in. It
says so to who may trace the thread, which is not everywhere (Yama's ptrace_scope, another user). Where it does not, the
name of the program decides, which covers mkdir(1).

A walk through an expression, as in `mkdir '/queries/a and b/c'`, looks the same but for the path that the call was
given: its last component is the name that is to be made. It is read where the kernel lets us, which is where it tells
the call.
"""

from __future__ import annotations

import os
import platform
from typing import Final

import trio

# asm/unistd.h: mkdir mkdirat symlink symlinkat, and which of their arguments is the path that is made.
_GENERIC: Final = {34: 1, 36: 2}
_MAKING: Final = {
    "x86_64": {83: 0, 258: 1, 88: 1, 266: 2},
    "aarch64": _GENERIC,
    "riscv64": _GENERIC,
    "loongarch64": _GENERIC,
}
_PATH_MAX: Final = 4096
_PAGE: Final = 4096

# Calls that walk to a name and hold no lock of a directory when the kernel asks us for something: stat lstat access
# execve chdir readlink statfs getxattr lgetxattr listxattr llistxattr newfstatat readlinkat faccessat execveat statx
# faccessat2; open and openat unless they say O_CREAT, in the argument of that number.
_WALKING_GENERIC: Final = frozenset({8, 9, 11, 12, 43, 48, 49, 78, 79, 221, 281, 291, 439})
_WALKING: Final = {
    "x86_64": frozenset({4, 6, 21, 59, 80, 89, 137, 191, 192, 194, 195, 262, 267, 269, 322, 332, 439}),
    "aarch64": _WALKING_GENERIC,
    "riscv64": _WALKING_GENERIC,
    "loongarch64": _WALKING_GENERIC,
}
_OPENING_GENERIC: Final = {56: 2}
_OPENING: Final = {
    "x86_64": {2: 1, 257: 2},
    "aarch64": _OPENING_GENERIC,
    "riscv64": _OPENING_GENERIC,
    "loongarch64": _OPENING_GENERIC,
}

# Right after it has sent its request a thread is still shown as running, until it sleeps: some microseconds.
_LOOKS: Final = 40
_PAUSE: Final = 0.0005


async def is_making(thread: int, name: str) -> bool:
    """Whether `thread` is in mkdir(2) or symlink(2) to make that name, as far as one may know."""
    calls = _MAKING.get(platform.machine(), {})
    for _ in range(_LOOKS if calls else 0):
        text = _read(thread, "syscall")
        if text is None:
            break
        number, *arguments = text.split()
        if number != "running":
            which = calls.get(int(number)) if number.isdecimal() else None
            return which is not None and _ends_with(_path(thread, arguments[which : which + 1]), name)
        await trio.sleep(_PAUSE)
    return _read(thread, "comm") == "mkdir"


def is_naming(thread: int) -> bool:
    """Whether a program asks that makes and moves names by trade: it is to hear of a name that cannot be that it is
    absent, since it may be about to come."""
    return _read(thread, "comm") in ("mkdir", "ln", "mv")


def name_of(thread: int) -> str | None:
    """Of its process, as `ps -o comm` shows it: at most 15 bytes. None for a program that has ended, or lives where we
    cannot see it (0). Two reads in /proc, some 30 µs."""
    status = _read(thread, "status") or ""
    group = next((line.split()[1] for line in status.splitlines() if line.startswith("Tgid:")), None)
    return None if group is None else _read(int(group), "comm")


def is_walking(thread: int) -> bool:
    """Whether a thread is known to be in a call that looks for a name and has no directory locked meanwhile."""
    machine, (number, *arguments) = platform.machine(), (_read(thread, "syscall") or "running").split()
    if machine not in _WALKING or not number.isdecimal():
        return False
    flags = _OPENING[machine].get(int(number))
    if flags is None:
        return int(number) in _WALKING[machine]
    return flags < len(arguments) and not int(arguments[flags], 16) & os.O_CREAT


def _ends_with(path: bytes | None, name: str) -> bool:
    """Also where nobody may know the path."""
    return path is None or os.path.basename(path.rstrip(b"/")) == os.fsencode(name)


def _path(thread: int, address: list[str]) -> bytes | None:
    """The text at that address of the thread's memory, read page by page: the next one may not be there."""
    found = b""
    try:
        at = int(address[0], 16)
        with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:
            while len(found) < _PATH_MAX:
                piece = os.pread(memory.fileno(), _PAGE - at % _PAGE, at)
                text, end, _ = piece.partition(b"\0")
                found += text
                if end:
                    return found
                at += len(piece)
    except (OSError, ValueError, IndexError, OverflowError):
        pass
    return None


def _read(thread: int, what: str) -> str | None:
    """None where we may not know, or the thread is gone or in another namespace."""
    try:
        fd = os.open(f"/proc/{thread}/{what}", os.O_RDONLY)
    except OSError:
        return None
    try:
        return os.read(fd, 256).decode(errors="surrogateescape").strip() or None
    except OSError:
        return None
    finally:
        os.close(fd)
