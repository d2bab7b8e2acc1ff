"""The command line beside a real mount: items named by their paths, and files that must not be waited for."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagfs.cli.refs import resolve
from tagfs.cli.verb import NotFound, UsageError
from tagfs.daemon.state import DaemonInfo, read_info
from tests.support.home import Home

pytestmark = pytest.mark.mount


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One daemon for all tests here, with `a.txt` (tagged x and y) and `b.txt` (untagged) in it."""
    home = Home(tmp_path_factory.mktemp("home"))
    home.top.mkdir()
    try:
        home.mount()
        for name, content in (("a.txt", "alpha"), ("b.txt", "beta")):
            (home.folder / name).write_text(content)
        assert home.tagfs("import", str(home.folder / "a.txt"), "-t", "x,y").returncode == 0
        assert home.tagfs("import", str(home.folder / "b.txt")).returncode == 0
        yield home
    finally:
        home.clean_up()


@pytest.fixture
def info(home: Home) -> DaemonInfo:
    found = read_info(str(home.state))
    assert found is not None
    return found


def test_every_path_of_an_item_is_the_item(home: Home, info: DaemonInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    item = f"id:{(home.top / 'files/a.txt').stat().st_ino}"
    paths = [f"{home.top}/{path}/a.txt" for path in ("files", "tags/x", "tags/x/y", "tags/x/+/y", "tags/-/z/x")]
    home.tagfs("tags", "--create", "z")
    assert resolve(paths, info) == (item,) * 5
    monkeypatch.chdir(home.top / "tags/x")
    assert resolve(["a.txt", "./a.txt", "../../files/a.txt"], info) == (item,) * 3
    assert home.tagfs("ls", "--ids", "x").stdout == f"{item}\n"


def test_directories_of_queries_are_no_items(home: Home, info: DaemonInfo) -> None:
    for path in ("", "files", "tags", "tags/x", "tags/x/+/y", ".tagfs"):
        with pytest.raises(UsageError, match="is a directory of queries and no item"):
            resolve([f"{home.top}/{path}"], info)
    with pytest.raises(UsageError, match="is no item"):
        resolve([f"{home.top}/.tagfs/version"], info)
    with pytest.raises(NotFound, match="does not exist"):
        resolve([f"{home.top}/tags/x/b.txt"], info)


def test_a_path_on_another_daemons_mount_is_refused(home: Home, info: DaemonInfo) -> None:
    elsewhere = DaemonInfo(info.pid, info.socket, "/somewhere/else", info.version)
    with pytest.raises(UsageError, match="lies on another tagfs mount"):
        resolve([f"{home.top}/files/a.txt"], elsewhere)


def test_tagging_by_path_and_query_by_path(home: Home) -> None:
    assert home.tagfs("tag", f"{home.top}/files/b.txt", "-t", "new").returncode == 0
    assert home.tagfs("ls", f"{home.top}/tags/new").stdout == "b.txt\n"
    assert home.tagfs("ls", "x/+/new").stdout == "a.txt\nb.txt\n"
    assert home.tagfs("untag", f"{home.top}/tags/new/b.txt", "-t", "new").returncode == 0
    assert os.listdir(home.top / "tags/new") == []
    assert home.tagfs("tags", "--delete", "new").returncode == 0
    assert not (home.top / "tags/new").exists()


def test_the_mount_is_not_imported_into_itself(home: Home) -> None:
    done = home.tagfs("import", f"{home.top}/files")
    assert (done.returncode, done.stderr) == (2, f"tagfs: {home.top}/files lies on a tagfs mount already.\n")


def test_a_copy_out_is_the_file(home: Home) -> None:
    assert home.tagfs("get", f"{home.top}/tags/x/a.txt", str(home.folder / "copy")).returncode == 0
    copy = home.folder / "copy"
    assert copy.read_text() == "alpha"
    assert copy.stat().st_mtime_ns == (home.folder / "a.txt").stat().st_mtime_ns


def test_a_copy_of_a_folder_keeps_its_symlinks(home: Home) -> None:
    made = home.top / "files/made"
    made.mkdir()
    (made / "link").symlink_to("/nowhere/at all")
    assert home.tagfs("get", str(made), str(home.folder)).stderr == ""
    assert os.readlink(home.folder / "made/link") == "/nowhere/at all"
    assert home.tagfs("rm", "--purge", str(made)).returncode == 0


def test_a_folder_can_be_copied_into_itself_as_it_was(home: Home) -> None:
    made = home.top / "files/made"
    (made / "sub").mkdir(parents=True)
    (made / "link").symlink_to("a")
    assert home.tagfs("get", str(made), str(made / "sub")).stderr == ""
    assert sorted(str(path.relative_to(made)) for path in made.rglob("*")) == [
        "link", "sub", "sub/made", "sub/made/link", "sub/made/sub",
    ]  # fmt: skip
    assert home.tagfs("rm", "--purge", str(made)).returncode == 0


def test_status_and_verify(home: Home) -> None:
    status = home.tagfs("status").stdout
    assert status.startswith(f"tagfs 0.1.0 at {home.top}, up ")
    assert home.tagfs("status", "-f").returncode == 0  # nothing arrives, so it ends at once
    assert home.tagfs("verify", "--data").stdout == "2 items, 2 blobs, 9 B read: no faults\n"


def test_the_socket_and_the_state_directory_are_private(home: Home, info: DaemonInfo) -> None:
    assert Path(info.socket).stat().st_mode & 0o777 == 0o600
    for folder, _folders, files in os.walk(home.state):
        assert Path(folder).stat().st_mode & 0o077 == 0, folder
        for name in files:
            mode = (Path(folder) / name).stat().st_mode & 0o777
            assert mode & 0o037 == 0, (folder, name, oct(mode))
