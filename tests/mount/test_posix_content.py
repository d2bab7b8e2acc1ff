"""What calls on content and attributes do in a folder: the same as in a directory of tmpfs, errno by errno, but for
what is listed here.

chmod, chown, utimensat, truncate, read, write, seek, map, lock, allocate, and what is open while its name goes.
"""

from __future__ import annotations

import fcntl
import itertools
import mmap
import os
import re
from collections.abc import Callable
from functools import partial

import pytest

from tests.support.posix import (
    LIBC,
    LONG,
    T0,
    UTIME_NOW,
    UTIME_OMIT,
    Allowed,
    Case,
    Places,
    checked,
    differences,
    kind_of,
    opened,
    result,
    utimensat,
)

R, W, RW = os.O_RDONLY, os.O_WRONLY, os.O_RDWR

# -- attributes --------------------------------------------------------------------------------------------------------


def chmod(path: str, mode: int) -> object:
    os.chmod(path, mode)
    return kind_of(os.stat(path))


def fchmod(path: str, flags: int, mode: int) -> object:
    with opened(path, flags) as descriptor:
        os.fchmod(descriptor, mode)
        return kind_of(os.fstat(descriptor)), kind_of(os.stat(path))


def made_with(call: str, umask: int, mode: int) -> object:
    before = os.umask(umask)
    try:
        if call == "mkdir":
            os.mkdir("new", mode)
        elif call == "mknod":
            os.mknod("new", mode)
        else:
            os.close(os.open("new", os.O_CREAT | os.O_EXCL | W, mode))
    finally:
        os.umask(before)
    return kind_of(os.stat("new"))


def set_times(path: str, atime: tuple[int, int], mtime: tuple[int, int], flags: int = 0) -> object:
    utimensat(path, atime, mtime, flags)
    now = os.stat(path, follow_symlinks=not flags).st_mtime_ns
    return "now" if mtime[1] == UTIME_NOW else now


def times_after(work: Callable[[int], object], flags: int) -> object:
    """Whether a call on an open file moves the modification time, at once and after the close."""
    with opened("f", flags) as descriptor:
        done = result(partial(work, descriptor))
        moved = os.fstat(descriptor).st_mtime_ns != T0, os.stat("f").st_mtime_ns != T0
    return done, moved, os.stat("f").st_mtime_ns != T0


