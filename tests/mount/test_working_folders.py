"""Folders that people make: programs find in them what they find in any directory, on every path; nothing is lost."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mount.conftest import Mount
from tests.support.folders import prepare
from tests.support.nginx import nginx

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, NOREPLACE, EXCHANGE = -100, 1, 2


def rename2(one: Path, other: Path, flags: int) -> None:
    if LIBC.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def failing(number: int) -> pytest.RaisesExc[OSError]:
    return pytest.raises(OSError, check=lambda error: error.errno == number)


def own(path: Path) -> set[str]:
    try:
        return set(os.getxattr(path, "user.xdg.tags").decode().split(","))
    except OSError as error:
        assert error.errno == errno.ENODATA
        return set()


def number(path: Path) -> int:
    return path.lstat().st_ino


@pytest.fixture
def made(mount: Mount) -> Mount:
    """D is tagged a, and holds f and s/g; E is untagged and empty; x is tagged b."""
    mount.sh("mkdir tags/a tags/b tags/c tags/a/D tags/a/D/s files/E")
    mount.put("tags/a/D/f", "f")
    mount.put("files/D/s/g", "g")
    mount.put("tags/b/x", "x")
    return mount


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree with all that an archive can hold."""
    top = tmp_path / "source"
    (top / "sub/deep").mkdir(parents=True)
    (top / "one").write_text("one")
    (top / "empty").touch()
    (top / "sub/we\udcffird\n,-a:b").write_bytes(os.urandom(70_000))
    links = (
        ("sub/rel", "../one"),
        ("abs", "/etc/hostname"),
        ("dangling", "nowhere"),
        ("far", "../../no/where"),
        ("dir", "sub"),
    )
    for name, target in links:
        (top / name).symlink_to(target)
    (top / "one").chmod(0o600)
    (top / "sub").chmod(0o750)
    for name in ("abs", "one", "sub/deep", "sub", "."):
        os.utime(top / name, (1e9, 1e9), follow_symlinks=False)
    return top


def shape(top: Path) -> dict[str, tuple[int, int, str]]:
    """Path -> mode, mtime, target of a symlink; the mtime only where somebody has set it."""
    found = {}
    for path in [top, *top.rglob("*")]:
        status = path.lstat()
        mtime = int(status.st_mtime) if status.st_mtime == 1e9 else 0
        found[str(path.relative_to(top))] = status.st_mode, mtime, os.readlink(path) if path.is_symlink() else ""
    return found


def same(one: Path, other: Path) -> bool:
    return not subprocess.run(["diff", "-r", "--no-dereference", one, other], capture_output=True, check=False).stdout


def test_mkdir_makes_a_folder_wherever_an_item_can_be_made(made: Mount) -> None:
    assert made.names("tags/a") == ["D"]
    assert made.names("files") == ["D", "E", "x"]
    assert number(made / "tags/a/D") == number(made / "files/D")
    assert (own(made / "files/D"), own(made / "files/D/s"), own(made / "files/E")) == ({"a"}, set(), set())
    assert os.getxattr(made / "files/D/s/g", "user.tagfs.inherited") == b"a"
    assert made.names("tags") == ["a", "b", "c"]
    with failing(errno.EEXIST):
        os.mkdir(made / "files/D/f")
    for path in ("tags/a/+/b/new", "trash/new", "blobs/new"):
        with failing(errno.EPERM):
            os.mkdir(made / path)
    os.mkdir(made / "files/E/m", 0o700)
    assert (made / "files/E/m").stat().st_mode & 0o777 == 0o700
    os.chmod(made / "files/E/m", 0o751)
    os.utime(made / "files/E/m", ns=(0, 10**18))
    before = number(made / "files/E/m")
    assert made.stop() == 0
    made.start()
    status = (made / "files/E/m").stat()
    assert (status.st_ino, status.st_mode & 0o777, status.st_mtime_ns) == (before, 0o751, 10**18)
    (made / "files/E/m/n").mkdir()
    os.setxattr(made / "files/E", "user.xdg.tags", b"c")
    made.put("tags/c/E/m/n/deep.txt", "deep")
    assert made.names("tags/c") == ["E"]
    assert made.names("tags/ext:txt/c") == ["deep.txt"]  # c by E
    assert made.names("tags/ext:txt") == ["deep.txt"]


