"""kill -9 and SIGTERM in the middle of writing and tagging: what was promised is there, and the rest says what it is.

Invariants I1 and I2, on real mounts. What a program wrote before the kill is in the page cache, which survives it.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tagfs.vfs.sealing import CUT_SHORT
from tests.mount.conftest import Mount

CHUNK = 65536


class Writer(threading.Thread):
    """Works until the daemon is gone, and notes what it was promised."""

    def __init__(self, work: Callable[[Writer], None]) -> None:
        super().__init__()
        self.work = work
        self.promised: list[bytes] = []
        self.enough = threading.Event()
        self.error: OSError | None = None
        self.start()

    def run(self) -> None:
        try:
            while True:
                self.work(self)
        except OSError as error:
            self.error = error

    def promise(self, what: bytes, enough: int) -> None:
        self.promised.append(what)
        if len(self.promised) >= enough:
            self.enough.set()


def error_of(path: Path) -> str | None:
    try:
        return os.getxattr(path, "user.tagfs.error").decode()
    except OSError as error:
        assert error.errno == errno.ENODATA
        return None


def restart(mount: Mount) -> None:
    """At the same place; nobody unmounts by hand."""
    mount.expect_warnings = True  # it says what it found
    mount.start()


def test_killed_while_files_are_written(mount: Mount) -> None:
    settled = {f"settled-{number}": os.urandom(CHUNK + number) for number in range(5)}
    for name, content in settled.items():
        mount.put(f"files/{name}", content)
    os.mkdir(mount / "tags/a")
    descriptor = os.open(mount / "tags/a/big", os.O_CREAT | os.O_WRONLY)
    written: list[bytes] = []

    def write_big(self: Writer) -> None:
        for _ in range(4):
            written.append(os.urandom(CHUNK))
            os.write(descriptor, written[-1])
        os.fsync(descriptor)
        self.promise(b"".join(written[-4:]), enough=5)

    def write_small(self: Writer) -> None:
        content = os.urandom(1000)
        with open(mount / f"files/small-{len(self.promised)}", "xb") as file:
            file.write(content)
        self.promise(content, enough=20)

    big, small = Writer(write_big), Writer(write_small)
    big.enough.wait(60)
    small.enough.wait(60)
    mount.kill()
    for writer in (big, small):
        writer.join(60)
        assert writer.error is not None
        assert writer.error.errno in (errno.ENOTCONN, errno.ECONNABORTED)
    with suppress(OSError):
        os.close(descriptor)

    restart(mount)
    for name, content in settled.items():
        assert (mount / f"files/{name}").read_bytes() == content
        assert error_of(mount / f"files/{name}") is None
    found = (mount / "tags/a/big").read_bytes()
    assert error_of(mount / "tags/a/big") == CUT_SHORT
    assert found.startswith(b"".join(big.promised))
    assert b"".join(written).startswith(found)
    for number, content in enumerate(small.promised):  # closed, hence whole, be it settled or not
        assert (mount / f"files/small-{number}").read_bytes() == content
    assert mount.names("tags/state:complete") == mount.names("files")
    mount.tagfs("verify", "--data")
    assert os.listdir(mount.state / "staging") == []
    mount.put("files/after", "works")


@pytest.mark.parametrize("point", ["ingest.hashed", "ingest.renamed"])
def test_killed_while_a_closed_file_is_sealed(
    new_mount: Callable[..., Mount], monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """At `ingest.renamed` the content is in the store, but no row names it yet."""
    mount = new_mount()
    with monkeypatch.context() as patch:
        patch.setenv("TAGFS_KILL_AT", point)
        mount.start()
    assert mount.process is not None
    (mount / "files/f").write_bytes(b"content")
    assert mount.process.wait(60) == -signal.SIGKILL
    restart(mount)
    assert (mount / "files/f").read_bytes() == b"content"
    assert error_of(mount / "files/f") is None
    assert os.getxattr(mount / "files/f", "user.tagfs.state") == b"complete"
    mount.tagfs("verify", "--data")


def test_killed_while_eight_tag(mount: Mount) -> None:
    """I2: a tag whose call returned is there."""
    for number in range(8):
        mount.put(f"files/f{number}", "x")

    def tag(number: int) -> Callable[[Writer], None]:
        def work(self: Writer) -> None:
            name = f"t{number}-{len(self.promised)}"
            os.setxattr(mount / f"files/f{number}", f"user.tag.{name}", b"")
            self.promise(name.encode(), enough=10)

        return work

    writers = [Writer(tag(number)) for number in range(8)]
    for writer in writers:
        writer.enough.wait(60)
    mount.kill()
    for writer in writers:
        writer.join(60)
    restart(mount)
    for number, writer in enumerate(writers):
        own = os.getxattr(mount / f"files/f{number}", "user.xdg.tags").split(b",")
        assert set(writer.promised) <= set(own)
        assert len(own) <= len(writer.promised) + 1
        assert mount.names(f"tags/{own[0].decode()}") == [f"f{number}"]
    mount.tagfs("verify")


def test_sigterm_while_a_file_is_open(mount: Mount) -> None:
    """It ends soon, and the file says that somebody was not done with it (C6)."""
    descriptor = os.open(mount / "files/f", os.O_CREAT | os.O_WRONLY)
    os.write(descriptor, b"the beginni")
    assert mount.stop() == 0
    with pytest.raises(OSError, check=lambda error: error.errno in (errno.ENOTCONN, errno.ECONNABORTED)):
        os.write(descriptor, b"ng")
    with suppress(OSError):
        os.close(descriptor)
    restart(mount)
    assert (mount / "files/f").read_bytes() == b"the beginni"
    assert error_of(mount / "files/f") == CUT_SHORT


@pytest.mark.parametrize("point", ["draft.copied", "draft.started", "draft.synced"])
def test_killed_while_a_file_is_changed(
    new_mount: Callable[..., Mount], monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """The item keeps what it had, and what was written over it is in the trash, if there was anything."""
    mount = killed_at(new_mount, monkeypatch, point, lambda path: write_and_sync(path))
    assert (mount / "files/f").read_bytes() == b"the old content"
    assert error_of(mount / "files/f") is None
    assert [(mount / "trash" / name).read_bytes() for name in mount.names("trash")] in ([], [b"THE old content"])
    (mount / "files/f").write_bytes(b"after")
    mount.settle(mount / "files/f")
    mount.tagfs("verify", "--data")
    assert os.listdir(mount.state / "staging") == []


@pytest.mark.parametrize("point", ["ingest.hashed", "ingest.renamed", "draft.sealed"])
def test_killed_while_changed_content_is_sealed(
    new_mount: Callable[..., Mount], monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """Its writers had closed it, so the change is there, and what it replaced is in the trash."""
    mount = killed_at(new_mount, monkeypatch, point, lambda path: path.write_bytes(b"the new content"))
    assert (mount / "files/f").read_bytes() == b"the new content"
    assert error_of(mount / "files/f") is None
    assert [(mount / "trash" / name).read_bytes() for name in mount.names("trash")] == [b"the old content"]
    mount.tagfs("verify", "--data")
    assert os.listdir(mount.state / "staging") == []


def test_killed_after_an_fsync(mount: Mount) -> None:
    """What a program was told to be safe is the item's, closed or not, and the item says that it was cut short."""
    mount.put("files/f", b"the old content")
    descriptor = os.open(mount / "files/f", os.O_RDWR)
    os.write(descriptor, b"THE")
    os.fsync(descriptor)
    mount.kill()
    with suppress(OSError):
        os.close(descriptor)
    restart(mount)
    assert (mount / "files/f").read_bytes() == b"THE old content"
    assert error_of(mount / "files/f") == CUT_SHORT
    assert [(mount / "trash" / name).read_bytes() for name in mount.names("trash")] == [b"the old content"]


def write_and_sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.write(descriptor, b"THE")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def killed_at(
    new_mount: Callable[..., Mount], monkeypatch: pytest.MonkeyPatch, point: str, change: Callable[[Path], object]
) -> Mount:
    """A mount with a whole file, whose daemon ended at `point` of a change to it, and was started again."""
    mount = new_mount()
    mount.start()
    mount.put("files/f", b"the old content")
    assert mount.stop() == 0
    with monkeypatch.context() as patch:
        patch.setenv("TAGFS_KILL_AT", point)
        mount.start()
    assert mount.process is not None
    with suppress(OSError):
        change(mount / "files/f")
    assert mount.process.wait(60) == -signal.SIGKILL
    restart(mount)
    return mount
