"""The state directory: private, ours, and of one daemon at a time."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tagfs.daemon import state
from tagfs.daemon.errors import StartError
from tagfs.daemon.state import DaemonInfo


def test_it_is_made_with_its_parents_and_private(tmp_path: Path) -> None:
    folder = tmp_path / "a/b"
    state.prepare(str(folder))
    assert folder.stat().st_mode & 0o777 == 0o700
    state.prepare(str(folder))


def test_an_open_one_of_ours_is_closed_to_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    state.prepare(str(tmp_path))
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    os.close(state.lock(str(tmp_path)))
    (tmp_path / "blobs").mkdir()
    tmp_path.chmod(0o750)
    state.prepare(str(tmp_path))
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_a_folder_with_other_things_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    tmp_path.chmod(0o755)
    with pytest.raises(StartError, match="is no state directory of tagfs, and it is not empty"):
        state.prepare(str(tmp_path))
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert os.listdir(tmp_path) == ["letters"]


def test_contents_without_a_catalogue_are_for_restore_alone(tmp_path: Path) -> None:
    (tmp_path / "blobs/a0").mkdir(parents=True)
    with pytest.raises(
        StartError, match="holds contents and no catalogue: tagfs restore brings one back; to begin with"
    ):
        state.prepare(str(tmp_path))
    state.prepare(str(tmp_path), contents=True)
    (tmp_path / "letters").touch()
    with pytest.raises(StartError, match="it is not empty"):
        state.prepare(str(tmp_path), contents=True)


@pytest.mark.parametrize("other", ["letters/", "a1"])
def test_a_folder_called_blobs_with_other_things_in_it_is_refused(tmp_path: Path, other: str) -> None:
    (tmp_path / "blobs/a0").mkdir(parents=True)
    (tmp_path / "blobs" / other).mkdir() if other.endswith("/") else (tmp_path / "blobs" / other).touch()
    with pytest.raises(StartError, match="it is not empty"):
        state.prepare(str(tmp_path))


def test_what_cannot_be_a_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for bad in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(StartError, match=f"{bad} cannot be used: Not a directory"):
            state.prepare(str(bad))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_somebody_elses_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(StartError, match=r"belongs to another user \(uid 12345\)"):
        state.prepare(str(tmp_path))


def test_one_daemon_at_a_time(tmp_path: Path) -> None:
    where = str(tmp_path)
    assert not state.locked(where)
    held = state.lock(where)
    assert state.locked(where)
    ended = subprocess.Popen([sys.executable, "-c", ""])  # of a live one without a mount the end would be waited for
    ended.wait()
    state.write_info(where, DaemonInfo(ended.pid, "/run/x.sock", "/home/me/T", "0.1.0"))
    with pytest.raises(StartError, match=rf"A daemon \(pid {ended.pid}, mounted at /home/me/T\) runs on .* already"):
        state.lock(where)
    os.close(held)
    assert not state.locked(where)
    os.close(state.lock(where))


def test_a_daemon_that_has_lost_its_mount_is_waited_for(tmp_path: Path) -> None:
    code = (
        f"from tagfs.daemon import state; state.lock({str(tmp_path)!r}); print(flush=True); input(); print(flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.readline()
        state.write_info(str(tmp_path), DaemonInfo(process.pid, "/run/x.sock", "/home/me/T", "0.1.0"))
        process.stdin.write(b"\n")
        process.stdin.flush()
        os.close(state.lock(str(tmp_path)))


def test_the_lock_goes_with_its_process_however_it_ends(tmp_path: Path) -> None:
    code = f"from tagfs.daemon import state; state.lock({str(tmp_path)!r}); print(flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        assert state.locked(str(tmp_path))
        process.kill()
    assert not state.locked(str(tmp_path))


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "daemon.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StartError, match="cannot be locked"):
        state.lock(str(tmp_path))
    assert not (tmp_path / "elsewhere").exists()


def test_the_note_is_read_back_or_not_at_all(tmp_path: Path) -> None:
    where, info = str(tmp_path), DaemonInfo(1, "/s", os.fsdecode(b"/m\xff"), "0.1.0")
    assert state.read_info(where) is None
    state.write_info(where, info)
    assert state.read_info(where) == info
    for broken in ("", "{", "[]", '{"pid": 1}'):
        (tmp_path / "daemon.json").write_text(broken)
        assert state.read_info(where) is None
    state.remove_info(where)
    state.remove_info(where)
    assert os.listdir(tmp_path) == []


def test_the_lock_is_not_inherited(tmp_path: Path) -> None:
    held = state.lock(str(tmp_path))
    assert fcntl.fcntl(held, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    os.close(held)


def test_links_in_the_place_of_our_files_are_not_followed(tmp_path: Path) -> None:
    """Left by somebody for whom the folder was open once."""
    where, outside = str(tmp_path), tmp_path / "outside"
    outside.write_text('{"pid": 1, "socket": "/s", "mountpoint": "/m", "version": "1"}')
    for name in ("daemon.json", "daemon.json.new", "daemon.lock", "catalogue.sqlite.reserve"):
        (tmp_path / name).symlink_to(outside)
    assert state.read_info(where) is None
    assert not state.locked(where)
    with pytest.raises(StartError, match="cannot be written to"):
        state.write_info(where, DaemonInfo(2, "/s", "/m", "1"))
    before = outside.read_text()
    full = os.statvfs_result((1, 1, 1, 0, 0, 1, 1, 1, 0, 255))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "statvfs", lambda path: full)
        state.make_way(where)
    assert outside.read_text() == before


def test_what_sqlite_keeps_for_a_moment_stays_in_the_state_directory(tmp_path: Path) -> None:
    """Nobody imports sqlite3 before the daemon has said where."""
    (tmp_path / "etilqs_left").touch()
    code = f"""
import os, sys
import tagfs.daemon.__main__
from tagfs.daemon import state
assert "sqlite3" not in sys.modules
state.keep_temporary({str(tmp_path)!r})
import sqlite3
database = sqlite3.connect(":memory:")
database.execute("PRAGMA temp_store = FILE")
database.execute("PRAGMA temp.cache_size = 1")
database.execute("CREATE TEMP TABLE t (x)")
database.execute("INSERT INTO t SELECT randomblob(1000000)")
print([os.readlink(f"/proc/self/fd/{{fd}}") for fd in range(3, 20) if os.path.islink(f"/proc/self/fd/{{fd}}")])
print(os.listdir({str(tmp_path)!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    held, left = done.stdout.splitlines() or (done.stderr, "")
    assert f"{tmp_path}/etilqs_" in held
    assert left == "[]"