def test_the_time_of_a_folder_is_that_of_the_last_change_in_it(made: Mount) -> None:
    folder = made / "files/D"

    def touched(change: Callable[[], object]) -> bool:
        os.utime(folder, ns=(0, 10**18))
        assert (made / "tags/a/D").stat().st_mtime_ns == 10**18
        change()
        found = {(made / path).stat().st_mtime_ns for path in ("files/D", "tags/a/D")}
        assert len(found) == 1
        return found != {10**18}

    assert touched((folder / "new").touch)
    assert touched(lambda: (folder / "link").symlink_to("new"))
    assert touched(lambda: os.rename(folder / "new", folder / "other"))
    assert touched(lambda: os.rename(folder / "other", made / "files/E/other"))
    assert touched(lambda: os.rename(made / "files/E/other", folder / "other"))
    assert touched(lambda: os.unlink(folder / "link"))
    assert touched(lambda: os.mkdir(folder / "sub"))
    assert touched(lambda: os.rmdir(folder / "sub"))
    assert not touched(lambda: (folder / "s/deeper").touch())


@pytest.mark.parametrize(
    "copy",
    ["tar -C {0} -cf - . | tar -C {1} -xpf -", "cp -aT {0} {1}", "rsync -a {0}/ {1}/"],
    ids=["tar", "cp", "rsync"],
)
def test_a_tree_comes_in_as_it_is(made: Mount, source: Path, copy: str) -> None:
    made.sh("mkdir tags/c/T && " + copy.format(source, "tags/c/T"))
    for path in ("tags/c/T", "files/T"):
        assert shape(made / path) == shape(source)
        assert same(source, made / path)
    assert made.sh(f"rsync -ai {source}/ tags/c/T/") == ""  # nothing to transfer
    assert made.names("tags/c") == ["T"]
    made.sh("mv tags/c/T files/E/ && mv files/E/T files/D/s/")
    assert same(source, made / "tags/a/D/s/T")


def test_cp_r_makes_a_folder_below_a_tag(made: Mount, source: Path) -> None:
    made.sh(f"cp -rP {source} tags/c/")
    assert made.names("tags/c") == ["source"]
    assert same(source, made / "files/source")
    assert own(made / "files/source") == {"c"}


def test_mv_in_and_out_of_folders(made: Mount) -> None:
    f, g, x = (number(made / path) for path in ("files/D/f", "files/D/s/g", "files/x"))
    made.sh("mv files/D/f files/D/h && mv files/D/h files/D/s/ && mv files/D/s/h tags/a/D/f")
    assert number(made / "files/D/f") == f
    made.sh("mv tags/b/x tags/a/D/")  # b is taken off, and it has a by D
    assert (own(made / "files/D/x"), made.names("tags/b"), made.names("files")) == (set(), [], ["D", "E"])
    made.sh("mv files/D/x tags/b/")
    assert (own(made / "files/x"), made.names("tags/b"), number(made / "files/x")) == ({"b"}, ["x"], x)
    made.sh("mv files/x files/E/ && mv files/E/x files/")  # tags of its own stay
    assert own(made / "files/x") == {"b"}
    made.sh("mv tags/a/D/s files/E/")
    assert made.names("files/D") == ["f"]
    assert (made / "files/E/s/g").read_text() == "g"
    made.sh("mv files/E/s files/")
    assert made.names("files") == ["D", "E", "s", "x"]
    made.sh("mv files/D files/s/ && mv files/s tags/c/")
    assert made.names("tags/c") == ["s"]
    assert made.names("tags/a") == ["D"]
    assert made.names("tags/a/c") == ["D"]  # c by s
    assert number(made / "tags/a/c/D/f") == f
    assert number(made / "tags/c/s/g") == g
    for target in ("files/s/D/s", "files/s/D", "tags/a/D/t"):
        with failing(errno.EINVAL):
            os.rename(made / "files/s", made / target)
    assert "no faults" in made.tagfs("verify")
    assert made.stop() == 0
    made.start()
    assert made.names("tags/a/c") == ["D"]
    assert number(made / "files/s/D/f") == f


def test_a_folder_moves_under_the_feet_of_those_who_are_in_it(made: Mount) -> None:
    with (made / "files/D/s/new").open("w+") as file:
        file.write("one ")
        file.flush()
        lines = made.sh(
            "cd files/D/s && mv ../../D ../../E/ && pwd -P && ls && echo two > here && ls ../../D && mv g ../.. && ls"
        ).splitlines()
        file.write("two")
    assert lines == [f"{made.top}/files/E/D/s", "g", "new", "f", "s", "here", "new"]
    made.settle(made / "files/E/D/s/new")
    assert (made / "files/E/D/s/new").read_text() == "one two"
    assert (made / "tags/a/D/s/here").read_text() == "two\n"
    assert made.names("files/E") == ["D", "g"]
    assert not (made / "files/D").exists()


