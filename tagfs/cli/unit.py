"""`tagfs unit`: the systemd user unit, with the path of this program. Prints a file, asks no daemon. Blocking."""

from __future__ import annotations

import argparse
import os
import shutil
import sys

from tagfs.cli import exits
from tagfs.cli.session import Session
from tagfs.cli.share import share
from tagfs.cli.verb import Verb

UNIT = "tagfs@.service"
_SHIPPED = "%h/.local/bin/tagfs"  # where pipx and pip --user put it


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--program", metavar="FILE", help="what the unit starts; default: this tagfs")


def _run(options: argparse.Namespace, session: Session) -> int:
    print(unit(options.program or _program(), session.option), end="")
    return exits.OK


def unit(program: str, state: str | None) -> str:
    """The text of the unit, which starts `program`, on the state directory `state` unless that is None."""
    command = _quoted(os.path.abspath(program))
    if state is not None:
        command += f" --state {_quoted(os.path.abspath(state))}"
    return share(UNIT).replace(_SHIPPED, command)


def _program() -> str:
    called = shutil.which(sys.argv[0])
    if called is not None and os.path.basename(called) == "tagfs":
        return called
    return shutil.which("tagfs") or os.path.join(os.path.dirname(sys.executable), "tagfs")


def _quoted(path: str) -> str:
    """As one word of ExecStart=, systemd.syntax(7); % begins a specifier, $ a variable."""
    text = path.replace("%", "%%").replace("$", "$$")
    if all(char.isalnum() or char in "/._-+@%$:=" for char in text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


VERBS = {
    "unit": Verb(
        about="For systemd --user: put it into ~/.config/systemd/user/tagfs@.service, then `systemctl --user enable "
        "--now tagfs@T.service` mounts at ~/T now and whenever you log in. With --state the unit is for that state "
        "directory.",
        examples=(
            "mkdir -p ~/.config/systemd/user",
            "tagfs unit > ~/.config/systemd/user/tagfs@.service",
            "systemctl --user daemon-reload",
            "systemctl --user enable --now tagfs@T.service",
        ),
        declare=_declare,
        run=_run,
    )
}
