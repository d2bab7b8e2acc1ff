"""Changing what an item holds. Each test is a sentence of the contract."""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mount.conftest import Mount
from tests.mount.test_edits import failing, tags

OLD = b"the old content, " * 1000


@pytest.fixture
def file(mount: Mount) -> Path:
    """A whole item of two tags."""
    for tag in ("a", "b"):
        (mount / f"tags/{tag}").mkdir()
    return mount.put("tags/a/b/f", OLD)


def sealed(mount: Mount, path: Path, content: bytes) -> None:
    """Wait until that is what the item holds, as a blob."""
    mount.settle(path)
    assert path.read_bytes() == content
    assert (mount / "blobs" / os.getxattr(path, "user.tagfs.sha256").decode()).read_bytes() == content


def trash(mount: Mount) -> list[bytes]:
    return [(mount / "trash" / name).read_bytes() for name in mount.names("trash")]


# -- in place


def write_over(path: Path) -> bytes:
    with path.open("r+b") as f:
        f.seek(4)
        f.write(b"OLD")
    return OLD[:4] + b"OLD" + OLD[7:]


def write_anew(path: Path) -> bytes:
    path.write_bytes(b"new")
    return b"new"


def append(path: Path) -> bytes:
    with path.open("ab") as f:
        f.write(b"more")
    return OLD + b"more"


def cut(path: Path) -> bytes:
    os.truncate(path, 10)
    return OLD[:10]


def cut_open(path: Path) -> bytes:
    with path.open("r+b") as f:
        f.truncate(10)
        assert os.fstat(f.fileno()).st_size == 10
    return OLD[:10]


def grow(path: Path) -> bytes:
    os.truncate(path, 100_000)
    return OLD.ljust(100_000, b"\0")


def write_far(path: Path) -> bytes:
    with path.open("r+b") as f:
        f.seek(200_000)
        f.write(b"far")
    return OLD.ljust(200_000, b"\0") + b"far"


def write_through_a_map(path: Path) -> bytes:
    with path.open("r+b") as f, mmap.mmap(f.fileno(), 0) as mapped:
        mapped[100:103] = b"map"
        mapped[9000:9003] = b"map"
    return OLD[:100] + b"map" + OLD[103:9000] + b"map" + OLD[9003:]


CHANGES = [write_over, write_anew, append, cut, cut_open, grow, write_far, write_through_a_map]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_the_item_keeps_who_it_is_and_gets_new_content(
    mount: Mount, file: Path, change: Callable[[Path], bytes]
) -> None:
    os.setxattr(file, "user.note", b"n")
    before = file.stat()
    content = change(file)
    assert file.read_bytes() == content  # at once, stored or not
    assert file.stat().st_size == len(content)
    sealed(mount, file, content)
    after = (mount / "files/f").stat()
    assert (after.st_ino, after.st_size, after.st_mode) == (before.st_ino, len(content), before.st_mode)
    assert after.st_mtime_ns > before.st_mtime_ns
    assert os.getxattr(file, "user.note") == b"n"
    assert tags(mount, "f") == {"a", "b"}
    assert trash(mount) == ([] if content.startswith(OLD) else [OLD])  # what was only added to is still there
    mount.tagfs("verify", "--data")


def test_a_listing_does_not_move_the_end_that_is_appended_to(mount: Mount) -> None:
    """The kernel takes the size from a listing, too, and appends there."""
    mount.sh("mkdir -p tags/a/D files/E")
    for folder in ("files", "tags/a", "tags/a/D", "files/E"):
        files = [mount / folder / f"{number:03}" for number in range(60)]  # more than one answer holds
        for file in files:
            file.touch()
        for file in (files[0], files[-1]):
            file.write_bytes(OLD)
            mount.settle(file)
        for file in (files[0], files[-1]):
            with os.scandir(file.parent) as listed, file.open("ab", buffering=0) as writer:
                os.listdir(file.parent)
                next(listed)  # the listing is older than what is written now
                writer.write(b"one,")
                os.listdir(file.parent)
                writer.write(b"two,")
                assert len(list(listed)) >= 59
                writer.write(b"three")
                assert os.fstat(writer.fileno()).st_size == len(OLD) + 13
        with os.scandir(files[0].parent) as listed:  # and what is listed is stored meanwhile
            next(listed)
            append(files[-1])
            mount.settle(files[-1])
            assert len(list(listed)) >= 59
            append(files[-1])
        sealed(mount, files[0], OLD + b"one,two,three")
        sealed(mount, files[-1], OLD + b"one,two,threemoremore")