def test_what_is_listed_goes_on_while_names_change(made: Mount) -> None:
    """As POSIX has it: what is there all the time is listed once, what comes or goes meanwhile once or not at all."""
    for index in range(300):
        (made / f"files/E/{index}").touch()
    with os.scandir(made / "files/E") as entries:
        seen = [next(entries).name for _ in range(20)]
        for index in range(0, 300, 3):
            os.rename(made / f"files/E/{index}", made / f"files/E/r{index}")
        seen += [entry.name for entry in entries]
    assert sorted(name for name in seen if int(name.lstrip("r")) % 3) == sorted(
        str(index) for index in range(300) if index % 3
    )


def test_rename_onto_what_is_there(made: Mount) -> None:
    made.sh("mkdir files/E/empty files/E/other; ln -s f files/D/l")
    with failing(errno.EISDIR):
        os.rename(made / "files/D/f", made / "files/E/empty")
    with failing(errno.ENOTDIR):
        os.rename(made / "files/E/empty", made / "files/D/f")
    with failing(errno.ENOTEMPTY):
        os.rename(made / "files/E/empty", made / "files/D/s")
    kept = number(made / "files/D/s")
    os.rename(made / "files/D/s", made / "files/E/empty")
    assert number(made / "files/E/empty") == kept
    assert made.names("files/E") == ["empty", "other"]
    assert made.names("trash") == []  # there was never anything in it
    with failing(errno.EEXIST):
        rename2(made / "files/D/f", made / "files/D/l", NOREPLACE)
    rename2(made / "files/D/f", made / "files/D/n", NOREPLACE)
    link = number(made / "files/D/l")
    os.rename(made / "files/D/l", made / "files/D/n")  # a symlink onto a file
    assert (number(made / "files/D/n"), os.readlink(made / "files/D/n")) == (link, "f")
    assert made.names("files/D") == ["n"]
    assert (made / "trash/n").read_text() == "f"
    made.put("files/D/f", "again")
    os.rename(made / "files/D/f", made / "files/D/n")  # and a file onto a symlink
    assert (made / "tags/a/D/n").read_text() == "again"
    assert made.names("files/D") == ["n"]


def test_exchange(made: Mount) -> None:
    f, s, x, d, e = (number(made / path) for path in ("files/D/f", "files/D/s", "files/x", "files/D", "files/E"))
    rename2(made / "files/D/f", made / "files/D/s", EXCHANGE)  # in one folder
    assert (number(made / "files/D/s"), number(made / "files/D/f")) == (f, s)
    assert (made / "tags/a/D/f/g").read_text() == "g"
    rename2(made / "files/D/f", made / "files/D/s", EXCHANGE)
    rename2(made / "files/D/f", made / "tags/b/x", EXCHANGE)  # a folder and a tag
    assert (number(made / "files/D/f"), number(made / "files/x")) == (x, f)
    assert (own(made / "tags/b/x"), own(made / "files/D/f")) == ({"b"}, set())
    rename2(made / "tags/b/x", made / "files/D/f", EXCHANGE)
    rename2(made / "files/D", made / "files/E", EXCHANGE)  # at the top: the names
    assert (number(made / "files/E"), number(made / "files/D"), own(made / "files/E")) == (d, e, {"a"})
    assert made.names("tags/a") == ["E"]
    rename2(made / "tags/a/E", made / "tags/b/x", EXCHANGE)  # two tags: what each states changes hands
    assert (own(made / "files/E"), own(made / "files/x")) == ({"a"}, {"b"})
    assert (number(made / "tags/a/E"), number(made / "tags/b/x")) == (x, d)
    assert (made / "tags/b/x/s/g").read_text() == "g"
    for one, other, error in (
        ("files/x", "files/x/s", errno.EINVAL), ("files/x/s", "files/x", errno.EINVAL),
        ("files/x", "files/none", errno.ENOENT), ("tags/a", "tags/b", errno.EINVAL),
        ("tags/b/x", "tags/a/+/b/E", errno.EINVAL),
    ):  # fmt: skip
        with failing(error):
            rename2(made / one, made / other, EXCHANGE)
    os.unlink(made / "files/E")
    with failing(errno.EINVAL):
        rename2(made / "trash/E", made / "files/D", EXCHANGE)
    assert "no faults" in made.tagfs("verify")


