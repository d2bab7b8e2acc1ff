"""`tagfs tags`: list tags, and make, rename or delete them. Blocking."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from tagfs.amounts import counted
from tagfs.cli import exits
from tagfs.cli.common import declare_expression, declare_json
from tagfs.cli.display import columns
from tagfs.cli.output import json_list, nul_terminated, say
from tagfs.cli.progress import work
from tagfs.cli.queries import spelled
from tagfs.cli.session import Session
from tagfs.cli.verb import UsageError, Verb
from tagfs.control.client import Client
from tagfs.control.views_items import TagPage, TagView
from tagfs.control.views_work import RetaggedView, WorkView
from tagfs.escape import escape


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", metavar="QUERY", nargs="*", help="only tags of the items that match")
    declare_expression(parser)
    change = parser.add_mutually_exclusive_group()
    change.add_argument("--create", metavar="TAG", nargs="+", help="make tags")
    change.add_argument("--delete", metavar="TAG", nargs="+", help="delete tags that no item carries")
    change.add_argument("--rename", metavar=("OLD", "NEW"), nargs=2, help="rename a tag on every item")
    change.add_argument("--merge", metavar=("OLD", "NEW"), nargs=2, help="what carries OLD carries NEW; OLD is no more")
    change.add_argument("-0", "--null", action="store_true", help="names only, each ended by NUL")
    declare_json(change)


def _run(options: argparse.Namespace, session: Session) -> int:
    text = " ".join(options.query)
    with session.client() as client:
        if options.create or options.delete or options.rename or options.merge:
            if text:
                raise UsageError("A query is for listing: leave it out with --create, --delete, --rename and --merge.")
            _change(client, options)
        else:
            _list(client, text, options, session)
    return exits.OK


def _change(client: Client, options: argparse.Namespace) -> None:
    if options.create:
        client.call("tag_create", {"names": options.create})
    elif options.delete:
        client.call("tag_delete", {"names": options.delete})
    elif options.rename:
        client.call("tag_rename", {"old": options.rename[0], "new": options.rename[1]})
    else:
        with work("tags") as report:
            old, new = options.merge
            done = client.call("tag_merge", {"old": old, "new": new}, RetaggedView, report=(WorkView, report))
        say(counted(done.items, "item"))


def _list(client: Client, text: str, options: argparse.Namespace, session: Session) -> None:
    params: dict[str, object] = {}
    if text:
        params["query"], params["spelling"] = spelled(text, session.info(), expression=options.expression)
    tags = _pages(client, params)
    if options.json:
        json_list(tags)
    elif options.null:
        nul_terminated(tag.name for tag in tags)
    else:
        for line in columns(((str(tag.items), escape(tag.name)) for tag in tags), right=[0]):
            say(line)


def _pages(client: Client, params: dict[str, object]) -> Iterator[TagView]:
    after: str | None = ""
    while after is not None:
        page: TagPage = client.call("tags", {**params, "after": after}, TagPage)
        yield from page.tags
        after = page.next


VERBS = {
    "tags": Verb(
        about="Prints how many items carry each tag. With a query it counts among the items that match, which shows "
        "what would narrow it.",
        examples=(
            "tagfs tags",
            "tagfs tags movie/-/watched",
            "tagfs tags --create todo later",
            "tagfs tags --rename film movie",
            "tagfs tags --merge films movie",
            "tagfs tags --delete later",
        ),
        declare=_declare,
        run=_run,
    )
}
