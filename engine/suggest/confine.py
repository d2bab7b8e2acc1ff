"""Takes from a process what it does not need: new rights, the network, other programs, most of the file system.

For Linux without any privilege, by ctypes. Each step is taken where the kernel has it, and left out where it has not:

    PR_SET_NO_NEW_PRIVS   nothing that is started gets more rights
    seccomp               no socket, no program, no look into other processes: EPERM (x86-64 and arm64)
    Landlock (5.13)       of the file system only the given folders, and these only to read; no signals to others (6.12)

What Python loads itself from stays readable. Reading what is open already, and asking for more memory, are not touched.

Meant for the beginning of a process that has one thread. What it holds open it keeps.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable
from typing import Final

_SET_SECCOMP, _SET_NO_NEW_PRIVS, _FILTER = 22, 38, 2  # linux/prctl.h

# audit architecture, and the numbers of: socket, socketpair, execve, execveat, ptrace, process_vm_readv,
# process_vm_writev, io_uring_setup (which can do most of the others), pidfd_getfd
_REFUSED: Final = {
    "x86_64": (0xC000003E, (41, 53, 59, 322, 101, 310, 311, 425, 438)),
    "aarch64": (0xC00000B7, (198, 199, 221, 281, 117, 270, 271, 425, 438)),
}
_X32: Final = 0x40000000  # the other way to name the same calls on x86-64
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # linux/bpf_common.h
_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000  # linux/seccomp.h

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on all architectures
_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
_ACCESS_BITS: Final = {1: 13, 2: 14, 3: 15, 4: 15}  # kinds of access that each version knows; 16 from 5 on

# What Python loads itself from. Nobody keeps a secret there.
LIBRARIES: Final = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache")


def confine(readable: Iterable[str]) -> None:
    """Leave of the file system `readable` and what Python itself consists of. OSError where a step that the kernel
    has is refused."""
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.prctl(_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0))))
    _restrict_files(libc, [*readable, *LIBRARIES, sys.prefix, sys.base_prefix, *filter(os.path.isdir, sys.path)])
    _refuse_calls(libc)


def landlock_version() -> int:
    """0 where the kernel has none."""
    return max(int(ctypes.CDLL(None).syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)), 0)


def _restrict_files(libc: ctypes.CDLL, readable: Iterable[str]) -> None:
    version = landlock_version()
    if not version:
        return
    handled = (1 << _ACCESS_BITS.get(version, 16)) - 1
    asked = struct.pack("=QQQ", handled, 3, 3)  # files; TCP: bind, connect; scope: abstract sockets, signals
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _check(libc.syscall(_CREATE_RULESET, asked, ctypes.c_size_t(size), 0))
    try:
        for path in dict.fromkeys(readable):
            _allow_reading(libc, ruleset, path)
        _check(libc.syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _allow_reading(libc: ctypes.CDLL, ruleset: int, path: str) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        rule = struct.pack("=Qi", _READ_FILE | (_READ_DIR if os.path.isdir(path) else 0), fd)
        _check(libc.syscall(_ADD_RULE, ruleset, 1, rule, 0))
    finally:
        os.close(fd)


def _refuse_calls(libc: ctypes.CDLL) -> None:
    if platform.machine() not in _REFUSED or sys.maxsize < 1 << 32:
        return
    architecture, numbers = _REFUSED[platform.machine()]
    steps = [
        (_LOAD, 0, 0, 4),  # seccomp_data.arch
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),  # seccomp_data.nr
        (_AT_LEAST, len(numbers) + 1, 0, _X32),
        *((_EQUAL, len(numbers) - index, 0, number) for index, number in enumerate(numbers)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = struct.pack("@HP", len(steps), ctypes.addressof(code))
    if libc.prctl(_SET_SECCOMP, ctypes.c_ulong(_FILTER), program) and ctypes.get_errno() != errno.EINVAL:
        _check(-1)  # EINVAL: a kernel without it


def _check(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