def test_rm_in_a_folder_goes_to_the_trash_on_every_path(made: Mount) -> None:
    os.unlink(made / "tags/a/D/s/g")
    assert made.names("trash") == ["g"]
    made.sh("mv trash/g files/")
    assert (made / "files/D/s/g").read_text() == "g"
    made.sh("mv files/D trash/")
    made.sh("mv trash/D/s/g tags/b/")  # part of what is in the trash
    assert (made / "tags/b/g").read_text() == "g"
    made.sh("mv trash/D files/E/")
    assert made.names("files/E/D") == ["f", "s"]
    assert made.names("tags/a") == ["D"]
    assert made.names("files") == ["E", "g", "x"]
    made.sh("rmdir files/E/D/s")
    assert made.names("trash") == []
    for path in ("mv {0}/trash/f {0}/files/f", "mv {0}/trash/f {0}/files/E/"):
        os.unlink(made / "tags/a/D/f")
        made.sh(path.format(made.top))
        made.sh("mv files/E/f files/E/D/ 2>/dev/null || true")
        assert (made / "files/E/D/f").read_text() == "f"


def test_rm_r_below_a_tag(made: Mount) -> None:
    os.setxattr(made / "files/E", "user.xdg.tags", b"a,b")
    made.put("files/E/inner", "inner")
    made.sh("rm -r tags/a/D tags/a/E")
    assert made.names("files") == ["E", "x"]  # b still lists E
    assert own(made / "files/E") == {"b"}
    assert made.names("trash") == ["D", "inner"]
    made.sh("mv trash/D files/ && mv trash/inner files/")
    assert (made / "tags/a/D/s/g").read_text() == "g"
    assert (made / "tags/b/E/inner").read_text() == "inner"
    os.rmdir(made / "tags/a/D")  # not empty: only the tag goes
    assert made.names("files/D") == ["f", "s"]
    assert own(made / "files/D") == set()


def test_hard_links_are_not_made_in_folders(made: Mount) -> None:
    for source in ("files/x", "files/D/f"):
        with failing(errno.EPERM):
            os.link(made / source, made / "files/E/link")
    assert "in one folder" in made.errors()
    os.link(made / "files/D/f", made / "tags/b/f")
    assert own(made / "files/D/f") == {"b"}
    assert made.names("tags/b") == ["f", "x"]


def test_du_counts_once_what_two_paths_show(made: Mount) -> None:
    made.put("files/D/big", b"x" * 100_000)
    os.setxattr(made / "files/D/big", "user.xdg.tags", b"c")

    def used(paths: str) -> int:
        return sum(int(line.split()[0]) for line in made.sh(f"du -s --block-size=1 {paths}").splitlines())

    assert used("files") == used("tags/a tags/b tags/c files") == used("tags/c files tags/c")