SECONDS = 10**9
MODES = (0, 0o111, 0o222, 0o400, 0o444, 0o600, 0o644, 0o755, 0o777)
ATTRIBUTES: dict[str, Case] = {
    **{f"chmod {path} {mode:o}": partial(chmod, path, mode) for path, mode in itertools.product(("f", "lf"), MODES)},
    **{f"chmod {path} {mode:o}": partial(chmod, path, mode)
       for path in ("d", "ld") for mode in (0, 0o111, 0o500, 0o755, 0o777)},
    **{f"chmod folder {mode:o}": partial(chmod, "d", mode) for mode in (0o400, 0o644)},
    **{f"chmod {path}": partial(chmod, path, 0o600)
       for path in ("f/", "dangling", "loop", "new", "f/x", "", LONG, LONG + "n")},
    **{f"chmod special {mode:o}": partial(chmod, path, mode)
       for path in ("f", "d") for mode in (0o4755, 0o2755, 0o1755)},
    **{f"fchmod {flags}": partial(fchmod, "f", flags, 0o640) for flags in (R, W, RW, os.O_PATH)},
    **{f"{call} {umask:03o} {mode:03o}": partial(made_with, call, umask, mode)
       for call in ("create", "mkdir", "mknod") for umask in (0, 0o022, 0o077, 0o777)
       for mode in (0, 0o600, 0o755, 0o777) if call != "mkdir" or mode & 0o444 == (mode & 0o111) << 2},
    "chown nobody": lambda: os.chown("f", -1, -1),
    "chown own": lambda: os.chown("f", os.getuid(), os.getgid()),
    "chown folder own": lambda: os.chown("d", os.getuid(), os.getgid()),
    "lchown own": lambda: os.lchown("lf", os.getuid(), os.getgid()),
    "chown missing": lambda: os.chown("new", -1, -1),
    **{f"utimensat {path} {mtime} {flags:x}": partial(set_times, path, (1, 2), mtime, flags)
       for path in ("f", "d", "e", "lf", "ld", "dangling", "new", "f/", "f/x", "", "e/x")
       for mtime in (
           (1, 2), (0, 0), (0, -1), (-1, 999_999_999), (2**33, 5), (0, UTIME_NOW), (0, UTIME_OMIT), (0, SECONDS),
       )
       for flags in (0, 0x100)},
    "utimensat flags": partial(set_times, "f", (1, 2), (1, 2), 0x40),
    "utimensat omit both": partial(set_times, "f", (0, UTIME_OMIT), (0, UTIME_OMIT)),
    "utimensat omit both, missing": partial(set_times, "new", (0, UTIME_OMIT), (0, UTIME_OMIT)),
    "utimensat omit atime": partial(set_times, "f", (0, UTIME_OMIT), (7, 8)),
    "utime by descriptor": lambda: with_open("f", R, lambda d: (os.utime(d, ns=(1, 10**9)), os.fstat(d).st_mtime_ns)),
    **{f"times after {name} {flags}": partial(times_after, work, flags)
       for flags in (R, RW)
       for name, work in {
           "nothing": lambda descriptor: None,
           "read": lambda descriptor: os.read(descriptor, 5),
           "write": lambda descriptor: os.write(descriptor, b"x"),
           "write of nothing": lambda descriptor: os.write(descriptor, b""),
           "ftruncate": lambda descriptor: os.ftruncate(descriptor, 3),
           "ftruncate to the same": lambda descriptor: os.ftruncate(descriptor, 10),
           "write and utime": lambda descriptor: (os.write(descriptor, b"x"), os.utime(descriptor, ns=(T0, T0))),
           "utime and write": lambda descriptor: (os.utime(descriptor, ns=(5, 5)), os.write(descriptor, b"x")),
       }.items()},
}  # fmt: skip

if os.getuid() == 0:  # whom tmpfs lets do it
    ATTRIBUTES["chown other"] = lambda: os.chown("f", 12345, -1)
    ATTRIBUTES["chown group other"] = lambda: os.chown("f", -1, 12345)

# -- sizes -------------------------------------------------------------------------------------------------------------


def with_open(path: str, flags: int, work: Callable[[int], object]) -> object:
    with opened(path, flags) as descriptor:
        return work(descriptor)


def ftruncate(path: str, flags: int, size: int) -> object:
    with opened(path, flags) as descriptor:
        os.ftruncate(descriptor, size)
        return os.fstat(descriptor).st_size, os.stat(path).st_size


def truncate(path: str, size: int) -> object:
    os.truncate(path, size)
    return os.stat(path).st_size


SIZES: dict[str, Case] = {
    **{f"truncate {path} {size}": partial(truncate, path, size)
       for path in ("f", "lf", "d", "ld", "dangling", "loop", "new", "f/", "f/x", "", LONG + "n")
       for size in (0, 5, 10, 11, 4095, 4097, 1 << 20, -1)},
    **{f"ftruncate {path} {flags} {size}": partial(ftruncate, path, flags, size)
       for path, flags in itertools.product(("f", "d", "e/x"), (R, W, RW, W | os.O_APPEND, os.O_PATH))
       for size in (0, 5, 4999, 70_000, -1)},
    "write at huge": lambda: with_open("f", W, lambda d: os.pwrite(d, b"x", 2**63 - 1)),
}  # fmt: skip

# -- reading and writing -----------------------------------------------------------------------------------------------


def on_file(flags: int, work: Callable[[int], object], path: str = "f") -> Case:
    return partial(with_open, path, flags, work)


def appended(descriptor: int) -> object:
    os.lseek(descriptor, 3, os.SEEK_SET)
    os.write(descriptor, b"one")
    place = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.pwrite(descriptor, b"two", 2)  # at the end as well, on Linux
    os.ftruncate(descriptor, 12)
    os.write(descriptor, b"three")
    return place, os.pread(descriptor, 100, 0)


