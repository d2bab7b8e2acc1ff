"""Copying a blob to a file of the user: reflink, else in the kernel, else by hand. Blocking; no threads.

beside DEST: a new file ── bytes, mode, time ── link or rename to DEST
             a new directory ── all that is in it ── rename to DEST
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Iterator

from tagfs.control.views_work import ContentView

FICLONE = 0x40049409  # ioctl_ficlone(2): share the blocks of another file
STEP = 1 << 26  # bytes a copy_file_range call, so that Ctrl-C is heard

_CANNOT = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM)


def copy_out(source: int, target: str, content: ContentView, *, replace: bool) -> None:
    """A new file `target` with the bytes of `source` and the time and mode of `content`, whole or not at all.

    FileExistsError when it exists and is not to be replaced; OSError with the path for everything else.
    """
    beside = _beside(target, replace=replace)
    out = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _fill(source, out)
        os.fchmod(out, content.mode & 0o666 & ~_umask())
        os.utime(out, ns=(content.mtime_ns, content.mtime_ns))
        _place(beside, target, replace=replace)
    finally:
        os.close(out)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)


def copy_symlink(leads_to: str, target: str, *, replace: bool) -> None:
    """A new symlink `target`, as `copy_out` makes a file. Where it leads is neither followed nor judged."""
    beside = _beside(target, replace=replace)
    os.symlink(leads_to, beside)
    try:
        _place(beside, target, replace=replace)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)


@contextlib.contextmanager
def new_folder(target: str) -> Iterator[str]:
    """A directory that the block fills, only its owner may enter, and which is `target` after the block. When the block
    fails nothing is left of it."""
    beside = _beside(target, replace=False)
    os.mkdir(beside, 0o700)
    try:
        yield beside
        os.chmod(beside, 0o777 & ~_umask())
        _place(beside, target, replace=True)  # never in the place of what has come meanwhile but an empty directory
    except BaseException:
        shutil.rmtree(beside)
        raise


def _beside(target: str, *, replace: bool) -> str:
    """The path of what will become `target`; nothing is there."""
    if replace:
        refuse_special(target)
    if not replace and os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
    folder = os.path.dirname(target) or "."
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "There is no such directory", folder)
    return os.path.join(folder, f".{os.path.basename(target)[:40]}.{secrets.token_hex(4)}.part")


def refuse_special(target: str) -> None:
    """OSError when a device, a pipe or a socket is there: root could put a file in its place, which nobody means."""
    with contextlib.suppress(FileNotFoundError):
        mode = os.lstat(target).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
            raise OSError(errno.EINVAL, "Only files are replaced; to write into a device or a pipe use - and >", target)


def _place(beside: str, target: str, *, replace: bool) -> None:
    try:
        if replace:
            os.replace(beside, target)
        else:
            _link(beside, target)
    except OSError as error:  # it names both; the user knows one of them
        raise OSError(error.errno, error.strerror, target) from error


def _link(beside: str, target: str) -> None:
    try:
        # unlike rename, refuses a file that has come meanwhile
        os.link(beside, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _CANNOT:  # FAT has no links
            raise
        os.rename(beside, target)


def _fill(source: int, out: int) -> None:
    try:
        fcntl.ioctl(out, FICLONE, source)
        return
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    try:
        while os.copy_file_range(source, out, STEP):
            pass
        return
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    os.lseek(source, 0, os.SEEK_SET)
    os.lseek(out, 0, os.SEEK_SET)
    while chunk := os.read(source, 1 << 20):
        view = memoryview(chunk)
        while view:
            view = view[os.write(out, view) :]


def _umask() -> int:
    mask = os.umask(0o077)  # there is no other way to read it
    os.umask(mask)
    return mask