def test_a_link_to_a_url_in_a_folder_is_a_download_in_it(made: Mount, tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    (served / "film.mkv").write_bytes(b"film" * 1000)
    with nginx(tmp_path / "nginx", served) as server:
        made.sh(f"ln -s {server.url('film.mkv')} files/D/s/")
        made.settle(made / "files/D/s/film.mkv")
    assert (made / "tags/a/D/s/film.mkv").read_bytes() == b"film" * 1000
    made.sh("ln -s ../f files/D/s/rel && ln -s /etc/hostname files/D/abs && ln -s $PWD/files/x files/D/mine")
    assert os.readlink(made / "files/D/mine") == str(made / "files/x")
    assert (made / "tags/a/D/s/rel").read_text() == "f"


def test_a_download_s_folder_is_worked_in_below_files_only(new_mount: Callable[..., Mount]) -> None:
    mount = new_mount()
    prepare(mount.state, {"D": ({"f": b"f", "s/g": b"g"}, ["a"])})
    mount.start()
    for call in (
        lambda: os.mkdir(mount / "tags/a/D/new"), lambda: os.unlink(mount / "tags/a/D/f"),
        lambda: (mount / "tags/a/D/new").touch(), lambda: os.rename(mount / "tags/a/D/f", mount / "files/f"),
        lambda: os.rmdir(mount / "tags/a/D/s"),
    ):  # fmt: skip
        with failing(errno.EPERM):
            call()
    mount.sh("mkdir files/D/new files/W && mv files/D/f files/D/new/ && echo more > files/D/sub.srt")
    assert mount.names("tags/a/D") == ["new", "s", "sub.srt"]
    mount.sh("mv files/D/s files/W/ && mv files/W tags/a/ && rm tags/a/W/s/g")
    assert mount.names("trash") == ["g"]


def test_what_was_removed_before_does_not_come_back_with_a_folder(made: Mount) -> None:
    """Locks and old versions would be in the way of what has their names."""
    made.sh("cd files/D && touch lock && rm lock && echo old > v && echo new > tmp && mv tmp v && rm f")
    made.sh("mkdir files/D/t && rmdir files/D/t")  # leaves no trace
    made.put("files/D/f", "new f")
    made.sh("mkdir files/D/u && touch files/D/u/w && rm files/D/u/w && rmdir files/D/u")  # by two programs
    made.settle(made / "files/D/v")
    assert made.names("trash") == ["f", "lock", "v", "w"]
    for remove in ("rm -r files/D", "mv files/D trash/", "rm -r tags/a/D", f"{sys.executable} -m tagfs rm D"):
        made.sh(remove)
        assert made.names("trash") == ["D", "f", "lock", "v", "w"], remove
        made.sh("mv trash/D files/")
        assert made.names("tags/a/D") == ["f", "s", "v"], remove
        assert ((made / "files/D/f").read_text(), (made / "files/D/v").read_text()) == ("new f", "new\n")
    made.sh("mv trash/f trash/v files/")
    assert (made / "files/f").read_text() == "f"
    assert (made / "files/v").read_text() == "old\n"
    assert "no faults" in made.tagfs("verify")


def test_git_works_in_a_folder(made: Mount, tmp_path: Path) -> None:
    git = "git -c user.email=a@example.org -c user.name=n -c init.defaultBranch=main -c gc.auto=0"
    origin = tmp_path / "origin"
    made.sh(
        f"{git} init -q {origin} && cd {origin} && mkdir -p a/b c && seq 2000 > a/b/numbers && ln -s b/numbers a/link"
        f" && touch empty && echo 1 > c/1 && {git} add . && {git} commit -qm one"
    )
    made.sh(f"{git} clone -q {origin} tags/c/repo")
    assert made.names("tags/c") == ["repo"]
    check = "git status --short && git fsck 2>&1"
    assert made.sh(f"cd tags/c/repo && {check} && cd ../../../files/repo && {check}") == ""
    assert os.readlink(made / "files/repo/a/link") == "b/numbers"
    made.sh(
        f"cd files/repo && echo two >> a/b/numbers && {git} commit -qam two && {git} gc -q && {git} checkout -qb other"
        f" && {git} mv c d && {git} rm -q empty && {git} commit -qm three && {git} checkout -q main"
        f" && {git} merge -q other && {git} push -q origin other"
    )
    assert made.sh(f"cd tags/c/repo && {check} && git log --format=%s") == "three\ntwo\none\n"
    made.sh("rm -rf tags/c/repo && mv trash/repo files/")
    assert made.sh(f"cd files/repo && {check} && git log --format=%s") == "three\ntwo\none\n"
    assert made.names("files/repo") == [".git", "a", "d"]
    assert own(made / "files/repo") == {"c"}
    assert "no faults" in made.tagfs("verify")


def test_sqlite_works_in_a_folder(made: Mount) -> None:
    def ask(sql: str) -> list[str]:
        return made.sh(f"cd tags/a/D && sqlite3 x.db '{sql}'").split()

    assert ask("create table t(a); insert into t values(1), (2); select count(*) from t") == ["2"]
    assert ask("begin; insert into t values(3); rollback; select count(*) from t") == ["2"]
    assert ask("pragma journal_mode=wal; insert into t values(4); select count(*) from t") == ["wal", "3"]
    assert ask("pragma integrity_check; delete from t where a = 1; select a from t") == ["ok", "2", "4"]
    made.settle(made / "files/D/x.db")
    assert made.names("files/D") == ["f", "s", "x.db"]
    assert made.stop() == 0
    made.start()
    assert ask("pragma integrity_check; select a from t") == ["ok", "2", "4"]


@pytest.mark.parametrize("top", ["files", "tags/a"])
def test_a_folder_is_there_for_who_goes_into_it_at_once(made: Mount, top: str) -> None:
    """Also where items in other folders have its name."""
    names = [f"n{number}" for number in range(40)]
    for name in names:
        (made / "files/E" / name).mkdir()
    go = (
        "import os, sys\n"
        "for name in sys.argv[2:]:\n"
        "    os.chdir(sys.argv[1])\n"
        "    os.mkdir(name)\n"
        "    os.chdir(name)\n"
        "    open('file', 'x').close()\n"
        "    assert os.path.basename(os.getcwd()) == name\n"
    )
    subprocess.run([sys.executable, "-c", go, str(made / top), *names], check=True, timeout=120)
