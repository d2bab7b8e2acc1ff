"""`mount.tagfs`: what mount(8) runs for a line of /etc/fstab, or for `mount -t tagfs`. Blocking.

    /sbin/mount.tagfs DEVICE DIR [-sfnv] [-N NAMESPACE] [-t TYPE] [-o OPTION,...]

DEVICE is a state directory, or the word `tagfs` for the usual one of the user. `decide` says what is asked for and is
pure, `user_of` as whom the daemon is to run; `main` becomes that user and does what `tagfs mount` does.
"""

from __future__ import annotations

import argparse
import errno
import grp
import os
import pwd
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from tagfs.cli import exits
from tagfs.config.errors import ConfigError
from tagfs.config.mount_options import MountOptions, parse_mount_options
from tagfs.escape import tame

# Exit codes of mount(8).
USAGE, SYSTEM, INTERRUPTED, FAILED = 1, 2, 8, 32

USUAL = "tagfs"  # the device that means the usual state directory

# What mount(8), systemd and fstab(5) say to each other, and what holds anyway (nosuid, nodev, noatime).
_OF_MOUNT = frozenset((
    "defaults", "auto", "noauto", "nofail", "_netdev", "user", "users", "nouser", "owner", "noowner", "group",
    "nogroup", "suid", "nosuid", "dev", "nodev", "async", "sync", "atime", "noatime", "diratime", "nodiratime",
    "relatime", "norelatime", "strictatime", "nostrictatime", "lazytime", "nolazytime", "iversion", "noiversion",
    "silent", "loud", "symfollow", "nomand",
))  # fmt: skip
_PREFIXES = ("x-", "X-", "comment=", "user=", "uhelper=", "helper=")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Refused(Exception):
    """One sentence, and the exit code for mount(8)."""

    def __init__(self, sentence: str, code: int = USAGE) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for. `state`: None for the usual one. `uid` and `gid` as given, names or numbers."""

    state: str | None
    mountpoint: str
    options: tuple[str, ...]
    uid: str | None = None
    gid: str | None = None
    config: str | None = None


@dataclass(frozen=True, slots=True)
class User:
    uid: int
    gid: int
    name: str
    home: str


def decide(device: str, mountpoint: str, words: Sequence[str], *, sloppy: bool = False) -> Request:
    """Refused for what cannot be, ConfigError for an unknown option, which `sloppy` lets pass (mount -s)."""
    state = None if device == USUAL else device
    if state is not None and not os.path.isabs(state):
        raise Refused(f"The device {device} must be the absolute path of a state directory, or the word {USUAL}.")
    chosen: dict[str, str] = {}
    ours: list[str] = []
    for word in filter(None, words):
        name, _, value = word.partition("=")
        if name in ("uid", "gid", "config") and value:
            chosen[name] = value
        elif name == "remount":
            raise Refused("A tagfs cannot be mounted anew with other options: unmount it first.", FAILED)
        elif word not in _OF_MOUNT and not word.startswith(_PREFIXES):
            try:
                parse_mount_options(word, MountOptions())
                ours.append(word)
            except ConfigError:
                if not sloppy:
                    raise
    if state is not None and "," not in state and not any(word.startswith("fsname=") for word in ours):
        ours.append(f"fsname={state}")  # as in fstab, by which `mount -a` and `umount DEVICE` find it
    return Request(state, mountpoint, tuple(ours), **chosen)


def user_of(request: Request, caller: int) -> User:
    """Who calls. For root: whom `uid` names, else who owns the state directory, else who owns the mount point. Refused
    where that is root and nobody said so: what strangers send should not be read by root (faults.md, S1)."""
    if request.uid is not None:
        entry = _user(request.uid)
        if caller not in (0, entry.pw_uid):
            raise Refused(f"Only root can mount for another user, as uid={request.uid} asks.")
    elif caller == 0:
        owner = None if request.state is None else _owner(request.state)
        owner = _owner(request.mountpoint) if owner is None else owner
        if not owner:
            raise Refused("The daemon needs no root: say as whom it is to run, uid=USER, or uid=0 if root is meant.")
        entry = _user(str(owner))
    else:
        entry = _user(str(caller))
    gid = entry.pw_gid if request.gid is None else _group(request.gid)
    if caller != 0 and gid not in (os.getgid(), *os.getgroups()):
        raise Refused(f"Only root can mount for another group, as gid={request.gid} asks.")
    return User(entry.pw_uid, gid, entry.pw_name, entry.pw_dir)


def environment(user: User, current: dict[str, str]) -> dict[str, str]:
    """Of a daemon that is started at boot: nothing of root's own. Who calls for himself keeps his."""
    if user.uid == os.geteuid():
        return current
    runtime = f"/run/user/{user.uid}"
    kept = {name: value for name, value in current.items() if name in ("LANG", "LC_ALL", "TZ")}
    made = {"HOME": user.home, "USER": user.name, "LOGNAME": user.name, "PATH": _PATH}
    return {**kept, **made, **({"XDG_RUNTIME_DIR": runtime} if _owner(runtime) == user.uid else {})}


