"""Where things live. Reads the environment that it is given and, for the runtime folder, its owner and mode.

    config file   $TAGFS_CONFIG, else $XDG_CONFIG_HOME/tagfs/config.toml, else ~/.config/tagfs/config.toml
    state         --state, $TAGFS_STATE, [paths] state, $XDG_DATA_HOME/tagfs, ~/.local/share/tagfs
    socket        <runtime>/<hash of the state path>.sock, or <state>/control.sock without a runtime folder

The state directory holds the user's files (blobs), which the XDG base directory specification calls data;
XDG_STATE_HOME is for what may be lost, such as logs and histories.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

LOG_NAME = "daemon.log"
INFO_NAME = "daemon.json"
LOCK_NAME = "daemon.lock"
BLOBS_NAME = "blobs"
CATALOGUE_NAME = "catalogue.sqlite"
RESERVE_NAME = "catalogue.sqlite.reserve"  # see engine.catalogue.reserve


def config_file(environ: Mapping[str, str]) -> str:
    """The path of the config file, whether it exists or not."""
    return environ.get("TAGFS_CONFIG") or os.path.join(_base(environ, "XDG_CONFIG_HOME", ".config"), "config.toml")


def default_state(environ: Mapping[str, str]) -> str:
    return _base(environ, "XDG_DATA_HOME", ".local/share")


def default_runtime(environ: Mapping[str, str], state: str) -> str:
    """`$XDG_RUNTIME_DIR/tagfs` where that folder is ours alone, else the state directory."""
    base = environ.get("XDG_RUNTIME_DIR", "")
    return os.path.join(base, "tagfs") if os.path.isabs(base) and _private(base) else state


def socket_path(state: str, runtime: str) -> str:
    """The control socket of the daemon on `state`. May be longer than sun_path: bind through control.address."""
    if runtime == state:
        return os.path.join(state, "control.sock")
    import hashlib  # 2.5 ms that a client which reads the daemon's note does not pay

    digest = hashlib.sha256(os.fsencode(os.path.realpath(state))).hexdigest()
    return os.path.join(runtime, digest[:16] + ".sock")


def _base(environ: Mapping[str, str], variable: str, fallback: str) -> str:
    # The specification says: a relative path in these variables is invalid and to be ignored.
    base = environ.get(variable, "")
    if not os.path.isabs(base):
        base = os.path.join(environ.get("HOME") or os.path.expanduser("~"), fallback)
    return os.path.join(base, "tagfs")


def _private(folder: str) -> bool:
    try:
        status = os.stat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
