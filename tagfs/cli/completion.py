"""`tagfs completion`: the script by which a shell completes. Prints a file, asks no daemon. Blocking."""

from __future__ import annotations

import argparse

from tagfs.cli import exits
from tagfs.cli.session import Session
from tagfs.cli.share import share
from tagfs.cli.verb import Verb

SCRIPTS = {"bash": "tagfs.bash", "zsh": "_tagfs", "fish": "tagfs.fish"}


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", metavar="SHELL", choices=[*SCRIPTS], help="bash, zsh or fish")


def _run(options: argparse.Namespace, _session: Session) -> int:
    print(share(SCRIPTS[options.shell]), end="")
    return exits.OK


VERBS = {
    "completion": Verb(
        about="It completes verbs, options, tags, key:value pairs, queries and names of items. Packages may have put "
        "it where the shell looks already.",
        examples=(
            "source <(tagfs completion bash)                          # in ~/.bashrc",
            "source <(tagfs completion zsh)                           # in ~/.zshrc, after compinit",
            "tagfs completion fish > ~/.config/fish/completions/tagfs.fish",
        ),
        declare=_declare,
        run=_run,
    )
}