def test_readers_see_the_old_until_the_last_writer_closes(mount: Mount, file: Path) -> None:
    with file.open("r+b", buffering=0) as one:
        one.write(b"ONE")
        assert os.getxattr(file, "user.tagfs.state") == b"writing"
        with (mount / "files/f").open("r+b", buffering=0) as two:
            assert two.read(3) == b"ONE"
            two.write(b"TWO")
            one.seek(0)
            assert one.read(6) == b"ONETWO"
            assert (mount / "tags/b/f").read_bytes() == OLD
        assert file.read_bytes() == OLD
        assert mount.tagfs("ls", "state:complete").split() == ["f"]
    assert file.read_bytes() == b"ONETWO" + OLD[6:]


def test_a_reader_goes_on_with_what_it_has_opened(mount: Mount, file: Path) -> None:
    with file.open("rb", buffering=0) as reader:
        assert reader.read(10) == OLD[:10]
        with file.open("r+b", buffering=0) as writer:
            writer.write(b"N" * len(OLD))
            assert os.pread(reader.fileno(), len(OLD), 0) == OLD
            assert os.pread(writer.fileno(), len(OLD), 0) == b"N" * len(OLD)
        assert os.pread(reader.fileno(), len(OLD), 0) == OLD
        assert file.read_bytes() == b"N" * len(OLD)
        mount.settle(file)
        assert os.pread(reader.fileno(), len(OLD), 0) == OLD
        assert file.read_bytes() == b"N" * len(OLD)


def test_what_was_closed_can_be_written_to_at_once(mount: Mount, file: Path) -> None:
    content = OLD
    for number in range(30):
        with file.open("ab") as f:
            f.write(b"%d," % number)
        content += b"%d," % number
        assert file.read_bytes() == content
    sealed(mount, file, content)
    assert trash(mount) == []


def test_of_many_changes_in_place_the_first_content_is_kept(mount: Mount, file: Path) -> None:
    for content in (b"one", b"two", b"three"):
        file.write_bytes(content)
        sealed(mount, file, content)
    assert trash(mount) == [OLD]


def test_opening_it_for_writing_alone_changes_nothing(mount: Mount, file: Path) -> None:
    before = file.stat()
    with file.open("r+b", buffering=0) as f:
        assert f.read() == OLD
        assert os.getxattr(file, "user.tagfs.state") == b"complete"
    assert file.stat() == before
    assert os.getxattr(file, "user.tagfs.state") == b"complete"
    assert os.listdir(mount.state / "staging") == []


def test_the_same_bytes_again_leave_no_trash(mount: Mount, file: Path) -> None:
    file.write_bytes(OLD)
    mount.settle(file)
    assert file.read_bytes() == OLD
    assert trash(mount) == []
    assert len(mount.names("blobs")) == 1


def test_what_is_appended_stays_though_the_old_content_is_read_to_its_end(mount: Mount, file: Path) -> None:
    """The kernel has one size for all contents. A read of the old one that ends early makes it believe in that, and by
    it the kernel says where a log is written to next."""
    with file.open("rb", buffering=0) as reader:
        assert reader.read(2 * len(OLD)) == OLD
        with file.open("ab", buffering=0) as log:
            log.write(b"one")
            assert reader.read(100).strip(b"\0") == b""
            log.write(b"two")
    assert file.read_bytes() == OLD + b"onetwo"


def test_who_maps_the_old_content_leaves_none_of_it_in_the_new(mount: Mount, file: Path) -> None:
    """A private mapping fills the page cache, also where reads of the same handle do without."""
    new = OLD.upper()
    with file.open("r+b", buffering=0) as writer:
        writer.write(b"the")
        reader = os.open(file, os.O_RDONLY)
        os.pwrite(writer.fileno(), new, 0)
    for path in (file, mount / "files/f"):
        with mmap.mmap(reader, len(OLD), mmap.MAP_PRIVATE, mmap.PROT_READ) as mapped:
            assert mapped[:] == OLD
        assert path.read_bytes() == new
    with mmap.mmap(reader, len(OLD), mmap.MAP_PRIVATE, mmap.PROT_READ) as mapped:
        assert mapped[:] == OLD
    os.close(reader)
    assert file.read_bytes() == new
    sealed(mount, file, new)


