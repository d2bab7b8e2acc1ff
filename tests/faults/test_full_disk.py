"""C8, R10: a full disk. Tags, rm and the trash go on, whoever writes is told, and all goes on once there is space."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.catalogue.reserve import SHARE
from tests.mount.conftest import Mount
from tests.support.nginx import nginx
from tests.support.small_disk import SmallDisk

MIB = 1 << 20


@pytest.fixture
def small(new_mount: Callable[..., Mount], disk: SmallDisk) -> Iterator[Mount]:
    """A mount whose state is on the small disk."""
    mount = new_mount()
    mount.state = disk.path / "state"
    mount.config.write_text(f"[transfer]\nreserve = {4 * MIB}\n")
    mount.expect_warnings = True  # that the disk is full is one
    mount.start()
    mount.wait_for(lambda: kept(mount) > 0)
    yield mount
    mount.close()  # before its disk goes


def kept(mount: Mount) -> int:
    file = mount.state / "catalogue.sqlite.reserve"
    return file.stat().st_blocks * 512 if file.exists() else 0


def test_what_frees_space_and_tags_work_on_a_full_disk(small: Mount, disk: SmallDisk) -> None:
    old = small.put("files/old", os.urandom(MIB))
    small.put("files/other", b"other")
    (small / "tags/a").mkdir()
    disk.fill()
    with pytest.raises(OSError, check=lambda error: error.errno == errno.ENOSPC):
        (small / "files/new").write_bytes(os.urandom(8 * MIB))
    small.sh("setfattr -n user.xdg.tags -v a,b files/other && ln files/old tags/a/old && mkdir tags/c")
    assert small.names("tags/b") == ["other"]
    assert small.names("tags/a") == ["old", "other"]
    old.unlink()
    assert small.names("trash") == ["old"]
    small.tagfs("undo")
    assert "old" in small.names("files")
    small.sh("rm files/old && mv files/other files/another")
    small.tagfs("trash", "empty")
    assert small.names("trash") == []
    assert (small / "files/another").read_bytes() == b"other"
    assert small.tagfs("verify").endswith("no faults\n")


def test_a_daemon_starts_on_a_full_disk(small: Mount, disk: SmallDisk) -> None:
    small.put("files/f", b"content")
    disk.fill()
    assert small.stop() == 0
    disk.fill()  # also what its log left
    small.start()
    assert (small / "files/f").read_bytes() == b"content"
    (small / "files/f").unlink()
    assert small.names("trash") == ["f"]


def test_whatever_takes_the_space_that_is_given_up_does_not_end_it_at_once(small: Mount, disk: SmallDisk) -> None:
    """Another program fills the disk again after each change."""
    small.put("files/f", b"content")
    for number in range(40):
        disk.fill()
        small.sh(f"setfattr -n user.tags -v +t{number} files/f")
    assert len(os.getxattr(small / "files/f", "user.xdg.tags").split(b",")) == 40


@pytest.mark.long
def test_a_download_stops_above_the_floor_and_goes_on_by_itself(small: Mount, disk: SmallDisk, tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    content = os.urandom(12 * MIB)
    (served / "big.bin").write_bytes(content)
    disk.fill(leave=8 * MIB)
    with nginx(tmp_path / "nginx", served) as server:
        small.sh(f"ln -s {server.url('big.bin')} files/")
        file = small / "files/big.bin"
        small.wait_for(lambda: os.getxattr(file, "user.tagfs.state") == b"paused")
        assert os.getxattr(file, "user.tagfs.error") == b"There is no space left where the store lives."
        assert "There is no space left" in small.tagfs("status")
        assert disk.free >= 4 * MIB  # the floor
        disk.empty()
        small.settle(file)
    assert file.read_bytes() == content


@pytest.mark.long
def test_space_that_comes_back_is_kept_again_and_all_goes_on(small: Mount, disk: SmallDisk) -> None:
    small.put("files/f", b"content")
    full, status = kept(small), os.statvfs(disk.path)
    assert full == status.f_blocks * status.f_frsize // SHARE
    disk.fill()
    small.sh("for n in $(seq 50); do setfattr -n user.tags -v +t$n files/f; done")
    assert kept(small) < full
    disk.empty()
    small.wait_for(lambda: kept(small) == full)
    small.put("files/g", os.urandom(MIB))
    assert small.tagfs("verify", "--data").endswith("no faults\n")


def test_without_any_reserve_left_each_change_is_refused_and_the_daemon_goes_on(
    small: Mount, disk: SmallDisk, tmp_path: Path
) -> None:
    file = small.put("files/f", b"content")
    disk.fill()
    (small.state / "catalogue.sqlite.reserve").unlink()
    disk.fill()
    with pytest.raises(OSError, check=lambda error: error.errno == errno.ENOSPC):
        for number in range(10_000):
            os.setxattr(file, "user.tags", b"+" + b"x" * 200 + str(number).encode())
            disk.fill()
    assert file.read_bytes() == b"content"
    assert "f" in small.names("files")
    disk.empty()
    os.setxattr(file, "user.tags", b"+again")
    assert small.tagfs("verify", "--data").endswith("no faults\n")


@pytest.mark.long
def test_what_was_closed_on_a_full_disk_is_stored_once_there_is_space(small: Mount, disk: SmallDisk) -> None:
    with (small / "files/f").open("wb", buffering=0) as file:
        file.write(b"content")
        disk.fill()
        (small.state / "catalogue.sqlite.reserve").unlink()
        disk.fill()
    small.wait_for(lambda: "what was written cannot be stored" in small.log.read_text())
    assert (small / "files/f").read_bytes() == b"content"
    disk.empty()
    small.settle(small / "files/f")
    assert small.tagfs("verify", "--data").endswith("no faults\n")
