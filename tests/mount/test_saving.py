"""How programs save: each leaves the item that it was, with its tags and attributes, and the new content."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.mount.conftest import Mount
from tests.mount.test_edits import tags
from tests.mount.test_writing import OLD, sealed, trash

NEEDED = ("vim", "git", "sqlite3", "rsync", "sed")


@pytest.fixture(scope="module", autouse=True)
def programs() -> None:
    missing = [program for program in NEEDED if shutil.which(program) is None]
    assert not missing, f"install {missing}: make test does"


@pytest.fixture
def file(mount: Mount) -> Path:
    """A whole item of two tags and an attribute, seen below one of them."""
    for tag in ("a", "b"):
        (mount / f"tags/{tag}").mkdir()
    mount.put("tags/a/b/f", OLD)
    os.setxattr(mount / "files/f", "user.note", b"n")
    return mount / "tags/a/f"


def saved(mount: Mount, before: os.stat_result, content: bytes) -> None:
    """f is who it was on all paths, holds the new content, and the old one is in the trash."""
    sealed(mount, mount / "files/f", content)
    for path in ("files/f", "tags/a/f", "tags/b/f", "tags/a/b/f"):
        assert (mount / path).stat().st_ino == before.st_ino
        assert (mount / path).read_bytes() == content
    assert tags(mount, "f") == {"a", "b"}
    assert os.getxattr(mount / "files/f", "user.note") == b"n"
    assert mount.names("tags/b") == ["f"]
    assert trash(mount) == [OLD]
    mount.tagfs("verify", "--data")
    assert os.listdir(mount.state / "staging") == []


def test_mv_over_a_file(mount: Mount, file: Path) -> None:
    before = file.stat()
    tmp = mount.put("tags/a/tmp", "new")
    os.chmod(tmp, 0o640)
    os.utime(tmp, ns=(0, 1_600_000_000_000_000_001))
    os.rename(tmp, file)
    after = (mount / "files/f").stat()
    assert (after.st_mode & 0o777, after.st_mtime_ns) == (0o640, 1_600_000_000_000_000_001)
    assert mount.names("files") == mount.names("tags/a") == ["f"]
    saved(mount, before, b"new")


def test_mv_of_what_was_closed_a_moment_ago(mount: Mount, file: Path) -> None:
    """It may be stored by then or not: nobody can tell."""
    before = file.stat()
    for number in range(20):
        (mount / "tags/a/tmp").write_bytes(b"%d" % number * 5000)
        os.rename(mount / "tags/a/tmp", file)
        assert file.read_bytes() == (mount / "tags/b/f").read_bytes() == b"%d" % number * 5000
        assert file.stat().st_ino == before.st_ino
        assert mount.names("files") == ["f"]
    sealed(mount, file, b"19" * 5000)
    mount.tagfs("verify", "--data")


def test_mv_of_what_is_still_written(mount: Mount, file: Path) -> None:
    before = file.stat()
    with (mount / "files/tmp").open("wb", buffering=0) as f:
        f.write(b"one")
        os.rename(mount / "files/tmp", mount / "files/f")
        assert file.read_bytes() == b"one"
        f.write(b" two")
        assert os.fstat(f.fileno()).st_size == 7
        assert (file.read_bytes(), file.stat().st_size) == (b"one two", 7)
        assert os.getxattr(file, "user.tagfs.state") == b"writing"
        f.truncate(5)
        os.fsync(f.fileno())
    saved(mount, before, b"one t")


def test_who_has_the_old_or_the_new_open_goes_on_with_it(mount: Mount, file: Path) -> None:
    tmp = mount.put("files/tmp", b"N" * len(OLD))
    with file.open("rb", buffering=0) as old, tmp.open("rb", buffering=0) as new, file.open("ab", buffering=0) as late:
        assert os.pread(old.fileno(), 9, 0) == OLD[:9]
        late.write(b" and more")
        os.rename(tmp, mount / "files/f")
        assert os.pread(old.fileno(), 9, 7000) == OLD[7000:7009]
        assert os.pread(new.fileno(), 9, 7000) == b"N" * 9
        late.write(b" still")
        assert file.read_bytes() == b"N" * len(OLD)
    mount.wait_for(lambda: trash(mount) == [OLD + b" and more still"])
    assert file.read_bytes() == b"N" * len(OLD)


def test_mv_over_itself_is_nothing_and_over_an_empty_file_leaves_no_trash(mount: Mount, file: Path) -> None:
    os.rename(file, mount / "files/f")
    assert file.read_bytes() == OLD
    empty = mount.put("files/empty", "")
    before = empty.stat().st_ino
    os.rename(mount.put("files/x", "new"), empty)
    assert (empty.read_bytes(), empty.stat().st_ino) == (b"new", before)
    assert trash(mount) == []


def test_a_shell_program(mount: Mount, file: Path) -> None:
    before = file.stat()
    mount.sh("sed -i s/content/CONTENT/g tags/a/f")
    saved(mount, before, OLD.replace(b"content", b"CONTENT"))


@pytest.mark.parametrize("command", ["cp", "cp -p", "rsync -t", "rsync -t --inplace", "dd conv=notrunc", "cat"])
def test_a_copy_over_it(mount: Mount, file: Path, tmp_path: Path, command: str) -> None:
    before = file.stat()
    new = tmp_path / "f"
    new.write_bytes(b"N" * len(OLD) + b"ew")
    os.utime(new, ns=(0, 1_600_000_000_000_000_000))
    script = {
        "dd conv=notrunc": f"dd if='{new}' of=tags/a/f conv=notrunc status=none",
        "cat": f"cat '{new}' > tags/a/f",
    }
    mount.sh(script.get(command, f"{command} '{new}' tags/a/f"))
    saved(mount, before, b"N" * len(OLD) + b"ew")
    if command in ("cp -p", "rsync -t", "rsync -t --inplace"):
        assert file.stat().st_mtime_ns == 1_600_000_000_000_000_000


VIM = {
    "default": "",
    "in place, with a backup": "backup backupcopy=yes backupskip=",
    "without a backup": "nobackup nowritebackup",
    "with fsync": "fsync backupcopy=yes",
}


@pytest.mark.parametrize("options", VIM.values(), ids=VIM.keys())
def test_vim(mount: Mount, file: Path, options: str) -> None:
    """By default it writes in place where a file has several links, as every item with a tag has."""
    before = file.stat()
    mount.sh(f"cd tags/a && vim -Nu NONE -n -es -c 'set binary noeol {options}' -c '%s/content/CONTENT/g' -c 'wq!' f")
    if options.startswith("backup "):
        assert (mount / "tags/a/f~").read_bytes() == OLD
    saved(mount, before, OLD.replace(b"content", b"CONTENT"))


def emacs_writes(path: Path, content: bytes) -> None:
    """write-region, with its fsync, and the modes of the file that was visited."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.write(descriptor, content)
    os.fsync(descriptor)
    os.close(descriptor)
    os.chmod(path, 0o644)


