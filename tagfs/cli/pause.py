"""`tagfs pause` and `tagfs resume`. Blocking."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from tagfs.cli import exits
from tagfs.cli.common import declare_items, declare_json, over_items
from tagfs.cli.display import item_line
from tagfs.cli.output import json_list, say
from tagfs.cli.session import Session
from tagfs.cli.verb import UsageError, Verb
from tagfs.control.views_items import ItemView


def _declare(parser: argparse.ArgumentParser) -> None:
    declare_items(parser, at_least_one=False)
    parser.add_argument("--all", action="store_true", help="all downloads")
    declare_json(parser)


def _run(verb: str, done: str) -> Callable[[argparse.Namespace, Session], int]:
    def run(options: argparse.Namespace, session: Session) -> int:
        if bool(options.items) == options.all:
            raise UsageError(f"Which downloads? Name them, or {verb} --all.")
        with session.client() as client:
            if options.all:
                changed = iter(client.call(verb, {"all": True}, tuple[ItemView, ...]))
            else:
                changed = over_items(session, client, verb, options.items, {})
            if options.json:
                json_list(changed)
            else:
                for item in changed:
                    say(f"{done} {item_line(item)}")
        return exits.OK

    return run


VERBS = {
    "pause": Verb(
        about="What has arrived stays. Prints what was paused, which leaves out what was whole or paused before.",
        examples=("tagfs pause debian.iso", "tagfs pause --all"),
        declare=_declare,
        run=_run("pause", "paused"),
    ),
    "resume": Verb(
        about="Bytes that are here are not fetched again. A failed download is tried again from its first attempt.",
        examples=(
            "tagfs resume debian.iso",
            "tagfs ls --ids state:failed | xargs -r tagfs resume",
            "tagfs resume --all",
        ),
        declare=_declare,
        run=_run("resume", "resumed"),
    ),
}
