"""What a disk refused once is not synced again (R9): the kernel has dropped the pages that it could not write, counts
them as clean, and says at the next fsync that all is well. Blocking, for a thread.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress

from engine.disk import own_file


def renew(path: str, beside: str, others: Sequence[str]) -> None:
    """Put what can still be read of `path`, from memory as a rule, into a file of its own that takes its place, under
    its `others` names, too. `beside` is a free name. OSError; then all is as it was, but perhaps for some others."""
    status = os.stat(path)
    try:
        with open(path, "rb") as old, open(beside, "xb", opener=own_file) as new:
            shutil.copyfileobj(old, new, 1 << 20)  # not by reference: that would share what was never written
        os.utime(beside, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.rename(beside, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(beside)
        raise
    for other in others:
        os.link(path, beside)
        os.rename(beside, other)