@pytest.mark.parametrize("precious", [False, True])
def test_emacs_that_backs_up_by_copying(mount: Mount, file: Path, precious: bool) -> None:
    """Its calls, as it makes them with backup-by-copying, and with file-precious-flag besides."""
    before, backup = file.stat(), file.with_name("f~")
    shutil.copyfile(file, backup)
    if precious:
        temporary = file.with_name("f7a3Xk")
        emacs_writes(temporary, b"new")
        os.rename(temporary, file)
    else:
        emacs_writes(file, b"new")
    mount.settle(backup)
    assert backup.read_bytes() == OLD
    saved(mount, before, b"new")


def test_emacs_that_moves_the_file_away(mount: Mount, file: Path) -> None:
    """By default. Nothing is lost: the item is what emacs calls f~, and f is one of the tag that it was saved below."""
    before, backup = file.stat(), file.with_name("f~")
    os.rename(file, backup)
    emacs_writes(file, b"new")
    mount.settle(file)
    assert (backup.read_bytes(), backup.stat().st_ino) == (OLD, before.st_ino)
    assert tags(mount, "f~") == {"a", "b"}
    assert file.read_bytes() == b"new"
    assert tags(mount, "f") == {"a"}
    assert trash(mount) == []


def test_git_works_on_files_in_place(mount: Mount, tmp_path: Path) -> None:
    """Its repository beside, its files here: it writes them anew and makes hashes of them."""
    mount.put("files/f", "one")
    git = f"git --git-dir='{tmp_path}/repo' --work-tree='{mount.top}/files' -c user.name=x -c user.email=x@example.org"
    mount.sh(f"{git} init -q && {git} add f && {git} commit -qm one")
    (mount / "files/f").write_text("two")
    assert "modified" in mount.sh(f"{git} status")
    mount.sh(f"{git} commit -qam two && {git} checkout -q HEAD~1 -- f")
    assert (mount / "files/f").read_text() == "one"


def test_sqlite_keeps_a_database_here(mount: Mount) -> None:
    """Two programs at once: locks, a rollback journal, and pages that are written over and over."""
    path = mount / "files/data.db"
    one, other = (sqlite3.connect(path, isolation_level=None, timeout=10) for _ in range(2))
    one.execute("CREATE TABLE t (n INTEGER, text TEXT)")
    for number in range(20):
        with_lock = (one, other)[number % 2]
        with_lock.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            locked = sqlite3.connect(path, isolation_level=None, timeout=0)
            try:
                locked.execute("BEGIN IMMEDIATE")
            finally:
                locked.close()
        with_lock.execute("INSERT INTO t VALUES (?, ?)", (number, "x" * 3000))
        with_lock.execute("COMMIT")
    assert one.execute("SELECT sum(n), count(*) FROM t").fetchone() == (190, 20)
    one.close()
    other.close()
    assert mount.sh("sqlite3 files/data.db 'PRAGMA integrity_check; SELECT count(*) FROM t'").split() == ["ok", "20"]
    mount.settle(path)
    assert mount.sh("sqlite3 -readonly files/data.db 'SELECT sum(n) FROM t'").split() == ["190"]
    mount.tagfs("verify", "--data")


def test_get_takes_what_was_closed_last(mount: Mount, tmp_path: Path) -> None:
    path = mount.put("files/f", "old")
    path.write_text("new " * 100_000)
    mount.tagfs("get", "f", str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_text() == "new " * 100_000
