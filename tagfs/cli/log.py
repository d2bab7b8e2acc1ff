"""`tagfs log`: what was changed, by whom and when. Blocking."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice

from tagfs.amounts import seconds
from tagfs.cli import exits
from tagfs.cli.changes import line
from tagfs.cli.common import declare_items, declare_json
from tagfs.cli.output import json_list, say
from tagfs.cli.refs import resolve
from tagfs.cli.session import Session
from tagfs.cli.verb import UsageError, Verb
from tagfs.control.client import Client
from tagfs.control.views_history import ChangePage, ChangeView
from tagfs.escape import escape

PAGE = 1000


def _declare(parser: argparse.ArgumentParser) -> None:
    declare_items(parser, at_least_one=False)
    parser.add_argument("-n", "--number", metavar="N", type=int, default=100, help="at most so many; 0: all")
    parser.add_argument("--since", metavar="AGE", help="only what is no older, such as 12h or 7d")
    declare_json(parser)


def _run(options: argparse.Namespace, session: Session) -> int:
    params: dict[str, object] = {"items": resolve(options.items, session.info())}
    if options.since is not None:
        age = seconds(options.since)
        if age is None:
            raise UsageError(f"{escape(options.since)} is no age; write one such as 12h or 7d.")
        params["age"] = age
    if options.number < 0:
        raise UsageError("-n takes a number from 0 on.")
    with session.client() as client:
        changes = islice(_pages(client, params, options.number), options.number or None)
        if options.json:
            json_list(changes)
        else:
            for change in changes:
                say(line(change))
    return exits.OK


def _pages(client: Client, params: dict[str, object], number: int) -> Iterator[ChangeView]:
    before: int | None = None
    while True:
        limit = min(number or PAGE, PAGE)
        page: ChangePage = client.call("log", {**params, "before": before, "limit": limit}, ChangePage)
        yield from page.changes
        before = page.next
        if before is None:
            return


VERBS = {
    "log": Verb(
        about="Prints the newest first: the number of the change, which tagfs undo takes, when it was (UTC), who did "
        "it, what it was, and to which items. Changes of one call have one number. With ITEM only what "
        "concerns it; one that has ended for good is named by id:ID.",
        examples=("tagfs log", "tagfs log ~/T/files/debian.iso", "tagfs log -n 0 --since 7d --json"),
        declare=_declare,
        run=_run,
    )
}
