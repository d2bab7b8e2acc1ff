"""`tagfs suggest`: what tags are suggested for items, and what becomes of them. Blocking."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from tagfs.cli import exits
from tagfs.cli.common import declare_expression, declare_items, declare_json, declare_tags, tag_names
from tagfs.cli.display import columns
from tagfs.cli.output import json_list, json_value, say
from tagfs.cli.queries import spelled
from tagfs.cli.refs import resolve
from tagfs.cli.session import Session
from tagfs.cli.verb import UsageError, Verb
from tagfs.control.client import Client
from tagfs.control.views_suggest import DecidedView, SuggestionPage, SuggestionView
from tagfs.escape import escape


def _declare(parser: argparse.ArgumentParser) -> None:
    declare_items(parser, at_least_one=False)
    parser.add_argument("--where", metavar="QUERY", help="the items that match, instead of naming them")
    declare_expression(parser)
    decision = parser.add_mutually_exclusive_group()
    decision.add_argument("--accept", action="store_true", help="put the tags that are suggested on")
    decision.add_argument("--refuse", action="store_true", help="never suggest them for these items again")
    declare_tags(parser, "with --accept or --refuse: only these of the tags")
    declare_json(parser)


def _run(options: argparse.Namespace, session: Session) -> int:
    tags = tag_names(options.tags)
    decides = options.accept or options.refuse
    if options.items and options.where is not None:
        raise UsageError("Name items, or say which by --where; not both.")
    if decides and not options.items and options.where is None:
        raise UsageError("Of which items? Name them, or say which by --where QUERY.")
    if tags and not decides:
        raise UsageError("-t TAG goes with --accept or --refuse.")
    params: dict[str, object] = {}
    if options.where is not None:
        params["query"], params["spelling"] = spelled(options.where, session.info(), expression=options.expression)
    elif options.items:
        params["items"] = resolve(options.items, session.info())
    with session.client() as client:
        if decides:
            params |= {"tags": tags, "accept": options.accept}
            decided: DecidedView = client.call("suggest_decide", params, DecidedView)
            if options.json:
                json_value(decided)
            return exits.OK
        found = _pages(client, params)
        if options.json:
            json_list(found)
        else:
            for line in columns(map(_row, found)):
                say(line)
    return exits.OK


def _row(item: SuggestionView) -> tuple[str, ...]:
    return f"id:{item.id}", escape(item.name), escape(",".join(one.tag for one in item.suggestions))


def _pages(client: Client, params: dict[str, object]) -> Iterator[SuggestionView]:
    after: int | None = 0
    while after is not None:
        page: SuggestionPage = client.call("suggestions", {**params, "after": after}, SuggestionPage)
        yield from page.items
        after = page.next


VERBS = {
    "suggest": Verb(
        about="Names of films and episodes, and what songs say of themselves, suggest tags: title, year, season, "
        "episode, resolution, codec, artist, album, track. They are no tags of the item until you accept them here, "
        "or a rule of the config file does. What was refused does not come back. A folder stands for all that is "
        "in it.",
        examples=(
            "tagfs suggest",
            "tagfs suggest --accept alien.mkv",
            "tagfs suggest --accept alien.mkv -t year:1979,1080p",
            "tagfs suggest --accept --where 'type:video and host:example.org'",
            "tagfs suggest --refuse --where type:audio",
        ),
        declare=_declare,
        run=_run,
    )
}
