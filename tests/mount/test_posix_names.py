"""What calls on names do in a folder: the same as in a directory of tmpfs, errno by errno, but for what is listed here.

open, mkdir, rmdir, unlink, rename, link, symlink, readlink, mknod, with all kinds of things under the name, in the
reach of pjdfstest. docs/filesystem.md says what is refused, and why.
"""

from __future__ import annotations

import itertools
import os
import socket
import stat
from functools import partial

import pytest

from tests.support.posix import (
    LONG,
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
    RENAME_WHITEOUT,
    TOO_LONG,
    Allowed,
    Case,
    Places,
    differences,
    kind_of,
    opened,
    rename2,
    result,
    some,
)

DEEP = "e/" * 2100 + "x"  # past PATH_MAX
TARGETS = (
    "f", "f/", "f/.", "f/x", "d", "d/", "d/.", "d/..", "e", "e/x", "e/x/", "e/x/y", "lf", "lf/", "lf/x", "ld", "ld/",
    "ld/.", "ld/x", "dangling", "dangling/", "dangling/x", "loop", "loop/", "loop/x", "new", "new/", "new/.", "new/x",
    "e/new", "e/s/../x", "ld/new", ".", "..", "./", "", LONG, TOO_LONG, f"e/{TOO_LONG}", f"{TOO_LONG}/x", DEEP,
)  # fmt: skip


# -- open --------------------------------------------------------------------------------------------------------------

ACCESS = {"RDONLY": os.O_RDONLY, "WRONLY": os.O_WRONLY, "RDWR": os.O_RDWR, "PATH": os.O_PATH}
FLAGS = {
    "": 0, "CREAT": os.O_CREAT, "CREAT|EXCL": os.O_CREAT | os.O_EXCL, "TRUNC": os.O_TRUNC, "APPEND": os.O_APPEND,
    "CREAT|TRUNC": os.O_CREAT | os.O_TRUNC, "DIRECTORY": os.O_DIRECTORY, "NOFOLLOW": os.O_NOFOLLOW,
    "CREAT|NOFOLLOW": os.O_CREAT | os.O_NOFOLLOW, "CREAT|DIRECTORY": os.O_CREAT | os.O_DIRECTORY,
    "TMPFILE": os.O_TMPFILE,
}  # fmt: skip


def open_and_use(path: str, flags: int) -> object:
    with opened(path, flags, 0o640) as descriptor:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return kind_of(status), result(partial(os.read, descriptor, 4)), result(partial(os.write, descriptor, b"!"))
        return (
            kind_of(status),
            status.st_size,
            result(partial(os.read, descriptor, 4)),
            result(partial(os.write, descriptor, b"!?")),
            result(partial(os.lseek, descriptor, 0, os.SEEK_CUR)),
            result(partial(os.listdir, descriptor)),
        )


OPEN: dict[str, Case] = {
    f"open {path} {'|'.join(filter(None, (access, flags)))}": partial(open_and_use, path, ACCESS[access] | FLAGS[flags])
    for path, access, flags in itertools.product(TARGETS, ACCESS, FLAGS)
}

# -- one name ----------------------------------------------------------------------------------------------------------


def mknod(kind: int, path: str) -> None:
    os.mknod(path, kind | 0o640, os.makedev(1, 3))


