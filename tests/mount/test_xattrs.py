"""Extended attributes: the contract's table."""

from __future__ import annotations

import errno
import os
from pathlib import Path

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


def test_directories_and_symlinks_have_none(mount: Mount) -> None:
    assert os.listxattr(mount / "tags") == []
    with failing(errno.EPERM):
        os.setxattr(mount / "tags", "user.x", b"1")
    with failing(errno.ENODATA):
        os.getxattr(mount / "tags", "user.x")
    os.symlink("/nowhere", mount / "files/l")  # whose attributes the kernel lets nobody get
    assert os.listxattr(mount / "files/l", follow_symlinks=False) == []
    assert mount.sh("getfattr -h -d files/l 2>&1") == ""


def test_tags_by_the_shell_tools(mount: Mount, item: str) -> None:
    mount.sh("setfattr -n user.xdg.tags -v movie,1080p files/f.mkv")
    assert 'user.xdg.tags="1080p,movie"' in mount.sh("getfattr -d files/f.mkv")
    assert mount.names("tags/movie/1080p") == ["f.mkv"]


# -- programs that copy attributes -------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Files with tags of their own and without, a folder, and a symlink."""
    tree = tmp_path / "source"
    (tree / "d").mkdir(parents=True)
    for name in ("f", "plain", "d/g"):
        (tree / name).write_text(name)
    (tree / "d/l").symlink_to("g")
    os.setxattr(tree / "f", "user.xdg.tags", b"own")
    os.setxattr(tree / "d", "user.foo", b"bar")
    return tree


def own_tags(mount: Mount, path: str) -> bytes:
    return os.getxattr(mount / path, "user.xdg.tags")


def test_rsync_x_takes_no_tag_of_its_path_off(mount: Mount, source: Path, tmp_path: Path) -> None:
    """It removes what the original does not have, which is `user.tagfs.*` and, where that has no tags, `user.xdg.tags`:
    into a tag, again, to a disk and back, and from one tag to another."""
    mount.sh("mkdir tags/x tags/y")
    for _ in range(2):
        mount.sh(f"rsync -aX '{source}/' tags/x/")
        assert mount.names("tags/x") == ["d", "f", "plain"]
        assert mount.names("tags/x/d") == ["g", "l"]
        assert [own_tags(mount, f"tags/x/{name}") for name in ("d", "f", "plain")] == [b"x", b"own,x", b"x"]
    os.setxattr(mount / "tags/x/plain", "user.xdg.tags", b"+more")
    mount.sh(f"rsync -aX '{source}/' tags/x/")
    assert own_tags(mount, "tags/x/plain") == b"x"  # else it is as the original
    mount.sh(f"rsync -aX tags/x/ '{tmp_path}/out' && rsync -aX '{tmp_path}/out/' tags/x/")
    assert mount.names("tags/x") == ["d", "f", "plain"]
    assert os.getxattr(tmp_path / "out/f", "user.xdg.tags") == b"own,x"
    for _ in range(2):
        mount.sh("rsync -aX tags/x/f tags/y/")
        assert own_tags(mount, "tags/y/f") == b"own,x,y"
    mount.sh(f"rsync -aX '{tmp_path}/out/' files/copy/ && rsync -aX '{source}/' files/copy/")
    assert own_tags(mount, "files/copy/f") == b"own"  # a mirror, since /files states nothing
    assert "user.xdg.tags" not in os.listxattr(mount / "files/copy/plain")
    assert mount.errors() == ""


def test_cp_with_attributes_takes_no_tag_off(mount: Mount, source: Path, tmp_path: Path) -> None:
    """cp says where it fails, but for `cp -a`; nobody knows by which path it has the file, so it adds only."""
    mount.sh("mkdir tags/x")
    for _ in range(2):
        mount.sh(f"cp -a --preserve=xattr '{source}/.' tags/x/")
        assert [own_tags(mount, f"tags/x/{name}") for name in ("d", "f", "plain")] == [b"x", b"own,x", b"x"]
    mount.sh(f"cp -r --preserve=xattr tags/x/. '{tmp_path}/out' && cp -r --preserve=xattr '{tmp_path}/out/.' tags/x/")
    assert own_tags(mount, "tags/x/f") == b"own,x"
    assert int(os.getxattr(mount / "tags/x/f", "user.tagfs.id")) == os.stat(mount / "tags/x/f").st_ino
    assert mount.errors() == ""
