"""`tagfs relation`: what tags say about each other. Blocking."""

from __future__ import annotations

import argparse

from tagfs.cli import exits
from tagfs.cli.common import declare_json
from tagfs.cli.output import json_list, say
from tagfs.cli.session import Session
from tagfs.cli.verb import UsageError, Verb
from tagfs.control.views_relations import RelationView
from tagfs.escape import escape

CHANGES = {"add": "relate", "rm": "unrelate"}


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words",
        metavar="WORD",
        nargs="*",
        help="add TAG RELATION OTHER, or rm and the same; to list, a TAG or nothing. A RELATION is implies, same-as, "
        "excludes or requires",
    )
    declare_json(parser)


def _run(options: argparse.Namespace, session: Session) -> int:
    with session.client() as client:
        match options.words:
            case [change, tag, relation, other] if change in CHANGES:
                if options.json:
                    raise UsageError("--json is for listing: leave it out with add and rm.")
                client.call(CHANGES[change], {"tag": tag, "relation": relation, "other": other})
            case [] | [_]:
                params = {"tag": options.words[0]} if options.words else {}
                found: tuple[RelationView, ...] = client.call("relations", params, tuple[RelationView, ...])
                if options.json:
                    json_list(found)
                else:
                    for one in found:
                        say(f"{escape(one.tag)} {one.relation} {escape(one.other)}")
            case _:
                raise UsageError("Say add TAG RELATION OTHER, rm TAG RELATION OTHER, a TAG, or nothing.")
    return exits.OK


VERBS = {
    "relation": Verb(
        about="TAG implies OTHER: what is tagged TAG is found by OTHER, too. same-as: each is found by the other. "
        "excludes: TAG leaves out what OTHER finds. requires: TAG finds only what OTHER finds as well. @@ at the end "
        "of a query switches them off.",
        examples=(
            "tagfs relation add series:dune implies sci-fi",
            "tagfs relation add film same-as movie",
            "tagfs relation rm film same-as movie",
            "tagfs relation sci-fi                               # those in which it takes part",
            "tagfs ls 'sci-fi @@'                                # as if there were none",
        ),
        declare=_declare,
        run=_run,
    )
}