def bind(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(path)


ONE_NAME: dict[str, Case] = {
    f"{call.__name__ if isinstance(call, type(bind)) else call} {path}": partial(function, path)
    for path in TARGETS
    for call, function in {
        "stat": lambda path: kind_of(os.stat(path)),
        "lstat": lambda path: kind_of(os.lstat(path)),
        "readlink": os.readlink,
        "listdir": lambda path: sorted(os.listdir(path)),
        "access": lambda path: os.access(path, os.W_OK),
        "mkdir": lambda path: os.mkdir(path, 0o750),
        "rmdir": os.rmdir,
        "unlink": os.unlink,
        "truncate": lambda path: os.truncate(path, 3),
        "chmod": lambda path: os.chmod(path, 0o604),
        "chdir": os.chdir,
        "symlink": lambda path: os.symlink("f", path),
        "link from": lambda path: os.link(path, "linked"),
        "link to": lambda path: os.link("f", path),
        "mknod file": partial(mknod, stat.S_IFREG),
    }.items()
}

SPECIAL: dict[str, Case] = {
    "mkfifo": lambda: os.mkfifo("new"),
    "mknod fifo": partial(mknod, stat.S_IFIFO, "new"),
    "mknod socket": partial(mknod, stat.S_IFSOCK, "new"),
    "mknod char": partial(mknod, stat.S_IFCHR, "new"),
    "mknod block": partial(mknod, stat.S_IFBLK, "new"),
    "mknod folder": partial(mknod, stat.S_IFDIR, "new"),
    "mkfifo over a file": lambda: os.mkfifo("f"),
    "bind": partial(bind, "new"),
    "bind over a file": partial(bind, "f"),
    "symlink to nothing": lambda: os.symlink("", "new"),
    "symlink to 255": lambda: os.symlink(LONG, "new"),
    "symlink to 4095": lambda: os.symlink("x/" * 2047 + "y", "new"),
    "symlink to 4096": lambda: os.symlink("x/" * 2048, "new"),
    "link of a symlink": lambda: os.link("lf", "new", follow_symlinks=False),
    "link of a symlink's target": lambda: os.link("lf", "new", follow_symlinks=True),
    "40 symlinks": lambda: (
        [os.symlink(f"s{n + 1}" if n < 39 else "f", f"s{n}") for n in range(40)] and os.stat("s0").st_size
    ),
    "41 symlinks": lambda: (
        [os.symlink(f"s{n + 1}" if n < 40 else "f", f"s{n}") for n in range(41)] and os.stat("s0").st_size
    ),
}

# -- names -------------------------------------------------------------------------------------------------------------

NAMES = (
    "new", LONG, TOO_LONG, "\udcff\udc80", "line\nfeed", "\x1b[31m", "\x7f", " ", "...", "-rf", "+", "-", "{", "}", "@",
    "@@", ".tags", "a,b", "key:value", "year:", "~", "x~1", "x~1.ext", "\u202etxt", "caf\u00e9", "cafe\u0301", "New",
    "not", "%00", "\u00e4" * 127, "\u00e4" * 128,
)  # fmt: skip


def use_name(name: str) -> object:
    with opened(f"d/{name}", os.O_CREAT | os.O_EXCL | os.O_WRONLY) as descriptor:
        os.write(descriptor, b"content")
    found = [os.listdir("d"), os.stat(f"d/{name}").st_size, result(partial(os.mkdir, f"d/{name}"))]
    os.rename(f"d/{name}", name)
    os.mkdir(f"d/{name}")
    os.symlink(name, f"d/{name}/{name}")
    found += [os.listdir("d"), os.listdir(f"d/{name}"), os.readlink(f"d/{name}/{name}")]
    os.unlink(f"d/{name}/{name}")
    os.rmdir(f"d/{name}")
    return found


def twins(*names: str) -> object:
    for name in names:
        with opened(f"d/{name}", os.O_CREAT | os.O_EXCL | os.O_WRONLY) as descriptor:
            os.write(descriptor, name.encode())
    return sorted(os.listdir("d")), [os.stat(f"d/{name}").st_size for name in names]


OF_NAMES: dict[str, Case] = {f"name {name!a}": partial(use_name, name) for name in NAMES} | {
    "twins by case": partial(twins, "new", "New", "NEW"),
    "twins by composition": partial(twins, "caf\u00e9", "cafe\u0301"),
}

# -- two names ---------------------------------------------------------------------------------------------------------

SOURCES = (
    "f", "f/", "d", "d/", "d/.", "e", "e/", "e/x", "e/s", "lf", "lf/", "ld", "ld/", "ld/x", "dangling", "loop", "new",
    "new/", "f/x", "loop/x", ".", "..", "", TOO_LONG,
)  # fmt: skip
GOALS = (*SOURCES, "g", "e/new", "e/s/new", "d/new", "d/new/", "new/x", "g/", "e/../new", "ld/s", LONG)
RENAME: dict[str, Case] = {
    f"rename {old} {new}": partial(os.rename, old, new) for old, new in itertools.product(SOURCES, GOALS)
}
RENAME2: dict[str, Case] = {
    f"rename2 {old} {new} {flags}": partial(rename2, old, new, flags)
    for old, new in itertools.product(SOURCES, GOALS)
    for flags in (RENAME_NOREPLACE, RENAME_EXCHANGE)
} | {
    f"rename2 {flags}": partial(rename2, "f", "new", flags)
    for flags in (RENAME_NOREPLACE | RENAME_EXCHANGE, RENAME_WHITEOUT, RENAME_WHITEOUT | RENAME_EXCHANGE, 8, 1 << 31)
}

GROUPS: dict[str, dict[str, Case]] = {
    "open": OPEN, "one name": ONE_NAME, "special": SPECIAL, "names": OF_NAMES, "rename": RENAME, "rename2": RENAME2,
}  # fmt: skip


ALLOWED = (
    Allowed(
        r"open .*(WRONLY|RDWR)\|TMPFILE",
        "ENOTSUP",
        "files without a name are not made; programs make one and remove it",
    ),
    Allowed(r"link .*", "EPERM", "an item is in one folder"),
    Allowed(r"mkfifo|mknod (fifo|socket|char|block)|bind", "EPERM", "no sockets, pipes and devices"),
    Allowed(r"rename2 4|rename2 6", "EINVAL", "no RENAME_WHITEOUT"),
    Allowed(
        r"chmod .*",
        lambda changes: {"folder"} == {entry[0] for entry in changes.values()},
        "who may read a folder may enter it",
    ),
)


@pytest.mark.parametrize("group", GROUPS)
def test_calls_do_what_they_do_on_tmpfs(places: Places, group: str) -> None:
    found, _met = differences(some(GROUPS[group], 7), places.native, places.mounted[len(group) % 2], ALLOWED)
    assert not found


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_all_calls_do_what_they_do_on_tmpfs(places: Places) -> None:
    """In /files and below a tag; and no difference is allowed that there is not."""
    allowed: set[Allowed] = set()
    for mounted, group in itertools.product(places.mounted, GROUPS):
        found, met = differences(GROUPS[group], places.native, mounted, ALLOWED)
        assert not found
        allowed |= met
    assert allowed == set(ALLOWED)