def test_other_items_of_the_same_bytes_keep_them(mount: Mount, file: Path) -> None:
    other = mount.put("files/other", OLD)
    append(file)
    mount.settle(file)
    assert other.read_bytes() == OLD


def test_what_is_removed_while_it_is_written_goes_on_in_the_trash(mount: Mount, file: Path) -> None:
    with file.open("r+b", buffering=0) as f:
        f.write(b"NEW")
        os.unlink(mount / "files/f")
        f.write(b"ER")
        assert os.pread(f.fileno(), 5, 0) == b"NEWER"
        assert os.fstat(f.fileno()).st_size == len(OLD)
    mount.wait_for(lambda: b"NEWER" + OLD[5:] in trash(mount))
    with pytest.raises(PermissionError):
        (mount / "trash" / mount.names("trash")[0]).open("r+b")


def test_a_temporary_file_may_be_removed_while_it_is_open(mount: Mount) -> None:
    with (mount / "files/t").open("w+b", buffering=0) as f:
        f.write(b"x" * 10_000)
        os.unlink(mount / "files/t")
        os.unlink(mount / "trash/t")
        f.write(b"y" * 10)
        assert os.fstat(f.fileno()).st_size == 10_010
        assert os.pread(f.fileno(), 20, 9_990) == b"x" * 10 + b"y" * 10
    assert mount.names("trash") == mount.names("files") == []


def test_what_cannot_be_written_to_says_so(mount: Mount, file: Path) -> None:
    mount.tagfs("add", "http://127.0.0.1:9/iso", "--paused")
    with failing(errno.EBUSY):
        (mount / "files/iso").open("ab")
    with failing(errno.EBUSY):
        os.truncate(mount / "files/iso", 0)
    with pytest.raises(PermissionError):
        (mount / "blobs" / os.getxattr(file, "user.tagfs.sha256").decode()).open("ab")


def test_odds_and_ends_of_posix(mount: Mount, file: Path) -> None:
    with file.open("r+b", buffering=0) as f:
        os.posix_fallocate(f.fileno(), 0, 50_000)  # as the C library does it where the file system does not
        assert os.fstat(f.fileno()).st_size == 50_000
        f.seek(-1, os.SEEK_END)
        assert f.read() == b"\0"
        with pytest.raises(OSError, check=lambda error: error.errno in (errno.ENXIO, errno.EINVAL)):
            os.lseek(f.fileno(), 60_000, os.SEEK_DATA)
        os.lockf(f.fileno(), os.F_LOCK, 10)
        with (mount / "files/copy").open("wb", buffering=0) as copy:
            assert os.copy_file_range(f.fileno(), copy.fileno(), 1000, 0, 0) == 1000
        os.fsync(f.fileno())
    assert (mount / "files/copy").read_bytes() == OLD[:1000]
    mount.sh("fallocate -l 100000 files/f 2>/dev/null && exit 1; fallocate -x -l 100000 files/f; sync -f files/f")
    sealed(mount, file, OLD.ljust(100_000, b"\0"))
    os.chown(file, os.getuid(), os.getgid())
    with pytest.raises(PermissionError):
        os.chown(file, 12345, -1)


def test_direct_io(mount: Mount, file: Path) -> None:
    with mmap.mmap(-1, 8192) as page:
        descriptor = os.open(file, os.O_RDWR | os.O_DIRECT)
        page[:] = b"D" * 8192
        assert os.pwrite(descriptor, page, 4096) == 8192
        assert os.preadv(descriptor, [page], 0) == 8192
        assert page[:] == OLD[:4096] + b"D" * 4096
        os.close(descriptor)
    sealed(mount, file, OLD[:4096] + b"D" * 8192 + OLD[12288:])


def test_dates_and_modes_while_it_is_written(mount: Mount, file: Path) -> None:
    with file.open("ab", buffering=0) as f:
        f.write(b"x")
        os.fchmod(f.fileno(), 0o600)
        os.utime(f.fileno(), ns=(0, 1_500_000_000_000_000_001))
        assert os.fstat(f.fileno()).st_mtime_ns == 1_500_000_000_000_000_001
    assert file.stat().st_mtime_ns == 1_500_000_000_000_000_001
    mount.settle(file)
    found = file.stat()
    assert (found.st_mtime_ns, found.st_mode & 0o777) == (1_500_000_000_000_000_001, 0o600)