def sparse(descriptor: int) -> object:
    os.pwrite(descriptor, b"end", 100_000)
    os.ftruncate(descriptor, 50_000)
    os.ftruncate(descriptor, 60_000)
    os.pwrite(descriptor, b"x", 59_999)
    return (
        os.fstat(descriptor).st_size,
        os.pread(descriptor, 20, 0),
        os.pread(descriptor, 10, 99_995),
        os.pread(descriptor, 9, 59_995),
    )


def map_file(flags: int, protection: int, length: int, *, private: bool = False) -> Case:
    def work(descriptor: int) -> object:
        kind = mmap.MAP_PRIVATE if private else mmap.MAP_SHARED
        try:
            with mmap.mmap(descriptor, length, kind, protection) as mapped:
                if protection & mmap.PROT_WRITE:
                    mapped[2:5] = b"MAP"
                return mapped[:10], os.pread(descriptor, 10, 0) if flags != W else None
        except ValueError as error:
            return str(error)

    return on_file(flags, work)


def two_descriptors() -> object:
    with opened("f", RW) as one, opened("lf", RW | os.O_APPEND) as other:
        os.write(one, b"ONE")
        os.write(other, b"OTHER")
        os.ftruncate(one, 12)
        found = os.pread(other, 100, 0), os.read(one, 100), os.fstat(other).st_size
        os.write(other, b"!")
        return found, os.pread(one, 100, 0), os.lseek(one, 0, os.SEEK_END)


def dup_shares_its_place() -> object:
    with opened("f", RW) as one:
        other = os.dup(one)
        os.write(one, b"ab")
        os.write(other, b"cd")
        os.close(other)
        return os.pread(one, 100, 0), result(partial(os.read, other, 1))


def vectors(descriptor: int) -> object:
    buffers = [bytearray(3), bytearray(0), bytearray(20)]
    return (
        os.writev(descriptor, [b"ab", b"", b"c" * 5]),
        os.preadv(descriptor, buffers, 1),
        [bytes(buffer) for buffer in buffers],
    )


def copied(descriptor: int) -> object:
    with opened("new", RW | os.O_CREAT) as target:
        return (
            os.copy_file_range(descriptor, target, 7, 2, 4),
            os.sendfile(target, descriptor, 0, 4),
            os.pread(target, 100, 0),
        )


def spliced(descriptor: int) -> object:
    reader, writer = os.pipe()
    try:
        os.write(writer, b"pipe")
        return (
            os.splice(reader, descriptor, 4, offset_dst=3),
            os.splice(descriptor, writer, 6, offset_src=0),
            os.read(reader, 100),
        )
    finally:
        os.close(reader)
        os.close(writer)


def locked(kind: int) -> object:
    with opened("f", RW) as one, opened("f", RW) as other:
        fcntl.flock(one, kind | fcntl.LOCK_NB)
        return result(lambda: fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)), result(
            lambda: fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
        )


def allocate(mode: int) -> Case:
    return on_file(RW, lambda descriptor: checked(LIBC.fallocate(descriptor, mode, 0, 100)))


