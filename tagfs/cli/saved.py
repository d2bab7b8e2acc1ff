"""`tagfs queries`: list saved queries, and save, rename or delete them. Blocking."""

from __future__ import annotations

import argparse

from tagfs.cli import exits
from tagfs.cli.common import declare_expression, declare_json
from tagfs.cli.display import columns
from tagfs.cli.output import json_list, say
from tagfs.cli.queries import spelled
from tagfs.cli.session import Session
from tagfs.cli.verb import Verb
from tagfs.control.client import Client
from tagfs.control.views_relations import SavedQueryView
from tagfs.escape import escape


def _declare(parser: argparse.ArgumentParser) -> None:
    declare_expression(parser)
    change = parser.add_mutually_exclusive_group()
    change.add_argument("--save", metavar=("NAME", "QUERY"), nargs=2, help="save a query under a name")
    change.add_argument("--delete", metavar="NAME", nargs="+", help="delete saved queries; no item is touched")
    change.add_argument("--rename", metavar=("OLD", "NEW"), nargs=2, help="give a saved query another name")
    declare_json(change)


def _run(options: argparse.Namespace, session: Session) -> int:
    with session.client() as client:
        if options.save:
            name, text = options.save
            query, spelling = spelled(text, session.info(), expression=options.expression)
            client.call("query_save", {"name": name, "query": query, "spelling": spelling})
        elif options.delete:
            client.call("query_delete", {"names": options.delete})
        elif options.rename:
            client.call("query_rename", {"old": options.rename[0], "new": options.rename[1]})
        else:
            _list(client, options)
    return exits.OK


def _list(client: Client, options: argparse.Namespace) -> None:
    found: tuple[SavedQueryView, ...] = client.call("queries", {}, tuple[SavedQueryView, ...])
    if options.json:
        json_list(found)
    elif found:
        for line in columns((escape(one.name), escape(one.query)) for one in found):
            say(line)


VERBS = {
    "queries": Verb(
        about="Prints the saved queries, each with its expression. They are directories below /queries, and other "
        "verbs take them as @NAME.",
        examples=(
            "tagfs queries --save to-watch 'movie and not watched'",
            "tagfs queries --save to-watch movie/-/watched",
            "tagfs ls @to-watch",
            "tagfs queries --rename to-watch evening",
            "tagfs queries --delete evening",
        ),
        declare=_declare,
        run=_run,
    )
}
