"""Copying a blob to a file of the user: reflink, else in the kernel, else by hand. Blocking; no threads.

beside DEST: a new file ── bytes, mode, time ── link or rename to DEST
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets

from tagfs.control.views_work import ContentView

FICLONE = 0x40049409  # ioctl_ficlone(2): share the blocks of another file
STEP = 1 << 26  # bytes a copy_file_range call, so that Ctrl-C is heard

_CANNOT = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM)


def copy_out(source: int, target: str, content: ContentView, *, replace: bool) -> None:
    """A new file `target` with the bytes of `source` and the time and mode of `content`, whole or not at all.

    FileExistsError when it exists and is not to be replaced; OSError with the path for everything else.
    """
    if not replace and os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
    folder = os.path.dirname(target) or "."
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "There is no such directory", folder)
    name = os.path.basename(target)
    beside = os.path.join(folder, f".{name[:40]}.{secrets.token_hex(4)}.part")
    out = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _fill(source, out)
        os.fchmod(out, content.mode & 0o666 & ~_umask())
        os.utime(out, ns=(content.mtime_ns, content.mtime_ns))
        if replace:
            os.replace(beside, target)
        else:
            _place(beside, target)
    finally:
        os.close(out)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)


def _place(beside: str, target: str) -> None:
    try:
        os.link(beside, target)  # unlike rename, refuses a file that has come meanwhile
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
