"""Who may come in: other users of the machine, the network, whoever takes the place of the daemon (S1, S2, S13, S19).

Other users are children of the test that give up root; they reach the mount through a descriptor of its folder.
"""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tagfs.control.client import Client, NoDaemon
from tests.mount.conftest import Mount
from tests.support.nginx import nginx

NOBODY = 65534
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

# What the stranger tries, as (word of the call, what was raised or returned).
STRANGER = """
import os, socket
os.setgroups([]); os.setgid({uid}); os.setuid({uid})
def attempt(call, *arguments, **more):
    try:
        return repr(call(*arguments, **more))
    except OSError as error:
        return error.errno and os.strerror(error.errno)
def reading(path):
    with open(path, "rb") as file:
        return file.read()
def writing(path):
    with open(path, "ab") as file:
        file.write(b"evil")
def asking(path, question):
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(path)
        control.sendall(question)
        return control.recv(100)
print({code})
"""


def stranger(folder: Path, code: str) -> str:
    """What `code` prints, run in `folder` by a user who is neither root nor the owner."""
    folder.chmod(0o755)
    here = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        done = subprocess.run(
            [sys.executable, "-c", STRANGER.format(uid=NOBODY, code=code)],
            preexec_fn=lambda: os.fchdir(here), capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    finally:
        os.close(here)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_nobody_else_sees_the_mount(mount: Mount) -> None:
    mount.put("files/diary", "secret")
    for path in ("mnt", "mnt/tags", "mnt/files/diary"):
        assert stranger(mount.top.parent, f"attempt(os.stat, {path!r})") == "Permission denied"
    assert stranger(mount.top.parent, "attempt(os.listdir, 'mnt')") == "Permission denied"


def test_whom_allow_other_lets_in_is_held_to_the_modes(new_mount: Callable[..., Mount]) -> None:
    mount = new_mount(options="allow_other")
    mount.start()
    diary, poem = mount.put("files/diary", "secret"), mount.put("files/poem", "read me")
    diary.chmod(0o600)
    poem.chmod(0o644)
    (mount / "tags/a").mkdir()
    outside = mount.top.parent
    assert stranger(outside, "reading('mnt/files/poem')") == "b'read me'"
    for attempt in (
        "reading, 'mnt/files/diary'", "writing, 'mnt/files/poem'", "os.unlink, 'mnt/files/poem'",
        "os.rename, 'mnt/files/poem', 'mnt/files/mine'", "os.mkdir, 'mnt/tags/evil'", "os.rmdir, 'mnt/tags/a'",
        "os.link, 'mnt/files/poem', 'mnt/tags/a/poem'", "os.symlink, 'http://127.0.0.1/', 'mnt/files/x'",
        "os.setxattr, 'mnt/files/poem', 'user.xdg.tags', b'evil'", "os.getxattr, 'mnt/files/diary', 'user.xdg.tags'",
        "os.mkdir, 'mnt/relations/a/implies/b'", "os.mkdir, 'mnt/queries/a'",
    ):  # fmt: skip
        assert stranger(outside, f"attempt({attempt})") in ("Permission denied", "Operation not permitted"), attempt
    for attempt in ("os.chmod, 'mnt/files/poem', 0o777", "os.utime, 'mnt/files/poem', (1, 1)"):
        assert stranger(outside, f"attempt({attempt})") in ("Operation not permitted", "Permission denied"), attempt
    assert mount.names("files") == ["diary", "poem"]
    assert mount.names("tags") == ["a"]
    assert poem.read_bytes() == b"read me"


def test_state_and_socket_are_the_owners_alone(mount: Mount) -> None:
    mount.put("files/diary", "secret")
    assert stat.S_IMODE(mount.state.stat().st_mode) == 0o700
    open_to_others = [
        path for path in mount.state.rglob("*") if not path.is_symlink() and path.stat().st_mode & stat.S_IRWXO
    ]
    assert not [path for path in open_to_others if not path.is_socket()]
    assert stranger(mount.state.parent, "attempt(os.listdir, 'state')") == "Permission denied"


def test_a_stranger_at_the_socket_is_turned_away_although_he_could_open_it(mount: Mount) -> None:
    mount.expect_warnings = True
    control = next(path for path in mount.state.rglob("*") if path.is_socket())
    control.chmod(0o666)
    control.parent.chmod(0o755)
    question = b'{"jsonrpc":"2.0","id":1,"method":"status","params":{}}\n'
    code = f"asking, {control.name!r}, {question!r}"
    try:
        answer = stranger(control.parent, f"attempt({code})")
    finally:
        control.parent.chmod(0o700)
    assert answer in ("b''", "Connection reset by peer", "Broken pipe")
    assert f"uid {NOBODY} was turned away" in mount.log.read_text()
    mount.tagfs("status")


def test_a_false_daemon_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        os.seteuid(NOBODY)  # whose credentials listen() takes down
        try:
            os.seteuid(0)
            listener.bind(os.fspath(path))
            os.seteuid(NOBODY)
            listener.listen(1)
        finally:
            os.seteuid(0)
        with pytest.raises(NoDaemon, match=f"another user .uid {NOBODY}"):
            Client(os.fspath(path))


def test_nothing_listens_on_any_network(mount: Mount, tmp_path: Path) -> None:
    """A torrent's session does, once there is a torrent; docs/security.md says how not."""
    served = tmp_path / "served"
    served.mkdir()
    (served / "f").write_bytes(b"x")
    with nginx(tmp_path / "nginx", served) as server:
        mount.sh(f"ln -s {server.url('f')} files/")
        mount.settle(mount / "files/f")
    assert mount.process is not None
    assert _listening(mount.process.pid) == []


def _listening(pid: int) -> list[str]:
    """The internet sockets of a process that take connections or datagrams from anybody: their addresses."""
    own = {os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")}
    found = []
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]:
            _, local, remote, state, *_, inode = line.split()[:10]
            if f"socket:[{inode}]" in own and (state == "0A" or (kind.startswith("udp") and remote.endswith(":0000"))):
                found.append(f"{kind} {local}")
    return found


def test_a_secret_goes_to_its_server_and_nowhere_else(mount: Mount, tmp_path: Path) -> None:
    """A login in a URL that fails and in one that works, a header, a cookie: not on the mount, in any answer, in the
    log, nor among what other users see of the process."""
    mount.expect_warnings = True
    served = tmp_path / "served"
    served.mkdir()
    (served / "f").write_bytes(b"x" * 1000)
    with nginx(tmp_path / "nginx", served) as server:
        good = server.url("f").replace("//", "//user:hunter2@")
        bad = server.url("missing").replace("//", "//user:hunter2@") + "?token=hunter2"
        cookies = tmp_path / "cookies.txt"
        cookies.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tsid\thunter2\n")
        mount.tagfs("add", good, "-H", "X-Api-Key: hunter2", "--cookies", str(cookies))
        listed = tmp_path / "links.txt"
        listed.write_text(f"{good}\n header=X-Api-Key: hunter2\n header=Cookie: sid=hunter2\n{bad}\n")
        mount.tagfs("add", str(listed))
        mount.wait_for(lambda: len(mount.names("tags/state:failed")) == 1)
        mount.wait_for(lambda: len(mount.names("tags/state:complete")) == 2)
    seen = _all_that_can_be_seen(mount)
    assert any("missing" in text for text in seen)
    assert not [text for text in seen if "hunter2" in text]


def test_a_secret_of_the_config_file_or_of_what_is_written_wrongly_is_not_told(
    new_mount: Callable[..., Mount], tmp_path: Path
) -> None:
    """A login for one host, a netrc file, a header that cannot be sent, addresses and lines of lists that are none."""
    mount = new_mount()
    mount.expect_warnings = True
    served, netrc = tmp_path / "served", tmp_path / "netrc"
    served.mkdir()
    (served / "f").write_bytes(b"x" * 1000)
    netrc.write_text("machine 127.0.0.1 login me password hunter2\n")
    with nginx(tmp_path / "nginx", served) as server:
        host = server.url("f").removesuffix("/f")
        mount.config.write_text(
            f'[transfer]\nnetrc = "{netrc}"\n[transfer.host_headers."{host}"]\nX-Api-Key = "hunter2"\n'
        )
        mount.config.chmod(0o600)
        mount.start()
        mount.tagfs("add", server.url("f"))
        mount.tagfs("add", server.url("f") + "?never", "--name", "never", "-H", "Cookie: hunter2\x01")
        mount.wait_for(lambda: mount.names("tags/state:failed") == ["never"])
        mount.settle(mount / "files/f")
        listed = tmp_path / "links.txt"
        listed.write_text(
            "htps://me:hunter2@h/x\nheader=Cookie: hunter2\nX-Api-Key: hunter2\nhttp://h/x y;token=hunter2\n"
        )
        said = [_said(mount, "add", str(listed)), _said(mount, "add", "http://me:hunter2@h:0/", "http://u:hun/ter2@h/")]
        (mount / "inbox/dropped.txt").write_bytes(listed.read_bytes())
        mount.wait_for(lambda: "dropped" in (mount / ".tagfs/errors").read_text())
    os.setxattr(mount / "files/f", "user.xdg.origin.url", b"http://me:hunter2@h/x;token=hunter2")
    said += [_said(mount, "config"), _said(mount, "config", "--json"), _said(mount, "doctor")]
    assert all("***" in text for text in said[:4])
    assert not [text for text in [*said, *_all_that_can_be_seen(mount)] if "hunter2" in text]


def _said(mount: Mount, *words: str) -> str:
    command = [sys.executable, "-m", "tagfs", *words]
    done = subprocess.run(command, env=mount.environ, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def _all_that_can_be_seen(mount: Mount) -> list[str]:
    """What commands, attributes, the files of the daemon, its log and the kernel say."""
    seen = [mount.tagfs(*words) for words in (
        ("status",), ("status", "--json"), ("ls", "--json"), ("log", "--json"), ("export",), ("trash", "--json")
    )]  # fmt: skip
    for name in mount.names("files"):
        seen += [repr(os.getxattr(mount / "files" / name, each)) for each in os.listxattr(mount / "files" / name)]
    seen += [path.read_text() for path in (mount / ".tagfs").iterdir() if path.is_file()]
    assert mount.process is not None
    seen += [Path(f"/proc/{mount.process.pid}/{name}").read_text() for name in ("cmdline", "environ")]
    return [*seen, mount.log.read_text()]
