"""/proc/self/mountinfo."""

import os

from tagfs.daemon.mountinfo import Mount, mount_at, mount_of, mounts, parse, tagfs_mount_of


def test_a_line_with_everything_that_is_awkward() -> None:
    path, optional = rb"/mnt/a\040b\134\012\303\244\377", b"master:1 shared:2"
    line = rb"36 35 0:98 / %b rw,noatime %b - fuse.tagfs tag\040fs rw,user_id=0" % (path, optional)
    assert parse(line) == Mount(os.fsdecode(b"/mnt/a b\\\n\xc3\xa4\xff"), os.makedev(0, 98), "fuse.tagfs", "tag fs")


def test_a_line_without_optional_fields() -> None:
    assert parse(b"1 0 8:1 / / rw - ext4 /dev/sda1 rw") == Mount("/", os.makedev(8, 1), "ext4", "/dev/sda1")


def test_the_mounts_of_this_machine() -> None:
    proc = mount_at("/proc")
    assert proc is not None and proc.fstype == "proc" and proc.device == os.stat("/proc").st_dev
    assert proc in mounts()
    assert mount_at("/nowhere") is None
    assert tagfs_mount_of(proc.device) is None
    assert mount_of("/proc/1/nowhere/at all") == mount_of("/proc") == proc
    assert mount_of("/nowhere") == mount_at("/")