def main() -> int:
    """The console script."""
    try:
        return _mount(_parse(sys.argv[1:]))
    except Refused as error:
        return _fail(error, error.code)
    except ConfigError as error:
        return _fail(error, USAGE)
    except OSError as error:
        return _fail(f"{error.filename or 'The daemon'} cannot be used: {error.strerror}.", SYSTEM)
    except KeyboardInterrupt:
        return INTERRUPTED


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise Refused(tame(f"{message[0].upper()}{message[1:]}; usage: mount.tagfs DEVICE DIR [-o OPTION,...]"))

    parser = Parser(
        prog="mount.tagfs",
        description="Mounts a tagfs; mount(8) runs it for the type tagfs. mount.tagfs(8) explains the options.",
        allow_abbrev=False,
    )
    parser.add_argument("device", metavar="DEVICE", help=f"a state directory, or the word {USUAL}")
    parser.add_argument("mountpoint", metavar="DIR", help="an empty directory")
    parser.add_argument("-s", dest="sloppy", action="store_true", help="let unknown options pass")
    parser.add_argument("-f", dest="fake", action="store_true", help="check, and mount nothing")
    parser.add_argument("-n", dest="no_mtab", action="store_true", help="nothing: there is no mtab to write")
    parser.add_argument("-v", dest="verbose", action="store_true", help="say what is done")
    parser.add_argument("-N", dest="namespace", metavar="NAMESPACE", help="not possible")
    parser.add_argument("-t", dest="type", metavar="TYPE", help="as mount was told; nothing depends on it")
    parser.add_argument("-o", dest="options", metavar="OPTION,...", action="append", default=[], help="see docs")
    return parser.parse_args(arguments)


def _mount(given: argparse.Namespace) -> int:
    if given.namespace is not None:
        raise Refused("A tagfs cannot be mounted into another namespace.")
    words = ",".join(given.options).split(",")
    request = decide(given.device, given.mountpoint, words, sloppy=given.sloppy)
    user = user_of(request, os.getuid())
    if given.verbose:
        print(tame(f"mount.tagfs: {given.device} on {request.mountpoint} as {user.name}"))
    if given.fake:
        return exits.OK
    return _run(request, user)


def _run(request: Request, user: User) -> int:
    from tagfs.cli.main import run

    environ = environment(user, dict(os.environ))
    if user.uid != os.getuid() or user.gid != os.getgid():
        if os.getuid() == 0:
            os.initgroups(user.name, user.gid)
        os.setgid(user.gid)
        os.setuid(user.uid)
    os.environ.clear()
    os.environ.update(environ)
    command = ["mount", *(f"-o{word}" for word in request.options)]
    command += [] if request.state is None else [f"--state={request.state}"]
    command += [] if request.config is None else [f"--config={request.config}"]
    code = run([*command, "--", request.mountpoint])
    return {exits.OK: exits.OK, exits.USAGE: USAGE}.get(code, FAILED)


def _user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        raise Refused(f"There is no user {name}.") from None


def _group(name: str) -> int:
    try:
        return (grp.getgrgid(int(name)) if name.isdecimal() else grp.getgrnam(name)).gr_gid
    except (KeyError, OverflowError):
        raise Refused(f"There is no group {name}.") from None


def _owner(path: str) -> int | None:
    """None where nothing is."""
    try:
        return os.stat(path).st_uid
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # of a mount that is dead, or that is for its user only
        if error.errno in (errno.EACCES, errno.ENOTCONN, errno.ECONNABORTED):
            raise Refused(f"Who owns {path} cannot be seen: {error.strerror}; say it with uid=USER.") from None
        raise


def _fail(error: object, code: int) -> int:
    print(f"mount.tagfs: {tame(str(error))}", file=sys.stderr)
    return code
