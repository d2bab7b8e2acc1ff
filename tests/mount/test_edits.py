"""What each operation does: one test a row of the contract's table."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.mount.conftest import Mount


def tags(mount: Mount, name: str) -> set[str]:
    try:
        text = os.getxattr(mount / "files" / name, "user.xdg.tags").decode()
    except OSError as error:
        assert error.errno == errno.ENODATA
        return set()
    return set(text.split(","))


@pytest.fixture
def tagged(mount: Mount) -> Mount:
    for tag in ("a", "b", "c"):
        (mount / f"tags/{tag}").mkdir()
    mount.put("tags/a/f.txt", "content of f")
    return mount


def failing(number: int) -> pytest.RaisesExc[OSError]:
    return pytest.raises(OSError, check=lambda error: error.errno == number)


def test_mkdir_makes_a_tag_and_rmdir_removes_it(mount: Mount) -> None:
    (mount / "tags/x").mkdir()
    assert mount.names("tags") == ["x"]
    with pytest.raises(FileExistsError):
        (mount / "tags/x").mkdir()
    (mount / "tags/x").rmdir()
    assert mount.names("tags") == []
    with pytest.raises(FileNotFoundError):
        os.stat(mount / "tags/x")


def test_a_tag_in_use_is_not_removed(tagged: Mount) -> None:
    with failing(errno.ENOTEMPTY):
        (tagged / "tags/a").rmdir()
    os.unlink(tagged / "tags/a/f.txt")
    (tagged / "tags/a").rmdir()
    assert tagged.names("files") == ["f.txt"]


def test_rm_r_of_a_tag_takes_it_off_and_loses_no_content(tagged: Mount) -> None:
    tagged.sh("rm -r tags/a")
    assert tagged.names("tags") == ["b", "c"]
    assert (tagged / "files/f.txt").read_text() == "content of f"
    assert tags(tagged, "f.txt") == set()


def test_rmdir_below_a_tag_removes_nothing(tagged: Mount) -> None:
    for path in ("tags/a/b", "tags/a/c"):
        with pytest.raises(PermissionError):
            os.rmdir(tagged / path)
    assert tagged.names("tags") == ["a", "b", "c"]


def test_mv_renames_a_tag_everywhere(tagged: Mount) -> None:
    assert tagged.names("tags/a") == ["f.txt"]
    assert tagged.names("tags/b/+/a") == ["f.txt"]
    os.rename(tagged / "tags/a", tagged / "tags/z")
    assert tagged.names("tags") == ["b", "c", "z"]
    assert tagged.names("tags/z") == ["f.txt"]
    assert tags(tagged, "f.txt") == {"z"}
    for gone in ("tags/a", "tags/b/+/a", "tags/a/f.txt"):
        with pytest.raises(FileNotFoundError):
            os.stat(tagged / gone)
    with failing(errno.ENOTEMPTY):
        os.rename(tagged / "tags/b", tagged / "tags/z")
    os.rename(tagged / "tags/z", tagged / "tags/c")  # c is not in use: replaced
    assert tagged.names("tags/c") == ["f.txt"]


@pytest.mark.parametrize(
    "name", ["+x", "-x", "{x", "}x", "@x", "~x", ".x", "a,b", "new\nline", "x\x7f", "year:", ":2000", "\udcff"]
)
def test_a_bad_tag_name_is_einval_and_changes_nothing(mount: Mount, name: str) -> None:
    with failing(errno.EINVAL):
        os.mkdir(mount / "tags" / name)
    assert mount.names("tags") == []


@pytest.mark.parametrize("name", ["and", "h.264", "a b", "c++", "a@b", "2000", "(x)", "ünï", "year:2000"])
def test_unusual_tag_names_work(mount: Mount, name: str) -> None:
    os.mkdir(mount / "tags" / name)
    mount.put(f"tags/{name}/f", "x")
    assert mount.names(f"tags/{name}") == ["f"]
    assert tags(mount, "f") == {name}
    os.unlink(mount / "tags" / name / "f")
    assert mount.names(f"tags/{name}") == []
    if ":" in name:
        os.rmdir(mount / "tags/year:/2000")
    else:
        os.rmdir(mount / "tags" / name)
    assert mount.names("tags") == []


def test_cp_makes_an_item_with_the_tags_of_the_path(tagged: Mount, tmp_path: Path) -> None:
    (tmp_path / "g.bin").write_bytes(os.urandom(300_000))
    tagged.sh(f"cp '{tmp_path}/g.bin' tags/a/b/")
    tagged.settle(tagged / "files/g.bin")
    assert tags(tagged, "g.bin") == {"a", "b"}
    assert (tagged / "tags/b/g.bin").read_bytes() == (tmp_path / "g.bin").read_bytes()


def test_cp_into_a_path_that_negates_or_states_a_value(tagged: Mount) -> None:
    (tagged / "tags/year:2000").mkdir()
    tagged.put("tags/a/-/c/g", "x")
    tagged.put("tags/a/year:2000/h", "y")
    assert tags(tagged, "g") == {"a"}
    assert tags(tagged, "h") == {"a", "year:2000"}


@pytest.mark.parametrize(
    "path", ["tags", "tags/a/+/b", "tags/a/{/b/c/}", "tags/a,b", "tags/-/a", "tags/ext:txt", "queries/a"]
)
def test_other_queries_take_nothing(tagged: Mount, path: str) -> None:
    with pytest.raises(PermissionError):
        (tagged / path / "new").write_text("x")
    with pytest.raises(PermissionError):
        os.link(tagged / "files/f.txt", tagged / path / "f.txt2")
    assert tagged.names("files") == ["f.txt"]


def test_cp_to_files_makes_an_untagged_item(mount: Mount) -> None:
    mount.put("files/f", "x")
    assert mount.names("tags/is:untagged") == ["f"]


def test_rm_takes_the_tags_of_the_path_off(tagged: Mount) -> None:
    os.setxattr(tagged / "files/f.txt", "user.xdg.tags", b"a,b,c")
    os.unlink(tagged / "tags/a/b/f.txt")
    assert tags(tagged, "f.txt") == {"c"}
    for path in ("tags/a", "tags/b", "tags/a/b"):
        assert tagged.names(path) == []
    assert tagged.names("tags/c") == tagged.names("files") == ["f.txt"]


def test_rm_where_no_tags_are_stated_is_refused(tagged: Mount) -> None:
    with pytest.raises(PermissionError):
        os.unlink(tagged / "tags/a/+/b/f.txt")
    assert tags(tagged, "f.txt") == {"a"}


def test_mv_between_tags(tagged: Mount) -> None:
    os.setxattr(tagged / "files/f.txt", "user.xdg.tags", b"a,c")
    tagged.sh("mv tags/a/f.txt tags/b/")
    assert tags(tagged, "f.txt") == {"b", "c"}
    assert tagged.names("tags/a") == []
    assert tagged.names("tags/b") == ["f.txt"]
    assert tagged.names("files") == ["f.txt"]


def test_mv_onto_itself_on_another_path(tagged: Mount) -> None:
    """Both names are one inode with several links. Coreutils refuses or unlinks the source, by version; rename(2) does
    nothing, by POSIX. Whatever mv says is what happened."""
    os.setxattr(tagged / "files/f.txt", "user.xdg.tags", b"a,b")
    said = tagged.sh("mv tags/a/f.txt tags/b/f.txt 2>&1 || true")
    assert tags(tagged, "f.txt") == ({"a", "b"} if "same file" in said else {"b"})
    os.setxattr(tagged / "files/f.txt", "user.xdg.tags", b"a,b")
    os.rename(tagged / "tags/a/f.txt", tagged / "tags/b/f.txt")
    assert tags(tagged, "f.txt") == {"a", "b"}


def test_mv_renames_an_item_on_every_path(tagged: Mount) -> None:
    assert tagged.names("tags/b/+/a") == ["f.txt"]
    os.rename(tagged / "tags/a/f.txt", tagged / "tags/a/g.txt")
    for path in ("files", "tags/a", "tags/b/+/a"):
        assert tagged.names(path) == ["g.txt"]
        with pytest.raises(FileNotFoundError):
            os.stat(tagged / path / "f.txt")
    os.rename(tagged / "files/g.txt", tagged / "files/h.txt")
    assert tagged.names("tags/a") == ["h.txt"]
    assert (tagged / "tags/a/h.txt").read_text() == "content of f"


def test_mv_from_files_puts_tags_on(tagged: Mount) -> None:
    tagged.sh("mv files/f.txt tags/b/c/")
    assert tags(tagged, "f.txt") == {"a", "b", "c"}
    assert tagged.names("files") == ["f.txt"]


def test_ln_puts_tags_on(tagged: Mount) -> None:
    os.link(tagged / "tags/a/f.txt", tagged / "tags/b/f.txt")
    assert tags(tagged, "f.txt") == {"a", "b"}
    with pytest.raises(PermissionError):
        os.link(tagged / "tags/a/f.txt", tagged / "tags/c/other")
    with pytest.raises(FileExistsError):
        os.link(tagged / "tags/a/f.txt", tagged / "tags/b/f.txt")
    assert tags(tagged, "f.txt") == {"a", "b"}


def test_ln_s_of_a_path_in_the_mount_puts_tags_on(tagged: Mount) -> None:
    tagged.sh("ln -s ../../files/f.txt tags/b/")
    tagged.sh(f"ln -s '{tagged.top}/tags/a/f.txt' tags/c/")
    assert tags(tagged, "f.txt") == {"a", "b", "c"}
    assert not (tagged / "tags/b/f.txt").is_symlink()
    assert (tagged / "tags/b/f.txt").read_text() == "content of f"
    with pytest.raises(FileNotFoundError):
        os.symlink("../../files/none", tagged / "tags/b/none")


def test_ln_s_of_a_name_that_leads_nowhere_is_a_note(tagged: Mount) -> None:
    """As emacs locks a file that it changes."""
    os.symlink("me@host.4711:1", tagged / "tags/b/.#f.txt")
    assert os.readlink(tagged / "tags/b/.#f.txt") == "me@host.4711:1"
    assert tags(tagged, "f.txt") == {"a"}


def test_ln_s_of_another_path_is_a_symlink_item(tagged: Mount, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("outside")
    os.symlink(tmp_path / "outside", tagged / "tags/b/link")
    assert os.readlink(tagged / "files/link") == str(tmp_path / "outside")
    assert (tagged / "tags/b/link").read_text() == "outside"
    assert tags(tagged, "f.txt") == {"a"}


def test_rm_from_files_goes_to_the_trash_and_comes_back_with_its_tags(tagged: Mount) -> None:
    os.unlink(tagged / "files/f.txt")
    assert tagged.names("files") == tagged.names("tags/a") == []
    assert tagged.names("trash") == ["f.txt"]
    assert (tagged / "trash/f.txt").read_text() == "content of f"
    with failing(errno.ENOTEMPTY):
        (tagged / "tags/a").rmdir()
    tagged.sh("mv trash/f.txt files/")
    assert tagged.names("trash") == []
    assert tags(tagged, "f.txt") == {"a"}
    assert tagged.names("tags/a") == ["f.txt"]


def test_rm_from_the_trash_ends_it(tagged: Mount) -> None:
    os.unlink(tagged / "files/f.txt")
    os.unlink(tagged / "trash/f.txt")
    assert tagged.names("trash") == tagged.names("files") == []
    (tagged / "tags/a").rmdir()


def test_the_same_bytes_under_another_name_are_two_items_and_one_blob(mount: Mount) -> None:
    mount.put("files/one", "same")
    mount.put("files/two", "same")
    assert mount.names("files") == ["one", "two"]
    assert len(mount.names("blobs")) == 1
    os.unlink(mount / "files/one")
    os.unlink(mount / "trash/one")
    assert (mount / "files/two").read_text() == "same"


def test_what_is_left_for_later_answers_plainly(tagged: Mount) -> None:
    with failing(errno.EOPNOTSUPP):
        os.symlink("sftp://example.org/f", tagged / "tags/a/f")
    with pytest.raises(PermissionError):
        os.mkfifo(tagged / "files/fifo")
    assert (tagged / "files/f.txt").read_text() == "content of f"


def test_chmod_and_touch_are_kept(tagged: Mount) -> None:
    os.chmod(tagged / "files/f.txt", 0o600)
    os.utime(tagged / "tags/a/f.txt", ns=(0, 1_600_000_000_123_456_789))
    found = (tagged / "files/f.txt").stat()
    assert found.st_mode & 0o777 == 0o600
    assert found.st_mtime_ns == 1_600_000_000_123_456_789
    with pytest.raises(PermissionError):
        os.chown(tagged / "files/f.txt", 12345, 12345)


def test_a_file_is_readable_while_it_is_written_and_whole_afterwards(mount: Mount) -> None:
    file = mount / "files/growing"
    with file.open("wb", buffering=0) as writer:
        writer.write(b"first ")
        assert file.read_bytes() == b"first "
        assert os.getxattr(file, "user.tagfs.state") == b"writing"
        writer.write(b"second")
        os.fsync(writer.fileno())
        assert file.stat().st_size == 12
        writer.truncate(9)
        writer.seek(4096)
        writer.write(b"far")
    mount.settle(file)
    assert file.read_bytes() == b"first sec".ljust(4096, b"\0") + b"far"


def test_cp_p_keeps_times(mount: Mount, tmp_path: Path) -> None:
    source = tmp_path / "old"
    source.write_text("x")
    os.utime(source, ns=(0, 1_500_000_000_000_000_000))
    mount.sh(f"cp -p '{source}' files/")
    mount.settle(mount / "files/old")
    assert (mount / "files/old").stat().st_mtime_ns == 1_500_000_000_000_000_000


def test_rsync_into_a_tag(mount: Mount, tmp_path: Path) -> None:
    (mount / "tags/a").mkdir()
    source = tmp_path / "source"
    source.mkdir()
    for number in range(5):
        (source / f"f{number}").write_bytes(os.urandom(70_000))
    mount.sh(f"rsync -rt --omit-dir-times '{source}/' tags/a/")
    for number in range(5):
        mount.settle(mount / f"files/f{number}")
        assert (mount / f"tags/a/f{number}").read_bytes() == (source / f"f{number}").read_bytes()
    assert mount.names("tags/a") == [f"f{number}" for number in range(5)]


def test_cp_a_and_mv_bring_tags_along_and_keep_those_of_the_path(tagged: Mount, tmp_path: Path) -> None:
    for name, command in (("p", "cp -a"), ("q", "mv")):
        source = tmp_path / name
        source.write_text(name)
        os.setxattr(source, "user.xdg.tags", b"own")
        os.setxattr(source, "user.xdg.origin.url", b"https://example.org/x")
        tagged.sh(f"{command} '{source}' tags/a/b/")
        tagged.settle(tagged / "files" / name)
        assert tags(tagged, name) == {"a", "b", "own"}
        assert os.getxattr(tagged / "files" / name, "user.xdg.origin.url") == b"https://example.org/x"
    os.setxattr(tagged / "files/p", "user.xdg.tags", b"other")  # whole by now: replaces
    assert tags(tagged, "p") == {"other"}


def test_an_open_file_outlives_its_item(mount: Mount) -> None:
    file = mount.put("files/f", b"x" * 3_000_000)
    descriptor = os.open(file, os.O_RDONLY)
    try:
        assert os.pread(descriptor, 10, 0) == b"x" * 10
        os.unlink(file)
        os.unlink(mount / "trash/f")
        assert len(os.pread(descriptor, 3_000_000, 0)) == 3_000_000
        assert os.fstat(descriptor).st_nlink == 0
    finally:
        os.close(descriptor)


def test_tar_and_rsync_may_set_the_times_of_a_directory(tagged: Mount, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/g").write_text("g")
    tagged.sh(f"rsync -rt '{tmp_path}/d/' tags/a/ && tar -C '{tmp_path}/d' -c . | tar -C tags/b -x --no-same-owner")
    os.utime(tagged / "tags/a")
    os.chmod(tagged / "tags/a", 0o755)  # as it is: `cp -a` and `tar -p` do so
    os.chown(tagged / "tags/a", os.getuid(), os.getgid())
    with pytest.raises(PermissionError):
        os.chmod(tagged / "tags/a", 0o700)
    assert tagged.names("tags/a") == ["f.txt", "g"]
    assert tagged.names("tags/b") == ["g"]