CONTENT: dict[str, Case] = {
    "append": on_file(RW | os.O_APPEND, appended),
    "sparse": on_file(RW, sparse),
    "two descriptors": two_descriptors,
    "dup": dup_shares_its_place,
    "vectors": on_file(RW, vectors),
    "copy_file_range, sendfile": on_file(R, copied),
    "copy_file_range from write-only": on_file(W, copied),
    "splice": on_file(RW, spliced),
    **{f"pread {length} {offset}": on_file(R, lambda d, n=length, o=offset: os.pread(d, n, o), "e/x")  # type: ignore[misc]  # defaults of a lambda have no types
       for length in (0, 1, 4096, 5000, 10_000) for offset in (0, 1, 4095, 4096, 4999, 5000, 5001, 10**9, 2**62, -1)},
    **{f"pwrite {length} {offset}": on_file(W, lambda d, n=length, o=offset: os.pwrite(d, b"w" * n, o), "e/x")  # type: ignore[misc]  # the same
       for length in (0, 1, 4096, 5000) for offset in (0, 1, 4095, 4096, 4999, 5000, 5001, 20_000, -1)},
    **{f"{call.__name__} {flags}": on_file(flags, lambda d, c=call: c(d, 4))  # type: ignore[misc]  # the same
       for call in (os.read,) for flags in (R, W, RW, os.O_PATH)},
    **{f"write {flags}": on_file(flags, lambda d: os.write(d, b"w")) for flags in (R, W, RW, os.O_PATH)},
    **{f"lseek {offset} {whence}": on_file(RW, lambda d, o=offset, w=whence: (os.lseek(d, o, w), os.read(d, 3)))  # type: ignore[misc]  # the same
       for offset in (0, 3, 10, 11, -1, -10, -11, 2**62) for whence in (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END)},
    "lseek whence": on_file(RW, lambda d: os.lseek(d, 0, 77)),
    "lseek DATA": on_file(RW, lambda d: os.lseek(d, 0, os.SEEK_DATA)),
    "lseek HOLE": on_file(RW, lambda d: os.lseek(d, 0, os.SEEK_HOLE)),
    "lseek DATA at the end": on_file(RW, lambda d: os.lseek(d, 10, os.SEEK_DATA)),
    "lseek HOLE beyond": on_file(RW, lambda d: os.lseek(d, 11, os.SEEK_HOLE)),
    "read of a folder": on_file(R, lambda d: os.read(d, 4), "d"),
    "fsync of a folder": on_file(R, os.fsync, "d"),
    "fdatasync of a folder": on_file(R, os.fdatasync, "d"),
    "fsync, reading": on_file(R, os.fsync),
    "fsync, writing": on_file(RW, lambda d: (os.write(d, b"synced"), os.fsync(d), os.fdatasync(d))),
    "fsync of O_PATH": on_file(os.O_PATH, os.fsync),
    "list a file": on_file(R, os.listdir),
    "flock exclusive": partial(locked, fcntl.LOCK_EX),
    "flock shared": partial(locked, fcntl.LOCK_SH),
    "lockf, reading": on_file(R, lambda d: fcntl.lockf(d, fcntl.LOCK_EX | fcntl.LOCK_NB)),
    "lockf, writing": on_file(RW, lambda d: fcntl.lockf(d, fcntl.LOCK_EX | fcntl.LOCK_NB, 5)),
    **{f"fallocate {mode}": allocate(mode) for mode in (0, 1, 3)},
    "posix_fallocate": on_file(RW, lambda d: (os.posix_fallocate(d, 0, 5000), os.fstat(d).st_size)),
    "fadvise": on_file(R, lambda d: os.posix_fadvise(d, 0, 0, os.POSIX_FADV_DONTNEED)),
    **{f"map {flags} {protection} {length}": map_file(flags, protection, length)
       for flags in (R, W, RW) for length in (0, 10)
       for protection in (mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE)},
    "map private": map_file(R, mmap.PROT_READ | mmap.PROT_WRITE, 10, private=True),
    "map beyond the end": map_file(RW, mmap.PROT_READ, 20_000),
    "closed descriptor": lambda: [result(partial(call, 9999)) for call in (os.fsync, os.fstat, os.listdir, os.close)],
}  # fmt: skip

# -- what is open while its name goes ----------------------------------------------------------------------------------


def go_on(remove: Callable[[], object], flags: int = RW) -> Case:
    def case() -> object:
        with opened("f", flags) as descriptor:
            removed = result(remove)
            found = [os.pread(descriptor, 100, 0), os.fstat(descriptor).st_size]
            if flags == RW:
                found += [
                    os.pwrite(descriptor, b"goes on", 20),
                    os.pread(descriptor, 100, 0),
                    result(partial(os.ftruncate, descriptor, 5)),
                ]
                found += [
                    result(partial(os.fchmod, descriptor, 0o600)),
                    os.fstat(descriptor).st_size,
                    os.pread(descriptor, 100, 0),
                ]
            return removed, found

    return case


def in_removed_folder(work: Callable[[int], object]) -> Case:
    def case() -> object:
        with opened("d", R | os.O_DIRECTORY) as descriptor:
            os.rmdir("d")
            return work(descriptor)

    return case


