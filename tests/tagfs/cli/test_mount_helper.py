"""mount.tagfs: what it makes of an fstab line, and real mounts by mount(8), as root and for an ordinary user."""

import fcntl
import grp
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagfs.cli import mount_helper
from tagfs.cli.mount_helper import Refused, Request, User, decide, environment, user_of
from tagfs.config.errors import ConfigError

ROOT = Path(__file__).parents[3]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount for others, and with mount(8)")

EVERYTHING = "rw,noauto,nofail,user,_netdev,nosuid,nodev,relatime,x-systemd.automount,X-mount.mkdir,comment=x,defaults"


def test_what_mount_and_systemd_say_to_each_other_is_left_to_them() -> None:
    request = decide("tagfs", "/mnt", EVERYTHING.split(","))
    assert request == Request(None, "/mnt", ("rw",))


def test_ours_are_handed_on_and_a_state_directory_is_the_source() -> None:
    request = decide("/srv/t", "/mnt", ["facets", "umask=077", "uid=me", "gid=us", "config=/etc/t.toml", "", "ro"])
    assert request == Request(
        "/srv/t", "/mnt", ("facets", "umask=077", "ro", "fsname=/srv/t"), "me", "us", "/etc/t.toml"
    )
    assert decide("/srv/t", "/mnt", ["fsname=x"]).options == ("fsname=x",)
    assert decide("/srv/a,b", "/mnt", []).options == ()


@pytest.mark.parametrize("word", ["bogus", "uid=", "umask=9", "size=1G"])
def test_an_unknown_option_is_a_sentence_unless_mount_is_sloppy(word: str) -> None:
    with pytest.raises(ConfigError, match=r"^-o .*\.$"):
        decide("tagfs", "/mnt", ["ro", word])
    assert decide("tagfs", "/mnt", ["ro", word], sloppy=True).options == ("ro",)


def test_what_cannot_be() -> None:
    with pytest.raises(Refused, match="must be the absolute path of a state directory, or the word tagfs"):
        decide("somewhere", "/mnt", [])
    with pytest.raises(Refused, match="unmount it first") as caught:
        decide("tagfs", "/mnt", ["remount", "ro"])
    assert caught.value.code == mount_helper.FAILED


def test_root_mounts_for_whom_it_concerns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = pwd.getpwnam("nobody")
    owners = {"/srv/t": nobody.pw_uid, "/mnt": 0, "/home/nobody/T": nobody.pw_uid}
    monkeypatch.setattr(mount_helper, "_owner", owners.get)
    user = User(nobody.pw_uid, nobody.pw_gid, "nobody", nobody.pw_dir)
    assert user_of(Request(None, "/mnt", (), uid="nobody"), 0) == user
    assert user_of(Request(None, "/mnt", (), uid=str(nobody.pw_uid)), 0) == user
    assert user_of(Request("/srv/t", "/mnt", ()), 0) == user
    assert user_of(Request("/srv/new", "/home/nobody/T", ()), 0) == user
    assert user_of(Request(None, "/home/nobody/T", ()), 0) == user
    assert user_of(Request(None, "/mnt", (), uid="0"), 0).uid == 0
    assert user_of(Request(None, "/mnt", (), uid="nobody", gid="0"), 0).gid == 0
    for request in (Request(None, "/mnt", ()), Request("/srv/new", "/srv/new", ()), Request("/mnt", "/srv/t", ())):
        with pytest.raises(Refused, match="say as whom it is to run"):
            user_of(request, 0)


def test_others_mount_for_themselves_only() -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    assert user_of(Request(None, "/mnt", (), gid=str(os.getgid())), nobody).uid == nobody
    with pytest.raises(Refused, match="Only root can mount for another user"):
        user_of(Request(None, "/mnt", (), uid="root"), nobody)
    strange = next(str(entry.gr_gid) for entry in grp.getgrall() if entry.gr_gid not in (os.getgid(), *os.getgroups()))
    with pytest.raises(Refused, match="Only root can mount for another group"):
        user_of(Request(None, "/mnt", (), gid=strange), nobody)
    for wrong in (Request(None, "/mnt", (), uid="no such"), Request(None, "/mnt", (), uid="0", gid="no such")):
        with pytest.raises(Refused, match="There is no"):
            user_of(wrong, 0)


def test_a_daemon_for_another_user_gets_nothing_of_roots_environment() -> None:
    other = User(os.geteuid() + 1, 1, "other", "/home/other")
    made = environment(other, {"HOME": "/root", "TAGFS_STATE": "/root/x", "LANG": "C.UTF-8", "LD_PRELOAD": "x"})
    assert made == {
        "HOME": "/home/other", "USER": "other", "LOGNAME": "other", "LANG": "C.UTF-8", "PATH": mount_helper._PATH
    }  # fmt: skip
    own = User(os.geteuid(), 1, "me", "/home/me")
    assert environment(own, {"TAGFS_STATE": "/x"}) == {"TAGFS_STATE": "/x"}


