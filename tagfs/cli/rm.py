"""`tagfs rm`: to the trash, or for good. Blocking."""

from __future__ import annotations

import argparse

from tagfs.cli import exits
from tagfs.cli.common import declare_items, declare_json, over_items
from tagfs.cli.display import item_line
from tagfs.cli.output import json_list, say
from tagfs.cli.session import Session
from tagfs.cli.verb import Verb


def _declare(parser: argparse.ArgumentParser) -> None:
    declare_items(parser)
    parser.add_argument("--purge", action="store_true", help="for good; content that no other item uses goes too")
    declare_json(parser)


def _run(options: argparse.Namespace, session: Session) -> int:
    with session.client() as client:
        gone = over_items(session, client, "rm", options.items, {"forever": options.purge})
        if options.json:
            json_list(gone)
        else:
            for item in gone:
                say(f"{'ended' if options.purge else 'trashed'} {item_line(item)}")
    return exits.OK


VERBS = {
    "rm": Verb(
        about="Takes the item itself, whatever path names it; rm on a path below /tags only takes that path's tags "
        "off. mv DIR/trash/NAME DIR/files/ brings it back. A download that still runs is stopped.",
        examples=(
            "tagfs rm debian.iso",
            "tagfs rm ~/T/tags/watched/*",
            "tagfs rm --purge id:4711",
        ),
        declare=_declare,
        run=_run,
    )
}