def unlink_all_while_listed() -> object:
    with os.scandir("e") as listed:
        names = []
        for entry in listed:
            names.append(entry.name)
            (os.rmdir if entry.is_dir() else os.unlink)(entry.path)
    return sorted(names), os.listdir("e")


def without_a_name() -> object:
    """A file that is removed before anything is written to it, as programs make those for themselves."""
    with opened("new", RW | os.O_CREAT | os.O_EXCL) as descriptor:
        os.unlink("new")
        os.ftruncate(descriptor, 10_000)
        found = [os.fstat(descriptor).st_size, os.pwrite(descriptor, b"some", 5000), os.pread(descriptor, 10, 4998)]
        os.fchmod(descriptor, 0o600)
        os.utime(descriptor, ns=(1, 10**9))
        os.ftruncate(descriptor, 5002)
        status = os.fstat(descriptor)
        os.fsync(descriptor)
        return found, status.st_size, kind_of(status), status.st_nlink, os.pread(descriptor, 10, 4998)


def mapped_without_a_name() -> object:
    with opened("new", RW | os.O_CREAT | os.O_EXCL) as descriptor:
        os.unlink("new")
        os.ftruncate(descriptor, 8192)
        with mmap.mmap(descriptor, 8192) as mapped:
            mapped[4000:5000] = b"m" * 1000
            mapped.flush()
            return os.pread(descriptor, 4, 4998), mapped[:2]


OPEN: dict[str, Case] = {
    "unlink, reading": go_on(lambda: os.unlink("f"), R),
    "unlink, writing": go_on(lambda: os.unlink("f")),
    "rename over, reading": go_on(lambda: os.rename("g", "f"), R),
    "rename over, writing": go_on(lambda: os.rename("g", "f")),
    "rename away, writing": go_on(lambda: os.rename("f", "e/new")),
    "rename away over another, writing": go_on(lambda: os.rename("f", "g")),
    "unlink and make anew": go_on(lambda: (os.unlink("f"), os.close(os.open("f", W | os.O_CREAT | os.O_EXCL)))),
    "chmod 0, writing": go_on(lambda: os.chmod("f", 0)),
    "list in what was removed": in_removed_folder(os.listdir),
    "make in what was removed": in_removed_folder(lambda d: os.mkdir("x", dir_fd=d)),
    "create in what was removed": in_removed_folder(lambda d: os.open("x", W | os.O_CREAT, dir_fd=d)),
    "look in what was removed": in_removed_folder(lambda d: os.stat("x", dir_fd=d)),
    "chdir to what was removed": in_removed_folder(lambda d: (os.chdir(d), result(os.getcwd))),
    "unlink while listing": unlink_all_while_listed,
    "without a name": without_a_name,
    "mapped without a name": mapped_without_a_name,
}

GROUPS: dict[str, dict[str, Case]] = {"attributes": ATTRIBUTES, "sizes": SIZES, "content": CONTENT, "open": OPEN}
SHORTER = "who has the old content of a file open goes on with it as far as the file is long now"
FOLDER_MODES = ("dr-x------", "drwxr-xr-x")
ALLOWED = (
    Allowed(r"fallocate \d", "ENOTSUP", "no fallocate; posix_fallocate writes instead"),
    Allowed(r"chmod folder \d+", FOLDER_MODES.__contains__, "who may read a folder may enter it"),
    Allowed(
        r"chmod special \d+", lambda shown: shown[1:] == "rwxr-xr-x", "setuid, setgid and sticky bits are not kept"
    ),
    Allowed(r"chown (group )?other", "EPERM", "all belongs to the user who mounted"),
    Allowed(r"rename over, reading", (None, [b"01234", 5]), SHORTER),
    Allowed(r"rename over, writing", lambda done: done[1][:2] == [b"01234", 5], SHORTER),
)


@pytest.mark.parametrize("group", GROUPS)
def test_calls_do_what_they_do_on_tmpfs(places: Places, group: str) -> None:
    """And no difference is allowed that there is not."""
    found, met = differences(GROUPS[group], places.native, places.mounted[len(group) % 2], ALLOWED)
    assert not found
    for rule in set(ALLOWED) - met:
        assert not any(re.fullmatch(rule.case, name) for name in GROUPS[group]), rule
