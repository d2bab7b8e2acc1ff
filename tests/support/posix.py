"""Calls that are made in a directory of tmpfs and in one of a mount, to see whether they do the same.

A case is a function that works in the current directory, which holds what TREE says, with all times at T0. What it did
is what it returned, or the errno it failed with, and what the directory holds then: kinds, modes, contents, targets,
and which modification times have moved. Which inode a name leads to is left out; tests/mount has other tests of that.
Only what a case changed is made anew for the next one.

A difference is allowed where one of the `Allowed` says why.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

Case = Callable[[], object]
Entry = tuple[object, ...]

T0: Final = 10**18  # ns
# Path -> (kind, mode, content or target). `e` is the folder that is not empty, `lf` leads to f, `ld` to e.
TREE: Mapping[str, tuple[str, int, bytes]] = {
    "f": ("file", 0o644, b"0123456789"),
    "g": ("file", 0o600, b"other"),
    "d": ("folder", 0o755, b""),
    "e": ("folder", 0o755, b""),
    "e/x": ("file", 0o644, b"x" * 5000),
    "e/s": ("folder", 0o700, b""),
    "lf": ("symlink", 0o777, b"f"),
    "ld": ("symlink", 0o777, b"e"),
    "dangling": ("symlink", 0o777, b"nowhere"),
    "loop": ("symlink", 0o777, b"loop"),
}
LONG, TOO_LONG = "n" * 255, "n" * 256

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_int64), ("nanoseconds", ctypes.c_int64))


def checked(result: int) -> int:
    """What a function of the C library returned, or the error that it means."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def rename2(old: str, new: str, flags: int) -> None:
    checked(LIBC.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), ctypes.c_uint(flags)))


def utimensat(path: str, atime: tuple[int, int], mtime: tuple[int, int], flags: int = 0) -> None:
    times = (_Timespec * 2)(atime, mtime)
    checked(LIBC.utimensat(AT_FDCWD, os.fsencode(path), ctypes.byref(times), flags))


def result(case: Case) -> object:
    """What it returns, or the name of the errno with which it fails."""
    try:
        return case()
    except OSError as error:
        return errno.errorcode[error.errno or 0]


@contextlib.contextmanager
def opened(path: str, flags: int, mode: int = 0o644) -> Iterator[int]:
    descriptor = os.open(path, flags, mode)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def kind_of(status: os.stat_result) -> str:
    return stat.filemode(status.st_mode)


class Place:
    """The directory `top`/D, in which cases are run, one after the other."""

    def __init__(self, top: Path) -> None:
        (top / "D").mkdir(mode=0o755)
        self._directory = os.open(top / "D", os.O_RDONLY | os.O_DIRECTORY)
        self._home = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        self._broken = {path for path in TREE if "/" not in path}

    def close(self) -> None:
        os.close(self._directory)
        os.close(self._home)

    def run(self, case: Case) -> tuple[object, dict[str, Entry]]:
        """What it returned or failed with, and how the tree differs from TREE afterwards."""
        os.fchdir(self._directory)
        try:
            self._mend()
            done = result(case)
            os.fchdir(self._directory)
            changes = dict(_changes(read=not isinstance(done, str)))
        finally:
            os.fchdir(self._home)
        self._broken = {path.partition("/")[0] for path in changes} - {"."}
        return done, changes

    def _mend(self) -> None:
        for name in self._broken:
            _remove(name)
        for path, (kind, mode, content) in TREE.items():
            if path.partition("/")[0] not in self._broken:
                continue
            if kind == "file":
                with opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as descriptor:
                    os.write(descriptor, content)
            elif kind == "folder":
                os.mkdir(path)
            else:
                os.symlink(content, path)
            if kind != "symlink":
                os.chmod(path, mode)
        os.chmod(".", 0o755)
        os.chmod("..", 0o755)
        for path in [*reversed(TREE), "."]:
            if path.partition("/")[0] in self._broken | {"."}:
                os.utime(path, ns=(T0, T0), follow_symlinks=False)


class Places(NamedTuple):
    """A directory of tmpfs, and folders of a mount: one below /files, one below a tag."""

    native: Place
    mounted: tuple[Place, Place]


def _changes(*, read: bool) -> Iterator[tuple[str, Entry]]:
    found = dict(_entries("", read=read))
    for path in sorted({*found, *TREE}):
        kind, mode, content = TREE.get(path, ("gone", 0, b""))
        expected = (kind, mode, content if kind == "symlink" or (kind == "file" and read) else b"", False)
        if found.get(path) != expected:
            yield path, found.get(path, ("gone",))
    if os.stat(".").st_mtime_ns != T0:
        yield ".", ("touched",)


def _entries(folder: str, *, read: bool) -> Iterator[tuple[str, Entry]]:
    for name in os.listdir(folder or "."):
        path = folder + name
        status = os.lstat(path)
        mode, touched = stat.S_IMODE(status.st_mode), status.st_mtime_ns != T0
        if stat.S_ISLNK(status.st_mode):
            yield path, ("symlink", mode, os.fsencode(os.readlink(path)), touched)
        elif stat.S_ISDIR(status.st_mode):
            yield path, ("folder", mode, b"", touched)
            yield from _entries(path + "/", read=read)
        elif not stat.S_ISREG(status.st_mode):
            yield path, ("special", stat.S_IFMT(status.st_mode), b"", touched)
        elif read:
            with opened(path, os.O_RDONLY) as descriptor:
                yield path, ("file", mode, os.read(descriptor, 100_000), touched)
        else:
            yield path, ("file", mode, b"", touched)


def _remove(name: str) -> None:
    if os.path.isdir(name) and not os.path.islink(name):
        shutil.rmtree(name)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


@dataclass(frozen=True, eq=False)
class Allowed:
    """`case`: a pattern that the names of the cases match; `mounted`: what they return or fail with on the mount, or a
    function that says whether that may be. `why` is in docs/filesystem.md."""

    case: str
    mounted: object
    why: str

    def fits(self, name: str, done: object) -> bool:
        if re.fullmatch(self.case, name) is None:
            return False
        return bool(self.mounted(done)) if callable(self.mounted) else done == self.mounted


def differences(
    cases: Mapping[str, Case], native: Place, mounted: Place, allowed: Sequence[Allowed]
) -> tuple[dict[str, tuple[object, object]], set[Allowed]]:
    """Name of a case -> what it did natively and on the mount, of those where it is not the same and nothing allows it;
    and which differences that are allowed there were."""
    found: dict[str, tuple[object, object]] = {}
    met: set[Allowed] = set()
    for name, case in cases.items():
        one, other = native.run(case), mounted.run(case)
        if one == other:
            continue
        excuse = next((rule for rule in allowed if rule.fits(name, other[0] if one[0] != other[0] else other[1])), None)
        if excuse is not None:
            met.add(excuse)
        elif one[0] != other[0]:
            found[name] = (one[0], other[0])
        else:
            found[name] = (
                {path: entry for path, entry in one[1].items() if other[1].get(path) != entry},
                {path: entry for path, entry in other[1].items() if one[1].get(path) != entry},
            )
    return found, met


def some(cases: Mapping[str, Case], every: int) -> dict[str, Case]:
    """A part that is the same each time, and has something of all kinds."""
    return {name: case for number, (name, case) in enumerate(cases.items()) if number % every == 0}
