"""Extended attributes: the contract's table."""

from __future__ import annotations

import errno
import os

import pytest

from tests.mount.conftest import Mount


@pytest.fixture
def item(mount: Mount) -> str:
    mount.put("files/f.mkv", "x" * 1000)
    return str(mount / "files/f.mkv")


def failing(number: int) -> pytest.RaisesExc[OSError]:
    return pytest.raises(OSError, check=lambda error: error.errno == number)


def test_xdg_tags_replace_add_and_remove(mount: Mount, item: str) -> None:
    os.setxattr(item, "user.xdg.tags", b"b,a , a,year:2000")
    assert os.getxattr(item, "user.xdg.tags") == b"a,b,year:2000"
    os.setxattr(item, "user.xdg.tags", b"+c,-a")
    assert os.getxattr(item, "user.tags") == b"b,c,year:2000"
    os.setxattr(item, "user.tags", b"d")
    assert os.getxattr(item, "user.xdg.tags") == b"d"
    os.setxattr(item, "user.xdg.tags", b"")
    with failing(errno.ENODATA):
        os.getxattr(item, "user.xdg.tags")
    os.setxattr(item, "user.xdg.tags", b"x")
    os.removexattr(item, "user.xdg.tags")
    assert mount.names("tags/is:untagged") == ["f.mkv"]


@pytest.mark.parametrize(
    "value", [b"a,+b", b"good,.bad", b"good,-", b"good,\xff", b"good,new\nline", b"state:paused", b"x" * 300]
)
def test_a_bad_tag_changes_nothing(item: str, value: bytes) -> None:
    os.setxattr(item, "user.xdg.tags", b"before")
    with failing(errno.EINVAL):
        os.setxattr(item, "user.xdg.tags", value)
    assert os.getxattr(item, "user.xdg.tags") == b"before"


def test_tag_name_attributes(mount: Mount, item: str) -> None:
    os.setxattr(item, "user.tag.movie", b"")
    os.setxattr(item, "user.tag.year", b"1999")
    assert os.getxattr(item, "user.xdg.tags") == b"movie,year:1999"
    assert os.getxattr(item, "user.tag.year") == b"1999"
    assert os.getxattr(item, "user.tag.movie") == b""
    os.removexattr(item, "user.tag.year")
    os.removexattr(item, "user.tag.movie")
    for name in ("user.tag.movie", "user.tag.year", "user.tag.none"):
        with failing(errno.ENODATA):
            os.getxattr(item, name)
        with failing(errno.ENODATA):
            os.removexattr(item, name)


def test_tags_are_normalised(mount: Mount, item: str) -> None:
    os.setxattr(item, "user.xdg.tags", "cafe\u0301".encode())
    assert os.getxattr(item, "user.xdg.tags") == "caf\u00e9".encode()
    assert mount.names("tags/caf\u00e9") == mount.names("tags/cafe\u0301") == ["f.mkv"]


def test_what_is_computed(mount: Mount, item: str) -> None:
    names = set(os.listxattr(item))
    assert {
        "user.tagfs.id",
        "user.tagfs.state",
        "user.tagfs.progress",
        "user.tagfs.sha256",
        "user.tagfs.added",
    } <= names
    assert not {"user.tags", "user.xdg.tags", "user.tagfs.error"} & names  # unlisted, or without a value
    assert os.getxattr(item, "user.tagfs.progress") == b"1"
    assert os.getxattr(item, "user.tagfs.state") == b"complete"
    assert int(os.getxattr(item, "user.tagfs.id")) == os.stat(item).st_ino
    assert os.getxattr(item, "user.tagfs.sha256").decode() in mount.names("blobs")
    for name in ("id", "progress", "speed", "eta", "error", "sha256", "btroot", "sources", "added", "unheard"):
        with failing(errno.EPERM):
            os.setxattr(item, f"user.tagfs.{name}", b"x")
    with failing(errno.EINVAL):
        os.setxattr(item, "user.tagfs.state", b"complete")


def test_others_are_stored_as_given(item: str) -> None:
    for value in (b"", b"x", b"\0\xff", b"v" * 4096, b"w" * 65536):
        os.setxattr(item, "user.dublincore.title", value)
        assert os.getxattr(item, "user.dublincore.title") == value
    with failing(errno.E2BIG):
        os.setxattr(item, "user.dublincore.title", b"x" * 65537)
    os.setxattr(item, "user.xdg.comment", b"good")
    assert {"user.dublincore.title", "user.xdg.comment"} <= set(os.listxattr(item))
    os.removexattr(item, "user.xdg.comment")
    assert "user.xdg.comment" not in os.listxattr(item)


def test_create_and_replace(item: str) -> None:
    os.setxattr(item, "user.x", b"1", os.XATTR_CREATE)
    with pytest.raises(FileExistsError):
        os.setxattr(item, "user.x", b"2", os.XATTR_CREATE)
    os.setxattr(item, "user.x", b"3", os.XATTR_REPLACE)
    with failing(errno.ENODATA):
        os.setxattr(item, "user.y", b"1", os.XATTR_REPLACE)
    assert os.getxattr(item, "user.x") == b"3"


def test_rating_is_also_a_tag(mount: Mount, item: str) -> None:
    os.setxattr(item, "user.baloo.rating", b"8")
    os.setxattr(item, "user.baloo.rating", b"6")
    assert os.getxattr(item, "user.baloo.rating") == b"6"
    assert os.getxattr(item, "user.xdg.tags") == b"rating:6"
    assert mount.names("tags/rating:5..") == ["f.mkv"]


@pytest.mark.parametrize("name", ["security.selinux", "trusted.x", "system.other"])
def test_other_namespaces_are_not_supported(item: str, name: str) -> None:
    with failing(errno.EOPNOTSUPP):
        os.getxattr(item, name)
    with failing(errno.EOPNOTSUPP):
        os.setxattr(item, name, b"x")


def test_directories_have_none(mount: Mount) -> None:
    assert os.listxattr(mount / "tags") == []
    with failing(errno.EPERM):
        os.setxattr(mount / "tags", "user.x", b"1")
    with failing(errno.ENODATA):
        os.getxattr(mount / "tags", "user.x")


def test_tags_by_the_shell_tools(mount: Mount, item: str) -> None:
    mount.sh("setfattr -n user.xdg.tags -v movie,1080p files/f.mkv")
    assert 'user.xdg.tags="1080p,movie"' in mount.sh("getfattr -d files/f.mkv")
    assert mount.names("tags/movie/1080p") == ["f.mkv"]
