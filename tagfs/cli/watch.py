"""`tagfs watch`: what happens, one JSON object a line. Blocking."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from tagfs.cli.common import declare_expression
from tagfs.cli.output import json_value
from tagfs.cli.queries import spelled
from tagfs.cli.session import Session
from tagfs.cli.verb import UsageError, Verb
from tagfs.control.codec import to_json
from tagfs.control.views_events import EventView


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", metavar="QUERY", nargs="*", help="only what happens to items that match")
    declare_expression(parser)
    parser.add_argument("--no-progress", action="store_true", help="not how far downloads are, only what changes")
    parser.add_argument(
        "--interval", metavar="SECONDS", type=float, default=1.0, help="between two looks at progress (1)"
    )


def _run(options: argparse.Namespace, session: Session) -> NoReturn:
    if not 0.1 <= options.interval <= 3600:
        raise UsageError("--interval is from 0.1 to 3600 seconds.")
    params: dict[str, object] = {"progress": not options.no_progress, "interval": options.interval}
    if options.query:
        query, spelling = spelled(" ".join(options.query), session.info(), expression=options.expression)
        params |= {"query": query, "spelling": spelling}
    with session.client() as client:
        client.call("events", params, report=(EventView, _show))
    raise AssertionError


def _show(event: EventView) -> None:
    """Only the keys that this event has; at once, since somebody waits for it."""
    json_value({key: value for key, value in to_json(event).items() if value is not None})
    sys.stdout.flush()


VERBS = {
    "watch": Verb(
        about="Runs until it is interrupted, or the daemon ends (exit code 3). The first line, watching, says that "
        "from then on nothing is missed; lost says how many events were, not read in time. The events and "
        "their keys are in docs/cli.md.",
        examples=(
            "tagfs watch --no-progress",
            "tagfs watch 'movie and not watched'",
            "tagfs watch | jq -r 'select(.event == \"finished\") | .name'",
        ),
        declare=_declare,
        run=_run,
    )
}