def helper(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "import sys; from tagfs.cli.mount_helper import main; sys.exit(main())"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([*command, *arguments], env=environ, capture_output=True, text=True, timeout=120, check=False)


def test_one_line_and_the_exit_code_of_mount(tmp_path: Path) -> None:
    state, top = str(tmp_path / "state"), str(tmp_path / "T")
    for arguments, code, said in (
        ([state], 1, "The following arguments are required: DIR; usage: mount.tagfs DEVICE DIR [-o OPTION,...]"),
        ([state, top, "-o", "bogus"], 1, "-o bogus is not a mount option"),
        ([state, top, "-N", "/proc/1/ns/mnt"], 1, "cannot be mounted into another namespace"),
        ([state, top, "-o", "remount"], 32, "unmount it first"),
    ):
        done = helper(*arguments)
        assert (done.returncode, done.stdout) == (code, "") and said in done.stderr, done
        assert done.stderr.count("\n") == 1
    missing = helper(state, top, "-o", f"uid={os.getuid()}")
    assert missing.returncode == 32 and f"{top} does not exist; make it with mkdir." in missing.stderr


def test_a_fake_mount_checks_and_does_nothing(tmp_path: Path) -> None:
    done = helper(str(tmp_path / "state"), str(tmp_path), "-fnv", "-t", "tagfs", "-o", f"rw,uid={os.getuid()}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"mount.tagfs: {tmp_path}/state on {tmp_path} as ")
    assert os.listdir(tmp_path) == []


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """A folder that others than root can reach, in which `bin/mount.tagfs` runs on a Python that they can run."""
    python = next((path for path in (os.path.realpath(sys.executable), "/usr/bin/python3") if _for_all(path)), None)
    if python is None:
        pytest.skip("other users can run no Python of this version")
    folder = Path(tempfile.mkdtemp(prefix="tagfs-"))
    folder.chmod(0o755)
    try:
        subprocess.run([python, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
        (site,) = folder.glob("venv/lib/python*/site-packages")
        (site / "tagfs.pth").write_text("\n".join([str(ROOT), *(path for path in sys.path if "site-packages" in path)]))
        script = folder / "mount.tagfs"
        script.write_text(
            f"#!{folder}/venv/bin/python\nimport sys\nfrom tagfs.cli.mount_helper import main\nsys.exit(main())\n"
        )
        script.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder)


def _for_all(python: str) -> bool:
    code = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    try:
        return subprocess.run([python, "-c", code], user="nobody", capture_output=True, check=False).returncode == 0
    except OSError:
        return False


# In a mount namespace of its own, whose /sbin holds nothing but the helper: what mount(8) runs is this one, and no
# mount outlives the test.
IN_NAMESPACE = """
set -eu
user="setpriv --reuid nobody --regid $(id -g nobody) --clear-groups"
mount -t tmpfs none "$(readlink -f /sbin)"
ln -s {folder}/mount.tagfs /sbin/mount.tagfs
install -d -o nobody -m 700 {folder}/home {folder}/home/T
echo '{folder}/home/state {folder}/home/T tagfs {options} 0 0' > {folder}/fstab
mount --fstab {folder}/fstab {folder}/home/T
grep ' {folder}/home/T ' /proc/mounts
$user sh -c 'mkdir {folder}/home/T/tags/a && ls {folder}/home/T/tags'
mount --fstab {folder}/fstab --all -t tagfs
umount {folder}/home/T
mount --fstab {folder}/fstab {folder}/home/T
$user ls {folder}/home/T/tags
umount {folder}/home/T
if grep ' {folder}/home/T ' /proc/mounts; then exit 99; fi
"""


@as_root
@pytest.mark.mount
def test_fstab_by_mount_itself_for_an_ordinary_user(everybodys: Path) -> None:
    script = IN_NAMESPACE.format(folder=everybodys, options="noauto,uid=nobody,_netdev,x-systemd.automount,umask=077")
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    nobody = pwd.getpwnam("nobody").pw_uid
    assert (done.returncode, done.stderr) == (0, ""), done
    shown, *names = done.stdout.splitlines()
    assert shown.startswith(f"{everybodys}/home/state {everybodys}/home/T fuse.tagfs rw,nosuid,nodev")
    assert f"user_id={nobody}" in shown
    assert names == ["a", "a"]
    with open(everybodys / "home/state/daemon.lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # umount(8) does not wait until the daemon has ended
    log = (everybodys / "home/state/daemon.log").read_text()
    assert "WARNING" not in log and "ERROR" not in log
